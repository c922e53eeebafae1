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
#include "data.h"
#include "image.h"
#include "layout.h"
#include "ops.h"
#include "record.h"
#include "scan.h"
#include "template.h"
#include "volume_spec.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* One volume being made. */
struct creation {
    const struct volume_create *spec;
    const struct domain_view *view;
    struct domain_image image;
    struct format_volume record;
    struct format_volume parent; /* valid when has_parent */
    bool may_exist;              /* as one of several */
    bool has_parent;
    bool foreign_parent; /* a template of another image */
};

/* --- what is there --- */

static int refuse_existing(const struct volume_create *spec, struct err *err)
{
    return err_set_code(err, ERR_VOLUME_EXISTS,
                        "volume %s of image %s is there already", spec->id.vol,
                        spec->id.img);
}

/* 0: what is there is what is asked for. */
static int check_existing(const struct creation *c,
                          const struct format_volume *found, struct err *err)
{
    const struct format_volume *wanted = &c->record;
    if (!c->may_exist)
        return refuse_existing(c->spec, err);
    if (found->kind == wanted->kind && found->capacity == wanted->capacity &&
        found->legality == wanted->legality &&
        str_equal(found->parent, wanted->parent))
        return 0;
    return err_set_code(err, ERR_VOLUME_EXISTS,
                        "volume %s of image %s is there already, but with "
                        "another format, capacity, legality or parent",
                        c->spec->id.vol, c->spec->id.img);
}

