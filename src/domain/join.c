/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joining and leaving. Joining: read and verify everything, take part in the
 * lockspace, mend what a crash left (under SDM), remember. Each step may be
 * repeated, so joining again what is joined checks it and is done.
 */
#include "join.h"
#include "block/find.h"
#include "block/join.h"
#include "create.h"
#include "known.h"
#include "layout.h"
#include "metadata.h"
#include "open.h"
#include "ops.h"
#include "scan.h"
#include "sdm.h"
#include <dray/base/reach.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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

/* Fills in info's sd and path from what was given and what is known. */
static int resolve(struct domains *domains, const char *sd, const char *path,
                   struct domain_info *info, struct err *err)
{
    struct domain_info known;
    char real[PATH_MAX];
    if (!path)
        return resolve_known(domains, sd, info, err);
    int rc = domain_check_path(path, err);
    if (rc < 0)
        return rc;
    if (str_equal(path, "/dev") || str_starts_with(path, "/dev/"))
        return resolve_device(domains, sd, path, info, err);
    if (!realpath(path, real))
        return err_set_code(err, ERR_NO_DOMAIN, "%s: %m", path);
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
    memcpy(info->path, real, sizeof(real));
    return rc;
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

static int remove_lockspace(struct domains *domains,
                            const struct domain_info *info, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    struct lease_place place;
    domain_place_lockspace(info, &place);
    domain_sdm_drop(domains->sdms, info->sd);
    int rc = leases->ops->leave(leases->ctx, &place, domains->host_id, err);
    return rc < 0 ? err_default_code(err, ERR_RELEASE_HOST_ID) : 0;
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
        (void)remove_lockspace(domains, info, NULL);
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

int domain_join(void *ctx, const char *sd, const char *path,
                char ret_sd[UUID_SIZE], struct err *err)
{
    struct domains *domains = ctx;
    struct domain_info info = { .status = DOMAIN_LEFT };
    struct err own = ERR_INIT;
    struct err *why = err ? err : &own;
    int rc = resolve(domains, sd, path, &info, why);
    if (rc < 0)
        return rc;
    const struct domain_info before = info;
    rc = join(domains, &info, why);
    if (rc < 0) {
        note_failure(domains, &before, why);
        return rc;
    }
    (void)str_copy(ret_sd, UUID_SIZE, info.sd);
    return 0;
}

/* --- leaving --- */

/* Another host may take the host id afterwards: who still has volumes open
 * here ends first. */
static int check_closed(struct domains *domains, const struct domain_info *info,
                        struct err *err)
{
    char real[PATH_MAX];
    char dir[PATH_MAX];
    struct domain_opener opener;
    if (reach_real(domains->reach, info->path, real) < 0 ||
        !str_format(dir, sizeof(dir), "%s/%s/images", real, info->sd))
        return 0; /* away: as one that is missing */
    int rc = domain_open_find(dir, &opener);
    if (rc < 0)
        return err_set(err, rc, "/proc: %s", strerrordesc_np(-rc));
    if (opener.pid == 0)
        return 0;
    (void)err_set_code(err, ERR_RELEASE_HOST_ID, "domain %s: %s has %s open",
                       info->sd, opener.name, opener.path);
    if (!opener.vm[0])
        return err_next(err, "end process %d first", (int)opener.pid);
    return err_next(err,
                    "move its disk to another domain (drayctl disk migrate %s "
                    "DISK DOMAIN), or shut it down (virsh shutdown %s)",
                    opener.vm, opener.vm);
}

int domain_leave(void *ctx, const char *sd, struct err *err)
{
    struct domains *domains = ctx;
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc < 0 || info.status == DOMAIN_LEFT)
        return rc;
    if (info.status == DOMAIN_JOINING) {
        (void)err_set_code(err, ERR_DOMAIN_ACTION,
                           "domain %s is just being joined", sd);
        return err_next(err, "repeat when that is done");
    }
    /* One that is missing has nothing here that could be asked. */
    bool is_here = info.block && info.status == DOMAIN_JOINED;
    if (is_here)
        rc = block_check_closed(domains, &info, err);
    else if (info.status == DOMAIN_JOINED)
        rc = check_closed(domains, &info, err);
    if (rc == 0)
        rc = remove_lockspace(domains, &info, err);
    if (rc < 0)
        return rc;
    info.status = DOMAIN_LEFT;
    info.host_id = 0;
    info.problem[0] = '\0';
    rc = domain_known_put(domains, &info, err);
    return rc == 0 && is_here ? block_rest(domains, &info, err) : rc;
}
