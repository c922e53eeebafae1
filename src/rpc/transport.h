/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How bytes get to the other end of one connection: over a plain socket, or
 * over TLS. Whoever makes a transport hands it over to the connection.
 */
#ifndef DRAY_RPC_TRANSPORT_H
#define DRAY_RPC_TRANSPORT_H

#include <dray/base/err.h>
#include <stdbool.h>
#include <sys/types.h>

struct transport;

struct transport_ops {
    /* Bytes; 0: the peer sends no more; -EAGAIN: none now; -EINTR: a signal
     * came; any other negative errno: the connection is broken, and *err says
     * how unless the peer has simply gone. */
    ssize_t (*read)(struct transport *transport, void *bytes, size_t n,
                    struct err *err);
    /* The same; after -EAGAIN the next call begins with the same bytes. */
    ssize_t (*write)(struct transport *transport, const void *bytes, size_t n,
                     struct err *err);
    /* Part of something has come that gives no byte before all of it is here.
     */
    bool (*is_partial)(const struct transport *transport);
    /* Frees it as well. */
    void (*close)(struct transport *transport);
};

enum {
    TRANSPORT_PEER_SIZE = 320 /* a DNS name, an address, a port */
};

struct transport {
    const struct transport_ops *ops;
    int fd;                         /* to wait for */
    char peer[TRANSPORT_PEER_SIZE]; /* who it is, for the log */
};

/* Takes @fd over, also when it fails (NULL: no memory). Waits only when @fd
 * does. */
struct transport *transport_socket(int fd, const char *peer);

/* Closes a socket whose other end may still have something to say or read. */
void transport_close_fd(int fd);

#endif
