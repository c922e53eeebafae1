/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events.subscribe: from then on the client gets notifications.
 *   |jobs|status|<id>    on each state change, and at the end
 *   |jobs|progress|<id>  at most once a second
 * params are the job as Job.info gives it, plus VDSM's job_type, description
 * and notify_time (monotonic milliseconds).
 *   |watermark|extended|<vm>, failed, paused, resumed: watermark.c
 */
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

enum {
    PROGRESS_MS = 1000
};

struct subscriber {
    struct list link;
    struct rpc_conn *conn;
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

static int subscribe(struct api *api, struct rpc_conn *conn)
{
    if (!conn || find(api, conn))
        return 0;
    struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
    if (!subscriber)
        return -ENOMEM;
    subscriber->conn = conn;
    list_append(&api->subscribers, &subscriber->link);
    return 0;
}

int verb_events_subscribe(struct api_call *call, struct err *err)
{
    struct json_object *object = json_object_new_object();

    call->result = put_end(object, put_flag(object, "subscribed", true));
    if (!call->result || subscribe(call->api, rpc_call_conn(call->rpc)) < 0)
        return err_set(err, -ENOMEM, "no memory for a subscription");
    return VERB_ANSWERED;
}

void events_closed(struct api *api, const struct rpc_conn *conn)
{
    struct subscriber *subscriber = find(api, conn);
    if (!subscriber)
        return;
    list_remove(&subscriber->link);
    free(subscriber);
}

static struct json_object *shape_event(const struct job *job)
{
    struct json_object *object = shape_job(job);
    return put_end(
        object, put_text(object, "job_type", "storage") &&
                    put_text(object, "description", job_kind_name(job->kind)) &&
                    put_i64(object, "notify_time", time_now_ms()));
}

void events_tell(const struct api *api, const char *method,
                 struct json_object *params)
{
    list_for_each (item, &api->subscribers) {
        const struct subscriber *subscriber =
            container_of(item, struct subscriber, link);
        rpc_notify(subscriber->conn, method, json_object_get(params));
    }
    json_object_put(params);
}

static void tell(const struct api *api, const char *kind, const struct job *job)
{
    char method[32 + UUID_SIZE];

    (void)str_format(method, sizeof(method), "|jobs|%s|%s", kind, job->id);
    struct json_object *params =
        list_is_empty(&api->subscribers) ? NULL : shape_event(job);
    if (params) /* else the next event will tell */
        events_tell(api, method, params);
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
        tell(api, "status", job);
    } else if (meter && now_ms - meter->last_ms >= PROGRESS_MS) {
        meter->last_ms = now_ms;
        tell(api, "progress", job);
    }
    if (meter && job_is_terminal(job->state))
        meter_free(meter);
}

void events_drop_all(struct api *api)
{
    list_for_each_safe (item, next, &api->subscribers) {
        list_remove(item);
        free(container_of(item, struct subscriber, link));
    }
    list_for_each_safe (item, next, &api->meters) {
        meter_free(container_of(item, struct meter, link));
    }
}
