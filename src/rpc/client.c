/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl's end of the socket: one call at a time, blocking. The server is ours
 * and answers one line per request; an answer with another id belongs to a call
 * that was given up (a signal came) and is dropped, as are notifications.
 */
#include "client.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

struct rpc_client {
    struct transport *transport;
    int32_t next_id;
    int patience_s;      /* 0: for ever */
    int64_t deadline_ms; /* of the call that is under way */
    char *bytes;         /* received, not yet a whole line */
    size_t len, size;
};

static int explain_connect(const char *path, int errnum, struct err *err)
{
    (void)err_set(err, -errnum, "cannot reach drayd at %s: %s", path,
                  strerrordesc_np(errnum));
    if (errnum == EACCES || errnum == EPERM)
        return err_next(err, "run as root, or as a member of the group in "
                             "drayd.conf (full_group)");
    return err_next(err, "start it: systemctl start drayd");
}

int client_new(struct transport *transport, struct rpc_client **ret_client,
               struct err *err)
{
    struct rpc_client *client = calloc(1, sizeof(*client));
    if (!transport || !client) {
        if (transport)
            transport->ops->close(transport);
        free(client);
        return err_set(err, -ENOMEM, "no memory for a connection");
    }
    client->transport = transport;
    client->next_id = 1;
    *ret_client = client;
    return 0;
}

int rpc_client_connect(const char *path, struct rpc_client **ret_client,
                       struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
        return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);

    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %m");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return explain_connect(path, errno, err);
    return client_new(transport_socket(TAKE_FD(fd), path), ret_client, err);
}

void rpc_client_free(struct rpc_client *client)
{
    if (!client)
        return;
    client->transport->ops->close(client->transport);
    free(client->bytes);
    free(client);
}

void rpc_client_set_patience(struct rpc_client *client, int seconds)
{
    const struct timeval look = { .tv_sec = 1 };
    int fd = client->transport->fd;

    client->patience_s = seconds;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &look, sizeof(look));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look));
}

static int check_patience(const struct rpc_client *client, struct err *err)
{
    if (client->patience_s == 0 || time_now_ms() < client->deadline_ms)
        return 0;
    return err_set_code(err, ERR_NOT_RESPONDING, "%s: no answer for %d s",
                        client->transport->peer, client->patience_s);
}

/* The transport may know better why. */
static int lost(const struct rpc_client *client, struct err *err, int r)
{
    if (err && err->rc)
        return err_wrap(err, "%s", client->transport->peer);
    (void)err_set(err, r, "drayd closed the connection");
    return err_next(err, "look at its log: journalctl -u drayd");
}

static int send_all(const struct rpc_client *client, const char *bytes,
                    size_t n, struct err *err)
{
    struct transport *transport = client->transport;

    while (n > 0) {
        ssize_t sent = transport->ops->write(transport, bytes, n, err);
        if (sent == -EINTR || sent == -EAGAIN) {
            if (check_patience(client, err) < 0)
                return err->rc;
            continue; /* half a request must not stay behind */
        }
        if (sent == -EPIPE || sent == -ECONNRESET)
            return 0; /* it stopped reading: its reason is to be received */
        if (sent < 0)
            return lost(client, err, (int)sent);
        bytes += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static int send_request(struct rpc_client *client, int32_t id,
                        const char *method, struct json_object *params,
                        struct err *err)
{
    struct json_object *request = json_object_new_object();
    int r = -ENOMEM;

    if (request) {
        (void)json_object_object_add(request, "jsonrpc",
                                     json_object_new_string("2.0"));
        (void)json_object_object_add(request, "id", json_object_new_int(id));
        (void)json_object_object_add(request, "method",
                                     json_object_new_string(method));
        if (params)
            (void)json_object_object_add(request, "params",
                                         json_object_get(params));
        const char *text =
            json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
        _cleanup_free_ char *line = text ? str_printf("%s\n", text) : NULL;
        if (line)
            r = send_all(client, line, strlen(line), err);
    }
    json_object_put(request);
    return r == -ENOMEM ? err_set(err, r, "no memory for the request") : r;
}

static int receive(struct rpc_client *client, struct err *err)
{
    if (client->size - client->len < 4096) {
        size_t size = client->size ? client->size * 2 : 16384;
        char *bytes = realloc(client->bytes, size);
        if (!bytes)
            return err_set(err, -ENOMEM, "no memory for the answer");
        client->bytes = bytes;
        client->size = size;
    }
    ssize_t n = client->transport->ops->read(client->transport,
                                             client->bytes + client->len,
                                             client->size - client->len, err);
    if (n == -EINTR)
        return err_set(err, -EINTR, "interrupted");
    if (n < 0 && n != -EAGAIN) /* that was no data: what TLS says to TLS */
        return lost(client, err, (int)n);
    if (n == 0)
        return lost(client, err, -ECONNRESET);
    client->len += n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : check_patience(client, err);
}

/* The next line as JSON; waits for it. */
static int receive_value(struct rpc_client *client,
                         struct json_object **ret_value, struct err *err)
{
    size_t looked = 0;
    char *end;

    while (!(end = client->len > looked ? memchr(client->bytes + looked, '\n',
                                                 client->len - looked)
                                        : NULL)) {
        looked = client->len;
        int r = receive(client, err);
        if (r < 0)
            return r;
    }
    *end = '\0';
    *ret_value = json_tokener_parse(client->bytes);
    size_t used = (size_t)(end - client->bytes) + 1;
    memmove(client->bytes, client->bytes + used, client->len - used);
    client->len -= used;
    return *ret_value ? 0 : err_set(err, -EBADMSG, "drayd's answer is no JSON");
}

/* An error without id answers the only request there is. */
static bool is_answer_to(struct json_object *answer, int32_t id)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(answer, "id", &member))
        return false;
    return !member || json_object_get_int(member) == id;
}

static int unpack(struct json_object *answer, struct json_object **ret_result,
                  struct err *err)
{
    struct json_object *member = NULL;
    if (json_object_object_get_ex(answer, "error", &member)) {
        *ret_result = json_object_get(member);
        return RPC_CLIENT_ERROR;
    }
    if (json_object_object_get_ex(answer, "result", &member)) {
        *ret_result = json_object_get(member);
        return 0;
    }
    return err_set(err, -EBADMSG, "drayd's answer has no result");
}

static int await_answer(struct rpc_client *client, int32_t id,
                        struct json_object **ret_result, struct err *err)
{
    for (;;) {
        struct json_object *answer = NULL;
        int r = receive_value(client, &answer, err);
        if (r < 0)
            return r;
        if (is_answer_to(answer, id)) {
            r = unpack(answer, ret_result, err);
            json_object_put(answer);
            return r;
        }
        json_object_put(answer);
    }
}

int rpc_client_call(struct rpc_client *client, const char *method,
                    struct json_object *params, struct json_object **ret_result,
                    struct err *err)
{
    int32_t id = client->next_id;
    client->next_id = id == INT32_MAX ? 1 : id + 1;
    client->deadline_ms = time_now_ms() + client->patience_s * INT64_C(1000);
    int r = send_request(client, id, method, params, err);
    json_object_put(params);
    if (r < 0)
        return r;
    return await_answer(client, id, ret_result, err);
}
