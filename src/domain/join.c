/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joining: read and verify everything, take part in the lockspace, mend what a
 * crash left (under SDM), remember. Each step may be repeated, so joining again
 * what is joined checks it and is done.
 */
#include "join.h"
#include "block/find.h"
#include "block/join.h"
#include "create.h"
#include "known.h"
#include "layout.h"
#include "metadata.h"
#include "nfs/nfs.h"
#include "ops.h"
#include "scan.h"
#include "sdm.h"
#include <dray/base/lock.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* A domain that is being joined. */
struct joining {
    struct domains *domains;
    struct domain_info info;
    char taken[DOMAIN_REMOTE_SIZE]; /* an export that is to be given back */
};

/* --- which domain --- */

/* The UUIDs of the domains in PATH: how many, and the first. */
static int find_in_path(const char *path, size_t *ret_n, char ret_sd[UUID_SIZE],
                        struct err *err)
{
    _cleanup_dir_ struct domain_dir top = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_open(path, &top, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_DOMAIN, "%s is gone", path);
    if (rc == 0)
        rc = domain_dir_list(&top, &names, err);
    if (rc < 0)
        return rc;
    *ret_n = 0;
    for (size_t i = 0; i < names.n; i++) {
        char sub[2 * DOMAIN_FILE_NAME_SIZE];
        struct stat st;
        if (!uuid_is_valid(names.names[i]))
            continue;
        (void)str_format(sub, sizeof(sub), "%s/dom_md", names.names[i]);
        if (fstatat(top.fd, sub, &st, 0) < 0)
            continue;
        if ((*ret_n)++ == 0)
            (void)str_copy(ret_sd, UUID_SIZE, names.names[i]);
    }
    return 0;
}

static int pick_from_path(const char *path, char ret_sd[UUID_SIZE],
                          struct err *err)
{
    size_t n = 0;
    int rc = find_in_path(path, &n, ret_sd, err);
    if (rc < 0)
        return rc;
    if (n == 0) {
        (void)err_set_code(err, ERR_NO_DOMAIN, "there is no domain in %s",
                           path);
        return err_next(err, "is the storage mounted? drayctl domain create "
                             "makes one");
    }
    if (n > 1)
        return err_set_code(err, ERR_VALUE,
                            "%s holds %zu domains: say which one (UUID)", path,
                            n);
    return 0;
}

/* A domain that is in use does not move. */
static int check_moved(const struct domain_info *known, const char *real,
                       struct err *err)
{
    if (known->status == DOMAIN_LEFT || known->status == DOMAIN_MISSING ||
        str_equal(known->path, real))
        return 0;
    (void)err_set_code(err, ERR_VALUE, "domain %s is joined from %s already",
                       known->sd, known->path);
    return err_next(err, "leave it first: drayctl domain leave %s", known->sd);
}

/* A domain that this host does not know: perhaps it is on its LUNs. */
static int resolve_unknown(struct domains *domains, const char *sd,
                           struct domain_info *info, struct err *err)
{
    struct err why = ERR_INIT;
    if (!domains->dray_lvm[0]) /* no block domains here */
        return -ENOENT;
    int rc = uuid_is_valid(sd) ? block_find(sd, info, &why)
                               : block_find_named(sd, info, &why);
    if (rc < 0 && err) {
        err_clear(err);
        *err = why;
    }
    return rc;
}

/* What is known, by UUID or name. */
static int resolve_known(struct domains *domains, const char *sd,
                         struct domain_info *info, struct err *err)
{
    char uuid[UUID_SIZE];
    struct err own = ERR_INIT;
    struct err *why = err ? err : &own;
    int rc = domain_find(domains, sd, uuid, why);
    if (rc == 0)
        return domain_known_get(domains, uuid, info, why);
    if (why->code == ERR_NO_DOMAIN &&
        resolve_unknown(domains, sd, info, why) == 0) {
        err_clear(why);
        rc = 0;
    }
    return rc;
}

/* A device, or "/dev" for the one that is given by UUID. */
static int resolve_device(struct domains *domains, const char *sd,
                          const char *path, struct domain_info *info,
                          struct err *err)
{
    struct domain_info known;
    struct domain_info found = { .status = DOMAIN_LEFT };
    int rc = str_equal(path, "/dev") && sd ? block_find(sd, &found, err)
                                           : block_find_on(path, &found, err);
    if (rc < 0)
        return rc;
    if (sd && !str_equal(sd, found.sd))
        return err_set_code(err, ERR_NO_DOMAIN,
                            "%s has a part of domain %s, not of %s", path,
                            found.sd, sd);
    if (domain_known_get(domains, found.sd, &known, NULL) == 0)
        found.status = known.status;
    *info = found;
    return 0;
}

