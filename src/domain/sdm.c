/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sanlock takes milliseconds to acquire a lease, and a job changes its domains
 * a handful of times: so between two changes of one job the lease stays with
 * us, for KEEP_MS after each and HELD_MAX_MS in all, so that other hosts do not
 * wait for long. What is kept is still ours as long as its connection to
 * sanlock stands, which is looked at before it is used again: sanlock ends us
 * before it gives a lease of ours away.
 *
 * One entry for each domain that was ever changed:
 *
 *   free -> busy (taken, changed, given) -> free, or kept -> busy ...
 *
 * Whoever has made it busy owns its lease; a thread gives back what was kept
 * for long enough. A job that knows in advance which domains it will change has
 * their leases taken meanwhile, all at once, each by a thread of its own.
 */
#include "sdm.h"
#include <assert.h>
#include <dray/base/list.h>
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <errno.h>
#include <signal.h>

enum {
    KEEP_MS = 250,
    HELD_MAX_MS = 1000,
    NO_TIME_LIMIT_MS = 24 * 3600 * 1000,
};

struct sdm {
    struct list link;
    char sd[UUID_SIZE];
    unsigned keepers;
    bool busy;
    int64_t due_ms; /* of what is kept */
    /* Only of who made it busy. */
    struct lease_held *held; /* NULL: it is free */
    int64_t since_ms;
};

struct sdms {
    const struct lease_port *leases;
    pthread_mutex_t lock;   /* protects what follows, but see struct sdm */
    pthread_cond_t changed; /* not busy any more; kept; stopping; no fetcher */
    struct list all;
    pthread_t thread;
    bool runs, stopping;
    bool gives; /* the thread is at one, whose storage may hang */
    unsigned fetchers;
};

static struct sdm *find_locked(struct sdms *sdms, const char *sd)
{
    list_for_each (item, &sdms->all) {
        struct sdm *sdm = container_of(item, struct sdm, link);
        if (str_equal(sdm->sd, sd))
            return sdm;
    }
    return NULL;
}

/* NULL: out of memory. */
static struct sdm *get_locked(struct sdms *sdms, const char *sd)
{
    struct sdm *sdm = find_locked(sdms, sd);
    if (sdm)
        return sdm;
    sdm = calloc(1, sizeof(*sdm));
    if (!sdm)
        return NULL;
    (void)str_copy(sdm->sd, sizeof(sdm->sd), sd);
    list_append(&sdms->all, &sdm->link);
    return sdm;
}

/* False: somebody is at it for too long. */
static bool enter_locked(struct sdms *sdms, struct sdm *sdm, int64_t wait_ms)
{
    const struct timespec until = time_after_ms(wait_ms > 0 ? (int)wait_ms : 0);
    while (sdm->busy) {
        if (pthread_cond_timedwait(&sdms->changed, &sdms->lock, &until))
            return false;
    }
    sdm->busy = true;
    return true;
}

static void leave(struct sdms *sdms, struct sdm *sdm)
{
    SCOPED_LOCK(&sdms->lock);
    sdm->busy = false;
    (void)pthread_cond_broadcast(&sdms->changed); /* cannot fail */
}

/* Of one that is busy by us. A lease whose release fails ends with its
 * connection; what was done under it is done. */
static void release(struct sdms *sdms, struct sdm *sdm)
{
    if (sdm->held)
        (void)sdms->leases->ops->release(sdms->leases->ctx, TAKE(sdm->held),
                                         NULL);
}

/* --- giving back what was kept ------------------------------------------ */

/* The one that is due next. */
static struct sdm *next_kept_locked(struct sdms *sdms)
{
    struct sdm *next = NULL;
    list_for_each (item, &sdms->all) {
        struct sdm *sdm = container_of(item, struct sdm, link);
        if (!sdm->busy && sdm->held && (!next || sdm->due_ms < next->due_ms))
            next = sdm;
    }
    return next;
}

