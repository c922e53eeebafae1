/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The TLS listener. A client is in the list of handshakes until its own is
 * done; then it becomes a connection like any other. All handshakes have the
 * same time, so the list is in the order of their deadlines, and one timer does
 * for all. Each step of one is an event of its own: nobody waits for anybody.
 *
 * A refused client is one line in the log. A thousand of them in a second are
 * some lines and a number: the log must not become the damage.
 */
#include "tls-door.h"

#include "conn.h"

#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

enum {
    LINES_MAX = 50, /* in one period */
    PERIOD_MS = 10 * 1000,
    DEADLINE_ACCURACY_US = 10 * 1000,
    REVIEWS_MAX = 8,       /* at once, of those who are in */
    REVIEW_PAUSE_US = 500, /* for everybody else */
};

struct half {
    struct list link;
    struct tls_door *door;
    struct tls *tls;
    sd_event_source *io;
    int64_t deadline_ms;
};

/* Whether this one is to be logged. */
static bool may_say(struct quiet *quiet, const char *what)
{
    int64_t now = time_now_ms();
    if (now >= quiet->until_ms) {
        if (quiet->n > LINES_MAX)
            log_warning("TLS: %u more %s", quiet->n - LINES_MAX, what);
        *quiet = (struct quiet){ .until_ms = now + PERIOD_MS };
    }
    return ++quiet->n <= LINES_MAX;
}

static void log_refusal(struct tls_door *door, const struct tls *tls,
                        const struct err *err)
{
    if (err->rc == -ECONNRESET && tls->received == 0)
        log_debug("TLS: %s: %s", tls->transport.peer, err->message);
    else if (may_say(&door->refused, "clients were refused"))
        log_warning("TLS: %s refused: %s%s%s", tls->transport.peer,
                    err->message, err->next[0] ? "; " : "", err->next);
}

enum rpc_role tls_role_of(const char *roles, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = roles; len > 0 && *line;) {
        size_t end = strcspn(line, "\n");
        if (end > len && line[len] == ' ' && strncasecmp(line, name, len) == 0)
            return str_starts_with(line + len, " full\n") ? RPC_ROLE_FULL
                                                          : RPC_ROLE_READ;
        line += end + (line[end] == '\n');
    }
    return RPC_ROLE_NONE;
}

/* The best of its names counts. *ret_name: that, or the first one. */
static enum rpc_role find_role(const struct tls_door *door,
                               gnutls_x509_crt_t crt,
                               char ret_name[TLS_NAME_SIZE])
{
    enum rpc_role best = RPC_ROLE_NONE;
    char name[TLS_NAME_SIZE];
    ret_name[0] = '\0';
    for (unsigned i = 0; tls_peer_name(crt, i, name); i++) {
        enum rpc_role role = tls_role_of(door->roles, name);
        if (i == 0 || role > best)
            memcpy(ret_name, name, sizeof(name));
        if (role > best)
            best = role;
    }
    return best;
}

static int deny(const char *name, int *ret_alert, struct err *err)
{
    *ret_alert = GNUTLS_A_ACCESS_DENIED;
    (void)err_set(err, -EACCES, "its name '%s' has no role here", name);
    return err_next(err, "if it may come: drayd.conf, section [tls-roles]");
}

/* Who it is, by the certificates and roles of now. */
static int judge(struct tls *tls, void *arg)
{
    const struct tls_door *door = arg;
    gnutls_x509_crt_t crt = NULL;
    char name[TLS_NAME_SIZE];
    char address[TRANSPORT_PEER_SIZE];
    int r = tls_peer_verify(tls->session, door->identity, NULL, &crt,
                            &tls->alert, &tls->refusal);
    if (r < 0)
        return r;
    tls->role = find_role(door, crt, name);
    gnutls_x509_crt_deinit(crt);
    if (tls->role == RPC_ROLE_NONE)
        return deny(name, &tls->alert, &tls->refusal);
    if (!strchr(tls->transport.peer, '(')) { /* the first time */
        memcpy(address, tls->transport.peer, sizeof(address));
        (void)str_format(tls->transport.peer, TRANSPORT_PEER_SIZE, "%s (%.48s)",
                         name, address);
    }
    return 0;
}

