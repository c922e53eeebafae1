/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See harness.h.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
/* last: needs those above */
#include <cmocka.h>

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void start_server(struct harness *h)
{
    const struct rpc_access access = { .full_gid = (gid_t)-1,
                                       .read_gid = (gid_t)-1 };
    const struct rpc_handler handler = api_handler(h->api);
    struct err err = ERR_INIT;
    int fd = -1;

    (void)str_copy(h->dir, sizeof(h->dir), "/tmp/drayd-test-api-XXXXXX");
    must(mkdtemp(h->dir));
    (void)str_format(h->path, sizeof(h->path), "%s/socket", h->dir);
    must(rpc_listen(h->path, (gid_t)-1, &fd, &err) == 0);
    must(rpc_server_new(h->loop, fd, &access, &handler, &h->server, &err) == 0);
}

struct harness *harness_new(void)
{
    return harness_new_watched(NULL);
}

static int find_no_job(void *ctx, const char *job_id,
                       struct xlease_found *ret_found, struct err *err)
{
    (void)ctx, (void)ret_found;
    return err_set_code(err, ERR_NO_JOB, "no job has the id %s", job_id);
}

static int no_volume(struct err *err)
{
    return err_set_code(err, ERR_STORAGE, "there is no volume of leases");
}

static int make_none(void *ctx, const struct xlease_id *id,
                     const struct xlease_job *job, struct err *err)
{
    (void)ctx, (void)id, (void)job;
    return no_volume(err);
}

static int remove_none(void *ctx, const struct xlease_id *id, struct err *err)
{
    (void)ctx, (void)id;
    return no_volume(err);
}

static int place_none(void *ctx, const struct xlease_id *id,
                      struct xlease_place *ret_place, struct err *err)
{
    (void)ctx, (void)id, (void)ret_place;
    return no_volume(err);
}

static int look_at_none(void *ctx, const struct xlease_id *id,
                        struct xlease_status *ret_status, struct err *err)
{
    (void)ctx, (void)id, (void)ret_status;
    return no_volume(err);
}

static int list_none(void *ctx, const char *sd, struct xlease_item **ret_items,
                     size_t *ret_n, struct err *err)
{
    (void)ctx, (void)sd, (void)ret_items, (void)ret_n;
    return no_volume(err);
}

static int rebuild_none(void *ctx, const char *sd, struct xlease_rebuilt *ret,
                        struct err *err)
{
    (void)ctx, (void)sd, (void)ret;
    return no_volume(err);
}

/* The fake world has no leases but those of its domains. */
static const struct xlease_ops no_leases = {
    .create = make_none,
    .remove = remove_none,
    .info = place_none,
    .status = look_at_none,
    .fence = make_none,
    .list = list_none,
    .rebuild = rebuild_none,
    .find_job = find_no_job,
};

struct harness *harness_new_watched(struct monitor *monitor)
{
    const struct api_options options = { .version = "1.2.3",
                                         .host_id = 7,
                                         .host_name = "host7",
                                         .monitor = monitor };
    struct harness *h = calloc(1, sizeof(*h));
    struct err err = ERR_INIT;

    must(h);
    world_init(&h->world, 2);
    h->world.ports.xleases.ops = &no_leases;
    must(sd_event_new(&h->loop) >= 0);
    /* One worker: the fake world knows no threads. */
    must(work_new(h->loop, 1, &h->work, &err) == 0);
    must(api_new(h->work, &h->world.ports, &options, &h->api, &err) == 0);
    must(migrate_jobs_new(h->work, &h->world.ports, api_job_changed, h->api,
                          &h->jobs, &err) == 0);
    start_server(h);
    h->fd = harness_connect(h);
    return h;
}

void harness_free(struct harness *h)
{
    close(h->fd);
    rpc_server_free(h->server);
    work_free(h->work);
    migrate_jobs_free(h->jobs);
    api_free(h->api);
    sd_event_unref(h->loop);
    (void)unlink(h->path);
    (void)rmdir(h->dir);
    free(h);
}

int harness_setup(void **state)
{
    struct harness *h = harness_new();
    api_set_ready(h->api, h->jobs);
    harness_tick(h);
    *state = h;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *h = *state;
    bool broken = h->world.violation[0];
    if (broken)
        print_error("%s\n", h->world.violation);
    harness_free(h);
    return broken;
}

void harness_check(struct json_object *answer, const char *path,
                   const char *text)
{
    if (!str_equal(harness_text(answer, path), text))
        fail_msg("%s is \"%s\", not \"%s\": %s", path,
                 harness_text(answer, path), text,
                 json_object_to_json_string(answer));
}

