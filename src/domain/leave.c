/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Leaving: nobody here may use it, the lockspace goes, then what was mounted or
 * activated for it. What fails after the lockspace is gone does not bring the
 * domain back: it is said, and leaving again tries it again.
 */
#include "block/join.h"
#include "join.h"
#include "known.h"
#include "layout.h"
#include "nfs/nfs.h"
#include "open.h"
#include "ops.h"
#include "sdm.h"
#include <dray/base/reach.h>
#include <errno.h>
#include <string.h>

int domain_lockspace_leave(struct domains *domains,
                           const struct domain_info *info, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    struct lease_place place;
    domain_place_lockspace(info, &place);
    domain_sdm_drop(domains->sdms, info->sd);
    int rc = leases->ops->leave(leases->ctx, &place, domains->host_id, err);
    return rc < 0 ? err_default_code(err, ERR_RELEASE_HOST_ID) : 0;
}

/* Its name without links: what we mounted has none, and is not asked. */
static bool find_dir(struct domains *domains, const struct domain_info *info,
                     char ret_dir[PATH_MAX])
{
    char real[PATH_MAX];
    if (info->remote[0])
        (void)str_copy(real, sizeof(real), info->path);
    else if (reach_real(domains->reach, info->path, real) != 0)
        return false;
    return str_format(ret_dir, PATH_MAX, "%s/%s/images", real, info->sd);
}

/* Another host may take the host id afterwards: who still has volumes open
 * here ends first. */
static int check_closed(struct domains *domains, const struct domain_info *info,
                        struct err *err)
{
    char dir[PATH_MAX];
    struct domain_opener opener;
    if (!find_dir(domains, info, dir))
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

static int check_unused(struct domains *domains, const struct domain_info *info,
                        struct err *err)
{
    if (info->status == DOMAIN_JOINING) {
        (void)err_set_code(err, ERR_DOMAIN_ACTION,
                           "domain %s is just being joined", info->sd);
        return err_next(err, "repeat when that is done");
    }
    /* One that is missing has nothing here that could be asked, but for what
     * we mounted. */
    if (info->status != DOMAIN_JOINED && !info->remote[0])
        return 0;
    return info->block ? block_check_closed(domains, info, err)
                       : check_closed(domains, info, err);
}

static int leave(struct domains *domains, struct domain_info *info,
                 struct err *err)
{
    bool was_joined = info->status == DOMAIN_JOINED;
    int rc = check_unused(domains, info, err);
    if (rc == 0)
        rc = domain_lockspace_leave(domains, info, err);
    if (rc < 0)
        return rc;
    info->status = DOMAIN_LEFT;
    info->host_id = 0;
    info->problem[0] = '\0';
    rc = domain_known_put(domains, info, err);
    return rc == 0 && info->block && was_joined ? block_rest(domains, info, err)
                                                : rc;
}

/* What could not be unmounted is the domain's problem. */
static void unmount(struct domains *domains, const struct domain_info *info)
{
    struct err err = ERR_INIT;
    char problem[sizeof(info->problem)] = "";
    int rc = nfs_rest(domains, info->remote, &err);
    if (rc == NFS_DETACHED)
        (void)str_format(problem, sizeof(problem),
                         "%s did not answer: its mount was detached "
                         "(umount -l)",
                         info->remote);
    else if (rc < 0)
        (void)str_format(problem, sizeof(problem), "still mounted: %s",
                         err.message);
    domain_known_problem(domains, info->sd, DOMAIN_LEFT, problem);
}

int domain_leave(void *ctx, const char *sd, struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(ctx, sd, &info, err);
    if (rc == 0 && info.status != DOMAIN_LEFT)
        rc = leave(ctx, &info, err);
    if (rc == 0 && info.remote[0]) /* when repeated, too */
        unmount(ctx, &info);
    return rc;
}
