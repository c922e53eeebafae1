/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-lvm's loop: one thread, one command at a time. Between two commands it
 * takes in what has arrived, so an extension waits for one command at most.
 *
 * The lease is acquired for the first request that needs it and kept while such
 * requests wait, but not for ever: another host waits for it by asking again
 * and again, so after HOLD_MS it is given back and left alone for a moment.
 * While it is busy, requests that need none go on.
 *
 * A client that holds it (a change of several steps) keeps it until it lets go,
 * or is gone: extensions of others and what needs no lease pass meanwhile.
 */
#include "serve.h"
#include "command.h"
#include "input.h"
#include "queue.h"
#include "report.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/random.h>

enum {
    HOLD_MS = 3000,        /* the lease, while more and more requests come */
    ACQUIRE_MS = 250,      /* one attempt; then a look at what has come */
    PAUSE_MIN_MS = 20,     /* of the lease, for the other hosts */
    PAUSE_SPREAD_MS = 100, /* the longest of their own pauses is 200 ms */
    REST_MS = 300,         /* after many holds: for one of them for sure */
};

struct server {
    const char *vg;
    const struct serve_backend *backend;
    struct input input;
    struct queue queue;
    bool held;
    bool hold;             /* a client's */
    int64_t held_since_ms; /* short gaps between two holds do not count */
    int64_t released_ms;
    int64_t pause_until_ms;
};

static int reply(struct server *server, const struct lvm_answer *answer)
{
    _cleanup_free_ char *text = answer_text(answer);
    return text ? input_write_line(&server->input, text) : -ENOMEM;
}

static int reply_error(struct server *server, uint64_t id,
                       const struct err *cause)
{
    struct lvm_answer answer = { .id = id, .err = *cause };
    return reply(server, &answer);
}

/* Adds the report @what to @array as LVM's JSON object. */
static int add_report(struct server *server, enum lvm_what what,
                      struct lvm_names lvs, struct json_object *array,
                      struct err *err)
{
    const struct serve_backend *backend = server->backend;
    _cleanup_free_ char *command = command_of_report(what, server->vg, lvs);
    _cleanup_free_ char *out = NULL;
    if (!command)
        return err_set(err, -ENOMEM, "dray-lvm: out of memory");
    int rc = backend->run(backend->ctx, command, &out, err);
    if (rc < 0)
        return rc;
    struct json_object *json = out ? message_parse(out, strlen(out)) : NULL;
    if (!json || json_object_array_add(array, json) < 0) {
        (void)json_object_put(json);
        return err_set(err, -EBADMSG, "%s: its report is no JSON object",
                       command);
    }
    return 0;
}

static int make_reports(struct server *server, unsigned what,
                        struct lvm_names lvs, struct json_object **ret_array,
                        struct err *err)
{
    struct json_object *array = json_object_new_array();
    int rc = array ? 0 : err_set(err, -ENOMEM, "dray-lvm: out of memory");
    for (unsigned bit = LVM_LVS; rc == 0 && bit <= LVM_PVS; bit <<= 1) {
        if (what & bit)
            rc = add_report(server, (enum lvm_what)bit, lvs, array, err);
    }
    if (rc < 0) {
        (void)json_object_put(array);
        return rc;
    }
    *ret_array = array;
    return 0;
}

/* The VG and all its LVs: an LV that is missing fails a report of it alone. */
static int look(struct server *server, struct lvm_report *report,
                struct err *err)
{
    const struct lvm_names all = { .n = 0 };
    struct json_object *array = NULL;
    int rc = make_reports(server, LVM_LVS | LVM_VG, all, &array, err);
    for (size_t i = 0; rc == 0 && i < json_object_array_length(array); i++)
        rc = report_add(report, json_object_array_get_idx(array, i), err);
    (void)json_object_put(array);
    return rc;
}

static int refresh(struct server *server, const char *lv, struct err *err)
{
    const struct serve_backend *backend = server->backend;
    _cleanup_free_ char *command = command_of_refresh(server->vg, lv);
    _cleanup_free_ char *out = NULL;
    if (!command)
        return err_set(err, -ENOMEM, "dray-lvm: out of memory");
    return backend->run(backend->ctx, command, &out, err);
}

