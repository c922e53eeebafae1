/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accepts clients. One that cannot be served (too many, no descriptor left) is
 * told so and closed at once, instead of hanging in the queue; a spare
 * descriptor is kept for that.
 */
#include "conn.h"
#include "envelope.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    SERVER_ACCEPTS = 16, /* in one wake-up */
    SERVER_PAUSE_US = 100 * 1000,
};

/* Best effort: the answer fits into any fresh socket's buffer. */
static void turn_away(int fd, const char *why)
{
    struct err err = ERR_INIT;
    (void)err_set(&err, -EAGAIN, "%s", why);
    (void)err_next(&err, "try again when other clients have gone");
    struct json_object *answer = envelope_error(NULL, &err, "connect", NULL);
    const char *text =
        json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);
    _cleanup_free_ char *line = text ? str_printf("%s\n", text) : NULL;
    if (line)
        (void)send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
    json_object_put(answer);
}

static int accept_one(const struct rpc_server *server)
{
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* All descriptors are used: the spare one takes the client, to refuse it. */
static void refuse_next(struct rpc_server *server)
{
    if (server->spare_fd >= 0)
        (void)close(server->spare_fd); /* /dev/null */
    _cleanup_close_ int fd = accept_one(server);
    if (fd >= 0) {
        turn_away(fd, "drayd has no file descriptor left");
        (void)close(TAKE_FD(fd)); /* frees the number for the spare one */
    }
    server->spare_fd = open_spare();
}

static void pause_accepting(struct rpc_server *server)
{
    (void)sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
    (void)sd_event_source_set_time_relative(server->pause, SERVER_PAUSE_US);
    (void)sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *arg)
{
    struct rpc_server *server = arg;
    (void)source;
    (void)usec;
    (void)sd_event_source_set_enabled(server->source, SD_EVENT_ON);
    return 0;
}

static void welcome(struct rpc_server *server, int accepted)
{
    _cleanup_close_ int fd = accepted;
    if (server->n_conns >= RPC_CLIENTS_MAX) {
        turn_away(fd, "drayd serves as many clients as it can");
        return;
    }
    /* conn_new() closes what it got, when it fails too. */
    int client = TAKE_FD(fd);
    (void)conn_new(server, client, peer_role(client, &server->access));
}

/* False: no more for now. */
static bool accept_next(struct rpc_server *server)
{
    int fd = accept_one(server);
    if (fd >= 0) {
        welcome(server, fd);
        return true;
    }
    if (fd == -EMFILE || fd == -ENFILE)
        refuse_next(server);
    /* Whatever it is, it must not make the loop spin. */
    if (fd != -EAGAIN && fd != -ECONNABORTED && fd != -EINTR)
        pause_accepting(server);
    return fd == -ECONNABORTED || fd == -EINTR;
}

static int on_accept(sd_event_source *source, int fd, uint32_t events,
                     void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    for (int i = 0; i < SERVER_ACCEPTS && accept_next(arg); i++)
        ;
    return 0;
}

static int on_turn(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    eventfd_t count;
    (void)source;
    (void)events;
    (void)eventfd_read(fd, &count); /* only takes the note down */
    conn_turns(arg);
    return 0;
}

static int add_turns(struct rpc_server *server)
{
    server->turn_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->turn_fd < 0)
        return -errno;
    return sd_event_add_io(server->loop, &server->turn, server->turn_fd,
                           EPOLLIN, on_turn, server);
}

static int add_sources(struct rpc_server *server)
{
    int r = sd_event_add_io(server->loop, &server->source, server->fd, EPOLLIN,
                            on_accept, server);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(server->loop, &server->pause,
                                   CLOCK_MONOTONIC, SERVER_PAUSE_US, 0,
                                   on_pause_end, server);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
    return r < 0 ? r : add_turns(server);
}

int rpc_server_new(struct sd_event *loop, int fd,
                   const struct rpc_access *access,
                   const struct rpc_handler *handler,
                   struct rpc_server **ret_server, struct err *err)
{
    int r;
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, -ENOMEM, "no memory for the server");
    server->loop = sd_event_ref(loop);
    server->fd = fd;
    server->spare_fd = open_spare();
    server->access = *access;
    server->handler = *handler;
    list_init(&server->conns);
    list_init(&server->turns);
    server->turn_fd = -1;

    r = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0
            ? -errno
            : add_sources(server);
    if (r < 0) {
        server->fd = -1; /* stays the caller's */
        rpc_server_free(server);
        return err_set(err, r, "cannot serve the socket: %s",
                       strerrordesc_np(-r));
    }
    *ret_server = server;
    return 0;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    list_for_each_safe (item, next, &server->conns) {
        conn_free(container_of(item, struct rpc_conn, link));
    }
    (void)sd_event_source_disable_unref(server->source);
    (void)sd_event_source_disable_unref(server->pause);
    (void)sd_event_source_disable_unref(server->turn);
    sd_event_unref(server->loop);
    if (server->fd >= 0)
        (void)close(server->fd); /* listening: nothing to lose */
    if (server->spare_fd >= 0)
        (void)close(server->spare_fd); /* /dev/null */
    if (server->turn_fd >= 0)
        (void)close(server->turn_fd); /* eventfd */
    free(server);
}
