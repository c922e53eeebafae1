/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One-shot timers on the owner loop. A timer is gone before its function runs,
 * so that the function may start the next one or free what it belongs to.
 */
#include "timer.h"
#include <dray/base/util.h>
#include <errno.h>
#include <systemd/sd-event.h>
#include <time.h>

enum {
    US_PER_MS = 1000,
    ACCURACY_US = 1000, /* the library's default would be a quarter second */
};

struct work_timer {
    struct list link; /* its owner's */
    sd_event_source *source;
    work_fn fn;
    void *arg;
};

void work_timer_stop(struct work_timer *timer)
{
    if (!timer)
        return;
    list_remove(&timer->link);
    (void)sd_event_source_disable_unref(timer->source); /* gives NULL */
    free(timer);
}

static int on_time(sd_event_source *source, uint64_t now_us, void *arg)
{
    struct work_timer *timer = arg;
    work_fn fn = timer->fn;
    void *fn_arg = timer->arg;
    (void)source;
    (void)now_us;
    work_timer_stop(timer);
    fn(fn_arg);
    return 0;
}

int timer_start(struct list *owner, struct sd_event *loop, int64_t delay_ms,
                work_fn fn, void *arg, struct work_timer **ret_timer)
{
    struct work_timer *timer = calloc(1, sizeof(*timer));
    if (!timer)
        return -ENOMEM;
    timer->fn = fn;
    timer->arg = arg;
    uint64_t delay_us = delay_ms > 0 ? (uint64_t)delay_ms * US_PER_MS : 0;
    int rc = sd_event_add_time_relative(loop, &timer->source, CLOCK_BOOTTIME,
                                        delay_us, ACCURACY_US, on_time, timer);
    if (rc < 0) {
        free(timer);
        return rc;
    }
    list_append(owner, &timer->link);
    if (ret_timer)
        *ret_timer = timer;
    return 0;
}

void timer_stop_all(struct list *owner)
{
    list_for_each_safe (item, tmp, owner)
        work_timer_stop(container_of(item, struct work_timer, link));
}
