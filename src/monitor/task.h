/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An act that calls a port: run on a worker, its result told to the core on the
 * loop.
 */
#ifndef DRAY_MONITOR_TASK_H
#define DRAY_MONITOR_TASK_H

#include "core.h"

struct task {
    struct list link;
    void *owner;
    const struct monitor_ports *ports;
    struct act *act;
    /* results */
    struct err err;
    struct vm_info *vms;
    size_t n_vms;
    struct sight sight;
    struct place place;
    struct growth growth;
    bool did;
};

/* Takes @act over. Until it runs its result is "out of memory". */
void task_init(struct task *task, const struct monitor_ports *ports,
               struct act *act, void *owner);
void task_deinit(struct task *task);

/* On a worker. */
void task_run(struct task *task);
/* Requests with the same key must not take all workers; NULL: they do not. */
const char *task_key(const struct task *task, char *ret_key, size_t size);
void task_tell(const struct task *task, struct core *core, int64_t now_ms);

#endif
