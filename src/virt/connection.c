/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connections to libvirtd and the two threads that keep them:
 *
 *   loop       runs libvirt's event loop: keepalive, events, close callback
 *   connector  opens the first connection, which gets the events, and a new
 *              one when it was lost: at once, then every RECONNECT_MS until it
 *              succeeds. It may block in libvirt; nobody waits for it.
 *
 * The first goes: opening -> published -> lost (closed by libvirtd, by
 * keepalive, or a call found it dead) -> dropped by the connector, with all
 * others. Calls that still hold a lost one get errors from it, and the last
 * reference frees it.
 *
 * A connection serves one call at a time; for a further call another one is
 * opened, and kept for later ones. For a call may hang as long as the VM's qemu
 * does, and those that share a connection with it then do as well: of libvirt
 * 9.0 the second call is sent only when something arrives if it comes at the
 * wrong moment (a keepalive may be the first), and libvirtd reads no further
 * when it has five calls of a connection under way.
 */
#include "connection.h"
#include "room.h"
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <string.h>

enum {
    RECONNECT_MS = 250,
    STOP_MS = 3000,
    KEEPALIVE_S = 5,
    KEEPALIVE_MISSES = 3,
};

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
static virConnectPtr open_connection(const struct virt *virt)
{
    virConnectPtr conn = virConnectOpen(virt->uri);
    /* Drivers inside our own process have none; they do not go away. */
    if (conn)
        (void)virConnectSetKeepAlive(conn, KEEPALIVE_S, KEEPALIVE_MISSES);
    return conn;
}

static void drop_connection(virConnectPtr conn, const struct events *events)
{
    events_stop(events, conn);
    (void)virConnectUnregisterCloseCallback(conn, on_close); /* or had none */
    (void)virConnectClose(conn); /* calls may still hold references */
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
    virt->lost = virt->in_use = false;
    atomic_store(&virt->up, false);
    return TAKE(virt->conn);
}

static virConnectPtr take_idle(struct virt *virt)
{
    SCOPED_LOCK(&virt->lock);
    return virt->n_idle > 0 ? virt->idle[--virt->n_idle] : NULL;
}

static void publish(struct virt *virt, virConnectPtr conn)
{
    struct events events;
    (void)virConnectRegisterCloseCallback(conn, on_close, virt, NULL);
    events_start(&events, conn, virt);
    {
        SCOPED_LOCK(&virt->lock);
        virt->conn = conn;
        virt->events = events;
        virt->lost = virt->in_use = false;
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
    virConnectPtr idle, conn = take_connection(virt, &events);
    if (conn)
        drop_connection(conn, &events);
    while ((idle = take_idle(virt)) != NULL)
        (void)virConnectClose(idle); /* nobody uses it */
}

static void *run_connector(void *arg)
{
    struct virt *virt = arg;
    while (wait_until_lost(virt)) {
        drop_ours(virt);
        virConnectPtr conn = open_connection(virt);
        if (conn) {
            publish(virt, conn);
            continue;
        }
        keep_why(virt);
        pause_before_retry(virt);
    }
    drop_ours(virt);
    SCOPED_LOCK(&virt->lock);
    virt->connector_ended = true;
    (void)pthread_cond_broadcast(&virt->changed); /* cannot fail */
    return NULL;
}

int connection_start(struct virt *virt, struct err *err)
{
    (void)str_copy(virt->why, sizeof(virt->why), "connecting");
    int rc = thread_start(&virt->connector, run_connector, virt);
    if (rc < 0)
        return err_set(err, rc, "libvirt's connector thread: %s",
                       strerrordesc_np(-rc));
    virt->connector_runs = true;
    return 0;
}

bool connection_stop(struct virt *virt)
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

/* Outcomes of find_connection(). */
enum {
    CONNECTION_OPEN = 1, /* another one is needed */
    CONNECTION_AWAY = 2,
};

/* *ret_why is the reason of the last. */
static int find_connection(struct virt *virt, virConnectPtr *ret_conn,
                           char *ret_why, size_t size)
{
    SCOPED_LOCK(&virt->lock);
    if (!virt->conn || virt->lost) {
        (void)str_copy(ret_why, size, virt->why);
        return CONNECTION_AWAY;
    }
    /* Counts up, no more: safe under the lock. */
    if (!virt->in_use && virConnectRef(virt->conn) == 0) {
        virt->in_use = true;
        *ret_conn = virt->conn;
        return 0;
    }
    if (virt->n_idle == 0)
        return CONNECTION_OPEN;
    *ret_conn = virt->idle[--virt->n_idle];
    return 0;
}

int connection_get(struct virt *virt, virConnectPtr *ret_conn, struct err *err)
{
    char why[sizeof(virt->why)];
    int rc = find_connection(virt, ret_conn, why, sizeof(why));
    if (rc == CONNECTION_AWAY)
        return connection_away(virt, why, err);
    if (rc == 0)
        return 0;
    virConnectPtr conn = open_connection(virt);
    if (!conn)
        return connection_away(virt, virGetLastErrorMessage(), err);
    *ret_conn = conn;
    return 0;
}

/* True: it is kept, for the next call. */
static bool keep(struct virt *virt, virConnectPtr conn)
{
    SCOPED_LOCK(&virt->lock);
    if (virt->conn == conn) {
        virt->in_use = false;
        return false; /* by its own reference */
    }
    if (!virt->conn || virt->lost || virt->n_idle == CONNECTIONS_IDLE_MAX ||
        virConnectIsAlive(conn) == 0) /* looks at a flag, no more */
        return false;
    virt->idle[virt->n_idle++] = conn;
    return true;
}

void connection_put(struct virt *virt, virConnectPtr conn)
{
    if (!keep(virt, conn))
        (void)virConnectClose(conn); /* drops a reference */
}

void connection_lost(struct virt *virt, virConnectPtr conn)
{
    SCOPED_LOCK(&virt->lock);
    if (virt->conn != conn)
        return; /* an older one, or another: known already, or soon */
    virt->lost = true;
    atomic_store(&virt->up, false);
    (void)str_copy(virt->why, sizeof(virt->why), "connection lost");
    (void)pthread_cond_broadcast(&virt->changed); /* cannot fail */
}

int connection_is_up(struct virt *virt)
{
    return atomic_load(&virt->up) ? 0 : -ENOTCONN;
}
