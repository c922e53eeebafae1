/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a volume. Steps, each durable before the next:
 *
 *   1 the image's directory, and links to a template's files
 *   2 VOL.meta.new: the intent
 *   3 the data
 *   4 VOL.lease
 *   5 the parent: LEAF -> INTERNAL; a VM may be writing to it
 *   6 VOL.meta.new -> VOL.meta: from here on the volume exists
 *
 * What fails before 6 is undone at once, what is cut off is undone by the next
 * call for the same volume or by the scan: see record.c. Of several volumes
 * each is made whole before the next; what is there then stays, since the same
 * call goes on from it.
 */
#include "creation.h"
#include "data.h"
#include "kind.h"
#include "layout.h"
#include "record.h"
#include "scan.h"
#include "template.h"
#include "volume_spec.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A volume's id is the name of its lease, so it is unique in the domain. */
static int check_other_images(const struct domain_creation *c, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    const struct domain_file_name meta =
        domain_file_name(c->spec->id.vol, PART_META);
    int rc = domain_dir_list(&c->image.view->images, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        char path[2 * DOMAIN_FILE_NAME_SIZE];
        struct stat st;
        if (!uuid_is_valid(names.names[i]))
            continue;
        (void)str_format(path, sizeof(path), "%s/%s", names.names[i], meta.s);
        if (fstatat(c->image.view->images.fd, path, &st, AT_SYMLINK_NOFOLLOW) ==
            0)
            rc = err_set_code(err, ERR_VOLUME_EXISTS,
                              "volume %s is there already, in image %s",
                              c->spec->id.vol, names.names[i]);
    }
    return rc;
}

/* What has the name but no record is not ours to overwrite. */
static int check_no_files(const struct domain_creation *c, struct err *err)
{
    const char *vol = c->spec->id.vol;
    const struct domain_file_name lease = domain_file_name(vol, PART_LEASE);
    const char *const names[] = { vol, lease.s };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct stat st;
        int rc = domain_file_stat(&c->image.dir, names[i], &st, err);
        if (rc == DOMAIN_NONE)
            continue;
        if (rc < 0)
            return rc;
        (void)err_set_code(err, ERR_VOLUME_CREATE,
                           "%s/%s is there without a record, so it is "
                           "somebody else's",
                           c->image.dir.path, names[i]);
        return err_next(err, "move the file away, or take another volume id");
    }
    return 0;
}

/* Undoes what a crash left of the volume and of its parent's last update. */
static int mend(struct domain_creation *c, struct err *err)
{
    bool mended = false;
    int rc = domain_scan_mend_volume(c->image.view, &c->image, c->spec->id.vol,
                                     &mended, err);
    if (rc == 0 && domain_spec_has_parent(c->spec))
        rc = domain_record_mend(&c->image.dir, c->spec->parent, &mended, err);
    return rc < 0 ? rc : domain_image_reload(c->image.view, &c->image, err);
}

/* The image as it is, without one when it is new. 0: the volume is there and
 * right; DOMAIN_NONE: it is to be made. */
static int look(struct domain_creation *c, struct err *err)
{
    int rc = domain_dir_open_below(&c->image.view->images, c->spec->id.img,
                                   &c->image.dir, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        rc = mend(c, err);
    if (rc < 0)
        return rc;
    const struct domain_layer *found =
        domain_image_find(&c->image, c->spec->id.vol);
    if (found)
        return domain_creation_check_existing(c, &found->record, err);
    rc = check_other_images(c, err);
    if (rc == 0 && c->image.dir.fd >= 0)
        rc = check_no_files(c, err);
    return rc < 0 ? rc : DOMAIN_NONE;
}

/* --- making it --- */

static int make_image_dir(struct domain_creation *c, struct err *err)
{
    const struct domain_dir *images = &c->image.view->images;
    int rc = 0;
    if (c->image.dir.fd < 0) {
        rc = domain_dir_make(images, c->spec->id.img, DOMAIN_DIR_MODE,
                             &c->image.view->domains->owner, err);
        if (rc == 0)
            rc = domain_dir_sync(images, err);
        if (rc == 0)
            rc = domain_dir_open_below(images, c->spec->id.img, &c->image.dir,
                                       err);
        if (rc == DOMAIN_NONE)
            rc = err_set_code(err, ERR_IMAGE_PATH, "%s/%s is gone again",
                              images->path, c->spec->id.img);
    }
    if (rc == 0 && c->foreign_parent)
        rc = domain_template_link(c->image.view, c->spec->parent_img,
                                  c->spec->parent, &c->image.dir, err);
    return rc;
}

static int make_data(const struct domain_creation *c, struct err *err)
{
    const struct domain_data data = domain_creation_data(c);
    return domain_data_make(c->image.view->domains, &data, err);
}

static int make_files(struct domain_creation *c, struct err *err)
{
    const char *vol = c->spec->id.vol;
    int rc = domain_record_announce(&c->image.dir, vol, &c->record,
                                    &c->image.view->domains->owner, err);
    if (rc == 0)
        rc = make_data(c, err);
    if (rc == 0)
        rc = domain_scan_make_lease(c->image.view, &c->image.dir,
                                    c->spec->id.img, vol, err);
    if (rc == 0)
        rc = domain_dir_sync(&c->image.dir, err);
    if (rc == 0)
        rc = domain_creation_mark_parent(c, err);
    return rc < 0 ? rc : domain_record_commit(&c->image.dir, vol, err);
}

/* After a failure. What this cannot undo the scan will. */
static void undo(struct domain_creation *c)
{
    bool mended = false;
    if (c->image.dir.fd < 0)
        return;
    if (domain_scan_mend_volume(c->image.view, &c->image, c->spec->id.vol,
                                &mended, NULL) < 0 ||
        domain_image_reload(c->image.view, &c->image, NULL) < 0)
        return;
    (void)domain_image_remove_empty(c->image.view, &c->image, NULL);
}

static int create(struct domain_creation *c, struct err *err)
{
    int rc = look(c, err);
    if (rc != DOMAIN_NONE)
        return rc;
    rc = domain_creation_check_chain(c, err);
    if (rc < 0)
        return rc;
    rc = make_image_dir(c, err);
    if (rc == 0)
        rc = make_files(c, err);
    if (rc < 0)
        undo(c);
    return rc;
}

static int create_one(const struct domain_view *view,
                      const struct volume_create *spec, bool may_exist,
                      struct err *err)
{
    struct domain_creation c = { .spec = spec, .may_exist = may_exist };
    domain_image_init(view, spec->id.img, &c.image);
    domain_spec_to_record(spec, &c.record);
    int rc = create(&c, err);
    domain_image_close(&c.image);
    return rc;
}

static int create_all(struct domains *domains,
                      const struct volume_create *specs, size_t n,
                      bool may_exist, struct err *err)
{
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    int rc = domain_creation_check_specs(specs, n, err);
    if (rc == 0)
        rc = domain_change_begin(domains, specs[0].id.sd, &change, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = create_one(&change.view, &specs[i], may_exist, err);
    return rc;
}

int file_volume_create(void *ctx, const struct volume_create *spec,
                       struct err *err)
{
    return create_all(ctx, spec, 1, false, err);
}

int file_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                        struct err *err)
{
    return n > 0 ? create_all(ctx, specs, n, true, err) : 0;
}
