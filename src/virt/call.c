/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What all requests to libvirt share: taking the connection, finding the VM,
 * and turning libvirt's errors into ours. libvirt keeps its last error per
 * thread and any later call replaces it, so it is read first of all.
 */
#include "call.h"
#include "orphan.h"
#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <stdarg.h>
#include <string.h>

int call_begin(struct call *call, struct virt *virt, struct err *err)
{
    *call = (struct call){ .virt = virt, .err = err };
    return connection_get(virt, &call->conn, err);
}

void call_end(struct call *call)
{
    if (call->vm)
        (void)virDomainFree(call->vm); /* drops a reference */
    if (call->conn)
        connection_put(call->virt, call->conn);
}

int call_error_number(void)
{
    const virError *error = virGetLastError();
    return error ? error->code : VIR_ERR_OK;
}

/* Not found, or a string that cannot be one. */
static bool is_not_found(int number)
{
    return number == VIR_ERR_NO_DOMAIN || number == VIR_ERR_INVALID_ARG;
}

int call_find_vm(struct call *call, struct virt *virt, const char *vm,
                 struct err *err)
{
    int rc = call_begin(call, virt, err);
    if (rc < 0)
        return rc;
    call->vm = virDomainLookupByUUIDString(call->conn, vm);
    if (!call->vm && is_not_found(call_error_number()))
        call->vm = virDomainLookupByName(call->conn, vm);
    if (call->vm) {
        call->name = virDomainGetName(call->vm);
        return 0;
    }
    if (!is_not_found(call_error_number()))
        return call_fail(call, "VM %s", vm);
    rc = err_set_code(err, ERR_NO_VM, "no VM has the name or UUID %s", vm);
    (void)err_next(err, "see drayctl vm list");
    return rc;
}

/* For a VM that libvirt takes for stopped, or does not know. */
static int check_orphan(const char *uuid, struct err *err)
{
    pid_t pid = 0;
    int rc = orphan_find(uuid, &pid);
    if (rc < 0)
        return err_set(err, rc, "/proc: %s", strerrordesc_np(-rc));
    if (!pid)
        return 0;
    char disks[256];
    orphan_writes(pid, disks, sizeof(disks));
    rc = err_set_code(err, ERR_NOT_RESPONDING,
                      "VM %s: libvirt does not know that it runs (process %d)"
                      "%s%s",
                      uuid, (int)pid, disks[0] ? ", writing to " : "", disks);
    (void)err_next(err,
                   "do not start it, its disks are in use; shut it down from "
                   "within, or end the process (kill %d), see that its "
                   "definition names the disks that it wrote to (virsh edit), "
                   "then start it",
                   (int)pid);
    return rc;
}

int call_begin_vm(struct call *call, struct virt *virt, const char *vm,
                  struct err *err)
{
    struct err not_found = ERR_INIT;
    int rc = call_find_vm(call, virt, vm, &not_found);
    call->err = err;
    if (rc == 0)
        return 0;
    if (not_found.code == ERR_NO_VM && uuid_is_valid(vm)) {
        int orphan = check_orphan(vm, err);
        if (orphan < 0)
            return orphan;
    }
    if (err)
        *err = not_found;
    return rc;
}

static int fill(const struct call *call, int number, const char *context,
                const char *text)
{
    if (number == VIR_ERR_NO_DOMAIN)
        return err_set_code(call->err, ERR_NO_VM, "%s: %s", context, text);
    if (virConnectIsAlive(call->conn) == 0) {
        connection_lost(call->virt, call->conn);
        int rc = connection_away(call->virt, text, call->err);
        (void)err_wrap(call->err, "%s", context);
        return rc;
    }
    if (number != VIR_ERR_OPERATION_TIMEOUT)
        return err_set(call->err, -EIO, "%s: %s", context, text);
    int rc =
        err_set_code(call->err, ERR_NOT_RESPONDING, "%s: %s", context, text);
    (void)err_next(call->err, "another operation on the VM, or its qemu, "
                              "hangs; try again later");
    return rc;
}

