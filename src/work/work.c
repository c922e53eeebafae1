/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The worker pool. A request moves through three lists: waiting (the owner put
 * it there), running (a worker took it), done (its callback is due on the owner
 * loop). An eventfd wakes the loop for the last step.
 *
 * Order is first come, first served, but a request whose key has WORK_PER_KEY
 * running ones is passed over. No wake-up gets lost by that: the worker that
 * ends such a request looks at the whole list again before it sleeps.
 *
 * Workers block all signals (they are the owner loop's) and end only in
 * work_free(): programs that exec/ started die with the thread that started
 * them.
 */
#include "timer.h"
#include <assert.h>
#include <dray/base/list.h>
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <dray/work.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

struct request {
    struct list link;
    char key[WORK_KEY_SIZE];
    bool has_key;
    work_fn run;
    work_fn done;
    void *arg;
};

struct work {
    /* the owner loop's alone */
    sd_event *loop;
    sd_event_source *source;
    struct list timers;
    pthread_t *threads;
    unsigned n_threads;
    unsigned max_threads;

    int wake_fd; /* constant */

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    struct list waiting;
    struct list running;
    struct list done;
    unsigned n_waiting;
    unsigned n_idle;
    bool stopping;
};

static struct request *request_of(struct list *item)
{
    return container_of(item, struct request, link);
}

static void drop_all(struct list *requests)
{
    list_for_each_safe (item, tmp, requests) {
        list_remove(item);
        free(request_of(item));
    }
}

/* Those in @list that have its key. */
static unsigned count_alike(struct list *list, const struct request *request)
{
    unsigned n = 0;
    if (!request->has_key)
        return 0;
    list_for_each (item, list) {
        const struct request *other = request_of(item);
        if (other->has_key && str_equal(other->key, request->key))
            n++;
    }
    return n;
}

static bool may_run_locked(struct work *work, const struct request *request)
{
    return count_alike(&work->running, request) < WORK_PER_KEY;
}

static struct request *take_locked(struct work *work)
{
    list_for_each (item, &work->waiting) {
        struct request *request = request_of(item);
        if (!may_run_locked(work, request))
            continue;
        list_remove(item);
        list_append(&work->running, item);
        work->n_waiting--;
        return request;
    }
    return NULL;
}

/* The next request for a worker, NULL when it shall end. */
static struct request *next_request(struct work *work)
{
    SCOPED_LOCK(&work->lock);
    while (!work->stopping) {
        struct request *request = take_locked(work);
        if (request)
            return request;
        work->n_idle++;
        (void)pthread_cond_wait(&work->changed, &work->lock);
        work->n_idle--;
    }
    return NULL;
}

static void wake_owner(struct work *work)
{
    /* Fails only when the counter is full: then the loop is awake anyway. */
    (void)eventfd_write(work->wake_fd, 1);
}

static void finish(struct work *work, struct request *request)
{
    {
        SCOPED_LOCK(&work->lock);
        list_remove(&request->link);
        list_append(&work->done, &request->link);
    }
    wake_owner(work);
}

static void *worker_main(void *arg)
{
    struct work *work = arg;
    struct request *request = NULL;
    while ((request = next_request(work)) != NULL) {
        request->run(request->arg);
        finish(work, request);
    }
    return NULL;
}

static struct request *take_done(struct work *work)
{
    SCOPED_LOCK(&work->lock);
    if (list_is_empty(&work->done))
        return NULL;
    struct list *item = work->done.next;
    list_remove(item);
    return request_of(item);
}

/* One callback per dispatch, so that a flood of results does not keep the loop
 * from its other sources: the eventfd is a semaphore. */
static int on_wake(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct work *work = arg;
    eventfd_t count = 0;
    (void)source;
    (void)events;
    (void)eventfd_read(fd, &count); /* nothing to read: the list decides */
    struct request *request = take_done(work);
    if (request) {
        work_fn done = request->done;
        void *done_arg = request->arg;
        free(request);
        done(done_arg);
    }
    return 0;
}

static int open_wake(struct work *work, struct err *err)
{
    work->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (work->wake_fd < 0)
        return err_set(err, -errno, "workers: eventfd: %m");
    int rc = sd_event_add_io(work->loop, &work->source, work->wake_fd, EPOLLIN,
                             on_wake, work);
    if (rc < 0) {
        errno = -rc;
        return err_set(err, rc, "workers: event source: %m");
    }
    return 0;
}

int work_new(struct sd_event *loop, unsigned threads, struct work **ret_work,
             struct err *err)
{
    assert(threads > 0);
    struct work *work = calloc(1, sizeof(*work));
    pthread_t *table = calloc(threads, sizeof(*table));
    if (!work || !table) {
        free(work);
        free(table);
        return err_set(err, -ENOMEM, "workers: out of memory");
    }
    work->loop = sd_event_ref(loop);
    work->threads = table;
    work->max_threads = threads;
    work->wake_fd = -1;
    list_init(&work->timers);
    list_init(&work->waiting);
    list_init(&work->running);
    list_init(&work->done);
    /* Default attributes: these do not fail in glibc. */
    (void)pthread_mutex_init(&work->lock, NULL);
    (void)pthread_cond_init(&work->changed, NULL);
    int rc = open_wake(work, err);
    if (rc < 0) {
        work_free(work);
        return rc;
    }
    *ret_work = work;
    return 0;
}

static void join_all(struct work *work)
{
    {
        SCOPED_LOCK(&work->lock);
        work->stopping = true;
        (void)pthread_cond_broadcast(&work->changed);
    }
    for (unsigned i = 0; i < work->n_threads; i++)
        (void)pthread_join(work->threads[i], NULL); /* ours, joinable, once */
}

void work_free(struct work *work)
{
    if (!work)
        return;
    join_all(work);
    assert(list_is_empty(&work->running));
    drop_all(&work->waiting);
    drop_all(&work->done);
    timer_stop_all(&work->timers);
    (void)sd_event_source_disable_unref(work->source); /* gives NULL */
    sd_event_unref(work->loop);
    (void)pthread_cond_destroy(&work->changed); /* nobody waits any more */
    (void)pthread_mutex_destroy(&work->lock);
    if (work->wake_fd >= 0)
        (void)close(work->wake_fd); /* holds nothing */
    free(work->threads);
    free(work);
}

/* A new thread inherits the mask: signals are blocked before it exists. */
static int start_thread(struct work *work)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* these three cannot fail with these arguments */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&work->threads[work->n_threads], NULL, worker_main,
                            work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return -rc;
    work->n_threads++;
    return 0;
}

