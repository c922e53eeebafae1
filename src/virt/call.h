/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One request to libvirt: the connection and the VM it uses, and where its
 * error goes. Lives on the stack of the worker that makes it.
 */
#ifndef DRAY_VIRT_CALL_H
#define DRAY_VIRT_CALL_H

#include "connection.h"
#include "xml.h"
#include <dray/base/err.h>
#include <dray/base/util.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

struct call {
    struct virt *virt;
    virConnectPtr conn; /* for this one alone */
    virDomainPtr vm;    /* NULL for requests about no single VM */
    const char *name;   /* the vm's; any call of libvirt resets its last error,
                           also the one that tells the name */
    struct err *err;    /* borrowed */
};

#define _cleanup_call_ _cleanup_(call_end)

/* 0 or -ENOTCONN. */
int call_begin(struct call *call, struct virt *virt, struct err *err);
/* The same with a VM, by UUID, else by name. ERR_NO_VM. */
int call_find_vm(struct call *call, struct virt *virt, const char *vm,
                 struct err *err);
/* The same, but ERR_NOT_RESPONDING for a VM that runs without libvirt knowing:
 * for whoever would conclude something from ERR_NO_VM. */
int call_begin_vm(struct call *call, struct virt *virt, const char *vm,
                  struct err *err);
void call_end(struct call *call);

/* Turns libvirt's last error into ours, right after the call that failed:
 * -ENOTCONN for a lost connection, ERR_NO_VM, ERR_NOT_RESPONDING for a VM that
 * is busy or hangs, or runs although libvirt takes it for stopped; else -EIO
 * with libvirt's text. Returns call->err->rc. */
int call_fail(const struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same about a disk of the VM: "@what of disk @target ...", with @code
 * where it has no better one. */
int call_fail_disk(const struct call *call, enum err_code code,
                   const char *what, const char *target);

/* ERR_NO_DISK, @target is none of the VM's. */
int call_no_disk(const struct call *call, const char *target);

/* The number of libvirt's last error, virErrorNumber. */
int call_error_number(void);

/* The VM's XML. @flags: virDomainXMLFlags; 0 is the live one if it runs. */
int call_xml(const struct call *call, unsigned flags, char **ret_text);

/* The disk in that XML. ERR_NO_DISK. */
int call_disk(const struct call *call, unsigned flags, const char *target,
              struct xml_disk *ret_disk);

/* Of any VM, as libvirt sees it. */
int call_state_of(const struct call *call, virDomainPtr vm,
                  enum vm_state *ret_state);
/* Of the call's. ERR_NOT_RESPONDING as above. */
int call_state(const struct call *call, enum vm_state *ret_state);
/* Whether it runs (also paused). The same errors. */
int call_is_active(const struct call *call, bool *ret_active);
/* Whether it has a persistent definition. */
int call_is_persistent(const struct call *call, bool *ret_persistent);

/* Sends a command to qemu's monitor. The caller frees *ret_answer, JSON. */
int call_monitor(const struct call *call, const char *command,
                 char **ret_answer);

/* virDomainGetUUIDString(), "" when it fails (it only reads memory). */
void call_uuid(virDomainPtr vm, char ret_uuid[UUID_SIZE]);

#endif
