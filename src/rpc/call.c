/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One call = one request or notification, from its envelope to its answer.
 * The answers of a batch are collected and leave as one array when the last of
 * them is there.
 *
 * A call outlives its connection when its verb is slow: it is detached then,
 * and its answer is dropped.
 */
#include "conn.h"
#include "envelope.h"

#include <dray/base/util.h>
#include <json-c/json.h>

struct rpc_batch {
    size_t pending;              /* members not answered, + 1 while starting */
    struct json_object *answers; /* array; empty: nothing is sent */
};

struct rpc_call {
    struct list link;      /* in conn->calls */
    struct rpc_conn *conn; /* NULL: detached */
    struct rpc_batch *batch;
    struct json_object *request; /* keeps id, method and params alive */
    struct json_object *id;      /* borrowed from it */
    bool notification;
};

static void batch_put(struct rpc_conn *conn, struct rpc_batch *batch)
{
    if (--batch->pending > 0)
        return;
    if (conn && json_object_array_length(batch->answers) > 0)
        conn_send(conn, json_object_get(batch->answers));
    json_object_put(batch->answers);
    free(batch);
}

/* @answer is taken over. */
static void deliver(struct rpc_conn *conn, struct rpc_batch *batch,
                    struct json_object *answer)
{
    if (!conn) {
        json_object_put(answer);
    } else if (!batch || !answer) {
        conn_send(conn, answer);
    } else if (json_object_array_add(batch->answers, answer) < 0) {
        json_object_put(answer);
        conn_send(conn, NULL);
    }
}

/* Consumes both. */
static void call_end(struct rpc_call *call, struct json_object *answer)
{
    struct rpc_conn *conn = call->conn;
    struct rpc_batch *batch = call->batch;

    if (call->notification)
        json_object_put(answer);
    else
        deliver(conn, batch, answer);
    if (batch)
        batch_put(conn, batch);
    if (conn) {
        list_remove(&call->link);
        conn->n_calls--;
        conn_wake(conn);
    }
    json_object_put(call->request);
    free(call);
}

static struct rpc_call *call_new(struct rpc_conn *conn, struct rpc_batch *batch,
                                 struct json_object *request,
                                 const struct envelope *envelope)
{
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->conn = conn;
    call->batch = batch;
    call->request = json_object_get(request);
    call->id = envelope->id;
    call->notification = !envelope->has_id;
    list_append(&conn->calls, &call->link);
    conn->n_calls++;
    if (batch)
        batch->pending++;
    return call;
}

/* @request is borrowed. */
static void start(struct rpc_conn *conn, struct rpc_batch *batch,
                  struct json_object *request)
{
    struct envelope envelope;
    struct err err = ERR_INIT;

    if (envelope_read(request, &envelope, &err) < 0) {
        deliver(conn, batch,
                envelope_error(envelope.id, &err, "request", NULL));
        return;
    }
    struct rpc_call *call = call_new(conn, batch, request, &envelope);
    if (!call) {
        conn_send(conn, NULL);
        return;
    }
    if (conn->role == RPC_ROLE_NONE) {
        rpc_conn_denied(conn, "anything");
        (void)err_set_code(&err, ERR_ACCESS, "this user may not use drayd");
        (void)err_next(&err, "ask the administrator for membership in the "
                             "groups named in drayd.conf, or be root");
        rpc_fail(call, &err, "access", NULL);
        return;
    }
    conn->server->handler.request(conn->server->handler.arg, call,
                                  envelope.method, envelope.params);
}

static void refuse(struct rpc_conn *conn, const char *why)
{
    struct err err = ERR_INIT;
    (void)err_set_code(&err, ERR_REQUEST, "%s", why);
    (void)err_next(&err, "send 1 to %d requests in one batch", RPC_BATCH_MAX);
    conn_send(conn, envelope_error(NULL, &err, "request", NULL));
}

static void start_batch(struct rpc_conn *conn, struct json_object *requests)
{
    size_t n = json_object_array_length(requests);
    if (n == 0 || n > RPC_BATCH_MAX) {
        refuse(conn, n == 0 ? "the batch is empty"
                            : "the batch has more than 64 requests");
        return;
    }
    struct rpc_batch *batch = calloc(1, sizeof(*batch));
    struct json_object *answers = json_object_new_array();
    if (!batch || !answers) {
        free(batch);
        json_object_put(answers);
        conn_send(conn, NULL);
        return;
    }
    *batch = (struct rpc_batch){ .pending = 1, .answers = answers };
    for (size_t i = 0; i < n; i++)
        start(conn, batch, json_object_array_get_idx(requests, i));
    batch_put(conn, batch);
}

void call_dispatch(struct rpc_conn *conn, struct json_object *value)
{
    if (json_object_is_type(value, json_type_array))
        start_batch(conn, value);
    else
        start(conn, NULL, value);
    json_object_put(value);
}

void call_detach_all(struct rpc_conn *conn)
{
    list_for_each_safe (item, next, &conn->calls) {
        struct rpc_call *call = container_of(item, struct rpc_call, link);
        list_remove(&call->link);
        call->conn = NULL;
    }
    conn->n_calls = 0;
}

struct rpc_conn *rpc_call_conn(const struct rpc_call *call)
{
    return call->conn;
}

void rpc_reply(struct rpc_call *call, struct json_object *result)
{
    struct json_object *answer = NULL;
    if (call->conn && !call->notification)
        answer = envelope_result(call->id, result);
    else
        json_object_put(result);
    call_end(call, answer);
}

void rpc_fail(struct rpc_call *call, const struct err *err, const char *phase,
              struct json_object *extra)
{
    struct json_object *answer = NULL;
    if (call->conn && !call->notification)
        answer = envelope_error(call->id, err, phase, extra);
    json_object_put(extra);
    call_end(call, answer);
}

void rpc_notify(struct rpc_conn *conn, const char *method,
                struct json_object *params)
{
    conn_send(conn, envelope_notification(method, params));
}