static struct request *request_new(const char *key, work_fn run, work_fn done,
                                   void *arg)
{
    struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    list_init(&request->link);
    request->has_key = key != NULL;
    /* A longer key still bounds, together with those that begin like it. */
    (void)str_copy(request->key, sizeof(request->key), key ? key : "");
    request->run = run;
    request->done = done;
    request->arg = arg;
    return request;
}

/* True when those that wait are more than the workers at rest. One that waits
 * for its key needs none: who ends such a request takes it. */
static bool enqueue(struct work *work, struct request *request)
{
    SCOPED_LOCK(&work->lock);
    bool may_run = count_alike(&work->running, request) +
                       count_alike(&work->waiting, request) <
                   WORK_PER_KEY;
    list_append(&work->waiting, &request->link);
    work->n_waiting++;
    (void)pthread_cond_signal(&work->changed);
    return may_run && work->n_waiting > work->n_idle;
}

int work_submit(struct work *work, const char *key, work_fn run, work_fn done,
                void *arg)
{
    struct request *request = request_new(key, run, done, arg);
    if (!request)
        return -ENOMEM;
    /* The first thread before the first request: without any it would wait for
     * ever. Further ones are a matter of speed only. */
    bool first = work->n_threads == 0;
    if (first && start_thread(work) < 0) {
        free(request);
        return -ENOMEM;
    }
    bool more = enqueue(work, request);
    if (more && !first && work->n_threads < work->max_threads)
        (void)start_thread(work); /* those there are do it, later */
    return 0;
}

int work_post(struct work *work, work_fn done, void *arg)
{
    struct request *request = request_new(NULL, NULL, done, arg);
    if (!request)
        return -ENOMEM;
    {
        SCOPED_LOCK(&work->lock);
        list_append(&work->done, &request->link);
    }
    wake_owner(work);
    return 0;
}

int work_after(struct work *work, int64_t delay_ms, work_fn fn, void *arg,
               struct work_timer **ret_timer)
{
    return timer_start(&work->timers, work->loop, delay_ms, fn, arg, ret_timer);
}
