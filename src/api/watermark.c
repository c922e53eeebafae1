/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Thin disks on LVs: where they stand, how the watch over them does, and what
 * subscribers hear of it.
 */
#include "params.h"
#include "put.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static const char *role_name(enum watermark_target role)
{
    switch (role) {
    case WATERMARK_REPLICA:
        return "replica";
    case WATERMARK_SOURCE:
        return "source";
    case WATERMARK_BASE:
        return "base";
    }
    return "unknown";
}

static bool put_volume(struct json_object *object, const struct volume_id *id)
{
    return put_text(object, "domainID", id->sd) &&
           put_text(object, "imageID", id->img) &&
           put_text(object, "volumeID", id->vol);
}

static struct json_object *shape_mark(const struct monitor_mark *mark)
{
    struct json_object *object = json_object_new_object();
    uint64_t left = mark->allocation_bytes < mark->size_bytes
                        ? mark->size_bytes - mark->allocation_bytes
                        : 0;
    return put_end(
        object,
        put_text(object, "vmId", mark->vm) &&
            put_text(object, "name", mark->target) &&
            put_text(object, "role", role_name(mark->role)) &&
            put_volume(object, &mark->volume) &&
            put_u64(object, "size", mark->size_bytes) &&
            put_u64(object, "allocation", mark->allocation_bytes) &&
            put_u64(object, "free", left) &&
            put_u64(object, "threshold", mark->threshold_bytes) &&
            put_u64(object, "max", mark->max_bytes) &&
            put_u64(object, "rate", mark->bytes_per_s) &&
            (!mark->problem[0] || put_text(object, "problem", mark->problem)));
}

static int read_marks(struct api_call *call, const char *vm,
                      struct monitor_mark **ret_marks, size_t *ret_n,
                      struct err *err)
{
    struct monitor *monitor = call->api->options.monitor;
    *ret_n = 0;
    return monitor ? monitor_marks(monitor, vm, ret_marks, ret_n, err) : 0;
}

int verb_vm_watermarks(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct monitor_mark *marks = NULL;
    const char *name = params_text_if_any(call->params, "vmID");
    struct vm_info vm;
    size_t n = 0;
    int r = 0;

    if (name)
        r = API_PORT(call, hypervisor, vm_find, name, &vm, err);
    if (r == 0)
        r = read_marks(call, name ? vm.uuid : NULL, &marks, &n, err);
    if (r < 0)
        return r;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, shape_mark(&marks[i]));
    call->result = put_end(array, ok);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* --- Host.getStats --- */

static struct json_object *shape_extensions(const struct monitor_stats *stats)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_u64(object, "count", stats->extensions) &&
                               put_u64(object, "failures", stats->failures) &&
                               put_u64(object, "byAlarm", stats->alarms) &&
                               put_u64(object, "byPoll", stats->polled) &&
                               put_i64(object, "p50Ms", stats->p50_ms) &&
                               put_i64(object, "p99Ms", stats->p99_ms) &&
                               put_i64(object, "maxMs", stats->max_ms));
}

static struct json_object *shape_job_counts(const struct migrate_jobs *jobs)
{
    struct json_object *object = json_object_new_object();
    size_t n = migrate_jobs_count(jobs);
    size_t running = 0;
    for (size_t i = 0; i < n; i++)
        running += !job_is_terminal(migrate_jobs_at(jobs, i)->state);
    return put_end(object, put_u64(object, "total", n) &&
                               put_u64(object, "running", running));
}

/* On the owner loop: what is its. */
int verb_host_stats_before(struct api_call *call, struct err *err)
{
    struct json_object *object = json_object_new_object();
    size_t clients = rpc_conn_count(rpc_call_conn(call->rpc));
    call->result = put_end(
        object, put_value(object, "jobs", shape_job_counts(call->api->jobs)) &&
                    put_u64(object, "clients", clients));
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static struct json_object *shape_domain_counts(const struct domain_info *infos,
                                               size_t n)
{
    struct json_object *object = json_object_new_object();
    size_t joined = 0, missing = 0;
    for (size_t i = 0; i < n; i++) {
        joined += infos[i].status == DOMAIN_JOINED;
        missing += infos[i].status == DOMAIN_MISSING;
    }
    return put_end(object, put_u64(object, "known", n) &&
                               put_u64(object, "joined", joined) &&
                               put_u64(object, "missing", missing));
}

static bool put_watch(struct api_call *call)
{
    struct monitor *monitor = call->api->options.monitor;
    struct json_object *object = call->result;
    struct monitor_stats stats = { 0 };
    if (monitor)
        monitor_stats(monitor, &stats);
    return put_value(object, "extensions", shape_extensions(&stats)) &&
           put_u64(object, "pauses", stats.pauses);
}

int verb_host_stats(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    _cleanup_free_ struct monitor_mark *marks = NULL;
    size_t n = 0, n_marks = 0;

    int r = API_PORT(call, storage, domain_list, &infos, &n, err);
    if (r == 0)
        r = read_marks(call, NULL, &marks, &n_marks, err);
    if (r < 0)
        return r;
    bool ok =
        put_value(call->result, "domains", shape_domain_counts(infos, n)) &&
        put_watch(call) && put_u64(call->result, "watched", n_marks);
    return ok ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* --- events --- */

static const char *event_name(enum monitor_event_kind kind)
{
    switch (kind) {
    case MONITOR_EXTENDED:
        return "extended";
    case MONITOR_FAILED:
        return "failed";
    case MONITOR_PAUSED:
        return "paused";
    case MONITOR_RESUMED:
        return "resumed";
    }
    return "unknown";
}

static struct json_object *shape_event(const struct monitor_event *event)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "vmId", event->vm) &&
                               put_text(object, "name", event->target) &&
                               put_volume(object, &event->volume) &&
                               put_u64(object, "size", event->size_bytes) &&
                               put_u64(object, "wanted", event->wanted_bytes) &&
                               put_u64(object, "free", event->free_bytes) &&
                               put_i64(object, "tookMs", event->took_ms) &&
                               (!event->text[0] ||
                                put_text(object, "problem", event->text)) &&
                               put_i64(object, "notify_time", time_now_ms()));
}

void api_watermark(struct api *api, const struct monitor_event *event)
{
    char method[32 + UUID_SIZE];

    (void)str_format(method, sizeof(method), "|watermark|%s|%s",
                     event_name(event->kind), event->vm);
    struct json_object *params = shape_event(event);
    if (params) /* else the next one will tell */
        events_tell(api, method, params);
}
