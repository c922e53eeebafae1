/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One client's connection on the owner loop.
 *
 * Each wake-up does a bounded piece of work: at most CONN_CHUNK bytes are read
 * and CONN_TURN requests started; what is left waits for the connection's next
 * turn, after everybody else's. Reading stops while RPC_CALLS_MAX calls are
 * open or half of RPC_BACKLOG_MAX waits to be sent, so that a client that
 * asks faster than it reads is slowed down, not cut off.
 *
 * A connection is freed only at the end of its own turn, never while a verb or
 * an event writes to it.
 */
#include "conn.h"

#include "envelope.h"

#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    CONN_TURN = 32,
    /* How long a client may take nothing of what holds up its connection. */
    CONN_STALL_US = 5 * 1000 * 1000,
    CONN_ACCURACY_US = 10 * 1000, /* of the timers */
};

static bool input_empty(const struct rpc_conn *conn)
{
    return conn->in_begin == conn->in_end;
}

static bool is_choked(const struct rpc_conn *conn)
{
    return outbox_pending(&conn->out) > RPC_BACKLOG_MAX / 2;
}

/* No further request is started now. */
static bool is_held(const struct rpc_conn *conn)
{
    return conn->dead || conn->closing || conn->suspect ||
           conn->n_calls >= RPC_CALLS_MAX || is_choked(conn);
}

/* Not a defer source of the loop: those come before every other event again and
 * again, and one busy client would hold up all others. */
void conn_wake(struct rpc_conn *conn)
{
    struct rpc_server *server = conn->server;

    if (!list_is_empty(&conn->turn_link))
        return;
    if (list_is_empty(&server->turns))
        (void)eventfd_write(server->turn_fd, 1); /* cannot fail below 2^64 */
    list_append(&server->turns, &conn->turn_link);
}

/* The peer's going away says nothing in @err, and is nothing to tell. */
void conn_cut_off(struct rpc_conn *conn, const struct err *err)
{
    if (err->message[0] && !conn->dead)
        log_warning("%s cut off: %s", conn->transport->peer, err->message);
    conn->dead = true;
    conn_wake(conn);
}

void conn_send(struct rpc_conn *conn, struct json_object *value)
{
    if (!conn->dead && !conn->hup &&
        (!value || outbox_put(&conn->out, value) < 0))
        conn->dead = true;
    json_object_put(value);
    conn_wake(conn);
}

static void answer_bad_input(struct rpc_conn *conn, const struct err *err)
{
    const char *phase = err->code == ERR_PARSE ? "parse" : "request";
    conn_send(conn, envelope_error(NULL, err, phase, NULL));
}

static void take(struct rpc_conn *conn, enum frame_result result,
                 struct json_object *value, const struct err *err)
{
    if (result != FRAME_MORE)
        (void)sd_event_source_set_enabled(conn->begun, SD_EVENT_OFF);
    if (result == FRAME_VALUE)
        call_dispatch(conn, value);
    if (result == FRAME_ERROR || result == FRAME_FATAL)
        answer_bad_input(conn, err);
    conn->closing |= result == FRAME_FATAL;
}

static void process_input(struct rpc_conn *conn)
{
    for (int i = 0; i < CONN_TURN && !input_empty(conn) && !is_held(conn);
         i++) {
        struct json_object *value = NULL;
        struct err err = ERR_INIT;
        size_t used = 0;
        enum frame_result result =
            frame_feed(&conn->frame, conn->in + conn->in_begin,
                       conn->in_end - conn->in_begin, &used, &value, &err);
        conn->in_begin += used;
        take(conn, result, value, &err);
    }
    if (conn->eof && input_empty(conn) && !conn->ended && !is_held(conn)) {
        struct json_object *value = NULL;
        struct err err = ERR_INIT;
        conn->ended = true;
        take(conn, frame_end(&conn->frame, &value, &err), value, &err);
    }
}

