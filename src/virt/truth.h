/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether libvirt's view of a disk can be built upon: for those who change it.
 */
#ifndef DRAY_VIRT_TRUTH_H
#define DRAY_VIRT_TRUTH_H

#include <dray/ports/hypervisor.h>

struct call;

/* Fails when qemu writes this disk elsewhere than libvirt's live XML says. */
int truth_check(const struct call *call, const struct vm_disk *disk);

#endif
