/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See harness.h.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Not must(): what it checks has side effects. */
static void must(bool ok)
{
    if (!ok)
        abort();
}

static struct json_object *big_string(struct json_object *params)
{
    int n = json_object_get_int(json_object_array_get_idx(params, 0));
    char *text = malloc((size_t)n);
    must(text);
    memset(text, 'x', (size_t)n);
    struct json_object *string = json_object_new_string_len(text, n);
    free(text);
    return string;
}

static void on_request(void *arg, struct rpc_call *call, const char *method,
                       struct json_object *params)
{
    struct harness *h = arg;
    struct err err = ERR_INIT;

    h->calls++;
    h->last_conn = rpc_call_conn(call);
    if (str_equal(method, "hold")) {
        must(h->n_held < HARNESS_HELD_MAX);
        h->held[h->n_held++] = call;
    } else if (str_equal(method, "echo")) {
        rpc_reply(call, json_object_get(params));
    } else if (str_equal(method, "big")) {
        rpc_reply(call, big_string(params));
    } else {
        (void)err_set_code(&err, ERR_METHOD, "no such method");
        rpc_fail(call, &err, "dispatch", NULL);
    }
}

static void on_closed(void *arg, struct rpc_conn *conn)
{
    struct harness *h = arg;
    (void)conn;
    h->closed++;
}

int harness_setup(void **state)
{
    struct harness *h = calloc(1, sizeof(*h));
    must(h);
    const struct rpc_access access = { .full_gid = (gid_t)-1,
                                       .read_gid = (gid_t)-1 };
    const struct rpc_handler handler = { h, on_request, on_closed };
    struct err err = ERR_INIT;
    int fd = -1;

    strcpy(h->dir, "/tmp/drayd-test-rpc-XXXXXX");
    must(mkdtemp(h->dir));
    (void)str_format(h->path, sizeof(h->path), "%s/socket", h->dir);
    must(sd_event_new(&h->loop) >= 0);
    must(rpc_listen(h->path, (gid_t)-1, &fd, &err) == 0);
    must(rpc_server_new(h->loop, fd, &access, &handler, &h->server, &err) == 0);
    *state = h;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *h = *state;
    rpc_server_free(h->server);
    harness_release(h); /* detached by now: dropped */
    sd_event_unref(h->loop);
    (void)unlink(h->path);
    (void)rmdir(h->dir);
    free(h);
    return 0;
}

int harness_connect(const struct harness *h)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)str_copy(address.sun_path, sizeof(address.sun_path), h->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

void harness_run(struct harness *h)
{
    while (sd_event_run(h->loop, 0) > 0)
        ;
}

void harness_run_for(struct harness *h, int ms)
{
    int64_t end = time_now_ms() + ms;
    for (int64_t left = ms; left > 0; left = end - time_now_ms())
        (void)sd_event_run(h->loop, (uint64_t)left * 1000);
}

void harness_release(struct harness *h)
{
    for (size_t i = 0; i < h->n_held; i++)
        rpc_reply(h->held[i], NULL);
    h->n_held = 0;
}

bool harness_send(struct harness *h, int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
        harness_run(h);
    }
    return true;
}

char *harness_receive(struct harness *h, int fd, bool *ret_eof)
{
    size_t len = 0, size = 4096;
    char *text = malloc(size);
    ssize_t n = -1;

    must(text);
    do {
        if (size - len < 4096) {
            size *= 2;
            text = realloc(text, size);
            must(text);
        }
        harness_run(h);
        n = recv(fd, text + len, size - len - 1, 0);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    if (ret_eof)
        *ret_eof = n == 0 || errno != EAGAIN;
    text[len] = '\0';
    return text;
}

char *harness_talk(struct harness *h, const char *request)
{
    int fd = harness_connect(h);
    (void)harness_send(h, fd, request, strlen(request));
    char *answer = harness_receive(h, fd, NULL);
    close(fd);
    harness_run(h);
    return answer;
}

int harness_code(const char *answer)
{
    struct json_object *value = json_tokener_parse(answer);
    struct json_object *error = NULL, *code = NULL;
    int n = 0;
    if (json_object_is_type(value, json_type_object) &&
        json_object_object_get_ex(value, "error", &error) &&
        json_object_object_get_ex(error, "code", &code))
        n = json_object_get_int(code);
    json_object_put(value);
    return n;
}
