/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What commit.c tells about a commit that runs.
 */
#ifndef DRAY_VIRT_COMMIT_H
#define DRAY_VIRT_COMMIT_H

#include <limits.h>

struct call;

/* Where the commit of a layer below the leaf writes to; "" when it has ended
 * meanwhile. */
int commit_base_path(const struct call *call, const char *target,
                     char ret_path[PATH_MAX]);

#endif
