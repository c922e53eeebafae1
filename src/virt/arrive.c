/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM that comes from another host: how far it has got, and its end when it
 * must not stay.
 *
 * libvirt holds an incoming VM as "paused, because of a migration" until all of
 * it is here; with VIR_MIGRATE_PAUSED it is "paused by the user" then. Its
 * persistent definition is made in that same step, so that a VM which is
 * defined but off had all of its disks.
 */
#include "call.h"
#include "ops.h"
#include <errno.h>
#include <libvirt/virterror.h>

static int has_job(const struct call *call, bool *ret_job)
{
    virDomainJobInfo info;
    if (virDomainGetJobInfo(call->vm, &info) < 0)
        return call_fail(call, "jobs of VM %s", call->name);
    *ret_job = info.type != VIR_DOMAIN_JOB_NONE;
    return 0;
}

static enum vm_arrival judge(int state, int reason, bool job)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return job ? VM_INCOMING : VM_RUNS;
    case VIR_DOMAIN_SHUTOFF:
        return VM_OFF_THERE;
    case VIR_DOMAIN_PAUSED:
        return job || reason == VIR_DOMAIN_PAUSED_MIGRATION ||
                       reason == VIR_DOMAIN_PAUSED_STARTING_UP
                   ? VM_INCOMING
                   : VM_ARRIVED;
    default:
        return VM_INCOMING;
    }
}

int virt_vm_arrival(void *ctx, const char *vm, enum vm_arrival *ret_arrival,
                    struct err *err)
{
    int state = 0, reason = 0;
    bool job = false;
    struct err find = ERR_INIT;
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, &find);
    if (rc < 0 && find.code == ERR_NO_VM) {
        *ret_arrival = VM_ABSENT;
        return 0;
    }
    if (rc == 0 && virDomainGetState(call.vm, &state, &reason, 0) < 0)
        rc = call_fail(&call, "state of VM %s", call.name);
    if (rc == 0 && state != VIR_DOMAIN_SHUTOFF)
        rc = has_job(&call, &job);
    if (rc == 0)
        *ret_arrival = judge(state, reason, job);
    else if (err)
        *err = find;
    return rc;
}

static int stop_vm(const struct call *call, bool stop)
{
    enum vm_state state = VM_SHUTOFF;
    int rc = call_state(call, &state);
    if (rc < 0 || state == VM_SHUTOFF)
        return rc;
    if (!stop || state == VM_RUNNING)
        return err_set_code(call->err, ERR_VALUE, "VM %s is %s here",
                            call->name, vm_state_name(state));
    if (virDomainDestroy(call->vm) == 0 ||
        call_error_number() == VIR_ERR_OPERATION_INVALID)
        return 0; /* it ended meanwhile */
    return call_fail(call, "end of VM %s", call->name);
}

static int undefine(const struct call *call)
{
    static const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                  VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                  VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                                  VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
    int persistent = virDomainIsPersistent(call->vm);
    if (persistent == 1 && virDomainUndefineFlags(call->vm, flags) == 0)
        return 0;
    /* A transient one goes by itself. */
    if (persistent == 0 || call_error_number() == VIR_ERR_NO_DOMAIN)
        return 0;
    return call_fail(call, "definition of VM %s", call->name);
}

int virt_vm_drop(void *ctx, const char *vm, bool stop, struct err *err)
{
    struct err find = ERR_INIT;
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, &find);
    if (rc < 0 && find.code == ERR_NO_VM)
        return 0;
    if (rc == 0)
        rc = stop_vm(&call, stop);
    if (rc == 0)
        rc = undefine(&call);
    if (rc < 0 && find.code == ERR_NO_VM)
        return 0;
    if (rc < 0 && err)
        *err = find;
    return rc;
}
