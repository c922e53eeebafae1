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
 *
 * With each goes the VM that it served last: a job asks about one VM all the
 * time, and to look that up again would be every other call.
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

static struct session take_connection(struct virt *virt,
                                      struct events *ret_events)
{
    SCOPED_LOCK(&virt->lock);
    struct session taken = { virt->conn, virt->vm };
    *ret_events = virt->events;
    virt->lost = virt->in_use = false;
    virt->conn = NULL;
    virt->vm = NULL;
    atomic_store(&virt->up, false);
    return taken;
}

static struct session take_idle(struct virt *virt)
{
    SCOPED_LOCK(&virt->lock);
    return virt->n_idle > 0 ? virt->idle[--virt->n_idle]
                            : (struct session){ NULL, NULL };
}

/* Drops references. */
static void end_session(const struct session *session)
{
    if (session->vm)
        (void)virDomainFree(session->vm);
    if (session->conn)
        (void)virConnectClose(session->conn);
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
    struct session idle, first = take_connection(virt, &events);
    if (first.vm)
        (void)virDomainFree(first.vm); /* drops a reference */
    if (first.conn)
        drop_connection(first.conn, &events);
    while ((idle = take_idle(virt)).conn != NULL)
        end_session(&idle); /* nobody uses it */
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
static int find_connection(struct virt *virt, struct session *ret_session,
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
        *ret_session = (struct session){ virt->conn, TAKE(virt->vm) };
        return 0;
    }
    if (virt->n_idle == 0)
        return CONNECTION_OPEN;
    *ret_session = virt->idle[--virt->n_idle];
    return 0;
}

int connection_get(struct virt *virt, struct session *ret_session,
                   struct err *err)
{
    char why[sizeof(virt->why)];
    int rc = find_connection(virt, ret_session, why, sizeof(why));
    if (rc == CONNECTION_AWAY)
        return connection_away(virt, why, err);
    if (rc == 0)
        return 0;
    virConnectPtr conn = open_connection(virt);
    if (!conn)
        return connection_away(virt, virGetLastErrorMessage(), err);
    *ret_session = (struct session){ .conn = conn };
    return 0;
}

/* Takes of it what is kept for the next call. */
static void keep(struct virt *virt, struct session *session)
{
    SCOPED_LOCK(&virt->lock);
    if (virt->conn == session->conn) { /* that has a reference of its own */
        virt->in_use = false;
        virt->vm = TAKE(session->vm);
        return;
    }
    if (!virt->conn || virt->lost || virt->n_idle == CONNECTIONS_IDLE_MAX ||
        virConnectIsAlive(session->conn) == 0) /* looks at a flag, no more */
        return;
    virt->idle[virt->n_idle++] = *session;
    *session = (struct session){ NULL, NULL };
}

void connection_put(struct virt *virt, struct session *session)
{
    keep(virt, session);
    end_session(session);
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
