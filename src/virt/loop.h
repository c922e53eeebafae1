/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The thread that runs libvirt's event loop: keepalive, events, callbacks.
 */
#ifndef DRAY_VIRT_LOOP_H
#define DRAY_VIRT_LOOP_H

#include <dray/base/err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct loop {
    pthread_t thread;
    bool runs;      /* the owner's, as the timer is */
    int wake_timer; /* wakes it up to see that it stops; -1: none */
    atomic_bool stops;
};

/* Not to be started again before it was stopped, also when this fails. */
int loop_start(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);

#endif