static int no_space(const struct lvm_request *request,
                    const struct lvm_report *report, struct err *err)
{
    return err_set_code(
        err, ERR_NO_SPACE,
        "VG %s has %llu bytes free, too few for %s with %llu bytes",
        report->vg.name, (unsigned long long)report->vg.free_bytes,
        request->lvs.names[0], (unsigned long long)request->size_bytes);
}

/* The command failed with @cause; perhaps things are as they shall be: it was
 * done before by us, or by another host. Fills in the answer. */
static void judge(struct server *server, const struct lvm_request *request,
                  const struct err *cause, struct lvm_answer *answer)
{
    struct lvm_report report = { .n_lvs = 0 };
    struct err ignored = ERR_INIT;
    const struct lvm_lv *lv = NULL;
    enum verdict verdict = VERDICT_FAILED;
    if (verb_needs_lease(request->verb) && request->lvs.n > 0 &&
        look(server, &report, &ignored) == 0) {
        verdict = command_judge(request, &report);
        lv = lvm_report_lv(&report, request->lvs.names[0]);
    }
    if (verdict == VERDICT_FULL)
        (void)no_space(request, &report, &answer->err);
    else if (verdict == VERDICT_EXISTS)
        (void)err_set_code(&answer->err, ERR_VOLUME_EXISTS,
                           "VG %s has another LV %s already", server->vg,
                           request->lvs.names[0]);
    else if (verdict == VERDICT_FAILED)
        answer->err = *cause;
    else if (verdict == VERDICT_REFRESH)
        (void)refresh(server, request->lvs.names[0], &answer->err);
    if (lv)
        answer->size_bytes = lv->size_bytes;
    lvm_report_deinit(&report);
}

static void run_command(struct server *server,
                        const struct lvm_request *request,
                        struct lvm_answer *answer)
{
    const struct serve_backend *backend = server->backend;
    _cleanup_free_ char *command = command_of(request, server->vg);
    _cleanup_free_ char *out = NULL;
    struct err cause = ERR_INIT;
    if (!command) {
        (void)err_set(&answer->err, -ENOMEM, "dray-lvm: out of memory");
        return;
    }
    answer->size_bytes = round_up(request->size_bytes, backend->extent_bytes);
    if (backend->run(backend->ctx, command, &out, &cause) < 0)
        judge(server, request, &cause, answer);
}

/* What one extension did for the others that wait for the same LV. */
static int reply_covered(struct server *server, const struct lvm_request *done,
                         const struct lvm_answer *answer)
{
    struct lvm_request other;
    int rc = 0;
    while (rc == 0 && done->verb == VERB_EXTEND && answer->err.rc == 0 &&
           queue_take_covered(&server->queue, done->lvs.names[0],
                              done->size_bytes, &other)) {
        struct lvm_answer same = *answer;
        same.id = other.id;
        rc = reply(server, &same);
        request_deinit(&other);
    }
    return rc;
}

static int do_request(struct server *server, const struct lvm_request *request)
{
    struct lvm_answer answer = { .id = request->id, .err = ERR_INIT };
    if (request->verb == VERB_HOLD)
        server->hold = true;
    else if (request->verb == VERB_REPORT)
        (void)make_reports(server, request->what, request->lvs, &answer.reports,
                           &answer.err);
    else
        run_command(server, request, &answer);
    int rc = reply(server, &answer);
    if (rc == 0)
        rc = reply_covered(server, request, &answer);
    answer_deinit(&answer);
    return rc;
}

static int release(struct server *server, struct err *err)
{
    if (!server->held)
        return 0;
    server->held = false;
    server->released_ms = time_now_ms();
    return server->backend->release(server->backend->ctx, err);
}

/* After a long time of having it, or of taking it again and again, when we
 * still want it. */
static int give_way(struct server *server, int64_t now_ms, struct err *err)
{
    uint32_t random = 0;
    bool had = server->held || now_ms - server->released_ms < PAUSE_MIN_MS;
    if (!had || server->hold || now_ms < server->pause_until_ms ||
        now_ms - server->held_since_ms < HOLD_MS)
        return 0;
    (void)getrandom(&random, sizeof(random), GRND_NONBLOCK); /* 0 will do */
    server->pause_until_ms = now_ms + random % PAUSE_SPREAD_MS +
                             (server->held ? PAUSE_MIN_MS : REST_MS);
    return release(server, err);
}

