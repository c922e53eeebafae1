/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Links to templates. The record is linked first and unlinked last: it is what
 * tells a link from data that is nobody's.
 */
#include "template.h"
#include "layout.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int domain_template_read(const struct domain_image *other, const char *img,
                         const char *vol, struct format_volume *ret_record,
                         struct err *err)
{
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct domain_layer *layer = NULL;
    int rc = other->store->open_other(other, img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, vol, &layer, err);
    if (rc != 0)
        return rc;
    if (layer->record.role != FORMAT_SHARED)
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "volume %s of image %s is no template, so no other "
                            "image can be based on it",
                            vol, img);
    *ret_record = layer->record;
    return 0;
}

static int link_file(const struct domain_dir *from, const char *name,
                     const struct domain_dir *to, struct err *err)
{
    if (linkat(from->fd, name, to->fd, name, 0) < 0 && errno != EEXIST)
        return domain_fail(err, ERR_VOLUME_CREATE, "link", to, name);
    return 0;
}

int domain_template_link(const struct domain_view *view, const char *img,
                         const char *vol, const struct domain_dir *image,
                         struct err *err)
{
    const struct domain_file_name meta = domain_file_name(vol, PART_META);
    const struct domain_file_name lease = domain_file_name(vol, PART_LEASE);
    _cleanup_dir_ struct domain_dir from = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(&view->images, img, &from, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_IMAGE, "%s/%s is gone",
                            view->images.path, img);
    if (rc == 0)
        rc = link_file(&from, meta.s, image, err);
    if (rc == 0)
        rc = link_file(&from, vol, image, err);
    if (rc == 0)
        rc = link_file(&from, lease.s, image, err);
    return rc < 0 ? rc : domain_dir_sync(image, err);
}

int domain_template_check_unused(const struct domain_view *view,
                                 const char *img, const char *vol,
                                 struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    const struct domain_file_name meta = domain_file_name(vol, PART_META);
    int rc = domain_dir_list(&view->images, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        char path[2 * DOMAIN_FILE_NAME_SIZE];
        struct stat st;
        if (!uuid_is_valid(names.names[i]) || str_equal(names.names[i], img))
            continue;
        (void)str_format(path, sizeof(path), "%s/%s", names.names[i], meta.s);
        if (fstatat(view->images.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
            rc = err_set_code(err, ERR_VOLUME_SHARED,
                              "template %s is used by image %s", vol,
                              names.names[i]);
    }
    return rc;
}
