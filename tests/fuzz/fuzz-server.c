/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A connection from its first byte to its end, over a real socket: the server
 * neither crashes nor hangs nor leaks, and all it says is whole lines of
 * UTF-8. Bits of the first byte: 1 the client reads, 2 half-closes, 4 has no
 * access.
 */
#include "../../src/rpc/conn.h"
#include "fuzz.h"

#include <dray/base/util.h>
#include <fcntl.h>
#include <sys/socket.h>

enum {
    HELD_MAX = 4096
};

static struct {
    sd_event *loop;
    struct rpc_server *server;
    struct rpc_call *held[HELD_MAX];
    size_t n_held;
} world;

/* Methods that begin with 'h' are answered later, or never. */
static void on_request(void *arg, struct rpc_call *call, const char *method,
                       struct json_object *params)
{
    struct err err = ERR_INIT;
    (void)arg;
    (void)params;
    if (method[0] == 'h' && world.n_held < HELD_MAX) {
        world.held[world.n_held++] = call;
    } else if (method[0] == 'n') {
        rpc_notify(rpc_call_conn(call), "|jobs|x", NULL);
        rpc_reply(call, NULL);
    } else {
        (void)err_set_code(&err, ERR_METHOD, "%s", method);
        rpc_fail(call, &err, NULL, NULL);
    }
}

static void release(void)
{
    while (world.n_held > 0)
        rpc_reply(world.held[--world.n_held], NULL);
}

static void setup(void)
{
    const struct rpc_access access = { (gid_t)-1, (gid_t)-1 };
    const struct rpc_handler handler = { .request = on_request };
    struct err err = ERR_INIT;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(fd >= 0 && listen(fd, 1) <= 0); /* nobody connects to it */
    MUST(sd_event_new(&world.loop) >= 0);
    /* epoll takes a socket that does not listen, too */
    MUST(rpc_server_new(world.loop, fd, &access, &handler, &world.server,
                        &err) == 0);
    /* its endless hang-up would be all that the loop sees */
    (void)sd_event_source_set_enabled(world.server->acceptor.source,
                                      SD_EVENT_OFF);
}

static void run(void)
{
    for (int i = 0; i < 100000 && sd_event_run(world.loop, 0) > 0; i++)
        MUST(i < 99999);
}

static void drain(int fd, bool *whole_lines)
{
    char buffer[8192];
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
        *whole_lines = buffer[n - 1] == '\n';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    bool whole_lines = true;

    if (size < 1)
        return 0;
    if (!world.loop)
        setup();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                    fds) == 0);
    struct transport *transport = transport_socket(fds[0], "the fuzzer");
    MUST(transport);
    MUST(conn_new(world.server, &world.server->acceptor, transport,
                  data[0] & 4 ? RPC_ROLE_NONE : RPC_ROLE_FULL) == 0);
    for (size_t at = 1; at < size;) {
        ssize_t n = send(fds[1], data + at, size - at, MSG_NOSIGNAL);
        run();
        if (data[0] & 1)
            drain(fds[1], &whole_lines);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (data[0] & 2)
        (void)shutdown(fds[1], SHUT_WR);
    run();
    release();
    run();
    if (data[0] & 1) {
        drain(fds[1], &whole_lines);
        MUST(whole_lines);
    }
    (void)close(fds[1]);
    run();
    MUST(world.server->acceptor.n_clients == 0);
    release();
    return 0;
}
