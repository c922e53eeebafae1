/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMs and their disks as libvirt describes them.
 *
 * VMs come and go between two calls. One that is gone while we walk over all of
 * them is left out; one that stops while we ask about its disks is described
 * as a stopped one.
 */
#include "vms.h"
#include "backing.h"
#include "call.h"
#include "ops.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

int vm_handles_get(const struct call *call, struct vm_handles *ret_handles)
{
    virDomainPtr *vms = NULL;
    int n = virConnectListAllDomains(call->conn, &vms, 0);
    if (n < 0)
        return call_fail(call, "list of VMs");
    *ret_handles = (struct vm_handles){ .vms = vms, .n = (size_t)n };
    return 0;
}

void vm_handles_put(struct vm_handles *handles)
{
    for (size_t i = 0; i < handles->n; i++)
        (void)virDomainFree(handles->vms[i]); /* drops a reference */
    free(handles->vms);
}

int vm_describe(const struct call *call, virDomainPtr vm,
                struct vm_info *ret_info)
{
    struct vm_info info = { 0 };
    call_uuid(vm, info.uuid);
    const char *name = virDomainGetName(vm);
    (void)str_copy(info.name, sizeof(info.name), name ? name : "");
    int persistent = virDomainIsPersistent(vm);
    if (persistent < 0)
        return call_fail(call, "state of VM %s", info.name);
    info.persistent = persistent == 1;
    int rc = call_state_of(call, vm, &info.state);
    if (rc == 0)
        *ret_info = info;
    return rc;
}

/* For VMs found in a list: one that is gone since then is none. 0, 1 for
 * such a one, or an error. */
static int describe_if_there(const struct call *call, virDomainPtr vm,
                             struct vm_info *ret_info)
{
    struct err err = ERR_INIT;
    struct call quiet = *call;
    quiet.err = &err;
    int rc = vm_describe(&quiet, vm, ret_info);
    if (rc == 0)
        return 0;
    if (err.code == ERR_NO_VM)
        return 1;
    if (call->err)
        *call->err = err;
    return rc;
}

static int describe_all(const struct call *call,
                        const struct vm_handles *handles,
                        struct vm_info **ret_vms, size_t *ret_n)
{
    struct vm_info *vms = calloc(handles->n + 1, sizeof(*vms));
    if (!vms)
        return err_set(call->err, -ENOMEM, "list of VMs: out of memory");
    size_t n = 0;
    for (size_t i = 0; i < handles->n; i++) {
        int rc = describe_if_there(call, handles->vms[i], &vms[n]);
        if (rc < 0) {
            free(vms);
            return rc;
        }
        if (rc == 0)
            n++;
    }
    *ret_vms = vms;
    *ret_n = n;
    return 0;
}

int virt_vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                 struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin(&call, ctx, err);
    if (rc < 0)
        return rc;
    _cleanup_(vm_handles_put) struct vm_handles handles = { 0 };
    rc = vm_handles_get(&call, &handles);
    if (rc < 0)
        return rc;
    return describe_all(&call, &handles, ret_vms, ret_n);
}

int virt_vm_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                 struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_find_vm(&call, ctx, name_or_uuid, err);
    if (rc < 0)
        return rc;
    return vm_describe(&call, call.vm, ret_vm);
}

/* Of one that runs qemu tells; 0 when nobody can (no medium, no answer). */
static uint64_t capacity_of(const struct call *call, bool active,
                            const struct vm_disk *disk)
{
    virDomainBlockInfo info;
    if (!active)
        return backing_capacity(connection_reach(call->virt), disk->path,
                                disk->format);
    if (virDomainGetBlockInfo(call->vm, disk->target, &info, 0) < 0)
        return 0;
    return info.capacity;
}

static bool has_job(const struct call *call, const struct xml_disk *disk)
{
    virDomainBlockJobInfo info;
    return disk->kind != VM_JOB_NONE ||
           virDomainGetBlockJobInfo(call->vm, disk->disk.target, &info, 0) == 1;
}

/* Adds what the definition does not say. */
static int complete(const struct call *call, bool active,
                    const struct xml_disk *found, struct vm_disk *disks,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!disks[i].path[0])
            continue;
        disks[i].capacity = capacity_of(call, active, &disks[i]);
        disks[i].job = active && has_job(call, &found[i]);
    }
    /* What could not be asked was left out; a lost connection is not a disk
     * of unknown size. */
    if (virConnectIsAlive(call->conn) == 0)
        return connection_away(call->virt, "connection lost", call->err);
    return 0;
}

static int read_disks(const struct call *call, struct xml_disk **ret_found,
                      struct vm_disk **ret_disks, size_t *ret_n)
{
    _cleanup_free_ char *xml = NULL;
    int rc = call_xml(call, 0, &xml);
    if (rc == 0)
        rc = xml_disks(xml, ret_found, ret_n, call->err);
    if (rc < 0)
        return rc;
    struct vm_disk *disks = calloc(*ret_n + 1, sizeof(*disks));
    if (!disks)
        return err_set(call->err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < *ret_n; i++)
        disks[i] = (*ret_found)[i].disk;
    *ret_disks = disks;
    return 0;
}

/* @whole: with what the definition does not say. */
static int disks_of(const struct call *call, bool whole,
                    struct vm_disk **ret_disks, size_t *ret_n)
{
    _cleanup_free_ struct xml_disk *found = NULL;
    struct vm_disk *disks = NULL;
    size_t n = 0;
    bool active = false;
    int rc = whole ? call_is_active(call, &active) : 0;
    if (rc == 0)
        rc = read_disks(call, &found, &disks, &n);
    if (rc == 0 && whole && disks)
        rc = complete(call, active, found, disks, n);
    if (rc < 0) {
        free(disks);
        return err_wrap(call->err, "disks of VM %s", call->name);
    }
    *ret_disks = disks;
    *ret_n = n;
    return 0;
}

int virt_vm_disk_names(void *ctx, const char *vm, struct vm_disk **ret_disks,
                       size_t *ret_n, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_find_vm(&call, ctx, vm, err);
    return rc < 0 ? rc : disks_of(&call, false, ret_disks, ret_n);
}

int virt_vm_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                  size_t *ret_n, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    return rc < 0 ? rc : disks_of(&call, true, ret_disks, ret_n);
}

static bool is_in_state(const struct call *call, int wanted)
{
    int state;
    return virDomainGetState(call->vm, &state, NULL, 0) == 0 && state == wanted;
}

int virt_vm_suspend(void *ctx, const char *vm, bool *ret_was_paused,
                    struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    *ret_was_paused = is_in_state(&call, VIR_DOMAIN_PAUSED);
    if (*ret_was_paused)
        return 0;
    if (virDomainSuspend(call.vm) < 0)
        return call_fail(&call, "suspend VM %s", vm);
    return 0;
}

int virt_vm_resume(void *ctx, const char *vm, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    /* Not asked before: a guest waits for it. */
    if (virDomainResume(call.vm) == 0)
        return 0;
    struct err refused = ERR_INIT;
    call.err = &refused;
    rc = call_fail(&call, "resume VM %s", vm);
    if (is_in_state(&call, VIR_DOMAIN_RUNNING))
        return 0;
    if (err)
        *err = refused;
    return rc;
}
