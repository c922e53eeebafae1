/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A handle is made under the room's lock: that starts a thread and touches no
 * storage. The process behind it comes with the first request.
 */
#include "handle.h"
#include "../layout.h"
#include <dray/base/lock.h>
#include <errno.h>
#include <sys/stat.h>

struct block_lvm {
    struct block_lvm *next;
    char sd[UUID_SIZE];
    struct lvm *lvm;
};

enum {
    LVM_DIR_MODE = 0700
};

static int open_lvm(const struct domains *domains,
                    const struct domain_info *info, struct lvm **ret_lvm,
                    struct err *err)
{
    const char *devices[DOMAIN_DEVICES_MAX];
    struct lease_place lease;
    domain_place_sdm(info, &lease);
    for (size_t i = 0; i < info->n_devices; i++)
        devices[i] = info->devices[i];
    const struct lvm_options options = {
        .program = domains->dray_lvm,
        .run_dir = domains->lvm_dir,
        .vg = info->sd,
        .devices = devices,
        .n_devices = info->n_devices,
        .lease = &lease,
        .command_ms = domains->lvm_command_ms,
    };
    if (mkdir(domains->lvm_dir, LVM_DIR_MODE) < 0 && errno != EEXIST)
        return err_set(err, -errno, "%s: %m", domains->lvm_dir);
    return lvm_open(&options, ret_lvm, err);
}

static struct block_lvm *find_locked(const struct domains *domains,
                                     const char *sd)
{
    struct block_lvm *handle = domains->lvms;
    while (handle && !str_equal(handle->sd, sd))
        handle = handle->next;
    return handle;
}

int block_handle_get(struct domains *domains, const struct domain_info *info,
                     struct lvm **ret_lvm, struct err *err)
{
    SCOPED_LOCK(&domains->lock);
    struct block_lvm *handle = find_locked(domains, info->sd);
    if (handle) {
        *ret_lvm = handle->lvm;
        return 0;
    }
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
    int rc = open_lvm(domains, info, &handle->lvm, err);
    if (rc < 0) {
        free(handle);
        return rc;
    }
    (void)str_copy(handle->sd, sizeof(handle->sd), info->sd);
    handle->next = domains->lvms;
    domains->lvms = handle;
    *ret_lvm = handle->lvm;
    return 0;
}

void block_handle_free_all(struct domains *domains)
{
    while (domains->lvms) {
        struct block_lvm *handle = domains->lvms;
        domains->lvms = handle->next;
        lvm_close(handle->lvm);
        free(handle);
    }
}