void harness_expect(struct harness *h, const char *method, const char *params,
                    const char *path, const char *text)
{
    struct json_object *answer = harness_call(h, method, params);
    harness_check(answer, path, text);
    json_object_put(answer);
}

static void tick_start(void *arg);

static void tick_run(void *arg)
{
    struct harness *h = arg;
    world_pass(&h->world, 40);
}

static void tick_done(void *arg)
{
    struct harness *h = arg;
    must(work_after(h->work, 2, tick_start, h, NULL) == 0);
}

static void tick_start(void *arg)
{
    struct harness *h = arg;
    must(work_submit(h->work, NULL, tick_run, tick_done, h) == 0);
}

void harness_tick(struct harness *h)
{
    tick_start(h);
}

static void change_run(void *arg)
{
    struct harness *h = arg;
    h->change(&h->world);
}

static void change_done(void *arg)
{
    struct harness *h = arg;
    h->change = NULL;
}

void harness_change(struct harness *h, void (*change)(struct fake_world *))
{
    h->change = change;
    must(work_submit(h->work, NULL, change_run, change_done, h) == 0);
    while (h->change)
        (void)sd_event_run(h->loop, 10000);
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

void harness_send(struct harness *h, int fd, const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        must(sent > 0 || errno == EAGAIN);
        if (sent > 0) {
            text += sent;
            n -= (size_t)sent;
        }
        (void)sd_event_run(h->loop, 0);
    }
}

static struct json_object *take_line(struct harness *h)
{
    char *end = memchr(h->bytes, '\n', h->len);
    if (!end)
        return NULL;
    *end = '\0';
    struct json_object *value = json_tokener_parse(h->bytes);
    size_t used = (size_t)(end - h->bytes) + 1;
    memmove(h->bytes, h->bytes + used, h->len - used);
    h->len -= used;
    must(value);
    return value;
}

/* One byte at a time, so that what follows the line stays in its socket. */
static ssize_t receive_byte(struct harness *h, int fd)
{
    must(h->len < sizeof(h->bytes));
    ssize_t n = recv(fd, h->bytes + h->len, 1, 0);
    h->len += n > 0 ? 1 : 0;
    return n;
}

struct json_object *harness_next(struct harness *h, int fd, int ms)
{
    int64_t end = time_now_ms() + ms;
    struct json_object *value = NULL;

    h->len = 0;
    for (;;) {
        ssize_t n = receive_byte(h, fd);
        if (n > 0 && (value = take_line(h)))
            return value;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return NULL;
        if (n < 0 && time_now_ms() >= end)
            return NULL;
        if (n < 0)
            (void)sd_event_run(h->loop, 5000);
    }
}

void harness_run_for(struct harness *h, int ms)
{
    int64_t end = time_now_ms() + ms;
    for (int64_t left = ms; left > 0; left = end - time_now_ms())
        (void)sd_event_run(h->loop, (uint64_t)left * 1000);
}

struct json_object *harness_call(struct harness *h, const char *method,
                                 const char *params)
{
    _cleanup_free_ char *text =
        str_printf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"%s%s}\n",
                   method, params ? ",\"params\":" : "", params ? params : "");
    must(text);
    harness_send(h, h->fd, text);
    struct json_object *answer = harness_next(h, h->fd, 10000);
    must(answer);
    return answer;
}

int harness_code(struct harness *h, const char *method, const char *params)
{
    struct json_object *answer = harness_call(h, method, params);
    int code = json_object_get_int(harness_at(answer, "error.code"));
    json_object_put(answer);
    return code;
}

char *harness_result(struct harness *h, const char *method, const char *params)
{
    struct json_object *answer = harness_call(h, method, params);
    struct json_object *result = harness_at(answer, "result");
    char *text = strdup(json_object_to_json_string_ext(
        result ? result : answer,
        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    must(text);
    json_object_put(answer);
    return text;
}

struct json_object *harness_at(struct json_object *value, const char *path)
{
    char key[64];
    while (value && *path) {
        size_t n = strcspn(path, ".");
        (void)str_format(key, sizeof(key), "%.*s", (int)n, path);
        if (!json_object_is_type(value, json_type_object) ||
            !json_object_object_get_ex(value, key, &value))
            return NULL;
        path += n + (path[n] == '.');
    }
    return value;
}

const char *harness_text(struct json_object *value, const char *path)
{
    struct json_object *member = harness_at(value, path);
    return member ? json_object_get_string(member) : "";
}