/* A volume's id is the name of its lease, so it is unique in the domain. */
static int check_other_images(const struct creation *c, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    const struct domain_file_name meta =
        domain_file_name(c->spec->id.vol, PART_META);
    int rc = domain_dir_list(&c->view->images, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        char path[2 * DOMAIN_FILE_NAME_SIZE];
        struct stat st;
        if (!uuid_is_valid(names.names[i]))
            continue;
        (void)str_format(path, sizeof(path), "%s/%s", names.names[i], meta.s);
        if (fstatat(c->view->images.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
            rc = err_set_code(err, ERR_VOLUME_EXISTS,
                              "volume %s is there already, in image %s",
                              c->spec->id.vol, names.names[i]);
    }
    return rc;
}

/* What has the name but no record is not ours to overwrite. */
static int check_no_files(const struct creation *c, struct err *err)
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
static int mend(struct creation *c, struct err *err)
{
    bool mended = false;
    int rc = domain_scan_mend_volume(c->view, &c->image, c->spec->id.vol,
                                     &mended, err);
    if (rc == 0 && domain_spec_has_parent(c->spec))
        rc = domain_record_mend(&c->image.dir, c->spec->parent, &mended, err);
    return rc < 0 ? rc : domain_image_reload(c->view, &c->image, err);
}

/* The image as it is, without one when it is new. 0: the volume is there and
 * right; DOMAIN_NONE: it is to be made. */
static int look(struct creation *c, struct err *err)
{
    int rc = domain_dir_open_below(&c->view->images, c->spec->id.img,
                                   &c->image.dir, err);
    (void)str_copy(c->image.img, sizeof(c->image.img), c->spec->id.img);
    if (rc < 0)
        return rc;
    if (rc == 0)
        rc = mend(c, err);
    if (rc < 0)
        return rc;
    const struct domain_layer *found =
        domain_image_find(&c->image, c->spec->id.vol);
    if (found)
        return check_existing(c, &found->record, err);
    rc = check_other_images(c, err);
    if (rc == 0 && c->image.dir.fd >= 0)
        rc = check_no_files(c, err);
    return rc < 0 ? rc : DOMAIN_NONE;
}

/* --- the parent --- */

static bool is_other_image(const struct volume_create *spec)
{
    return spec->parent_img[0] && !str_equal(spec->parent_img, UUID_BLANK) &&
           !str_equal(spec->parent_img, spec->id.img);
}

static int find_parent(struct creation *c, struct err *err)
{
    const struct domain_layer *layer =
        domain_image_find(&c->image, c->spec->parent);
    if (layer) {
        c->parent = layer->record;
        return 0;
    }
    if (is_other_image(c->spec)) {
        c->foreign_parent = true;
        return domain_template_read(c->view, c->spec->parent_img,
                                    c->spec->parent, &c->parent, err);
    }
    return err_set_code(err, ERR_NO_VOLUME,
                        "there is no volume %s in image %s to be the parent",
                        c->spec->parent, c->spec->id.img);
}

/* A raw volume is as large as its file, whatever its record says. */
static uint64_t real_capacity(const struct creation *c)
{
    struct stat st;
    if (c->foreign_parent || c->parent.kind != FORMAT_RAW ||
        domain_file_stat(&c->image.dir, c->spec->parent, &st, NULL) != 0)
        return c->parent.capacity;
    uint64_t size = (uint64_t)st.st_size;
    return size > c->parent.capacity ? size : c->parent.capacity;
}

/* What lies above the leaf of an image is no part of it any more. */
static bool is_merged_away(const struct format_volume *parent,
                           const struct format_volume *child)
{
    return parent->role == FORMAT_LEAF &&
           (child->role == FORMAT_INTERNAL || child->legality != FORMAT_LEGAL);
}

static int check_parent(const struct creation *c, struct err *err)
{
    const char *parent = c->spec->parent;
    if (!c->spec->clone && c->parent.legality != FORMAT_LEGAL)
        return err_set_code(err, ERR_SNAPSHOT_ILLEGAL,
                            "volume %s is ILLEGAL, so nothing can be based on "
                            "it",
                            parent);
    if (c->record.capacity < real_capacity(c))
        return err_set_code(err, ERR_VALUE,
                            "volume %s: %llu bytes are less than its parent's "
                            "%llu",
                            c->spec->id.vol,
                            (unsigned long long)c->record.capacity,
                            (unsigned long long)real_capacity(c));
    const struct domain_layer *child = domain_image_child(&c->image, parent);
    if (child && !is_merged_away(&c->parent, &child->record))
        return err_set_code(err, ERR_VOLUME_CHILDREN,
                            "volume %s has a child in this image already: %s",
                            parent, child->vol);
    return 0;
}

/* An image is one chain: what comes second has the first as its parent. */
static int check_chain(struct creation *c, struct err *err)
{
    c->has_parent = domain_spec_has_parent(c->spec);
    if (c->has_parent) {
        int rc = find_parent(c, err);
        return rc < 0 ? rc : check_parent(c, err);
    }
    if (c->image.n == 0)
        return 0;
    return err_set_code(err, ERR_VOLUME_CREATE,
                        "image %s has volumes already, so a further one needs "
                        "one of them as its parent",
                        c->spec->id.img);
}

/* --- making it --- */

static int make_image_dir(struct creation *c, struct err *err)
{
    const struct domain_dir *images = &c->view->images;
    int rc = 0;
    if (c->image.dir.fd < 0) {
        rc = domain_dir_make(images, c->spec->id.img, DOMAIN_DIR_MODE,
                             &c->view->domains->owner, err);
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
        rc = domain_template_link(c->view, c->spec->parent_img, c->spec->parent,
                                  &c->image.dir, err);
    return rc;
}

static int make_data(const struct creation *c, struct err *err)
{
    const struct domain_data data = {
        .image = &c->image.dir,
        .vol = c->spec->id.vol,
        .kind = c->record.kind,
        .allocation = c->record.allocation,
        .capacity = c->record.capacity,
        .parent = c->has_parent ? c->spec->parent : NULL,
        .parent_kind = c->parent.kind,
    };
    return domain_data_make(c->view->domains, &data, err);
}

/* A clone's parent is INTERNAL from the start, unless the scan saw it before
 * its child was there. */
static int mark_parent(const struct creation *c, struct err *err)
{
    struct format_volume parent = c->parent;
    if (!c->has_parent || c->foreign_parent || parent.role != FORMAT_LEAF)
        return 0;
    parent.role = FORMAT_INTERNAL;
    return domain_record_replace(&c->image.dir, c->spec->parent, &parent,
                                 &c->view->domains->owner, err);
}

static int make_files(const struct creation *c, struct err *err)
{
    const char *vol = c->spec->id.vol;
    int rc = domain_record_announce(&c->image.dir, vol, &c->record,
                                    &c->view->domains->owner, err);
    if (rc == 0)
        rc = make_data(c, err);
    if (rc == 0)
        rc = domain_scan_make_lease(c->view, &c->image.dir, c->spec->id.img,
                                    vol, err);
    if (rc == 0)
        rc = domain_dir_sync(&c->image.dir, err);
    if (rc == 0)
        rc = mark_parent(c, err);
    return rc < 0 ? rc : domain_record_commit(&c->image.dir, vol, err);
}

/* After a failure. What this cannot undo the scan will. */
static void undo(struct creation *c)
{
    bool mended = false;
    if (c->image.dir.fd < 0)
        return;
    if (domain_scan_mend_volume(c->view, &c->image, c->spec->id.vol, &mended,
                                NULL) < 0 ||
        domain_image_reload(c->view, &c->image, NULL) < 0)
        return;
    (void)domain_image_remove_empty(c->view, &c->image, NULL);
}

static int create(struct creation *c, struct err *err)
{
    int rc = look(c, err);
    if (rc != DOMAIN_NONE)
        return rc;
    rc = check_chain(c, err);
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
    struct creation c = { .spec = spec,
                          .view = view,
                          .image = DOMAIN_IMAGE_INIT,
                          .may_exist = may_exist };
    domain_spec_to_record(spec, &c.record);
    int rc = create(&c, err);
    domain_image_close(&c.image);
    return rc;
}

/* Before anything is touched. */
static int check_specs(const struct volume_create *specs, size_t n,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (!str_equal(specs[i].id.sd, specs[0].id.sd))
            return err_set_code(err, ERR_VALUE,
                                "volumes of two domains, %s and %s, cannot be "
                                "made in one go",
                                specs[0].id.sd, specs[i].id.sd);
        rc = domain_spec_check(&specs[i], err);
    }
    return rc;
}

static int create_all(struct domains *domains,
                      const struct volume_create *specs, size_t n,
                      bool may_exist, struct err *err)
{
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    int rc = check_specs(specs, n, err);
    if (rc == 0)
        rc = domain_change_begin(domains, specs[0].id.sd, &change, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = create_one(&change.view, &specs[i], may_exist, err);
    return rc;
}

int domain_volume_create(void *ctx, const struct volume_create *spec,
                         struct err *err)
{
    return create_all(ctx, spec, 1, false, err);
}

int domain_volumes_create(void *ctx, const struct volume_create *specs,
                          size_t n, struct err *err)
{
    return n > 0 ? create_all(ctx, specs, n, true, err) : 0;
}
