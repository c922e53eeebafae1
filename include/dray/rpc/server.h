/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON-RPC 2.0 over a unix stream socket (and TLS, tls.h), on the owner loop.
 * Values follow one another with or without white space or line breaks between
 * or inside them; each answer is one line. This room knows envelopes, not
 * verbs.
 *
 * A client can only harm itself. A request over RPC_REQUEST_MAX, or a backlog
 * of unread answers over RPC_BACKLOG_MAX, ends its connection; who lets half of
 * that pile up is not read until it takes some, and ends after 5 s without.
 * JSON that does not parse or nests deeper than RPC_DEPTH_MAX is answered with
 * -32700 and skipped up to the next line break.
 *
 * After a half-close (shutdown(SHUT_WR)) open calls are still answered; the
 * connection, and with it a subscription, ends with the last of them.
 */
#ifndef DRAY_RPC_SERVER_H
#define DRAY_RPC_SERVER_H

#include <dray/base/err.h>
#include <stdbool.h>
#include <sys/types.h>

struct json_object;
struct sd_event;
struct rpc_call;
struct rpc_conn;
struct rpc_server;

enum {
    RPC_REQUEST_MAX = 256 * 1024, /* bytes of one value */
    RPC_DEPTH_MAX = 32,
    RPC_BACKLOG_MAX = 1024 * 1024, /* bytes queued to one client */
    RPC_BATCH_MAX = 64,            /* requests in one batch */
    RPC_CALLS_MAX = 128,           /* unanswered calls of one client; then it
                                      is not read until some are answered */
    RPC_CLIENTS_MAX = 512,         /* 256 promised; the rest is head-room */
};

enum rpc_role {
    RPC_ROLE_NONE,
    RPC_ROLE_READ,
    RPC_ROLE_FULL
};

struct rpc_access {
    gid_t full_gid; /* (gid_t)-1: none; root always has the full role */
    gid_t read_gid;
};

/* One request or notification. @params: object, array or NULL; valid until
 * the call is answered. Answer now or later with rpc_reply() or rpc_fail(),
 * once; for notifications too (nothing is sent then). */
typedef void (*rpc_request_fn)(void *arg, struct rpc_call *call,
                               const char *method, struct json_object *params);
/* The connection is going away: forget it. */
typedef void (*rpc_closed_fn)(void *arg, struct rpc_conn *conn);

struct rpc_handler {
    void *arg;
    rpc_request_fn request;
    rpc_closed_fn closed;
};

/* Listens on @fd (a bound, listening unix socket; taken over). */
int rpc_server_new(struct sd_event *loop, int fd,
                   const struct rpc_access *access,
                   const struct rpc_handler *handler,
                   struct rpc_server **ret_server, struct err *err);
/* Closes all connections, also over TLS; calls still open may be answered (and
 * dropped). */
void rpc_server_free(struct rpc_server *server);

/* Binds and listens: directory made (0755), a dead socket file replaced, a
 * live one refused. Mode 0660, group @gid when not -1. */
int rpc_listen(const char *path, gid_t gid, int *ret_fd, struct err *err);

struct rpc_conn *rpc_call_conn(const struct rpc_call *call);
enum rpc_role rpc_conn_role(const struct rpc_conn *conn);
/* All that its server has; NULL: 0. */
size_t rpc_conn_count(const struct rpc_conn *conn);
/* Its role is too small for @what: logs that, once per connection. */
void rpc_conn_denied(struct rpc_conn *conn, const char *what);

/* Both consume the call; rpc_reply() also takes over @result (NULL: true). */
void rpc_reply(struct rpc_call *call, struct json_object *result);
/* error {code, message, data {cause, phase, next}}; data.phase from @phase
 * (may be NULL). @extra (may be NULL) is merged into data and taken over. */
void rpc_fail(struct rpc_call *call, const struct err *err, const char *phase,
              struct json_object *extra);

/* A JSON-RPC notification to one client; @params taken over. */
void rpc_notify(struct rpc_conn *conn, const char *method,
                struct json_object *params);

#endif
