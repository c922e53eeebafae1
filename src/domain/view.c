/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening a domain. The metadata is read at each opening: another host may have
 * changed it, and a storage that is gone or damaged shows right here.
 */
#include "view.h"
#include "known.h"
#include "layout.h"
#include "metadata.h"
#include "sdm.h"
#include <errno.h>

enum {
    SDM_WAIT_MS = 30 * 1000
};

void domain_view_close(struct domain_view *view)
{
    domain_dir_close(&view->root);
    domain_dir_close(&view->images);
}

static int gone(const struct domain_info *info, const char *what,
                struct err *err)
{
    (void)err_set_code(err, ERR_NO_DOMAIN,
                       "domain %s: %s/%s%s: No such file or directory",
                       info->sd, info->path, info->sd, what);
    return err_next(err, "is the storage mounted?");
}

static int open_dirs(struct domain_view *view, struct err *err)
{
    char path[PATH_MAX];
    if (!str_format(path, sizeof(path), "%s/%s", view->info.path,
                    view->info.sd))
        return err_set_code(err, ERR_VALUE, "domain %s: the path is too long",
                            view->info.sd);
    int rc = domain_dir_open(path, &view->root, err);
    if (rc == DOMAIN_NONE)
        return gone(&view->info, "", err);
    if (rc == 0)
        rc = domain_metadata_read(&view->root, view->info.sd, &view->info, err);
    if (rc == DOMAIN_NONE)
        return gone(&view->info, "/dom_md/metadata", err);
    if (rc == 0)
        rc = domain_dir_open_below(&view->root, DOMAIN_IMAGES_DIR,
                                   &view->images, err);
    if (rc == DOMAIN_NONE)
        return gone(&view->info, "/images", err);
    return rc;
}

int domain_view_open_at(struct domains *domains, const struct domain_info *info,
                        struct domain_view *ret_view, struct err *err)
{
    struct domain_view view = DOMAIN_VIEW_INIT;
    view.domains = domains;
    view.info = *info;
    int rc = open_dirs(&view, err);
    if (rc < 0) {
        domain_view_close(&view);
        return rc;
    }
    *ret_view = view;
    return 0;
}

int domain_view_open(struct domains *domains, const char *sd,
                     struct domain_view *ret_view, struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    return rc < 0 ? rc : domain_view_open_at(domains, &info, ret_view, err);
}

void domain_change_end(struct domain_change *change)
{
    const struct domain_view *view = &change->view;
    if (change->held)
        domain_sdm_give(view->domains->sdms, view->info.sd);
    change->held = false;
    domain_view_close(&change->view);
}

int domain_check_joined(const struct domain_info *info, struct err *err)
{
    if (info->status == DOMAIN_JOINED)
        return 0;
    if (info->status == DOMAIN_LEFT) {
        (void)err_set_code(err, ERR_DOMAIN_ACTION,
                           "this host has not joined domain %s", info->sd);
        return err_next(err, "join it: drayctl domain join %s", info->path);
    }
    (void)err_set_code(err, ERR_DOMAIN_ACTION, "domain %s is %s%s%s", info->sd,
                       domain_status_name(info->status),
                       info->problem[0] ? ": " : "", info->problem);
    return err_next(err, "it is joined again as soon as its storage is there");
}

int domain_check_not_attached(const struct domain_info *info, struct err *err)
{
    if (!info->read_only)
        return 0;
    (void)err_set_code(err, ERR_DOMAIN_ACTION,
                       "domain %s is attached to oVirt's pool %.256s, so it "
                       "can only be looked at",
                       info->sd, info->pools);
    return err_next(err, "detach it there first");
}

static int take_sdm(const struct domain_view *view, struct err *err)
{
    struct lease_place place;
    domain_place_sdm(&view->info, &place);
    int rc = domain_sdm_take(view->domains->sdms, &place,
                             time_now_ms() + SDM_WAIT_MS, err);
    if (rc == LEASE_BUSY) {
        (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                           "lease SDM of domain %s (%s) is held by somebody "
                           "else for more than %d s",
                           view->info.sd, place.path, SDM_WAIT_MS / 1000);
        return err_next(err, "repeat; sanlock client status shows who has it");
    }
    if (rc == LEASE_NONE)
        return err_set_code(err, ERR_LOCK_INIT,
                            "there is no lease SDM of domain %s in %s",
                            view->info.sd, place.path);
    if (rc < 0)
        return err_default_code(err, ERR_ACQUIRE_LOCK);
    return 0;
}

/* What was read before the lease may be old. */
static int read_again(struct domain_view *view, struct err *err)
{
    int rc = domain_metadata_read(&view->root, view->info.sd, &view->info, err);
    if (rc == DOMAIN_NONE)
        return gone(&view->info, "/dom_md/metadata", err);
    return rc < 0 ? rc : domain_check_not_attached(&view->info, err);
}

int domain_change_take(struct domain_view *view,
                       struct domain_change *ret_change, struct err *err)
{
    struct domain_change change = { .view = *view };
    *view = (struct domain_view)DOMAIN_VIEW_INIT;
    int rc = domain_check_not_attached(&change.view.info, err);
    if (rc == 0)
        rc = take_sdm(&change.view, err);
    change.held = rc == 0;
    if (rc == 0)
        rc = read_again(&change.view, err);
    if (rc < 0) {
        domain_change_end(&change);
        return rc;
    }
    *ret_change = change;
    return 0;
}

int domain_change_begin(struct domains *domains, const char *sd,
                        struct domain_change *ret_change, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        rc = domain_check_joined(&info, err);
    if (rc == 0)
        rc = domain_view_open_at(domains, &info, &view, err);
    return rc != 0 ? rc : domain_change_take(&view, ret_change, err);
}
