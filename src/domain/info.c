/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at a domain.
 */
#include "image.h"
#include "layout.h"
#include "ops.h"
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    int rc = domain_view_open(ctx, sd, &view, err);
    if (rc == 0)
        *ret_info = view.info;
    return rc;
}

int domain_stats(void *ctx, const char *sd, struct domain_stats *ret_stats,
                 struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct statvfs fs;
    int rc = domain_view_open(ctx, sd, &view, err);
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

static int add(struct uuid_list *list, const char *uuid)
{
    char(*larger)[UUID_SIZE] =
        realloc(list->uuids, (list->n + 1) * sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    list->uuids = larger;
    (void)str_copy(larger[list->n++], UUID_SIZE, uuid);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A template is in the images that are based on it, too. */
static void sort_unique(struct uuid_list *list)
{
    size_t n = 0;
    if (list->n > 1)
        qsort(list->uuids, list->n, sizeof(*list->uuids), compare);
    for (size_t i = 0; i < list->n; i++) {
        if (n > 0 && str_equal(list->uuids[i], list->uuids[n - 1]))
            continue;
        memmove(list->uuids[n++], list->uuids[i], UUID_SIZE);
    }
    list->n = n;
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
        if (add(list, names.names[i]) < 0)
            return err_set(err, -ENOMEM, "list of images: out of memory");
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
        if (domain_file_is(names.names[i], PART_META, vol) &&
            add(list, vol) < 0)
            return err_set(err, -ENOMEM, "list of volumes: out of memory");
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

int domain_images(void *ctx, const char *sd, struct uuid_list *ret_list,
                  struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct uuid_list list = { 0 };
    int rc = domain_view_open(ctx, sd, &view, err);
    if (rc == 0)
        rc = list_images(&view, &list, err);
    if (rc < 0) {
        uuid_list_deinit(&list);
        return rc;
    }
    *ret_list = list;
    return 0;
}

int domain_volumes(void *ctx, const char *sd, const char *img,
                   struct uuid_list *ret_list, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct uuid_list list = { 0 };
    int rc = domain_view_open(ctx, sd, &view, err);
    if (rc == 0)
        rc = img ? list_volumes(&view, img, &list, err)
                 : list_all_volumes(&view, &list, err);
    if (rc == DOMAIN_NONE)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "there is no image %s in domain %s", img, sd);
    if (rc < 0) {
        uuid_list_deinit(&list);
        return rc;
    }
    sort_unique(&list);
    *ret_list = list;
    return 0;
}
