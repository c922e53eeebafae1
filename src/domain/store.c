/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes as files in the image's directory.
 */
#include "store.h"
#include "data.h"
#include "layout.h"
#include "record.h"

static int open_file(const struct domain_image *image, const char *vol,
                     int flags, int *ret_fd, struct err *err)
{
    return domain_file_open(&image->dir, vol, flags, ret_fd, err);
}

static int fill_file(const struct domain_image *image, const char *vol,
                     struct volume_info *info, struct err *err)
{
    struct stat st;
    int rc = domain_file_stat(&image->dir, vol, &st, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_ACCESS,
                            "%s/%s: there is a record, but no data",
                            image->dir.path, vol);
    if (rc < 0)
        return rc;
    if (!S_ISREG(st.st_mode))
        return err_set_code(err, ERR_VOLUME_ACCESS,
                            "%s/%s is not a regular file", image->dir.path,
                            vol);
    if (!domain_volume_path(&image->view->info, image->img, vol, info->path))
        return err_set_code(err, ERR_VALUE, "%s: the path is too long",
                            image->dir.path);
    (void)str_copy(info->id.sd, UUID_SIZE, image->view->info.sd);
    info->apparent_bytes = (uint64_t)st.st_size;
    info->true_bytes = (uint64_t)st.st_blocks * 512;
    return 0;
}

static int put_file(const struct domain_image *image,
                    const struct domain_layer *layer, struct err *err)
{
    return domain_record_replace(&image->dir, layer->vol, &layer->record,
                                 &image->view->domains->owner, err);
}

static int check_unused(const struct domain_image *image, const char *vol,
                        struct err *err)
{
    return domain_record_check_unused(&image->dir, vol, err);
}

static int renew(const struct domain_image *image,
                 const struct domain_data *data, struct err *err)
{
    return domain_data_reset(image->view->domains, data, err);
}

static int open_other(const struct domain_image *image, const char *img,
                      struct domain_image *ret_image, struct err *err)
{
    return domain_image_require(image->view, img, ret_image, err);
}

const struct domain_store domain_file_store = {
    .open = open_file,
    .fill = fill_file,
    .put = put_file,
    .check_unused = check_unused,
    .renew = renew,
    .extend = domain_file_extend,
    .open_other = open_other,
};
