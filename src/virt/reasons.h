/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Why block jobs failed. qemu says it once, in an event; libvirt passes it on
 * but does not keep it. This keeps the last one of each disk, for a bounded
 * number of disks. Any thread.
 */
#ifndef DRAY_VIRT_REASONS_H
#define DRAY_VIRT_REASONS_H

#include <dray/ports/hypervisor.h>
#include <stdbool.h>
#include <stddef.h>

struct reasons;

int reasons_new(struct reasons **ret_reasons); /* 0 or -errno */
void reasons_free(struct reasons *reasons);

/* A job on this disk starts: what was said about the last one is void. */
void reasons_forget(struct reasons *reasons, const char *vm,
                    const char *target);

/* The details of qemu's event BLOCK_JOB_COMPLETED, as JSON. *ret_target is the
 * disk, empty when it tells of none. True: the job failed for want of space. */
bool reasons_note(struct reasons *reasons, const char *vm, const char *details,
                  char ret_target[DISK_TARGET_SIZE]);

/* The error of the disk's last job; waits at most @wait_ms for an event that
 * is still on its way. "" when the job ended well or nothing is known. */
void reasons_get(struct reasons *reasons, const char *vm, const char *target,
                 int wait_ms, char *ret_text, size_t size);

#endif
