/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * run_dir/storage/SD/IMG: the link by which a prepared image is known on this
 * host. On a file domain nothing else is to be done, so a link that points
 * where it should is a prepared image.
 */
#include "chain.h"
#include "kind.h"
#include "layout.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    RUN_DIR_MODE = 0755
};

static bool points_to(const char *link, const char *target)
{
    char old[PATH_MAX];
    ssize_t n = readlink(link, old, sizeof(old));
    return n >= 0 && (size_t)n == strlen(target) &&
           memcmp(old, target, (size_t)n) == 0;
}

/* Where there is another link, it is of a domain that has moved. */
static int make_link(const char *link, const char *target, struct err *err)
{
    char temporary[PATH_MAX];
    if (points_to(link, target))
        return 0;
    if (!str_format(temporary, sizeof(temporary), "%s.new", link))
        return err_set_code(err, ERR_IMAGE_PATH, "%s: the path is too long",
                            link);
    if ((unlink(temporary) < 0 && errno != ENOENT) ||
        symlink(target, temporary) < 0 || rename(temporary, link) < 0)
        return err_set_code(err, ERR_IMAGE_PATH, "link %s: %m", link);
    return 0;
}

static int link_path(const struct domains *domains, const char *sd,
                     const char *img, char ret_path[PATH_MAX], struct err *err)
{
    if (!str_format(ret_path, PATH_MAX, "%s/%s%s%s", domains->run_dir, sd,
                    img ? "/" : "", img ? img : ""))
        return err_set_code(err, ERR_IMAGE_PATH, "%s: the path is too long",
                            domains->run_dir);
    return 0;
}

static int make_links(const struct domain_view *view, const char *img,
                      struct err *err)
{
    const struct domains *domains = view->domains;
    char dir[PATH_MAX];
    char link[PATH_MAX];
    char target[PATH_MAX];
    if (!domain_volume_path(&view->info, img, NULL, target))
        return err_set_code(err, ERR_IMAGE_PATH, "%s: the path is too long",
                            view->images.path);
    int rc = link_path(domains, view->info.sd, NULL, dir, err);
    if (rc == 0)
        rc = link_path(domains, view->info.sd, img, link, err);
    if (rc == 0)
        rc = file_make_dir(domains->run_dir, RUN_DIR_MODE, err);
    if (rc == 0)
        rc = file_make_dir(dir, RUN_DIR_MODE, err);
    return rc < 0 ? rc : make_link(link, target, err);
}

int file_image_prepare(void *ctx, const struct volume_id *id,
                       bool allow_illegal, char ret_path[PATH_MAX],
                       struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct storage_chain chain = { 0 };
    char path[PATH_MAX];
    int rc = domain_view_open(ctx, id->sd, &view, err);
    if (rc == 0)
        rc = domain_image_require(&view, id->img, &image, err);
    if (rc == 0)
        rc = domain_chain_require(&image, id->vol, allow_illegal, &chain, err);
    if (rc < 0)
        return rc;
    storage_chain_deinit(&chain);
    if (!domain_volume_path(&view.info, id->img, id->vol, path))
        return err_set_code(err, ERR_IMAGE_PATH, "%s: the path is too long",
                            image.dir.path);
    rc = make_links(&view, id->img, err);
    if (rc < 0)
        return rc;
    memcpy(ret_path, path, sizeof(path));
    return 0;
}

int file_image_teardown(void *ctx, const char *sd, const char *img,
                        struct err *err)
{
    const struct domains *domains = ctx;
    char dir[PATH_MAX];
    char link[PATH_MAX];
    int rc = link_path(domains, sd, NULL, dir, err);
    if (rc == 0)
        rc = link_path(domains, sd, img, link, err);
    if (rc == 0)
        rc = file_remove(link, err);
    if (rc == 0)
        (void)rmdir(dir); /* stays while other images are prepared */
    return rc;
}
