/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A new thread inherits the mask of signals: they are blocked before it exists.
 */
#include <dray/base/thread.h>
#include <signal.h>
#include <time.h>

int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    sigset_t all, old;
    (void)sigfillset(&all); /* cannot fail */
    int rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (rc)
        return -rc;
    rc = pthread_create(ret_thread, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* it worked above */
    return -rc;
}

int thread_init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);
    if (rc)
        return -rc;
    rc = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(condition, &monotonic);
    (void)pthread_condattr_destroy(&monotonic); /* cannot fail */
    return -rc;
}
