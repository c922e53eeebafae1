/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection to libvirtd and the two threads that keep it:
 *
 *   loop       runs libvirt's event loop: keepalive, events, close callback
 *   connector  opens the connection, and opens a new one when it was lost:
 *              at once, then every RECONNECT_MS until it succeeds. It may
 *              block in libvirt; nobody waits for it.
 *
 * A connection goes: opening -> published (workers take references) -> lost
 * (closed by libvirtd, by keepalive, or a worker found it dead) -> dropped by
 * the connector. Workers that still hold a lost one get errors from it, and
 * the last reference frees it.
 *
 * libvirt's event loop is global and cannot be taken away again; a second
 * virt_new() after virt_free() uses the same.
 */
#include "connection.h"
#include "events.h"
#include "listeners.h"
#include "reasons.h"
#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum {
    RECONNECT_MS = 250,
    STOP_MS = 3000,
    KEEPALIVE_S = 5,
    KEEPALIVE_MISSES = 3,
    WHY_SIZE = 256,
};

struct virt {
    char *uri;               /* constant */
    struct reasons *reasons; /* locks itself */
    pthread_t loop;
    pthread_t connector;
    bool loop_runs;      /* the owner's */
    bool connector_runs; /* the owner's */
    int wake_timer;      /* constant */
    atomic_bool loop_stops;
    atomic_bool up; /* conn && !lost, for those who may not wait */

    pthread_mutex_t lock;   /* protects what follows */
    pthread_cond_t changed; /* lost, stopping or connector_ended was set */
    virConnectPtr conn;     /* NULL: none, or not published yet */
    struct events events;   /* of conn */
    bool lost;
    bool stopping;
    bool connector_ended;
    char why[WHY_SIZE]; /* the last error of opening it */

    struct listeners listeners; /* locks itself */
};

/* --- the event loop ---------------------------------------------------- */

static void on_wake(int timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void *run_loop(void *arg)
{
    struct virt *virt = arg;
    while (!atomic_load(&virt->loop_stops)) {
        if (virEventRunDefaultImpl() < 0)
            (void)poll(NULL, 0, RECONNECT_MS); /* never seen: do not spin */
    }
    return NULL;
}

/* Signals belong to the main thread. */
static int start_thread(pthread_t *ret_thread, void *(*run)(void *), void *arg)
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

static void stop_loop(struct virt *virt)
{
    if (virt->loop_runs) {
        atomic_store(&virt->loop_stops, true);
        virEventUpdateTimeout(virt->wake_timer, 0);
        (void)pthread_join(virt->loop, NULL); /* ours, and joinable */
    }
    if (virt->wake_timer >= 0)
        (void)virEventRemoveTimeout(virt->wake_timer); /* exists */
}

/* --- the connector ----------------------------------------------------- */

static void keep_why(struct virt *virt)
{
    const char *why = virGetLastErrorMessage();
    SCOPED_LOCK(&virt->lock);
    (void)str_copy(virt->why, sizeof(virt->why), why);
}

/* libvirt's event thread. */
static void on_close(virConnectPtr conn, int reason, void *arg)
{
    (void)reason;
    connection_lost(arg, conn);
}

/* Blocks. NULL when libvirtd is not there. */
static virConnectPtr open_connection(struct virt *virt, struct events *events)
{
    virConnectPtr conn = virConnectOpen(virt->uri);
    if (!conn) {
        keep_why(virt);
        return NULL;
    }
    /* Drivers inside our own process have neither; they do not go away. */
    (void)virConnectSetKeepAlive(conn, KEEPALIVE_S, KEEPALIVE_MISSES);
    (void)virConnectRegisterCloseCallback(conn, on_close, virt, NULL);
    events_start(events, conn, virt);
    return conn;
}

static void drop_connection(virConnectPtr conn, const struct events *events)
{
    events_stop(events, conn);
    (void)virConnectUnregisterCloseCallback(conn, on_close); /* or had none */
    (void)virConnectClose(conn); /* workers may still hold references */
}

/* Waits until the connection is lost. False: stop. */
static bool wait_until_lost(struct virt *virt)
{
    SCOPED_LOCK(&virt->lock);
    while (!virt->stopping && virt->conn && !virt->lost)
        (void)pthread_cond_wait(&virt->changed, &virt->lock);
    return !virt->stopping;
}

static virConnectPtr take_connection(struct virt *virt,
                                     struct events *ret_events)
{
    SCOPED_LOCK(&virt->lock);
    *ret_events = virt->events;
    virt->lost = false;
    atomic_store(&virt->up, false);
    return TAKE(virt->conn);
}

static void publish(struct virt *virt, virConnectPtr conn,
                    const struct events *events)
{
    {
        SCOPED_LOCK(&virt->lock);
        virt->conn = conn;
        virt->events = *events;
        virt->lost = false;
        atomic_store(&virt->up, true);
    }
    /* It may have died before on_close() could know it for ours. */
    if (virConnectIsAlive(conn) == 0)
        connection_lost(virt, conn);
    listeners_tell(&virt->listeners,
                   &(struct vm_alarm){ .kind = VM_ALARM_CHANGED });
}

static void pause_before_retry(struct virt *virt)
{
    const struct timespec deadline = time_after_ms(RECONNECT_MS);
    SCOPED_LOCK(&virt->lock);
    while (!virt->stopping) {
        if (pthread_cond_timedwait(&virt->changed, &virt->lock, &deadline))
            return;
    }
}

static void drop_ours(struct virt *virt)
{
    struct events events;
    virConnectPtr conn = take_connection(virt, &events);
    if (conn)
        drop_connection(conn, &events);
}

static void *run_connector(void *arg)
{
    struct virt *virt = arg;
    while (wait_until_lost(virt)) {
        drop_ours(virt);
        struct events events;
        virConnectPtr conn = open_connection(virt, &events);
        if (conn)
            publish(virt, conn, &events);
        else
            pause_before_retry(virt);
    }
    drop_ours(virt);
    SCOPED_LOCK(&virt->lock);
    virt->connector_ended = true;
    (void)pthread_cond_broadcast(&virt->changed); /* cannot fail */
    return NULL;
}

/* False: it hangs in libvirt (a libvirtd that accepts and says nothing). */
static bool stop_connector(struct virt *virt)
{
    if (!virt->connector_runs)
        return true;
    const struct timespec deadline = time_after_ms(STOP_MS);
    {
        SCOPED_LOCK(&virt->lock);
        virt->stopping = true;
        (void)pthread_cond_broadcast(&virt->changed); /* cannot fail */
        while (!virt->connector_ended) {
            if (pthread_cond_timedwait(&virt->changed, &virt->lock, &deadline))
                break;
        }
        if (!virt->connector_ended)
            return false;
    }
    (void)pthread_join(virt->connector, NULL); /* ours, and joinable */
    return true;
}

/* --- for the rest of the room ------------------------------------------- */

int connection_away(struct virt *virt, const char *why, struct err *err)
{
    (void)err_set(err, -ENOTCONN, "libvirt %s is away: %s", virt->uri, why);
    (void)err_default_code(err, ERR_NOT_RESPONDING);
    (void)err_next(err, "is libvirtd running? drayd connects again by itself");
    return -ENOTCONN;
}

int connection_get(struct virt *virt, virConnectPtr *ret_conn, struct err *err)
{
    char why[WHY_SIZE];
    {
        SCOPED_LOCK(&virt->lock);
        if (virt->conn && !virt->lost) {
            /* counts up, no more: safe under the lock */
            if (virConnectRef(virt->conn) < 0)
                return err_set(err, -ENOTCONN, "libvirt: no connection");
            *ret_conn = virt->conn;
            return 0;
        }
        (void)str_copy(why, sizeof(why), virt->why);
    }
    return connection_away(virt, why, err);
}

void connection_lost(struct virt *virt, virConnectPtr conn)
{
    SCOPED_LOCK(&virt->lock);
    if (virt->conn != conn)
        return; /* an older one: known already */
    virt->lost = true;
    atomic_store(&virt->up, false);
    (void)str_copy(virt->why, sizeof(virt->why), "connection lost");
    (void)pthread_cond_broadcast(&virt->changed); /* cannot fail */
}

int connection_is_up(struct virt *virt)
{
    return atomic_load(&virt->up) ? 0 : -ENOTCONN;
}

struct listeners *connection_listeners(struct virt *virt)
{
    return &virt->listeners;
}

struct reasons *connection_reasons(struct virt *virt)
{
    return virt->reasons;
}

/* --- life ---------------------------------------------------------------- */

/* libvirt prints to stderr by default; we return its errors instead. */
static void ignore_error(void *arg, virErrorPtr error)
{
    (void)arg;
    (void)error;
}

static int init_locks(struct virt *virt)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);
    if (rc)
        return -rc;
    rc = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&virt->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic); /* cannot fail */
    if (rc == 0)
        rc = pthread_mutex_init(&virt->lock, NULL);
    return rc ? -rc : listeners_init(&virt->listeners);
}

