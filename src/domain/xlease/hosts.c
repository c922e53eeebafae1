/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who else may ask for a domain's jobs. A file system of this host's own disks
 * can be another host's, too (a disk that several have, or a test of two hosts
 * on one machine), but then that host has been in the lockspace. Everything
 * else, LVs and what comes over the network, is there to be shared.
 */
#include "hosts.h"
#include "../known.h"
#include "../layout.h"
#include "../view.h"
#include <linux/magic.h>
#include <sys/vfs.h>

enum {
    MAGIC_BCACHEFS = 0xca451a4e,
    MAGIC_ZFS = 0x2fc12fc1,
};

static bool is_own(const struct domain_info *info)
{
    static const uint32_t own[] = {
        EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
        OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, MAGIC_BCACHEFS,    MAGIC_ZFS,
    };
    struct statfs st;
    if (info->block || statfs(info->path, &st) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if ((uint32_t)st.f_type == own[i])
            return true;
    }
    return false;
}

bool xlease_is_shared(void *ctx, const char *sd)
{
    const struct domains *domains = ctx;
    struct domain_info info;
    struct lease_place place = { .offset = 0 };
    if (domain_known_get(ctx, sd, &info, NULL) < 0 ||
        domain_check_joined(&info, NULL) < 0 ||
        domain_check_not_attached(&info, NULL) < 0)
        return false;
    domain_place_lockspace(&info, &place);
    return !is_own(&info) || domains->leases.ops->has_others(
                                 domains->leases.ctx, &place, domains->host_id);
}

bool xlease_host_lives(void *ctx, const char *sd, unsigned host_id)
{
    const struct domains *domains = ctx;
    struct domain_info info;
    struct lease_place place = { .offset = 0 };
    if (domain_known_get(ctx, sd, &info, NULL) < 0)
        return true;
    domain_place_lockspace(&info, &place);
    return domains->leases.ops->host_lives(domains->leases.ctx, &place,
                                           host_id);
}