/* Returns its session, which is the caller's. */
static struct tls *half_end(struct half *half)
{
    struct tls *tls = half->tls;
    half->door->n_half--;
    list_remove(&half->link);
    (void)sd_event_source_disable_unref(half->io);
    free(half);
    return tls;
}

static void half_drop(struct half *half, const char *why)
{
    struct tls_door *door = half->door;
    struct tls *tls = half_end(half);
    if (may_say(&door->unfinished, "handshakes were not finished"))
        log_warning("TLS: %s refused: %s", tls->transport.peer, why);
    tls_free(tls);
}

/* The one timer. It may come when @half is done already. */
static void watch(struct tls_door *door, const struct half *half)
{
    int64_t left = half->deadline_ms - time_now_ms();
    (void)sd_event_source_set_time_relative(
        door->deadline, left > 0 ? (uint64_t)left * 1000 : 0);
    (void)sd_event_source_set_enabled(door->deadline, SD_EVENT_ONESHOT);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *arg)
{
    struct tls_door *door = arg;
    (void)source;
    (void)usec;
    list_for_each_safe (item, next, &door->half) {
        struct half *half = container_of(item, struct half, link);
        if (half->deadline_ms > time_now_ms()) {
            watch(door, half);
            break;
        }
        half_drop(half, "its handshake was not done in time");
    }
    return 0;
}

static void half_done(struct half *half)
{
    struct tls_door *door = half->door;
    struct tls *tls = half_end(half);
    log_debug("TLS: %s came in", tls->transport.peer);
    server_admit(door->server, &door->acceptor, &tls->transport, tls->role);
}

static int on_step(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct half *half = arg;
    struct err err = ERR_INIT;
    (void)fd;
    (void)events;
    int r = tls_handshake(half->tls, &err);
    if (r == 0) {
        half_done(half);
    } else if (r != -EAGAIN) {
        log_refusal(half->door, half->tls, &err);
        tls_free(half_end(half));
    } else {
        bool write = gnutls_record_get_direction(half->tls->session);
        (void)sd_event_source_set_io_events(source, write ? EPOLLOUT : EPOLLIN);
    }
    return 0;
}

static void welcome(void *arg, int fd)
{
    struct tls_door *door = arg;
    struct tls *tls = NULL;
    if (door->n_half >= RPC_TLS_HALF_OPEN_MAX)
        half_drop(container_of(door->half.next, struct half, link),
                  "too many others began a handshake after it");
    /* No session, no client: it sees the connection end. */
    if (tls_new(fd, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS,
                door->identity, &tls, NULL) < 0)
        return;
    tls->judge = judge;
    tls->judge_arg = door;
    struct half *half = calloc(1, sizeof(*half));
    if (!half) {
        tls_free(tls);
        return;
    }
    half->door = door;
    half->tls = tls;
    half->deadline_ms = time_now_ms() + (int64_t)door->handshake_ms;
    list_append(&door->half, &half->link);
    door->n_half++;
    if (sd_event_add_io(door->server->loop, &half->io, fd, EPOLLIN, on_step,
                        half) < 0)
        tls_free(half_end(half));
    else if (door->n_half == 1)
        watch(door, half);
}

/* A word in plain text would be none to it. */
static void turn_away(void *arg, int fd)
{
    (void)arg;
    (void)fd;
}

void tls_door_free(struct tls_door *door)
{
    if (!door)
        return;
    list_for_each_safe (item, next, &door->half) {
        tls_free(half_end(container_of(item, struct half, link)));
    }
    (void)sd_event_source_disable_unref(door->deadline);
    (void)sd_event_source_disable_unref(door->review);
    acceptor_deinit(&door->acceptor);
    tls_identity_unref(door->identity);
    free(door->roles);
    free(door);
}

static void review_one(struct tls_door *door, struct rpc_conn *conn)
{
    struct tls *tls = container_of(conn->transport, struct tls, transport);
    conn->suspect = false;
    if (conn->dead)
        return;
    if (judge(tls, door) < 0)
        conn_cut_off(conn, &tls->refusal);
    conn->role = tls->role;
    conn_wake(conn);
}

