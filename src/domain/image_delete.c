/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Removing an image: its directory is renamed, which decides it, and then
 * emptied. Every host that opens the domain would finish what is cut off.
 */
#include "image.h"
#include "kind.h"
#include "layout.h"
#include "record.h"
#include "scan.h"
#include "template.h"
#include <errno.h>
#include <string.h>

/* _remove_me_IMG */
struct removed_name {
    char s[DOMAIN_FILE_NAME_SIZE];
};

static struct removed_name removed_name(const char *img)
{
    struct removed_name name;
    (void)str_format(name.s, sizeof(name.s), "%s%s", DOMAIN_REMOVED_PREFIX,
                     img);
    return name;
}

/* NFS's remnant of an open file goes with the last who has it open. */
static bool is_known_file(const struct domain_image *image, const char *name)
{
    char vol[UUID_SIZE];
    if (str_starts_with(name, ".nfs"))
        return true;
    if (uuid_is_valid(name))
        (void)str_copy(vol, sizeof(vol), name);
    else if (!domain_file_is(name, PART_META, vol) &&
             !domain_file_is(name, PART_LEASE, vol))
        return false;
    return domain_image_find(image, vol) != NULL;
}

/* Nothing is removed that is not a volume's. */
static int check_files(const struct domain_image *image, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(&image->dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (is_known_file(image, names.names[i]))
            continue;
        (void)err_set_code(err, ERR_IMAGE_DELETE,
                           "%s/%s belongs to no volume of the image",
                           image->dir.path, names.names[i]);
        rc = err_next(err, "move it away first");
    }
    return rc;
}

static int check_volumes(const struct domain_view *view,
                         const struct domain_image *image, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (layer->linked)
            continue; /* the template stays where it is */
        if (layer->record.role == FORMAT_SHARED)
            rc =
                domain_template_check_unused(view, image->img, layer->vol, err);
        if (rc == 0)
            rc = domain_record_check_unused(&image->dir, layer->vol, err);
    }
    return rc;
}

static int check(const struct domain_view *view, struct domain_image *image,
                 struct err *err)
{
    /* Volumes that were being made or removed are not there. */
    int rc = domain_scan_mend_records(view, image, err);
    if (rc == 0)
        rc = check_volumes(view, image, err);
    return rc < 0 ? rc : check_files(image, err);
}

/* What is left of an earlier removal, when there is any. */
static int finish_earlier(const struct domain_view *view, const char *img,
                          struct err *err)
{
    const struct removed_name removed = removed_name(img);
    struct stat st;
    int rc = domain_file_stat(&view->images, removed.s, &st, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_IMAGE,
                            "there is no image %s in domain %s", img,
                            view->info.sd);
    return rc < 0 ? rc : domain_scan_finish_removal(view, removed.s, err);
}

int file_image_delete(void *ctx, const char *sd, const char *img,
                      struct err *err)
{
    const struct removed_name removed = removed_name(img);
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    const struct domain_view *view = &change.view;
    int rc = domain_change_begin(ctx, sd, &change, err);
    if (rc < 0)
        return rc;
    rc = domain_image_open(view, img, &image, err);
    if (rc == DOMAIN_NONE)
        return finish_earlier(view, img, err);
    if (rc == 0)
        rc = check(view, &image, err);
    /* One of the same name that was not finished would be in the way. */
    if (rc == 0)
        rc = domain_scan_finish_removal(view, removed.s, err);
    if (rc == 0)
        rc = domain_file_rename(&view->images, img, removed.s, err);
    if (rc < 0)
        return rc;
    (void)file_image_teardown(ctx, sd, img, NULL); /* a link to nothing */
    return domain_scan_finish_removal(view, removed.s, err);
}