/* Busy by us; NULL: stop. */
static struct sdm *wait_for_due(struct sdms *sdms)
{
    SCOPED_LOCK(&sdms->lock);
    sdms->gives = false;
    while (!sdms->stopping) {
        struct sdm *sdm = next_kept_locked(sdms);
        int64_t left_ms = sdm ? sdm->due_ms - time_now_ms() : NO_TIME_LIMIT_MS;
        if (left_ms <= 0) {
            sdm->busy = sdms->gives = true;
            return sdm;
        }
        const struct timespec until = time_after_ms((int)left_ms);
        (void)pthread_cond_timedwait(&sdms->changed, &sdms->lock, &until);
    }
    return NULL;
}

static void *run(void *arg)
{
    struct sdms *sdms = arg;
    struct sdm *sdm = NULL;
    while ((sdm = wait_for_due(sdms)) != NULL) {
        release(sdms, sdm);
        leave(sdms, sdm);
    }
    return NULL;
}

/* Without it nothing is kept. Signals are the main thread's. */
static bool is_ready_locked(struct sdms *sdms)
{
    sigset_t all;
    sigset_t before;
    if (sdms->runs)
        return !sdms->gives;
    (void)sigfillset(&all); /* cannot fail, and the next two with this */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    sdms->runs = pthread_create(&sdms->thread, NULL, run, sdms) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sdms->runs;
}

/* --- taking ------------------------------------------------------------- */

static int acquire(struct sdms *sdms, struct sdm *sdm,
                   const struct lease_place *place, int64_t deadline_ms,
                   struct err *err)
{
    const struct lease_port *leases = sdms->leases;
    if (sdm->held && leases->ops->is_held(leases->ctx, sdm->held))
        return 0;
    release(sdms, sdm);
    sdm->since_ms = time_now_ms();
    return leases->ops->acquire(leases->ctx, place, deadline_ms, &sdm->held,
                                err);
}

int domain_sdm_take(struct sdms *sdms, const struct lease_place *place,
                    int64_t deadline_ms, struct err *err)
{
    struct sdm *sdm = NULL;
    {
        SCOPED_LOCK(&sdms->lock);
        sdm = get_locked(sdms, place->lockspace);
        if (!sdm)
            return err_set(err, -ENOMEM, "lease SDM: out of memory");
        if (!enter_locked(sdms, sdm, deadline_ms - time_now_ms()))
            return LEASE_BUSY;
    }
    int rc = acquire(sdms, sdm, place, deadline_ms, err);
    if (rc != 0)
        leave(sdms, sdm);
    return rc;
}

/* Busy by us: whether it shall be kept. */
static bool keep(struct sdms *sdms, struct sdm *sdm)
{
    int64_t now_ms = time_now_ms();
    SCOPED_LOCK(&sdms->lock);
    if (sdm->keepers == 0 || now_ms - sdm->since_ms > HELD_MAX_MS ||
        !is_ready_locked(sdms))
        return false;
    sdm->due_ms = now_ms + KEEP_MS;
    sdm->busy = false;
    (void)pthread_cond_broadcast(&sdms->changed); /* cannot fail */
    return true;
}

static struct sdm *find(struct sdms *sdms, const char *sd)
{
    SCOPED_LOCK(&sdms->lock);
    return find_locked(sdms, sd);
}

static void give(struct sdms *sdms, struct sdm *sdm)
{
    if (keep(sdms, sdm))
        return;
    release(sdms, sdm);
    leave(sdms, sdm);
}

void domain_sdm_give(struct sdms *sdms, const char *sd)
{
    struct sdm *sdm = find(sdms, sd);
    assert(sdm && sdm->busy); /* by us: it was taken */
    give(sdms, sdm);
}

/* --- taking in advance -------------------------------------------------- */

struct fetcher {
    struct sdms *sdms;
    struct sdm *sdm; /* busy by it */
    struct lease_place place;
};

/* False: nobody keeps it, or it is kept already, or somebody is at it. */
static bool begin_fetching(struct sdms *sdms, struct fetcher *fetcher)
{
    SCOPED_LOCK(&sdms->lock);
    struct sdm *sdm = find_locked(sdms, fetcher->place.lockspace);
    if (!sdm || sdm->keepers == 0 || sdm->busy || sdm->held || sdms->stopping)
        return false;
    sdm->busy = true;
    sdms->fetchers++;
    fetcher->sdms = sdms;
    fetcher->sdm = sdm;
    return true;
}

