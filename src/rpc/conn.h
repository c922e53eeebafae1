/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: server, connection, call.
 */
#ifndef DRAY_RPC_CONN_H
#define DRAY_RPC_CONN_H

#include "accept.h"
#include "frame.h"
#include "outbox.h"
#include "transport.h"

#include <dray/base/list.h>
#include <dray/rpc/server.h>
#include <systemd/sd-event.h>

enum {
    CONN_CHUNK = 16 * 1024
}; /* read at once */

struct tls_door;

struct rpc_server {
    sd_event *loop;
    struct acceptor acceptor; /* the unix socket's */
    struct tls_door *tls;     /* NULL: no TLS */
    struct rpc_access access;
    struct rpc_handler handler;
    struct list conns;
    struct list turns; /* connections with something left to do */
    int turn_fd;       /* eventfd, readable while that list is not empty */
    sd_event_source *turn;
};

struct rpc_conn {
    struct list link;
    struct list turn_link;
    struct rpc_server *server;
    struct acceptor *door; /* it came in here */
    struct transport *transport;
    enum rpc_role role;
    sd_event_source *io;
    sd_event_source *stall; /* the peer takes nothing for too long */
    sd_event_source *begun; /* a request is not complete for too long */
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
    bool denied;  /* and that is in the log */
    bool suspect; /* the door looks at it again; nothing starts till then */
};

/* server.c */
/* A connection for @transport, which is taken over; or a line that says why
 * not. */
void server_admit(struct rpc_server *server, struct acceptor *door,
                  struct transport *transport, enum rpc_role role);

/* conn.c */
/* Takes @transport over, also when it fails. */
int conn_new(struct rpc_server *server, struct acceptor *door,
             struct transport *transport, enum rpc_role role);
/* Tells the handler, lets go of open calls. */
void conn_free(struct rpc_conn *conn);
/* Ends it soon, and logs why when @err says why. */
void conn_cut_off(struct rpc_conn *conn, const struct err *err);
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
/* *ret_peer: who it is, for the log. */
enum rpc_role peer_role(int fd, const struct rpc_access *access, char *ret_peer,
                        size_t peer_size);

#endif