/* "domain is not running": 0 when that is so, or something else was wrong. */
static int check_stopped(const struct call *call, int number)
{
    char uuid[UUID_SIZE];
    if (number != VIR_ERR_OPERATION_INVALID || !call->vm ||
        virDomainIsActive(call->vm) != 0)
        return 0;
    call_uuid(call->vm, uuid);
    return check_orphan(uuid, call->err);
}

__attribute__((format(printf, 3, 0))) static void format_text(
    char *dst, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(dst, size, format, args); /* may be cut */
}

int call_fail(const struct call *call, const char *format, ...)
{
    const virError *error = virGetLastError();
    int number = error ? error->code : VIR_ERR_OK;
    char text[ERR_MESSAGE_SIZE], context[ERR_MESSAGE_SIZE];
    (void)str_copy(text, sizeof(text),
                   error && error->message ? error->message
                                           : "libvirt gives no reason");
    va_list args;
    va_start(args, format);
    format_text(context, sizeof(context), format, args);
    va_end(args);
    int rc = check_stopped(call, number);
    return rc < 0 ? rc : fill(call, number, context, text);
}

int call_fail_disk(const struct call *call, enum err_code code,
                   const char *what, const char *target)
{
    int rc =
        call_fail(call, "%s of disk %s of VM %s", what, target, call->name);
    (void)err_default_code(call->err, code);
    return rc;
}

int call_no_disk(const struct call *call, const char *target)
{
    const char *name = call->name;
    int rc = err_set_code(call->err, ERR_NO_DISK, "VM %s has no disk %s", name,
                          target);
    (void)err_next(call->err, "see drayctl vm disks %s", name);
    return rc;
}

int call_monitor(const struct call *call, const char *command,
                 char **ret_answer)
{
    if (virDomainQemuMonitorCommand(call->vm, command, ret_answer,
                                    VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT))
        return call_fail(call, "qemu's monitor of VM %s", call->name);
    return 0;
}

int call_xml(const struct call *call, unsigned flags, char **ret_text)
{
    char *text = virDomainGetXMLDesc(call->vm, flags);
    if (!text)
        return call_fail(call, "definition of VM %s", call->name);
    *ret_text = text;
    return 0;
}

int call_disk(const struct call *call, unsigned flags, const char *target,
              struct xml_disk *ret_disk)
{
    _cleanup_free_ char *text = NULL;
    int rc = call_xml(call, flags, &text);
    if (rc == 0)
        rc = xml_disk(text, target, ret_disk, call->err);
    return rc == XML_NO_DISK ? call_no_disk(call, target) : rc;
}

static enum vm_state state_of(int libvirt_state)
{
    switch (libvirt_state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return VM_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return VM_PAUSED;
    case VIR_DOMAIN_SHUTOFF:
        return VM_SHUTOFF;
    default:
        return VM_OTHER;
    }
}

int call_state_of(const struct call *call, virDomainPtr vm,
                  enum vm_state *ret_state)
{
    int state = 0;
    if (virDomainGetState(vm, &state, NULL, 0) < 0)
        return call_fail(call, "state of VM %s", virDomainGetName(vm));
    *ret_state = state_of(state);
    return 0;
}

int call_state(const struct call *call, enum vm_state *ret_state)
{
    char uuid[UUID_SIZE];
    int rc = call_state_of(call, call->vm, ret_state);
    if (rc < 0 || *ret_state != VM_SHUTOFF)
        return rc;
    call_uuid(call->vm, uuid);
    return check_orphan(uuid, call->err);
}

int call_is_active(const struct call *call, bool *ret_active)
{
    enum vm_state state = VM_SHUTOFF;
    int rc = call_state(call, &state);
    *ret_active = state != VM_SHUTOFF;
    return rc;
}

int call_is_persistent(const struct call *call, bool *ret_persistent)
{
    int rc = virDomainIsPersistent(call->vm);
    if (rc < 0)
        return call_fail(call, "state of VM %s", call->name);
    *ret_persistent = rc == 1;
    return 0;
}

void call_uuid(virDomainPtr vm, char ret_uuid[UUID_SIZE])
{
    if (virDomainGetUUIDString(vm, ret_uuid) < 0)
        ret_uuid[0] = '\0';
}
