/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who wants to hear that something happened: the owner of the jobs (a hint)
 * and the watermark monitor (an alarm). Any thread.
 */
#ifndef DRAY_VIRT_LISTENERS_H
#define DRAY_VIRT_LISTENERS_H

#include <dray/ports/hypervisor.h>
#include <pthread.h>

struct listeners {
    pthread_mutex_t lock; /* protects what follows, and is held while one of
                             them runs: none does after it was replaced */
    hypervisor_hint_fn hint;
    void *hint_arg;
    hypervisor_alarm_fn alarm;
    void *alarm_arg;
};

int listeners_init(struct listeners *listeners); /* 0 or -errno */
void listeners_deinit(struct listeners *listeners);

void listeners_set_hint(struct listeners *listeners, hypervisor_hint_fn fn,
                        void *arg);
void listeners_set_alarm(struct listeners *listeners, hypervisor_alarm_fn fn,
                         void *arg);

/* Tells both. A threshold is no hint: the jobs are as they were. */
void listeners_tell(struct listeners *listeners, const struct vm_alarm *alarm);

#endif
