/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: a deadline for each command of dray-lvm.
 */
#ifndef DRAY_LVM_WATCH_H
#define DRAY_LVM_WATCH_H

#include <dray/base/err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    pthread_t thread;
    int64_t deadline_ms; /* 0: none */
    bool stop;
};

/* @watch stays where it is until watch_stop(). */
int watch_start(struct watch *watch, struct err *err);
void watch_stop(struct watch *watch);

/* The whole process gets SIGKILL at @deadline_ms (time_now_ms()) unless another
 * call comes before; 0: no deadline. */
void watch_set(struct watch *watch, int64_t deadline_ms);

#endif
