/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events.subscribe: from then on the client gets notifications.
 *   |jobs|status|<id>    on each state change, and at the end
 *   |jobs|progress|<id>  at most once a second; not numbered, for the next one
 *                        says more
 * params are the job as Job.info gives it, plus VDSM's job_type, description
 * and notify_time (monotonic milliseconds).
 *   |watermark|extended|<vm>, failed, paused, resumed: watermark.c
 * What is numbered (seq) is kept for a while. Who subscribes with the number of
 * the last event it has gets what came since, after the answer and before all
 * that comes from then on.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <dray/work.h>
#include <errno.h>
#include <json-c/json.h>

enum {
    PROGRESS_MS = 1000
};

struct subscriber {
    struct list link;
    struct api *api;
    struct rpc_conn *conn;
    /* Events after this one are still to be sent, by this timer. */
    struct work_timer *timer; /* NULL: it is up to date */
    uint64_t since;
};

/* When the last progress of a job was told. */
struct meter {
    struct list link;
    char id[UUID_SIZE];
    int64_t last_ms;
};

static struct subscriber *find(const struct api *api,
                               const struct rpc_conn *conn)
{
    list_for_each (item, &api->subscribers) {
        struct subscriber *subscriber =
            container_of(item, struct subscriber, link);
        if (subscriber->conn == conn)
            return subscriber;
    }
    return NULL;
}

static struct subscriber *subscribe(struct api *api, struct rpc_conn *conn)
{
    struct subscriber *subscriber = find(api, conn);
    if (subscriber)
        return subscriber;
    subscriber = calloc(1, sizeof(*subscriber));
    if (!subscriber)
        return NULL;
    subscriber->api = api;
    subscriber->conn = conn;
    list_append(&api->subscribers, &subscriber->link);
    return subscriber;
}

static void catch_up(void *arg)
{
    struct subscriber *subscriber = arg;

    subscriber->timer = NULL;
    list_for_each (item, &subscriber->api->events.events) {
        const struct event *event = container_of(item, struct event, link);
        if (event->seq > subscriber->since)
            rpc_notify(subscriber->conn, event->method,
                       json_object_get(event->params));
    }
}

/* When the answer is out. */
static int replay(struct subscriber *subscriber, uint64_t since)
{
    subscriber->since = since;
    if (subscriber->timer)
        return 0;
    return work_after(subscriber->api->work, 0, catch_up, subscriber,
                      &subscriber->timer);
}

/* The number is of another life, or too much came since. */
static bool has_missed(const struct event_log *log, uint64_t since)
{
    return since > log->last || since + 1 < event_log_oldest(log);
}

static struct json_object *shape_subscription(const struct event_log *log,
                                              bool missed)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_flag(object, "subscribed", true) &&
                       put_u64(object, "seq", log->last) &&
                       put_u64(object, "oldest", event_log_oldest(log)) &&
                       put_flag(object, "missed", missed));
}

int verb_events_subscribe(struct api_call *call, struct err *err)
{
    struct event_log *log = &call->api->events;
    struct rpc_conn *conn = rpc_call_conn(call->rpc);
    bool again = params_has(call->params, "since");
    uint64_t since = again ? params_number(call->params, "since") : log->last;
    bool missed = again && has_missed(log, since);

    struct subscriber *subscriber = conn ? subscribe(call->api, conn) : NULL;
    call->result = shape_subscription(log, missed);
    if (!call->result || (conn && !subscriber) ||
        (subscriber && again && replay(subscriber, missed ? 0 : since) < 0))
        return err_set(err, -ENOMEM, "no memory for a subscription");
    return VERB_ANSWERED;
}

static void drop(struct subscriber *subscriber)
{
    work_timer_stop(subscriber->timer);
    list_remove(&subscriber->link);
    free(subscriber);
}

void events_closed(struct api *api, const struct rpc_conn *conn)
{
    struct subscriber *subscriber = find(api, conn);
    if (subscriber)
        drop(subscriber);
}

static struct json_object *shape_event(const struct job *job)
{
    struct json_object *object = shape_job(job);
    return put_end(
        object, put_text(object, "job_type", "storage") &&
                    put_text(object, "description", job_kind_name(job->kind)) &&
                    put_i64(object, "notify_time", time_now_ms()));
}

/* Who still catches up gets numbered ones in their turn. */
static void send(const struct api *api, const char *method,
                 struct json_object *params, bool numbered)
{
    list_for_each (item, &api->subscribers) {
        const struct subscriber *subscriber =
            container_of(item, struct subscriber, link);
        if (!numbered || !subscriber->timer)
            rpc_notify(subscriber->conn, method, json_object_get(params));
    }
}

void events_tell(struct api *api, const char *method,
                 struct json_object *params)
{
    const struct event *event = event_log_add(&api->events, method, params);
    if (event) /* else its number is missing, and says so */
        send(api, event->method, event->params, true);
}

static void tell_status(struct api *api, const struct job *job)
{
    char method[32 + UUID_SIZE];

    (void)str_format(method, sizeof(method), "|jobs|status|%s", job->id);
    struct json_object *params = shape_event(job);
    if (params)
        events_tell(api, method, params);
}

static void tell_progress(const struct api *api, const struct job *job)
{
    char method[32 + UUID_SIZE];

    (void)str_format(method, sizeof(method), "|jobs|progress|%s", job->id);
    struct json_object *params =
        list_is_empty(&api->subscribers) ? NULL : shape_event(job);
    if (params) /* else the next event will tell */
        send(api, method, params, false);
    json_object_put(params);
}

static struct meter *meter_of(struct api *api, const char *id)
{
    list_for_each (item, &api->meters) {
        struct meter *meter = container_of(item, struct meter, link);
        if (str_equal(meter->id, id))
            return meter;
    }
    struct meter *meter = calloc(1, sizeof(*meter));
    if (!meter)
        return NULL;
    (void)str_copy(meter->id, sizeof(meter->id), id);
    meter->last_ms = -PROGRESS_MS;
    list_append(&api->meters, &meter->link);
    return meter;
}

static void meter_free(struct meter *meter)
{
    list_remove(&meter->link);
    free(meter);
}

void events_job_changed(struct api *api, const struct job *job,
                        bool state_changed)
{
    int64_t now_ms = time_now_ms();
    struct meter *meter = meter_of(api, job->id);

    if (state_changed) {
        tell_status(api, job);
    } else if (meter && now_ms - meter->last_ms >= PROGRESS_MS) {
        meter->last_ms = now_ms;
        tell_progress(api, job);
    }
    if (meter && job_is_terminal(job->state))
        meter_free(meter);
}

void events_drop_all(struct api *api)
{
    list_for_each_safe (item, next, &api->subscribers) {
        list_remove(item); /* its timer went with the workers */
        free(container_of(item, struct subscriber, link));
    }
    list_for_each_safe (item, next, &api->meters) {
        meter_free(container_of(item, struct meter, link));
    }
}
