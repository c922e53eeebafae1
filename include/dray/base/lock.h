/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A mutex held to the end of the block: SCOPED_LOCK(&pool->lock);
 */
#ifndef DRAY_BASE_LOCK_H
#define DRAY_BASE_LOCK_H

#include <assert.h>
#include <pthread.h>

/* A declaration cannot stand in parentheses:
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define SCOPED_LOCK(mutex)                                                     \
    __attribute__((cleanup(lock_release), unused))                             \
    pthread_mutex_t *scoped_lock_ = lock_take(mutex)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Fails only for a mutex that is none, or one we hold: a bug in us. */
static inline pthread_mutex_t *lock_take(pthread_mutex_t *mutex)
{
    int rc = pthread_mutex_lock(mutex);
    assert(rc == 0);
    (void)rc;
    return mutex;
}

static inline void lock_release(pthread_mutex_t **mutex)
{
    int rc = pthread_mutex_unlock(*mutex);
    assert(rc == 0);
    (void)rc;
}

#endif