static void read_input(struct rpc_conn *conn)
{
    if (!input_empty(conn) || conn->eof || is_held(conn))
        return;
    struct err err = ERR_INIT;
    ssize_t n = conn->transport->ops->read(conn->transport, conn->in,
                                           sizeof(conn->in), &err);
    conn->in_begin = 0;
    conn->in_end = n > 0 ? (size_t)n : 0;
    if (n == 0)
        conn->eof = true;
    else if (n < 0 && n != -EAGAIN && n != -EINTR)
        conn_cut_off(conn, &err);
}

static int on_stall(sd_event_source *source, uint64_t usec, void *arg)
{
    struct rpc_conn *conn = arg;
    (void)source;
    (void)usec;
    conn->dead = true;
    conn_wake(conn);
    return 0;
}

/* Arms or disarms the timer for a peer that does not take what it must take
 * before anything else happens on its connection. */
static void watch_stall(struct rpc_conn *conn, bool progress)
{
    bool waits = outbox_pending(&conn->out) > 0 &&
                 (conn->closing || conn->eof || is_choked(conn));
    int enabled = SD_EVENT_OFF;

    (void)sd_event_source_get_enabled(conn->stall, &enabled);
    if (!waits) {
        (void)sd_event_source_set_enabled(conn->stall, SD_EVENT_OFF);
    } else if (enabled == SD_EVENT_OFF || progress) {
        (void)sd_event_source_set_time_relative(conn->stall, CONN_STALL_US);
        (void)sd_event_source_set_enabled(conn->stall, SD_EVENT_ONESHOT);
    }
}

static int on_begun(sd_event_source *source, uint64_t usec, void *arg)
{
    struct rpc_conn *conn = arg;
    struct err err = ERR_INIT;
    (void)source;
    (void)usec;
    (void)err_set(&err, -ETIMEDOUT, "its request was not complete in time");
    conn_cut_off(conn, &err);
    return 0;
}

/* Runs from the first byte of a request to its last, which turns it off. */
static void watch_begun(struct rpc_conn *conn)
{
    int enabled = SD_EVENT_OFF;
    bool begun = scan_is_inside(&conn->frame.scan) ||
                 conn->transport->ops->is_partial(conn->transport);

    if (conn->door->request_us == 0)
        return;
    (void)sd_event_source_get_enabled(conn->begun, &enabled);
    if (!begun || is_held(conn)) {
        (void)sd_event_source_set_enabled(conn->begun, SD_EVENT_OFF);
    } else if (enabled == SD_EVENT_OFF) {
        (void)sd_event_source_set_time_relative(conn->begun,
                                                conn->door->request_us);
        (void)sd_event_source_set_enabled(conn->begun, SD_EVENT_ONESHOT);
    }
}

static void flush(struct rpc_conn *conn)
{
    size_t sent = 0;
    struct err err = ERR_INIT;
    if (conn->hup)
        outbox_deinit(&conn->out);
    else if (outbox_flush(&conn->out, conn->transport, &sent, &err) < 0)
        conn_cut_off(conn, &err);
    watch_stall(conn, sent > 0);
}

static bool is_finished(const struct rpc_conn *conn)
{
    if (conn->dead)
        return true;
    if (outbox_pending(&conn->out) > 0)
        return false;
    if (conn->hup && is_held(conn))
        return true;
    return conn->closing || (conn->ended && (conn->n_calls == 0 || conn->hup));
}

/* What the loop shall wake us for. */
static void set_interest(struct rpc_conn *conn)
{
    uint32_t events = 0;
    if (!conn->eof && input_empty(conn) && !is_held(conn))
        events |= EPOLLIN;
    if (outbox_pending(&conn->out) > 0)
        events |= EPOLLOUT;
    /* A hang-up is reported whatever is asked for, and for ever: it was
     * noted, and the turns go on without the socket. */
    (void)sd_event_source_set_enabled(conn->io,
                                      conn->hup ? SD_EVENT_OFF : SD_EVENT_ON);
    (void)sd_event_source_set_io_events(conn->io, events);
    watch_begun(conn);
    bool more = !input_empty(conn) || (conn->eof && !conn->ended) ||
                (conn->hup && !conn->eof);
    if (more && !is_held(conn))
        conn_wake(conn);
}