/* In the directory @real. */
static int resolve_dir(struct domains *domains, const char *sd,
                       const char real[PATH_MAX], struct domain_info *info,
                       struct err *err)
{
    struct domain_info known;
    int rc = 0;
    if (sd)
        (void)str_copy(info->sd, sizeof(info->sd), sd);
    else
        rc = pick_from_path(real, info->sd, err);
    if (rc < 0)
        return rc;
    if (domain_known_get(domains, info->sd, &known, NULL) == 0) {
        rc = check_moved(&known, real, err);
        *info = known;
    }
    if (!str_equal(info->path, real)) /* not where we had mounted it */
        info->remote[0] = info->mount_options[0] = '\0';
    memcpy(info->path, real, PATH_MAX);
    return rc;
}

/* From now on until the end; its place becomes info's path. */
static int take(struct joining *joining, const char *remote,
                const char *options, struct err *err)
{
    int rc =
        nfs_take(joining->domains, remote, options, joining->info.path, err);
    if (rc == 0)
        (void)str_copy(joining->taken, sizeof(joining->taken), remote);
    return rc;
}

/* As the last domain on it was mounted; else "". */
static void old_options(struct domains *domains, const char *remote,
                        char ret_options[DOMAIN_OPTIONS_SIZE])
{
    SCOPED_LOCK(&domains->lock);
    ret_options[0] = '\0';
    for (size_t i = 0; i < domains->known_n; i++) {
        if (str_equal(domains->known[i].remote, remote))
            memcpy(ret_options, domains->known[i].mount_options,
                   DOMAIN_OPTIONS_SIZE);
    }
}

static int resolve_export(struct joining *joining, const char *sd,
                          const struct domain_place *place, struct err *err)
{
    struct domain_info *info = &joining->info;
    char remote[DOMAIN_REMOTE_SIZE], options[DOMAIN_OPTIONS_SIZE];
    char real[PATH_MAX];
    int rc = nfs_export_read(place->path, remote, err);
    if (rc == 0 && place->mount_options)
        rc = nfs_options_check(place->mount_options, err);
    if (rc < 0)
        return rc;
    if (place->mount_options)
        (void)str_copy(options, sizeof(options), place->mount_options);
    else
        old_options(joining->domains, remote, options);
    rc = take(joining, remote, options, err);
    if (rc < 0)
        return rc;
    memcpy(real, info->path, sizeof(real));
    rc = resolve_dir(joining->domains, sd, real, info, err);
    memcpy(info->remote, remote, sizeof(remote));
    (void)str_copy(info->mount_options, sizeof(info->mount_options), options);
    return rc;
}

/* Fills in info's sd and path from what was given and what is known. */
static int resolve(struct joining *joining, const char *sd,
                   const struct domain_place *place, struct err *err)
{
    struct domains *domains = joining->domains;
    struct domain_info *info = &joining->info;
    const char *path = place->path;
    char real[PATH_MAX];
    if (!path)
        return resolve_known(domains, sd, info, err);
    if (nfs_is_export(path))
        return resolve_export(joining, sd, place, err);
    int rc = domain_check_path(path, err);
    if (rc < 0)
        return rc;
    if (str_equal(path, "/dev") || str_starts_with(path, "/dev/"))
        return resolve_device(domains, sd, path, info, err);
    if (!realpath(path, real))
        return err_set_code(err, ERR_NO_DOMAIN, "%s: %m", path);
    return resolve_dir(domains, sd, real, info, err);
}

/* --- joining --- */

int domain_join_check_kind(const struct domain_info *info, struct err *err)
{
    switch (info->type) {
    case DOMAIN_TYPE_LOCALFS:
        (void)err_set_code(err, ERR_DOMAIN_TYPE,
                           "domain %s is a LOCALFS domain, which has no leases",
                           info->sd);
        return err_next(err, "make a POSIXFS domain on the same file system "
                             "and move the disks there");
    case DOMAIN_TYPE_NFS:
    case DOMAIN_TYPE_POSIXFS:
    case 7: /* GLUSTERFS: the same, mounted through FUSE */
        break;
    case DOMAIN_TYPE_FCP:
    case DOMAIN_TYPE_ISCSI:
        if (info->block)
            break;
        /* fall through */
    default:
        return err_set_code(err, ERR_DOMAIN_TYPE,
                            "domain %s is of type %s, which cannot be joined",
                            info->sd, domain_type_name(info->type));
    }
    if (str_equal(info->class_name, "Iso"))
        return err_set_code(err, ERR_DOMAIN_CLASS,
                            "domain %s holds ISO images, no volumes", info->sd);
    return 0;
}

