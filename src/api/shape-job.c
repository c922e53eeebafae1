/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs and plans as JSON.
 */
#include "put.h"
#include "shape.h"

#include <dray/base/util.h>
#include <json-c/json.h>

struct json_object *shape_error(const struct err *err, const char *phase)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_i64(object, "code", (int64_t)err->code) &&
                       put_text(object, "message", err->message) &&
                       put_text(object, "cause", err_code_name(err->code)) &&
                       (!phase || put_text(object, "phase", phase)) &&
                       put_text(object, "next", err->next));
}

static struct json_object *shape_job_vm(const struct job_disk_move *move)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "vmId", move->vm) &&
                               put_text(object, "vmName", move->vm_name));
}

/* The leaf has the same volume UUID on both sides. */
static struct json_object *shape_side(const struct job_disk_move *move,
                                      const char *sd, const char *path)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "domainID", sd) &&
                               put_text(object, "imageID", move->img) &&
                               put_text(object, "volumeID", move->leaf) &&
                               put_text(object, "path", path));
}

/* 0 to 100; a mirror that chases the guest's writes is not at 100 before its
 * job says so. */
static unsigned percent(const struct job *job)
{
    const struct job_progress *progress = &job->progress;
    if (job->state == JOB_DONE)
        return 100;
    if (progress->total == 0)
        return 0;
    if (progress->done >= progress->total)
        return 99;
    /* in double: bytes x 100 may exceed 64 bits */
    return (unsigned)((double)progress->done * 100 / (double)progress->total);
}

/* Milliseconds with three decimals, never 17. */
static struct json_object *shape_pause(int64_t pause_us)
{
    double ms = (double)pause_us / 1000.0;
    char text[32];
    (void)str_format(text, sizeof(text), "%.3f", ms);
    return json_object_new_double_s(ms, text);
}

static struct json_object *shape_progress(const struct job *job)
{
    const struct job_progress *progress = &job->progress;
    struct json_object *object = json_object_new_object();
    bool ok = put_u64(object, "done", progress->done) &&
              put_u64(object, "total", progress->total) &&
              put_u64(object, "percent", percent(job)) &&
              put_u64(object, "rate", progress->rate) &&
              (progress->eta_s < 0 ? put_null(object, "eta")
                                   : put_i64(object, "eta", progress->eta_s));
    ok = ok &&
         (progress->pause_us < 0
              ? put_null(object, "pauseMs")
              : put_value(object, "pauseMs", shape_pause(progress->pause_us)));
    return put_end(object, ok);
}

static bool put_move(struct json_object *object,
                     const struct job_disk_move *move)
{
    return put_value(object, "vm", shape_job_vm(move)) &&
           put_text(object, "disk", move->target) &&
           put_value(object, "source",
                     shape_side(move, move->src_sd, move->src_path)) &&
           put_value(object, "destination",
                     shape_side(move, move->dst_sd, move->dst_path)) &&
           put_flag(object, "keepSource", move->keep_source) &&
           (!move->convert ||
            put_text(object, "format", move->base_cow ? "COW" : "RAW"));
}

static bool put_end_of_job(struct json_object *object, const struct job *job)
{
    const char *phase = job_state_name(job->failed_in);
    return (job->error.rc == 0 ||
            put_value(object, "error", shape_error(&job->error, phase))) &&
           (!job->warning[0] || put_text(object, "warning", job->warning)) &&
           put_i64(object, "created", job->created_ms) &&
           put_i64(object, "modified", job->modified_ms) &&
           (job->ended_ms == 0 || put_i64(object, "ended", job->ended_ms));
}

struct json_object *shape_job(const struct job *job)
{
    struct json_object *object = json_object_new_object();
    return put_end(
        object,
        put_text(object, "id", job->id) &&
            put_text(object, "kind", job_kind_name(job->kind)) &&
            put_text(object, "strategy", "mirror") &&
            put_text(object, "state", job_state_name(job->state)) &&
            put_text(object, "status", job_vdsm_status(job)) &&
            put_move(object, &job->move) &&
            put_value(object, "progress", shape_progress(job)) &&
            put_u64(object, "limit", job->limit) &&
            put_flag(object, "cancelRequested", job->cancel_requested) &&
            put_end_of_job(object, job));
}

struct json_object *shape_vdsm_job(const struct job *job)
{
    struct json_object *object = json_object_new_object();
    const char *phase = job_state_name(job->failed_in);
    return put_end(
        object,
        put_text(object, "id", job->id) &&
            put_text(object, "status", job_vdsm_status(job)) &&
            put_text(object, "description", job_kind_name(job->kind)) &&
            put_text(object, "job_type", "storage") &&
            put_u64(object, "progress", percent(job)) &&
            (job->error.rc == 0 ||
             put_value(object, "error", shape_error(&job->error, phase))));
}

struct json_object *shape_obstacles(const struct migrate_plan *plan)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < plan->n_obstacles; i++)
        ok = put_item(array, shape_error(&plan->obstacles[i], NULL));
    return put_end(array, ok);
}

static struct json_object *shape_space(const char *sd, const char *img,
                                       const struct domain_stats *stats,
                                       const uint64_t *required)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_text(object, "domainID", sd) &&
                       put_text(object, "imageID", img) &&
                       put_u64(object, "free", stats->free_bytes) &&
                       put_u64(object, "total", stats->total_bytes) &&
                       (!required || put_u64(object, "required", *required)));
}

struct json_object *shape_plan(const struct migrate_plan *plan)
{
    const struct job_disk_move *move = &plan->move;
    struct json_object *object = json_object_new_object();
    return put_end(
        object,
        put_flag(object, "possible", plan->n_obstacles == 0) &&
            put_text(object, "strategy", "mirror") &&
            put_value(object, "obstacles", shape_obstacles(plan)) &&
            put_value(object, "vm", shape_job_vm(move)) &&
            put_text(object, "disk", move->target) &&
            put_u64(object, "chain", plan->chain_n) &&
            put_u64(object, "bytes", plan->bytes) &&
            put_i64(object, "expectedSeconds", plan->expected_s) &&
            put_value(object, "source",
                      shape_space(move->src_sd, move->img, &plan->src, NULL)) &&
            put_value(object, "destination",
                      shape_space(move->dst_sd, move->img, &plan->dst,
                                  &plan->required)));
}
