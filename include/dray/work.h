/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The owner loop and its workers. Blocking calls run on a worker; what they
 * found comes back to the owner loop (sd-event, the thread that called
 * work_new()). Workers see only their request.
 *
 * A key bounds what one hanging storage can take: of the requests with the
 * same non-NULL key at most WORK_PER_KEY run at once, the rest wait their turn.
 */
#ifndef DRAY_WORK_H
#define DRAY_WORK_H

#include <dray/base/err.h>
#include <stdint.h>

struct sd_event;
struct work;

enum {
    WORK_PER_KEY = 2,
    WORK_KEY_SIZE = 64,
};

typedef void (*work_fn)(void *arg);

/* @threads workers, started on demand, kept until work_free(). */
int work_new(struct sd_event *loop, unsigned threads, struct work **ret_work,
             struct err *err);

/* Waits for running requests, drops waiting ones, joins the threads. No done
 * callback is called from now on, not for what ran either, and no timer: their
 * arguments are the caller's. On the owner loop, in no callback of ours. */
void work_free(struct work *work);

/* Runs run(arg) on a worker, then done(arg) on the owner loop. @key may be
 * NULL. Owner loop only. The caller keeps arg alive until done(). 0 or
 * -ENOMEM. */
int work_submit(struct work *work, const char *key, work_fn run, work_fn done,
                void *arg);

/* Runs done(arg) on the owner loop; callable from any thread. 0 or -ENOMEM. */
int work_post(struct work *work, work_fn done, void *arg);

/* Calls fn(arg) on the owner loop in @delay_ms. *ret_timer (may be NULL)
 * stops it before it fired; it is gone when fn runs. Owner loop only. */
struct work_timer;
int work_after(struct work *work, int64_t delay_ms, work_fn fn, void *arg,
               struct work_timer **ret_timer);
void work_timer_stop(struct work_timer *timer);

#endif