/* Everything that can be wrong with it, before anything is changed. */
static int verify(struct domains *domains, const struct domain_info *info,
                  struct domain_view *view, struct err *err)
{
    int rc = domain_view_open_at(domains, info, view, err);
    if (rc == 0)
        rc = domain_join_check_kind(&view->info, err);
    if (rc == 0)
        rc = domain_metadata_check_files(&view->root, &view->info, err);
    return rc;
}

static int add_lockspace(struct domains *domains,
                         const struct domain_info *info, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    struct lease_place place;
    domain_place_lockspace(info, &place);
    int rc = leases->ops->join(leases->ctx, &place, domains->host_id, err);
    return rc < 0 ? err_default_code(err, ERR_ACQUIRE_HOST_ID) : 0;
}

/* Not of a pool's domain: that is its hosts' business. */
static int scan(struct domain_view *view, struct err *err)
{
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    if (view->info.read_only)
        return 0;
    int rc = domain_change_take(view, &change, err);
    return rc < 0 ? rc : domain_scan(&change, err);
}

/* @view: of a file domain. */
static int take_part(struct domains *domains, const struct domain_info *info,
                     struct domain_view *view, bool was_joined, struct err *err)
{
    int rc = add_lockspace(domains, info, err);
    if (rc < 0)
        return rc;
    rc = info->block ? block_mend(domains, info, err) : scan(view, err);
    if (rc < 0 && !was_joined)
        (void)domain_lockspace_leave(domains, info, NULL);
    return rc;
}

static int verify_and_take_part(struct domains *domains,
                                struct domain_info *info, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    bool was_joined = info->status == DOMAIN_JOINED;
    int rc = info->block ? block_verify(domains, info, err)
                         : verify(domains, info, &view, err);
    if (rc < 0)
        return rc;
    if (!info->block)
        *info = view.info;
    if (!was_joined) {
        info->status = DOMAIN_JOINING;
        rc = domain_known_add(domains, info, err);
    }
    return rc < 0 ? rc : take_part(domains, info, &view, was_joined, err);
}

static int join(struct domains *domains, struct domain_info *info,
                struct err *err)
{
    bool was_left = info->status == DOMAIN_LEFT;
    int rc = verify_and_take_part(domains, info, err);
    if (rc < 0 && info->block && was_left)
        (void)block_rest(domains, info, NULL);
    if (rc < 0)
        return rc;
    info->status = DOMAIN_JOINED;
    info->host_id = domains->host_id;
    info->problem[0] = '\0';
    return domain_known_put(domains, info, err);
}

/* Back to what it was; a domain that should be joined says why it is not. */
static void note_failure(struct domains *domains,
                         const struct domain_info *before,
                         const struct err *err)
{
    struct domain_info now;
    if (domain_known_get(domains, before->sd, &now, NULL) < 0 ||
        now.status == DOMAIN_JOINED)
        return;
    domain_known_status(domains, before->sd, before->status,
                        before->status == DOMAIN_MISSING ? err->message : NULL);
}

static int join_resolved(struct joining *joining, struct err *err)
{
    struct domain_info *info = &joining->info;
    const struct domain_info before = *info;
    int rc = 0;
    if (info->remote[0] && !joining->taken[0])
        rc = take(joining, info->remote, info->mount_options, err);
    if (rc == 0)
        rc = join(joining->domains, info, err);
    if (rc < 0)
        note_failure(joining->domains, &before, err);
    return rc;
}

int domain_join(void *ctx, const char *sd, const struct domain_place *place,
                char ret_sd[UUID_SIZE], struct err *err)
{
    struct joining joining = { .domains = ctx,
                               .info = { .status = DOMAIN_LEFT } };
    struct err own = ERR_INIT;
    struct err *why = err ? err : &own;
    int rc = resolve(&joining, sd, place, why);
    if (rc == 0)
        rc = join_resolved(&joining, why);
    if (joining.taken[0]) /* a domain that was joined keeps it */
        nfs_give(ctx, joining.taken);
    if (rc == 0)
        (void)str_copy(ret_sd, UUID_SIZE, joining.info.sd);
    return rc;
}
