/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The transport that is none: bytes of a unix socket as they are.
 */
#include "transport.h"

#include <dray/base/util.h>
#include <errno.h>
#include <sys/socket.h>

static ssize_t socket_read(struct transport *transport, void *bytes, size_t n,
                           struct err *err)
{
    (void)err; /* whoever breaks a unix socket has gone */
    ssize_t got = recv(transport->fd, bytes, n, 0);
    return got < 0 ? -errno : got;
}

/* send() instead of write(): no SIGPIPE when the peer has gone. */
static ssize_t socket_write(struct transport *transport, const void *bytes,
                            size_t n, struct err *err)
{
    (void)err;
    ssize_t sent = send(transport->fd, bytes, n, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static bool socket_is_partial(const struct transport *transport)
{
    (void)transport;
    return false;
}

static void socket_close(struct transport *transport)
{
    transport_close_fd(transport->fd);
    free(transport);
}

struct transport *transport_socket(int fd, const char *peer)
{
    static const struct transport_ops ops = {
        .read = socket_read,
        .write = socket_write,
        .is_partial = socket_is_partial,
        .close = socket_close,
    };
    struct transport *transport = calloc(1, sizeof(*transport));
    if (!transport) {
        (void)close(fd); /* nothing was said on it */
        return NULL;
    }
    transport->ops = &ops;
    transport->fd = fd;
    (void)str_copy(transport->peer, sizeof(transport->peer), peer);
    return transport;
}

/* What the peer has sent and we will not read would turn our end into a
 * connection reset, which hides the last answer from some clients. The peer
 * cannot send more after the shutdown, so this ends. */
void transport_close_fd(int fd)
{
    char rest[4096];
    (void)shutdown(fd, SHUT_RDWR); /* fails when the peer went first */
    while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
        ;
    (void)close(fd); /* nothing to lose */
}
