/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu counts of a disk's requests, at the guest's device: a mirror's own
 * reads are not in it, its slowing down of the guest is.
 */
#include "call.h"
#include "ops.h"
#include <libvirt/virterror.h>
#include <stddef.h>

enum {
    PARAMS_MAX = 16, /* the most that libvirt lets pass */
    NS_PER_US = 1000,
};

static const struct {
    const char *name;
    size_t offset;
    uint64_t unit;
} counters[] = {
    {VIR_DOMAIN_BLOCK_STATS_READ_REQ,           offsetof(struct vm_disk_io, reads),       1        },
    { VIR_DOMAIN_BLOCK_STATS_WRITE_REQ,         offsetof(struct vm_disk_io, writes),
     1                                                                                             },
    { VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES,
     offsetof(struct vm_disk_io,                                            read_us),     NS_PER_US},
    { VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES,
     offsetof(struct vm_disk_io,                                            write_us),    NS_PER_US},
    { VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES,
     offsetof(struct vm_disk_io,                                            write_bytes), 1        },
};

static void count(struct vm_disk_io *io, const virTypedParameter *param)
{
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        if (param->type == VIR_TYPED_PARAM_LLONG && param->value.l > 0 &&
            str_equal(param->field, counters[i].name))
            *(uint64_t *)((char *)io + counters[i].offset) =
                (uint64_t)param->value.l / counters[i].unit;
    }
}

int virt_disk_io(void *ctx, const char *vm, const char *target,
                 struct vm_disk_io *ret_io, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    virTypedParameter params[PARAMS_MAX];
    int n = PARAMS_MAX;
    if (virDomainBlockStatsFlags(call.vm, target, params, &n, 0) < 0) {
        bool no_disk = call_error_number() == VIR_ERR_INVALID_ARG;
        return call_fail_disk(&call, no_disk ? ERR_NO_DISK : ERR_GENERAL,
                              "counters", target);
    }
    struct vm_disk_io io = { 0 };
    for (int i = 0; i < n; i++)
        count(&io, &params[i]);
    *ret_io = io;
    return 0;
}
