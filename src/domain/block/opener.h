/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who on this host has a device open.
 */
#ifndef DRAY_DOMAIN_BLOCK_OPENER_H
#define DRAY_DOMAIN_BLOCK_OPENER_H

#include <dray/base/err.h>
#include <stdbool.h>

struct openers {
    bool any;     /* a process has it open */
    bool writing; /* one that may write */
};

/* Looks at the processes; what the kernel itself has open (a mount, a device
 * above it) it does not see. Touches no storage. */
int block_openers_find(const char *device, struct openers *ret_openers,
                       struct err *err);

#endif