static void end_fetching(struct fetcher *fetcher)
{
    struct sdms *sdms = fetcher->sdms;
    give(sdms, fetcher->sdm);
    free(fetcher);
    SCOPED_LOCK(&sdms->lock);
    sdms->fetchers--;
    (void)pthread_cond_broadcast(&sdms->changed); /* cannot fail */
}

static void *fetch(void *arg)
{
    struct fetcher *fetcher = arg;
    struct err ignored = ERR_INIT; /* who needs it gets his own */
    (void)acquire(fetcher->sdms, fetcher->sdm, &fetcher->place, time_now_ms(),
                  &ignored);
    end_fetching(fetcher);
    return NULL;
}

void domain_sdm_soon(struct sdms *sdms, const struct lease_place *place)
{
    pthread_t thread;
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (!fetcher)
        return;
    fetcher->place = *place;
    if (!begin_fetching(sdms, fetcher))
        free(fetcher);
    else if (thread_start(&thread, fetch, fetcher) < 0)
        end_fetching(fetcher);
    else
        (void)pthread_detach(thread); /* ours, and joinable */
}

/* --- keeping ------------------------------------------------------------ */

void domain_sdm_keep(struct sdms *sdms, const char *sd)
{
    SCOPED_LOCK(&sdms->lock);
    struct sdm *sdm = get_locked(sdms, sd);
    if (sdm) /* else it just takes longer */
        sdm->keepers++;
}

/* What is kept, busy by us; who has it busy gives it back himself. */
static struct sdm *end_keeping(struct sdms *sdms, const char *sd)
{
    SCOPED_LOCK(&sdms->lock);
    struct sdm *sdm = find_locked(sdms, sd);
    if (!sdm || sdm->keepers == 0 || --sdm->keepers > 0 || sdm->busy)
        return NULL;
    sdm->busy = true;
    return sdm;
}

void domain_sdm_keep_no_more(struct sdms *sdms, const char *sd)
{
    struct sdm *sdm = end_keeping(sdms, sd);
    if (!sdm)
        return;
    release(sdms, sdm);
    leave(sdms, sdm);
}

void domain_sdm_drop(struct sdms *sdms, const char *sd)
{
    struct sdm *sdm = NULL;
    {
        SCOPED_LOCK(&sdms->lock);
        sdm = find_locked(sdms, sd);
        if (!sdm || !enter_locked(sdms, sdm, HELD_MAX_MS))
            return;
    }
    release(sdms, sdm);
    leave(sdms, sdm);
}

/* --- life --------------------------------------------------------------- */

struct sdms *domain_sdms_new(const struct lease_port *leases)
{
    struct sdms *sdms = calloc(1, sizeof(*sdms));
    if (!sdms)
        return NULL;
    sdms->leases = leases;
    (void)pthread_mutex_init(&sdms->lock, NULL);
    (void)thread_init_condition(&sdms->changed); /* cannot fail on Linux */
    list_init(&sdms->all);
    return sdms;
}

static void stop(struct sdms *sdms)
{
    {
        SCOPED_LOCK(&sdms->lock);
        sdms->stopping = true;
        (void)pthread_cond_broadcast(&sdms->changed); /* cannot fail */
        while (sdms->fetchers > 0)
            (void)pthread_cond_wait(&sdms->changed, &sdms->lock);
    }
    if (sdms->runs)
        (void)pthread_join(sdms->thread, NULL); /* ours, and joinable */
}

void domain_sdms_free(struct sdms *sdms)
{
    if (!sdms)
        return;
    stop(sdms);
    list_for_each_safe (item, next, &sdms->all) {
        struct sdm *sdm = container_of(item, struct sdm, link);
        assert(!sdm->busy);
        release(sdms, sdm);
        free(sdm);
    }
    (void)pthread_cond_destroy(&sdms->changed);
    (void)pthread_mutex_destroy(&sdms->lock);
    free(sdms);
}
