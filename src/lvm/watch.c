/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LVM has no deadlines, blocks signals while it changes things, and may hang in
 * the kernel with a LUN. So a thread of its own kills the process: LVM's commit
 * is old or new, the lease goes with the process, and what was suspended is
 * resumed by the next one (recover.c).
 */
#include "watch.h"

#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum {
    IDLE_MS = 3600 * 1000
};

static void *watch_run(void *arg)
{
    struct watch *watch = arg;
    SCOPED_LOCK(&watch->lock);
    while (!watch->stop) {
        int64_t left_ms = IDLE_MS;
        if (watch->deadline_ms)
            left_ms = watch->deadline_ms - time_now_ms();
        if (left_ms <= 0) {
            static const char text[] = "an LVM command took too long\n";
            ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
            (void)n; /* only for people */
            (void)kill(getpid(), SIGKILL);
        }
        const struct timespec until = time_after_ms((int)left_ms);
        (void)pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
    }
    return NULL;
}

int watch_start(struct watch *watch, struct err *err)
{
    *watch = (struct watch){ .deadline_ms = 0 };
    (void)pthread_mutex_init(&watch->lock, NULL); /* cannot fail on Linux */
    (void)thread_init_condition(&watch->changed);
    int rc = pthread_create(&watch->thread, NULL, watch_run, watch);
    if (rc != 0) {
        errno = rc;
        return err_set(err, -rc, "dray-lvm: cannot start a thread: %m");
    }
    return 0;
}

void watch_set(struct watch *watch, int64_t deadline_ms)
{
    SCOPED_LOCK(&watch->lock);
    watch->deadline_ms = deadline_ms;
    (void)pthread_cond_signal(&watch->changed);
}

static void tell_to_stop(struct watch *watch)
{
    SCOPED_LOCK(&watch->lock);
    watch->stop = true;
    (void)pthread_cond_signal(&watch->changed);
}

void watch_stop(struct watch *watch)
{
    tell_to_stop(watch);
    (void)pthread_join(watch->thread, NULL);
    (void)pthread_cond_destroy(&watch->changed);
    (void)pthread_mutex_destroy(&watch->lock);
}
