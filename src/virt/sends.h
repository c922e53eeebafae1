/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which VMs are being sent to other hosts by calls of ours, and how the last
 * one of each failed: libvirt tells only whoever waits for the call. Any
 * thread; of a bounded number of VMs.
 */
#ifndef DRAY_VIRT_SENDS_H
#define DRAY_VIRT_SENDS_H

#include <stdbool.h>
#include <stddef.h>

struct sends;

int sends_new(struct sends **ret_sends); /* 0 or -errno */
void sends_free(struct sends *sends);

/* False: one of this VM is under way, or too many are. */
bool sends_begin(struct sends *sends, const char *vm);
/* @failure NULL: it went well. */
void sends_end(struct sends *sends, const char *vm, const char *failure);
/* Whether one is under way; else how the last one failed, "" when that is not
 * known. */
bool sends_look(struct sends *sends, const char *vm, char *ret_failure,
                size_t size);

#endif