static int start(struct virt *virt, struct err *err)
{
    virSetErrorFunc(NULL, ignore_error);
    xmlInitParser(); /* before there are threads */
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return err_set(err, -EIO, "libvirt: %s", virGetLastErrorMessage());
    virt->wake_timer = virEventAddTimeout(-1, on_wake, NULL, NULL);
    if (virt->wake_timer < 0)
        return err_set(err, -EIO, "libvirt: %s", virGetLastErrorMessage());
    int rc = start_thread(&virt->loop, run_loop, virt);
    if (rc < 0)
        return err_set(err, rc, "libvirt's event thread: %s",
                       strerrordesc_np(-rc));
    virt->loop_runs = true;
    rc = start_thread(&virt->connector, run_connector, virt);
    if (rc < 0)
        return err_set(err, rc, "libvirt's connector thread: %s",
                       strerrordesc_np(-rc));
    virt->connector_runs = true;
    return 0;
}

int virt_new(const char *uri, struct virt **ret_virt, struct err *err)
{
    struct virt *virt = calloc(1, sizeof(*virt));
    if (!virt)
        return err_set(err, -ENOMEM, "libvirt: out of memory");
    int rc = init_locks(virt);
    if (rc < 0) {
        free(virt);
        return err_set(err, rc, "libvirt: no lock to be had");
    }
    virt->wake_timer = -1;
    (void)str_copy(virt->why, sizeof(virt->why), "connecting");
    virt->uri = strdup(uri);
    if (!virt->uri || reasons_new(&virt->reasons) < 0)
        rc = err_set(err, -ENOMEM, "libvirt: out of memory");
    else
        rc = start(virt, err);
    if (rc < 0) {
        virt_free(virt);
        return rc;
    }
    *ret_virt = virt;
    return 0;
}

void virt_free(struct virt *virt)
{
    if (!virt)
        return;
    listeners_set_hint(&virt->listeners, NULL, NULL);
    listeners_set_alarm(&virt->listeners, NULL, NULL);
    if (!stop_connector(virt))
        return; /* it still uses all of this; the process ends anyway */
    stop_loop(virt);
    assert(!virt->conn);
    int rc = pthread_mutex_destroy(&virt->lock);
    assert(rc == 0);
    rc = pthread_cond_destroy(&virt->changed);
    assert(rc == 0);
    (void)rc;
    listeners_deinit(&virt->listeners);
    reasons_free(virt->reasons);
    free(virt->uri);
    free(virt);
}
