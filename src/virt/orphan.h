/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMs that run without libvirt knowing.
 */
#ifndef DRAY_VIRT_ORPHAN_H
#define DRAY_VIRT_ORPHAN_H

#include <stddef.h>
#include <sys/types.h>

/* The process that runs the VM with this UUID, 0 when there is none; or a
 * negative errno. Reads /proc only. */
int orphan_find(const char *uuid, pid_t *ret_pid);

/* The files and devices that this process may write to as disks, with commas
 * between; as many as fit. */
void orphan_writes(pid_t pid, char *ret_text, size_t size);

#endif
