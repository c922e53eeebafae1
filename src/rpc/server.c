/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The server and its unix socket. A client that cannot be served (too many, no
 * descriptor left) is told so and closed at once.
 */
#include "conn.h"
#include "envelope.h"
#include "tls.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* One line; NULL: no memory. */
static char *refusal(const char *why)
{
    struct err err = ERR_INIT;
    (void)err_set(&err, -EAGAIN, "%s", why);
    (void)err_next(&err, "try again when other clients have gone");
    struct json_object *answer = envelope_error(NULL, &err, "connect", NULL);
    const char *text =
        json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);
    char *line = text ? str_printf("%s\n", text) : NULL;
    json_object_put(answer);
    return line;
}

/* Best effort, here and below: the line fits into any fresh socket's buffer. */
static void turn_away(void *arg, int fd)
{
    (void)arg;
    _cleanup_free_ char *line = refusal("drayd has no file descriptor left");
    if (line)
        (void)send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void server_admit(struct rpc_server *server, struct acceptor *door,
                  struct transport *transport, enum rpc_role role)
{
    if (door->n_clients < RPC_CLIENTS_MAX) {
        (void)conn_new(server, door, transport, role); /* closed if it fails */
        return;
    }
    _cleanup_free_ char *line =
        refusal("drayd serves as many clients as it can");
    if (line)
        (void)transport->ops->write(transport, line, strlen(line), NULL);
    transport->ops->close(transport);
}

static void welcome(void *arg, int fd)
{
    struct rpc_server *server = arg;
    char peer[TRANSPORT_PEER_SIZE];
    enum rpc_role role = peer_role(fd, &server->access, peer, sizeof(peer));
    struct transport *transport = transport_socket(fd, peer);
    if (transport)
        server_admit(server, &server->acceptor, transport, role);
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

int rpc_server_new(struct sd_event *loop, int fd,
                   const struct rpc_access *access,
                   const struct rpc_handler *handler,
                   struct rpc_server **ret_server, struct err *err)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return err_set(err, -ENOMEM, "no memory for the server");
    *server = (struct rpc_server){
        .loop = sd_event_ref(loop),
        .access = *access,
        .handler = *handler,
        .turn_fd = -1,
        .acceptor = {.fd = -1,
                     .spare_fd = -1,
                     .welcome = welcome,
                     .turn_away = turn_away,
                     .arg = server},
    };
    list_init(&server->conns);
    list_init(&server->turns);

    int r = add_turns(server);
    if (r >= 0)
        r = acceptor_init(&server->acceptor, loop, fd);
    if (r < 0) {
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
    tls_door_free(server->tls);
    acceptor_deinit(&server->acceptor);
    (void)sd_event_source_disable_unref(server->turn);
    sd_event_unref(server->loop);
    if (server->turn_fd >= 0)
        (void)close(server->turn_fd); /* eventfd */
    free(server);
}
