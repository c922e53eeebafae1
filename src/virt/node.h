/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu calls a node of its block graph, as a place.
 */
#ifndef DRAY_VIRT_NODE_H
#define DRAY_VIRT_NODE_H

#include <limits.h>
#include <stdbool.h>

/* @name: a path, a URI, or "json:{...}". False for what has no file, does not
 * fit, or was cut off by qemu. */
bool node_place(const char *name, char ret_place[PATH_MAX]);

#endif
