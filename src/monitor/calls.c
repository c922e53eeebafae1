/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What other threads ask of the watch: each call runs on its loop, which never
 * blocks, and waits here for the answer.
 */
#include "loop.h"
#include <dray/base/lock.h>
#include <errno.h>

int monitor_call(struct monitor *monitor, struct call *call)
{
    SCOPED_LOCK(&monitor->lock);
    list_append(&monitor->calls, &call->link);
    monitor_post_locked(monitor);
    if (!monitor->posted) {
        list_remove(&call->link);
        return err_set(call->err, -ENOMEM, "watermark monitor: out of memory");
    }
    while (!call->done)
        (void)pthread_cond_wait(&monitor->answered, &monitor->lock);
    return call->rc;
}

static int run_begin(struct monitor *monitor, struct call *call)
{
    if (core_begin(&monitor->core, call->vm, call->target, call->base, call,
                   monitor_now(monitor)) < 0)
        return err_set(call->err, -ENOMEM, "watermark monitor: out of memory");
    return CALL_LATER;
}

static int job_begins(void *ctx, const char *vm, const char *target,
                      const char *base, struct err *err)
{
    struct call call = {
        .run = run_begin, .vm = vm, .target = target, .base = base, .err = err
    };
    return monitor_call(ctx, &call);
}

static int run_end(struct monitor *monitor, struct call *call)
{
    core_end(&monitor->core, call->vm, call->target, monitor_now(monitor));
    return 0;
}

static void job_ended(void *ctx, const char *vm, const char *target)
{
    struct call call = { .run = run_end, .vm = vm, .target = target };
    (void)monitor_call(ctx, &call); /* what was begun is watched a bit closer */
}

static int run_hold(struct monitor *monitor, struct call *call)
{
    if (core_hold(&monitor->core, call->vm, call->who, call) < 0)
        return err_set(call->err, -ENOMEM, "watermark monitor: out of memory");
    return CALL_LATER;
}

static int vm_hold(void *ctx, const char *vm, const char *who, struct err *err)
{
    struct call call = { .run = run_hold, .vm = vm, .who = who, .err = err };
    return monitor_call(ctx, &call);
}

static int run_release(struct monitor *monitor, struct call *call)
{
    core_release(&monitor->core, call->vm, call->who, monitor_now(monitor));
    return 0;
}

static void vm_release(void *ctx, const char *vm, const char *who)
{
    struct call call = { .run = run_release, .vm = vm, .who = who };
    (void)monitor_call(ctx, &call);
}

static int run_marks(struct monitor *monitor, struct call *call)
{
    return core_marks(&monitor->core, call->vm, call->marks, call->n_marks,
                      call->err);
}

/* Both results are written on the loop. */
int monitor_marks(struct monitor *monitor, const char *vm,
                  struct monitor_mark **ret_marks,
                  size_t *ret_n, /* NOLINT(readability-non-const-parameter) */
                  struct err *err)
{
    struct call call = { .run = run_marks,
                         .vm = vm,
                         .marks = ret_marks,
                         .n_marks = ret_n,
                         .err = err };
    return monitor_call(monitor, &call);
}

static int run_stats(struct monitor *monitor, struct call *call)
{
    core_stats(&monitor->core, call->stats);
    return 0;
}

void monitor_stats(struct monitor *monitor, struct monitor_stats *ret_stats)
{
    struct call call = { .run = run_stats, .stats = ret_stats };
    if (monitor_call(monitor, &call) < 0)
        *ret_stats = (struct monitor_stats){ 0 }; /* out of memory */
}

struct watch_port monitor_port(struct monitor *monitor)
{
    static const struct watch_ops ops = {
        .job_begins = job_begins,
        .job_ended = job_ended,
        .vm_hold = vm_hold,
        .vm_release = vm_release,
    };
    return (struct watch_port){ .ctx = monitor, .ops = &ops };
}