/* Everyone who waits for the lease learns why there is none. */
static int refuse_leased(struct server *server, const struct err *cause)
{
    struct queue kept = { .n = 0 };
    struct lvm_request request;
    int rc = 0;
    while (rc == 0 && queue_take(&server->queue, QUEUE_ALL, &request)) {
        if (verb_needs_lease(request.verb))
            rc = reply_error(server, request.id, cause);
        else
            rc = queue_push(&kept, &request);
        request_deinit(&request);
    }
    queue_deinit(&server->queue);
    server->queue = kept;
    return rc;
}

/* 0: held now, or not yet; see server->held. */
static int acquire(struct server *server)
{
    struct err cause = ERR_INIT;
    int64_t now_ms = time_now_ms();
    if (now_ms < server->pause_until_ms)
        return 0;
    int rc = server->backend->acquire(server->backend->ctx, now_ms + ACQUIRE_MS,
                                      &cause);
    if (rc < 0) {
        (void)err_wrap(&cause, "VG %s", server->vg);
        return refuse_leased(server, &cause);
    }
    server->held = rc == 0;
    if (now_ms - server->released_ms >= PAUSE_MIN_MS)
        server->held_since_ms = time_now_ms();
    return 0;
}

static int refuse_late(struct server *server)
{
    struct lvm_request request;
    int rc = 0;
    while (rc == 0 &&
           queue_take_late(&server->queue, time_now_ms(), &request)) {
        struct err cause = ERR_INIT;
        (void)err_set_code(
            &cause, ERR_TIMEOUT, "VG %s: %s was not begun in time%s",
            server->vg, verb_name(request.verb),
            verb_needs_lease(request.verb) ? ", the lease of the VG is busy"
                                           : "");
        rc = reply_error(server, request.id, &cause);
        request_deinit(&request);
    }
    return rc;
}

static enum queue_lease lease_now(const struct server *server)
{
    if (server->hold)
        return QUEUE_HOLD;
    return server->held ? QUEUE_ALL : QUEUE_NONE;
}

/* One step of work: one command. Without the lease one that needs none. */
static int work(struct server *server, struct err *err)
{
    struct lvm_request request;
    int rc = give_way(server, time_now_ms(), err);
    if (rc == 0)
        rc = refuse_late(server);
    if (rc < 0)
        return rc;
    if (!server->held && queue_wants_lease(&server->queue))
        rc = acquire(server);
    if (rc < 0 || !queue_take(&server->queue, lease_now(server), &request))
        return rc;
    rc = do_request(server, &request);
    request_deinit(&request);
    return rc;
}

static int take_line(struct server *server, const char *line, size_t size)
{
    struct lvm_request request = { 0 };
    struct err cause = ERR_INIT;
    if (request_parse(line, size, &request, &cause) < 0)
        return -EBADMSG; /* our own client: one of us has a bug */
    if (request.verb == VERB_LET_GO) {
        server->hold = false;
        request_deinit(&request);
        return 0;
    }
    int rc = queue_push(&server->queue, &request);
    request_deinit(&request);
    return rc;
}

/* How long nothing can be done but listen. */
static int wait_ms(const struct server *server)
{
    int64_t now_ms = time_now_ms();
    if (server->queue.n == 0 ||
        (server->hold && !queue_has(&server->queue, QUEUE_HOLD)))
        return -1;
    if (!server->held && now_ms < server->pause_until_ms)
        return (int)(server->pause_until_ms - now_ms);
    return 0;
}

/* Takes in what has come; waits for it when there is nothing to do. 1 at the
 * end of the socket. */
static int take_lines(struct server *server)
{
    char *line = NULL;
    size_t size = 0;
    int rc = input_fill(&server->input, wait_ms(server));
    while (rc == 0 && input_line(&server->input, &line, &size))
        rc = take_line(server, line, size);
    return rc;
}

int serve(int fd, const char *vg, const struct serve_backend *backend,
          struct err *err)
{
    struct server server = { .vg = vg, .backend = backend };
    input_init(&server.input, fd);
    int rc = 0;
    while (rc == 0) {
        /* Nothing is waiting: nobody shall wait for us. */
        if (server.queue.n == 0 && !server.hold)
            rc = release(&server, err);
        if (rc == 0)
            rc = take_lines(&server);
        if (rc == 0)
            rc = work(&server, err);
    }
    if (rc == 1)
        rc = release(&server, err);
    queue_deinit(&server.queue);
    input_deinit(&server.input);
    return rc < 0 ? err_set(err, rc, "dray-lvm %s: cannot go on", vg) : 0;
}
