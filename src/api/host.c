/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host.*: what this daemon is, and jobs as VDSM's clients know them.
 *
 * VDSM has no verbs to abort or delete storage jobs; ours take a list of ids
 * and answer for each by itself: {ok: true} or {error: {...}}.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_host_ping(struct api_call *call, struct err *err)
{
    (void)call;
    (void)err;
    return 0; /* true */
}

static struct json_object *words(const char *const *list, size_t n)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, json_object_new_string(list[i]));
    return put_end(array, ok);
}

static struct json_object *shape_limits(void)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_u64(object, "requestBytes", RPC_REQUEST_MAX) &&
                       put_u64(object, "depth", RPC_DEPTH_MAX) &&
                       put_u64(object, "backlogBytes", RPC_BACKLOG_MAX) &&
                       put_u64(object, "batch", RPC_BATCH_MAX) &&
                       put_u64(object, "openCalls", RPC_CALLS_MAX) &&
                       put_u64(object, "clients", RPC_CLIENTS_MAX));
}

int verb_host_capabilities(struct api_call *call, struct err *err)
{
    static const char *const formats[] = { "V5" };
    static const char *const strategies[] = { "mirror", "snapshot" };
    const struct api_options *options = &call->api->options;
    struct json_object *object = json_object_new_object();
    bool ok = put_text(object, "version", options->version) &&
              put_u64(object, "hostId", options->host_id) &&
              put_text(object, "hostName", options->host_name) &&
              put_text(object, "apiVersion", "1") &&
              put_value(object, "supportedStorageFormats",
                        words(formats, ARRAY_SIZE(formats))) &&
              put_value(object, "strategies",
                        words(strategies, ARRAY_SIZE(strategies))) &&
              put_flag(object, "liveMerge", true) &&
              put_flag(object, "hypervisorConnected",
                       call->api->ports->hypervisor.ops->connected(
                           call->api->ports->hypervisor.ctx) == 0) &&
              put_value(object, "limits", shape_limits());
    call->result = put_end(object, ok);
    return call->result ? 0 : no_memory(err);
}

static bool is_listed(const struct uuid_list *ids, const char *id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (str_equal(ids->uuids[i], id))
            return true;
    return false;
}

int verb_host_get_jobs(struct api_call *call, struct err *err)
{
    const struct migrate_jobs *jobs = call->api->jobs;
    const struct uuid_list *ids = params_uuids(call->params, "job_ids");
    const char *type = params_text(call->params, "job_type");
    struct json_object *map = json_object_new_object();
    bool ok = map;
    for (size_t i = 0; ok && i < migrate_jobs_count(jobs); i++) {
        const struct job *job = migrate_jobs_at(jobs, i);
        bool wanted = !type || str_equal(type, shape_vdsm_type(job));
        if (wanted && (ids->n == 0 || is_listed(ids, job->id)))
            ok = put_value(map, job->id, shape_vdsm_job(job));
    }
    call->result = put_end(map, ok);
    return call->result ? 0 : no_memory(err);
}

typedef int (*job_act)(struct migrate_jobs *jobs, const char *id,
                       struct err *err);

static struct json_object *act_on(struct migrate_jobs *jobs, job_act act,
                                  const char *id)
{
    struct json_object *object = json_object_new_object();
    struct err err = ERR_INIT;
    bool ok = act(jobs, id, &err) == 0
                  ? put_flag(object, "ok", true)
                  : put_value(object, "error", shape_error(&err, NULL));
    return put_end(object, ok);
}

static int act_on_all(struct api_call *call, job_act act, struct err *err)
{
    const struct uuid_list *ids = params_uuids(call->params, "job_ids");
    struct json_object *map = json_object_new_object();
    bool ok = map;

    for (size_t i = 0; ok && i < ids->n; i++)
        ok = put_value(map, ids->uuids[i],
                       act_on(call->api->jobs, act, ids->uuids[i]));
    call->result = put_end(map, ok);
    return call->result ? 0 : no_memory(err);
}

static bool all_recorded(const struct api_call *call, const char *job_id)
{
    const struct uuid_list *ids = params_uuids(call->params, "job_ids");
    (void)job_id;
    for (size_t i = 0; i < ids->n; i++)
        if (!wait_is_recorded(call, ids->uuids[i]))
            return false;
    return true;
}

/* Cancelled, or an order that came too late: asking again tells. */
static int abort_again(struct migrate_jobs *jobs, const char *id,
                       struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(jobs, id, &job, err);
    return r == 0 && !job->cancel_requested ? migrate_jobs_cancel(jobs, id, err)
                                            : r;
}

/* What was refused at first stays refused. */
static int answer_aborts(struct api_call *call, const char *job_id,
                         struct err *err)
{
    const struct uuid_list *ids = params_uuids(call->params, "job_ids");
    bool ok = true;
    (void)job_id;
    for (size_t i = 0; ok && i < ids->n; i++) {
        const char *id = ids->uuids[i];
        struct json_object *first = json_object_object_get(call->result, id);
        if (json_object_object_get(first, "ok"))
            ok = put_value(call->result, id,
                           act_on(call->api->jobs, abort_again, id));
    }
    return ok ? 0 : no_memory(err);
}

int verb_host_abort_jobs(struct api_call *call, struct err *err)
{
    static const struct wait_kind orders = { .over = all_recorded,
                                             .answer = answer_aborts };
    int r = act_on_all(call, job_order_cancel, err);
    return r < 0 ? r : wait_until(call, &orders, "", err);
}

int verb_host_delete_jobs(struct api_call *call, struct err *err)
{
    return act_on_all(call, migrate_jobs_delete, err);
}
