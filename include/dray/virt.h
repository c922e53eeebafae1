/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt: implements ports/hypervisor.h. Runs libvirt's event loop on a thread
 * of its own, reconnects by itself after libvirtd went away.
 */
#ifndef DRAY_VIRT_H
#define DRAY_VIRT_H

#include <dray/ports/hypervisor.h>

struct virt;

/* Starts connecting to @uri; a libvirtd that is not there yet is no error.
 * One per process (libvirt's event loop is global). SIGPIPE must be ignored,
 * or blocked in the threads that call us: libvirt writes to a libvirtd that has
 * just died. */
int virt_new(const char *uri, struct virt **ret_virt, struct err *err);
void virt_free(struct virt *virt);
struct hypervisor_port virt_port(struct virt *virt);

#endif
