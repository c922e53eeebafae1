/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu reads and writes, read from its monitor's answers; functions on
 * strings. Paths are places, network ones in their one spelling.
 *
 * @blocks is the answer to query-block, @nodes NULL or the answer to
 * query-named-block-nodes. -EBADMSG when an answer is none, or an error.
 */
#ifndef DRAY_VIRT_GRAPH_H
#define DRAY_VIRT_GRAPH_H

#include <dray/base/err.h>
#include <dray/ports/hypervisor.h>
#include <limits.h>

/* Outcomes. */
enum {
    GRAPH_NO_DISK = 1,    /* qemu has no such device */
    GRAPH_NEED_NODES = 2, /* ask again with query-named-block-nodes */
    GRAPH_NO_JOB = 3,     /* no commit runs there */
};

/* The place that the device with libvirt's @alias writes to; empty when it has
 * no medium. */
int graph_disk_path(const char *blocks, const char *nodes, const char *alias,
                    char ret_path[PATH_MAX], struct err *err);

/* All its layers, leaf first; none when it has no medium. */
int graph_disk_layers(const char *blocks, const char *nodes, const char *alias,
                      struct vm_layers *ret_layers, struct err *err);

/* The uppermost layer of the disk's commit, by libvirt's index of it. @jobs is
 * the answer to query-block-jobs. 0 or GRAPH_NO_JOB. */
int graph_commit_top(const char *jobs, const char *target, unsigned *ret_index,
                     struct err *err);

/* 1: the layer with libvirt's @index is open for writing. */
int graph_is_writable(const char *nodes, unsigned index, struct err *err);

#endif
