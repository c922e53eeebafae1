/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The links on this host's own run_dir. VMs open their disks through them: a
 * qcow2 names its parent by the bare volume id, and that is found beside it.
 */
#include "links.h"
#include "lv.h"
#include <dray/base/file.h>
#include <errno.h>
#include <string.h>

enum {
    DIR_MODE = 0755
};

static bool sd_path(const struct block_vg *vg, char ret_path[PATH_MAX])
{
    return str_format(ret_path, PATH_MAX, "%s/%s", vg->domains->run_dir,
                      vg->info.sd);
}

bool block_link_path(const struct block_vg *vg, const char *img,
                     const char *vol, char ret_path[PATH_MAX])
{
    return str_format(ret_path, PATH_MAX, "%s/%s/%s%s%s", vg->domains->run_dir,
                      vg->info.sd, img, vol ? "/" : "", vol ? vol : "");
}

static int too_long(const struct block_vg *vg, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_PATH, "%s: the path is too long",
                        vg->domains->run_dir);
}

static int make_dirs(const struct block_vg *vg, const char *img,
                     struct err *err)
{
    char dir[PATH_MAX];
    if (!sd_path(vg, dir))
        return too_long(vg, err);
    int rc = file_make_dir(vg->domains->run_dir, DIR_MODE, err);
    if (rc == 0)
        rc = file_make_dir(dir, DIR_MODE, err);
    if (rc == 0 && !block_link_path(vg, img, NULL, dir))
        rc = too_long(vg, err);
    return rc < 0 ? rc : file_make_dir(dir, DIR_MODE, err);
}

int block_links_make(const struct block_vg *vg, const char *img,
                     struct lvm_names vols, struct err *err)
{
    int rc = make_dirs(vg, img, err);
    for (size_t i = 0; rc == 0 && i < vols.n; i++) {
        char link[PATH_MAX];
        char target[PATH_MAX];
        block_lv_path(&vg->info, vols.names[i], target);
        if (!block_link_path(vg, img, vols.names[i], link))
            rc = too_long(vg, err);
        else if (symlink(target, link) < 0 && errno != EEXIST)
            rc = err_set_code(err, ERR_IMAGE_PATH, "link %s: %m", link);
    }
    return rc;
}

int block_links_list(const struct block_vg *vg, const char *img,
                     struct domain_names *ret_names, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    char path[PATH_MAX];
    if (!block_link_path(vg, img, NULL, path))
        return too_long(vg, err);
    int rc = domain_dir_open(path, &dir, err);
    if (rc == DOMAIN_NONE)
        return 0;
    return rc < 0 ? rc : domain_dir_list(&dir, ret_names, err);
}

bool block_links_find(const struct block_vg *vg, const char *but_img,
                      const char *vol)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    char path[PATH_MAX];
    struct stat st;
    if (!sd_path(vg, path) || domain_dir_open(path, &dir, NULL) != 0 ||
        domain_dir_list(&dir, &names, NULL) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        if ((but_img && str_equal(names.names[i], but_img)) ||
            !block_link_path(vg, names.names[i], vol, path))
            continue;
        if (lstat(path, &st) == 0)
            return true;
    }
    return false;
}

static void remove_empty_dirs(const struct block_vg *vg, const char *img)
{
    char path[PATH_MAX];
    if (block_link_path(vg, img, NULL, path))
        (void)rmdir(path); /* not there, or with other links: fine */
    if (sd_path(vg, path))
        (void)rmdir(path); /* stays while other images are prepared */
}

static int remove_link(const struct block_vg *vg, const char *img,
                       const char *vol, struct err *err)
{
    char path[PATH_MAX];
    return block_link_path(vg, img, vol, path) ? file_remove(path, err)
                                               : too_long(vg, err);
}

int block_links_remove_one(const struct block_vg *vg, const char *img,
                           const char *vol, struct err *err)
{
    int rc = remove_link(vg, img, vol, err);
    remove_empty_dirs(vg, img);
    return rc;
}

int block_links_remove(const struct block_vg *vg, const char *img,
                       struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = block_links_list(vg, img, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++)
        rc = remove_link(vg, img, names.names[i], err);
    remove_empty_dirs(vg, img);
    return rc;
}

int block_links_remove_all(const struct block_vg *vg, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    char path[PATH_MAX];
    if (!sd_path(vg, path))
        return too_long(vg, err);
    int rc = domain_dir_open(path, &dir, err);
    if (rc == DOMAIN_NONE)
        return 0;
    if (rc == 0)
        rc = domain_dir_list(&dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++)
        rc = block_links_remove(vg, names.names[i], err);
    return rc;
}
