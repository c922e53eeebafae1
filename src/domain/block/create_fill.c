/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is in the special LVs of a new domain. LVs are made without a wipe and
 * the LUN may have been anybody's: whatever somebody could take for a slot, a
 * message or a lease is written or zeroed.
 */
#include "../layout.h"
#include "create.h"
#include "lv.h"
#include <dray/format/block.h>
#include <errno.h>

enum {
    MIB = 1024 * 1024,
    SLOTS_SIZE = 17 * MIB, /* version 4's, and ours up to the last one */
};

static int zero(const struct domain_info *info, struct err *err)
{
    const struct {
        const char *lv;
        uint64_t size;
    } areas[] = {
        {"metadata", SLOTS_SIZE         },
        { "inbox",   FORMAT_MAILBOX_SIZE},
        { "outbox",  FORMAT_MAILBOX_SIZE},
        { "ids",     info->alignment    },
        { "leases",  info->alignment    }, /* nothing is in the first area */
        { "xleases", info->alignment    },
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(areas); i++)
        rc = block_lv_zero(info, areas[i].lv, 0, areas[i].size, err);
    return rc;
}

static int write_xleases(const struct domain_info *info, struct err *err)
{
    struct format_xleases header = {
        .mtime_s = (uint64_t)time_wall_ms() / 1000,
    };
    _cleanup_free_ char *index = malloc(FORMAT_XLEASES_SIZE);
    if (!index)
        return err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
    (void)str_copy(header.lockspace, sizeof(header.lockspace), info->sd);
    format_xleases_build(&header, index);
    return block_lv_write(info, "xleases", info->alignment, index,
                          FORMAT_XLEASES_SIZE, err);
}

int block_create_fill(struct domains *domains, const struct domain_info *info,
                      struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    struct lease_place place;
    int rc = zero(info, err);
    if (rc == 0)
        rc = write_xleases(info, err);
    if (rc < 0)
        return rc;
    domain_place_lockspace(info, &place);
    rc = leases->ops->format_lockspace(leases->ctx, &place, err);
    domain_place_sdm(info, &place);
    if (rc == 0)
        rc = leases->ops->format_resource(leases->ctx, &place, err);
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}
