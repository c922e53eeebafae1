/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu writes to, read from its monitor's answers; functions on strings.
 */
#ifndef DRAY_VIRT_GRAPH_H
#define DRAY_VIRT_GRAPH_H

#include <dray/base/err.h>
#include <limits.h>

/* Outcomes. */
enum {
    GRAPH_NO_DISK = 1,    /* qemu has no such device */
    GRAPH_NEED_NODES = 2, /* ask again with query-named-block-nodes */
};

/* The file, device or URI that the device with libvirt's @alias writes to;
 * empty when it has no medium. @blocks is the answer to query-block, @nodes
 * NULL or the answer to query-named-block-nodes. -EBADMSG when an answer is
 * none, or an error. */
int graph_disk_path(const char *blocks, const char *nodes, const char *alias,
                    char ret_path[PATH_MAX], struct err *err);

#endif
