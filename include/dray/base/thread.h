/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What threads of several rooms have in common.
 */
#ifndef DRAY_BASE_THREAD_H
#define DRAY_BASE_THREAD_H

#include <pthread.h>

/* A thread that takes no signals: they are the main thread's. 0 or -errno. */
int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg);

/* A condition for deadlines of time_after_ms(). 0 or -errno. */
int thread_init_condition(pthread_cond_t *condition);

#endif
