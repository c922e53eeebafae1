/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Walking over the VMs of the host.
 */
#ifndef DRAY_VIRT_VMS_H
#define DRAY_VIRT_VMS_H

#include <dray/ports/hypervisor.h>
#include <libvirt/libvirt.h>
#include <stddef.h>

struct call;

/* References to all VMs. */
struct vm_handles {
    virDomainPtr *vms;
    size_t n;
};
int vm_handles_get(const struct call *call, struct vm_handles *ret_handles);
void vm_handles_put(struct vm_handles *handles);

/* ERR_NO_VM when it is gone. */
int vm_describe(const struct call *call, virDomainPtr vm,
                struct vm_info *ret_info);

#endif
