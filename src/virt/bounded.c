/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request goes: waiting for its turn (in its asker) -> listed -> taken by a
 * thread -> ended, and is then the asker's, or late and then nobody's.
 *
 * Threads are started when none is idle and are kept; there are never more
 * than requests were under way at once, and of those with one key one is.
 */
#include "bounded.h"
#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <errno.h>

enum {
    STOP_MS = 3000,
};

struct bounded {
    pthread_mutex_t lock;   /* protects what follows */
    pthread_cond_t changed; /* a request was listed or has ended; stopping */
    struct list requests;   /* listed, until they end */
    unsigned n_threads, n_idle, n_untaken;
    bool stopping;
};

static struct request *request_of(struct list *item)
{
    return container_of(item, struct request, link);
}

/* --- the threads -------------------------------------------------------- */

static struct request *take_locked(struct bounded *bounded)
{
    list_for_each (item, &bounded->requests) {
        struct request *request = request_of(item);
        if (!request->taken) {
            request->taken = true;
            bounded->n_untaken--;
            return request;
        }
    }
    return NULL;
}

/* NULL: stop. */
static struct request *next_request(struct bounded *bounded)
{
    SCOPED_LOCK(&bounded->lock);
    while (!bounded->stopping) {
        struct request *request = take_locked(bounded);
        if (request)
            return request;
        bounded->n_idle++;
        (void)pthread_cond_wait(&bounded->changed, &bounded->lock);
        bounded->n_idle--;
    }
    bounded->n_threads--;
    (void)pthread_cond_broadcast(&bounded->changed); /* cannot fail */
    return NULL;
}

static void end(struct bounded *bounded, struct request *request)
{
    bool late;
    {
        SCOPED_LOCK(&bounded->lock);
        list_remove(&request->link);
        request->ended = true;
        late = request->late;
        (void)pthread_cond_broadcast(&bounded->changed); /* cannot fail */
    }
    if (late)
        request->free(request);
}

static void *serve(void *arg)
{
    struct bounded *bounded = arg;
    struct request *request;
    while ((request = next_request(bounded)) != NULL) {
        request->run(request);
        end(bounded, request);
    }
    return NULL;
}

/* --- those who ask ------------------------------------------------------ */

static struct request *find_locked(struct bounded *bounded, const char *key)
{
    list_for_each (item, &bounded->requests) {
        struct request *request = request_of(item);
        if (str_equal(request->key, key))
            return request;
    }
    return NULL;
}

static bool wait_locked(struct bounded *bounded,
                        const struct timespec *deadline)
{
    return pthread_cond_timedwait(&bounded->changed, &bounded->lock,
                                  deadline) == 0;
}

/* False: another one is before it for too long, or for ever. */
static bool wait_turn_locked(struct bounded *bounded, const char *key,
                             const struct timespec *deadline)
{
    const struct request *other;
    while ((other = find_locked(bounded, key)) != NULL) {
        if (other->late || !wait_locked(bounded, deadline))
            return false;
    }
    return true;
}

/* False: there is no thread for it. */
static bool list_locked(struct bounded *bounded, struct request *request)
{
    pthread_t thread;
    if (bounded->n_untaken + 1 > bounded->n_idle) {
        if (thread_start(&thread, serve, bounded) < 0)
            return false;
        (void)pthread_detach(thread); /* ours, and joinable */
        bounded->n_threads++;
    }
    bounded->n_untaken++;
    list_append(&bounded->requests, &request->link);
    (void)pthread_cond_broadcast(&bounded->changed); /* cannot fail */
    return true;
}

static bool wait_end_locked(struct bounded *bounded,
                            const struct request *request,
                            const struct timespec *deadline)
{
    while (!request->ended) {
        if (!wait_locked(bounded, deadline))
            return request->ended;
    }
    return true;
}

int bounded_run(struct bounded *bounded, struct request *request,
                int patience_ms)
{
    const struct timespec deadline = time_after_ms(patience_ms);
    SCOPED_LOCK(&bounded->lock);
    if (!wait_turn_locked(bounded, request->key, &deadline) ||
        !list_locked(bounded, request))
        return BOUNDED_BUSY;
    if (wait_end_locked(bounded, request, &deadline))
        return 0;
    request->late = true;
    return BOUNDED_LATE;
}

/* --- life ---------------------------------------------------------------- */

int bounded_new(struct bounded **ret_bounded)
{
    struct bounded *bounded = calloc(1, sizeof(*bounded));
    if (!bounded)
        return -ENOMEM;
    list_init(&bounded->requests);
    int rc = thread_init_condition(&bounded->changed);
    if (rc == 0)
        rc = -pthread_mutex_init(&bounded->lock, NULL);
    if (rc < 0) {
        free(bounded);
        return rc;
    }
    *ret_bounded = bounded;
    return 0;
}

static bool stop(struct bounded *bounded)
{
    const struct timespec deadline = time_after_ms(STOP_MS);
    SCOPED_LOCK(&bounded->lock);
    bounded->stopping = true;
    (void)pthread_cond_broadcast(&bounded->changed); /* cannot fail */
    while (bounded->n_threads > 0) {
        if (!wait_locked(bounded, &deadline))
            return bounded->n_threads == 0;
    }
    return true;
}

bool bounded_free(struct bounded *bounded)
{
    if (!bounded)
        return true;
    if (!stop(bounded))
        return false;
    assert(list_is_empty(&bounded->requests));
    int rc = pthread_mutex_destroy(&bounded->lock);
    assert(rc == 0);
    rc = pthread_cond_destroy(&bounded->changed);
    assert(rc == 0);
    (void)rc;
    free(bounded);
    return true;
}
