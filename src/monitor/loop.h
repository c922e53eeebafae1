/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the loop and its callers share.
 */
#ifndef DRAY_MONITOR_LOOP_H
#define DRAY_MONITOR_LOOP_H

#include "core.h"
#include "task.h"
#include <dray/work.h>
#include <pthread.h>

struct call;
typedef int (*call_fn)(struct monitor *monitor, struct call *call);

/* Of another thread, on its stack. */
struct call {
    struct list link;
    call_fn run; /* CALL_LATER: an ACT_ANSWER will be the answer */
    const char *vm, *target, *base, *who;
    struct monitor_mark **marks;
    size_t *n_marks;
    struct monitor_stats *stats;
    struct err *err;
    int rc;
    bool done;
};

enum {
    CALL_LATER = 1
};

struct alarm {
    struct list link;
    struct vm_alarm alarm;
    int64_t now_ms;
};

struct monitor {
    /* constant */
    struct monitor_ports ports;
    monitor_event_fn event;
    void *arg;
    pthread_t thread;
    bool running;

    /* the loop's */
    struct sd_event *loop;
    struct work *work;
    struct work_timer *timer;
    struct core core;
    struct list tasks;
    struct task spare; /* to tell what there was no memory for */

    pthread_mutex_t lock; /* protects what follows, and each call's done */
    pthread_cond_t answered;
    struct list alarms;
    struct list calls;
    bool posted; /* the loop will look into both */
};

int64_t monitor_now(const struct monitor *monitor);

/* The loop will look into its mail. */
void monitor_post_locked(struct monitor *monitor);

/* calls.c: runs it on the loop and waits for its answer. From any thread but
 * the monitor's own. */
int monitor_call(struct monitor *monitor, struct call *call);

#endif