static int on_review(sd_event_source *source, uint64_t usec, void *arg)
{
    struct tls_door *door = arg;
    unsigned n = 0;
    (void)usec;
    list_for_each (item, &door->server->conns) {
        struct rpc_conn *conn = container_of(item, struct rpc_conn, link);
        if (!conn->suspect)
            continue;
        if (n++ == REVIEWS_MAX) {
            (void)sd_event_source_set_time_relative(source, REVIEW_PAUSE_US);
            (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
            break;
        }
        review_one(door, conn);
    }
    return 0;
}

static struct tls_door *door_new(struct rpc_server *server, const char *roles)
{
    struct tls_door *door = calloc(1, sizeof(*door));
    if (!door)
        return NULL;
    list_init(&door->half);
    door->server = server;
    door->handshake_ms = (uint64_t)RPC_TLS_HANDSHAKE_S * 1000;
    door->acceptor = (struct acceptor){
        .fd = -1,
        .spare_fd = -1,
        .request_us = (uint64_t)RPC_TLS_REQUEST_S * 1000 * 1000,
        .welcome = welcome,
        .turn_away = turn_away,
        .arg = door,
    };
    door->roles = str_printf("%s", roles);
    if (door->roles)
        return door;
    free(door);
    return NULL;
}

/* Not running yet. */
static int add_timer(sd_event *loop, sd_event_source **ret_source,
                     uint64_t accuracy_us, sd_event_time_handler_t handler,
                     struct tls_door *door)
{
    int r = sd_event_add_time(loop, ret_source, CLOCK_MONOTONIC, UINT64_MAX,
                              accuracy_us, handler, door);
    return r < 0 ? r : sd_event_source_set_enabled(*ret_source, SD_EVENT_OFF);
}

static int door_open(struct tls_door *door, int fd, struct err *err)
{
    sd_event *loop = door->server->loop;
    int r = add_timer(loop, &door->deadline, DEADLINE_ACCURACY_US, on_deadline,
                      door);
    if (r >= 0)
        r = add_timer(loop, &door->review, 1, on_review, door);
    if (r >= 0)
        r = acceptor_init(&door->acceptor, loop, fd);
    return r < 0 ? err_set(err, r, "cannot serve TLS: %s", strerrordesc_np(-r))
                 : 0;
}

int rpc_tls_open(struct rpc_server *server, int fd,
                 const struct rpc_tls_options *options, struct err *err)
{
    struct tls_door *door = door_new(server, options->roles);
    if (!door)
        return err_set(err, -ENOMEM, "no memory for TLS");
    int r = tls_identity_load(&options->files, &door->identity, err);
    if (r == 0)
        r = door_open(door, fd, err);
    if (r < 0) {
        tls_door_free(door);
        return r;
    }
    server->tls = door;
    return 0;
}

/* Those who are in, by the new rules: soon, but not all at once, for each takes
 * its fraction of a millisecond of everybody's time. */
static void suspect_all(struct tls_door *door)
{
    list_for_each (item, &door->server->conns) {
        struct rpc_conn *conn = container_of(item, struct rpc_conn, link);
        conn->suspect = conn->door == &door->acceptor;
    }
    (void)sd_event_source_set_time(door->review, 0);
    (void)sd_event_source_set_enabled(door->review, SD_EVENT_ONESHOT);
}

int rpc_tls_reload(struct rpc_server *server,
                   const struct rpc_tls_options *options, struct err *err)
{
    struct tls_door *door = server->tls;
    struct tls_identity *identity = NULL;
    char *roles = str_printf("%s", options->roles);
    if (!roles)
        return err_set(err, -ENOMEM, "no memory for roles");
    int r = tls_identity_load(&options->files, &identity, err);
    if (r < 0) {
        free(roles);
        return r;
    }
    tls_identity_unref(door->identity);
    free(door->roles);
    door->identity = identity;
    door->roles = roles;
    suspect_all(door);
    return 0;
}

const char *rpc_tls_describe(const struct rpc_server *server,
                             char text[RPC_TLS_TEXT_SIZE])
{
    tls_identity_describe(server->tls->identity, text);
    return text;
}
