/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: server, connection, call.
 */
#ifndef DRAY_RPC_CONN_H
#define DRAY_RPC_CONN_H

#include "frame.h"
#include "outbox.h"

#include <dray/base/list.h>
#include <dray/rpc/server.h>
#include <systemd/sd-event.h>

enum {
    CONN_CHUNK = 16 * 1024
}; /* read at once */

struct rpc_server {
    sd_event *loop;
    int fd;
    int spare_fd; /* given up for a moment to refuse a client when all
                     descriptors are used */
    sd_event_source *source;
    sd_event_source *pause; /* ends a pause in accepting */
    struct rpc_access access;
    struct rpc_handler handler;
    struct list conns;
    size_t n_conns;
    struct list turns; /* connections with something left to do */
    int turn_fd;       /* eventfd, readable while that list is not empty */
    sd_event_source *turn;
};

struct rpc_conn {
    struct list link;
    struct list turn_link;
    struct rpc_server *server;
    int fd;
    enum rpc_role role;
    sd_event_source *io;
    sd_event_source *stall; /* the peer takes nothing for too long */
    struct frame frame;
    char in[CONN_CHUNK];
    size_t in_begin, in_end;
    struct outbox out;
    struct list calls; /* not answered yet */
    size_t n_calls;
    bool eof;     /* the peer sends no more */
    bool ended;   /* the frame was told so */
    bool hup;     /* the peer is gone: no answer reaches it */
    bool closing; /* reads no more; ends when all is sent */
    bool dead;    /* ends at its next turn */
};

/* conn.c */
int conn_new(struct rpc_server *server, int fd, enum rpc_role role);
/* Tells the handler, lets go of open calls. */
void conn_free(struct rpc_conn *conn);
/* Puts one line into the outbox (@value is taken over, NULL: no memory) and
 * has it sent. A client that cannot be answered is cut off. */
void conn_send(struct rpc_conn *conn, struct json_object *value);
/* Has it look at its input, output and end soon. */
void conn_wake(struct rpc_conn *conn);
/* Gives each connection that was woken one turn. */
void conn_turns(struct rpc_server *server);

/* call.c */
/* Starts the calls in one JSON value, which is taken over. */
void call_dispatch(struct rpc_conn *conn, struct json_object *value);
/* The connection goes: the calls live on until they are answered. */
void call_detach_all(struct rpc_conn *conn);

/* peer.c */
enum rpc_role peer_role(int fd, const struct rpc_access *access);

#endif