static void conn_turn(struct rpc_conn *conn)
{
    if (conn->hup)
        read_input(conn);
    process_input(conn);
    flush(conn);
    if (is_finished(conn))
        conn_free(conn);
    else
        set_interest(conn);
}

void conn_turns(struct rpc_server *server)
{
    struct list now;

    list_init(&now);
    list_for_each_safe (item, next, &server->turns) {
        list_remove(item);
        list_append(&now, item);
    }
    list_for_each_safe (item, next, &now) {
        list_remove(item);
        conn_turn(container_of(item, struct rpc_conn, turn_link));
    }
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct rpc_conn *conn = arg;
    (void)source;
    (void)fd;
    conn->hup |= (events & (EPOLLHUP | EPOLLERR)) != 0;
    read_input(conn);
    conn_turn(conn);
    return 0;
}

/* Not running yet. */
static int add_timer(sd_event *loop, sd_event_source **ret_source,
                     sd_event_time_handler_t handler, struct rpc_conn *conn)
{
    int r = sd_event_add_time(loop, ret_source, CLOCK_MONOTONIC, UINT64_MAX,
                              CONN_ACCURACY_US, handler, conn);
    return r < 0 ? r : sd_event_source_set_enabled(*ret_source, SD_EVENT_OFF);
}

static int add_sources(struct rpc_conn *conn)
{
    sd_event *loop = conn->server->loop;
    int r = sd_event_add_io(loop, &conn->io, conn->transport->fd, EPOLLIN,
                            on_io, conn);
    if (r >= 0)
        r = add_timer(loop, &conn->stall, on_stall, conn);
    if (r >= 0)
        r = add_timer(loop, &conn->begun, on_begun, conn);
    return r;
}

int conn_new(struct rpc_server *server, struct acceptor *door,
             struct transport *transport, enum rpc_role role)
{
    struct rpc_conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        transport->ops->close(transport);
        return -ENOMEM;
    }
    conn->server = server;
    conn->door = door;
    conn->transport = transport;
    conn->role = role;
    frame_init(&conn->frame);
    list_init(&conn->calls);
    list_init(&conn->turn_link);
    list_append(&server->conns, &conn->link);
    door->n_clients++;

    int r = add_sources(conn);
    if (r < 0)
        conn_free(conn);
    return r;
}

void conn_free(struct rpc_conn *conn)
{
    struct rpc_server *server = conn->server;

    if (server->handler.closed)
        server->handler.closed(server->handler.arg, conn);
    call_detach_all(conn);
    (void)sd_event_source_disable_unref(conn->io);
    (void)sd_event_source_disable_unref(conn->stall);
    (void)sd_event_source_disable_unref(conn->begun);
    conn->transport->ops->close(conn->transport);
    frame_deinit(&conn->frame);
    outbox_deinit(&conn->out);
    list_remove(&conn->turn_link);
    list_remove(&conn->link);
    conn->door->n_clients--;
    free(conn);
}

enum rpc_role rpc_conn_role(const struct rpc_conn *conn)
{
    return conn->role;
}

size_t rpc_conn_count(const struct rpc_conn *conn)
{
    size_t n = 0;
    if (!conn)
        return 0;
    const struct list *conns = &conn->server->conns;
    for (const struct list *item = conns->next; item != conns;
         item = item->next)
        n++;
    return n;
}

void rpc_conn_denied(struct rpc_conn *conn, const char *what)
{
    if (!conn->denied)
        log_warning("%s may not call %s: its role is %s", conn->transport->peer,
                    what, conn->role == RPC_ROLE_READ ? "read" : "none");
    conn->denied = true;
}
