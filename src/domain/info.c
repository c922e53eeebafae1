/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at a domain.
 */
#include "block/info.h"
#include "image.h"
#include "known.h"
#include "layout.h"
#include "list.h"
#include "ops.h"
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

static int is_block(struct domains *domains, const char *sd, bool *ret_block,
                    struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        *ret_block = info.block;
    return rc;
}

int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    bool block = false;
    int rc = is_block(ctx, sd, &block, err);
    if (rc == 0 && block)
        return block_info(ctx, sd, ret_info, err);
    if (rc == 0)
        rc = domain_view_open(ctx, sd, &view, err);
    if (rc == 0)
        *ret_info = view.info;
    return rc;
}

static int file_stats(struct domains *domains, const char *sd,
                      struct domain_stats *ret_stats, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct statvfs fs;
    int rc = domain_view_open(domains, sd, &view, err);
    if (rc < 0)
        return rc;
    if (fstatvfs(view.root.fd, &fs) < 0)
        return domain_fail(err, ERR_STORAGE, "stat", &view.root, NULL);
    *ret_stats = (struct domain_stats){
        .total_bytes = (uint64_t)fs.f_frsize * fs.f_blocks,
        .free_bytes = (uint64_t)fs.f_frsize * fs.f_bavail,
        .unwritable = fs.f_flag & ST_RDONLY,
    };
    return 0;
}

int domain_stats(void *ctx, const char *sd, struct domain_stats *ret_stats,
                 struct err *err)
{
    bool block = false;
    int rc = is_block(ctx, sd, &block, err);
    if (rc < 0)
        return rc;
    return block ? block_stats(ctx, sd, ret_stats, err)
                 : file_stats(ctx, sd, ret_stats, err);
}

static int list_images(const struct domain_view *view, struct uuid_list *list,
                       struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(&view->images, &names, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        if (!uuid_is_valid(names.names[i]) ||
            domain_file_stat(&view->images, names.names[i], &st, NULL) != 0 ||
            !S_ISDIR(st.st_mode))
            continue;
        rc = domain_list_add(list, names.names[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* By name only: a record that is damaged is still one. 0 or DOMAIN_NONE. */
static int list_volumes(const struct domain_view *view, const char *img,
                        struct uuid_list *list, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_open_below(&view->images, img, &dir, err);
    if (rc == 0)
        rc = domain_dir_list(&dir, &names, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < names.n; i++) {
        char vol[UUID_SIZE];
        if (domain_file_is(names.names[i], PART_META, vol))
            rc = domain_list_add(list, vol, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int list_all_volumes(const struct domain_view *view,
                            struct uuid_list *list, struct err *err)
{
    struct uuid_list images = { 0 };
    int rc = list_images(view, &images, err);
    for (size_t i = 0; rc >= 0 && i < images.n; i++)
        rc = list_volumes(view, images.uuids[i], list, err);
    uuid_list_deinit(&images);
    return rc < 0 ? rc : 0; /* an image may have gone meanwhile */
}

static int file_images(struct domains *domains, const char *sd,
                       struct uuid_list *list, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    int rc = domain_view_open(domains, sd, &view, err);
    return rc < 0 ? rc : list_images(&view, list, err);
}

static int file_volumes(struct domains *domains, const char *sd,
                        const char *img, struct uuid_list *list,
                        struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    int rc = domain_view_open(domains, sd, &view, err);
    if (rc == 0)
        rc = img ? list_volumes(&view, img, list, err)
                 : list_all_volumes(&view, list, err);
    if (rc == DOMAIN_NONE)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "there is no image %s in domain %s", img, sd);
    return rc;
}

static int hand_over(int rc, struct uuid_list *list, struct uuid_list *ret_list)
{
    if (rc < 0) {
        uuid_list_deinit(list);
        return rc;
    }
    domain_list_sort(list);
    *ret_list = *list;
    return 0;
}

int domain_images(void *ctx, const char *sd, struct uuid_list *ret_list,
                  struct err *err)
{
    struct uuid_list list = { 0 };
    bool block = false;
    int rc = is_block(ctx, sd, &block, err);
    if (rc == 0)
        rc = block ? block_list_images(ctx, sd, &list, err)
                   : file_images(ctx, sd, &list, err);
    return hand_over(rc, &list, ret_list);
}

int domain_volumes(void *ctx, const char *sd, const char *img,
                   struct uuid_list *ret_list, struct err *err)
{
    struct uuid_list list = { 0 };
    bool block = false;
    int rc = is_block(ctx, sd, &block, err);
    if (rc == 0)
        rc = block ? block_list_volumes(ctx, sd, img, &list, err)
                   : file_volumes(ctx, sd, img, &list, err);
    return hand_over(rc, &list, ret_list);
}
