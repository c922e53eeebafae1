/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs as JSON. A job's first disk is told at the top, too: most jobs have one.
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

struct json_object *shape_job_vm(const struct job *job)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "vmId", job->vm) &&
                               put_text(object, "vmName", job->vm_name));
}

static struct json_object *shape_side(const char *sd, const char *img,
                                      const char *vol, const char *path)
{
    struct json_object *object = json_object_new_object();
    bool ok = !sd[0] || (put_text(object, "domainID", sd) &&
                         put_text(object, "imageID", img) &&
                         put_text(object, "volumeID", vol));
    return put_end(object, ok && put_text(object, "path", path));
}

static bool put_source(struct json_object *object, const struct job_disk *disk)
{
    return (!disk->src_sd[0] && !disk->src_path[0]) ||
           put_value(
               object, "source",
               shape_side(disk->src_sd, disk->img, disk->leaf, disk->src_path));
}

/* Unless it says otherwise, it is called as on the source. */
static bool put_destination(struct json_object *object,
                            const struct job_disk *disk)
{
    const char *img = disk->dst_img[0] ? disk->dst_img : disk->img;
    const char *vol = disk->dst_vol[0] ? disk->dst_vol : disk->leaf;

    return (!disk->dst_sd[0] && !disk->dst_path[0]) ||
           put_value(object, "destination",
                     shape_side(disk->dst_sd, img, vol, disk->dst_path));
}

static bool put_disk(struct json_object *object, const struct job_disk *disk)
{
    return (!disk->target[0] || put_text(object, "disk", disk->target)) &&
           put_source(object, disk) && put_destination(object, disk) &&
           (!disk->convert ||
            put_text(object, "format", disk->base_cow ? "COW" : "RAW"));
}

/* What a merge folds, what others put on top. */
static bool put_layers(struct json_object *object, const struct job *job,
                       const struct job_disk *disk)
{
    if (job->kind == JOB_MERGE)
        return put_text(object, "base", disk->leaf) &&
               put_text(object, "top", disk->overlay);
    return !disk->overlay[0] || put_text(object, "overlay", disk->overlay);
}

static bool put_done(struct json_object *object, const struct job_disk *disk)
{
    return disk->total == 0 || (put_u64(object, "done", disk->done) &&
                                put_u64(object, "total", disk->total));
}

static struct json_object *shape_disks(const struct job *job)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < job->n_disks; i++) {
        struct json_object *object = json_object_new_object();
        const struct job_disk *disk = &job->disks[i];
        ok =
            put_item(array, put_end(object, put_disk(object, disk) &&
                                                put_layers(object, job, disk) &&
                                                put_done(object, disk)));
    }
    return put_end(array, ok);
}

static bool put_disks(struct json_object *object, const struct job *job)
{
    return (!job->vm[0] || put_value(object, "vm", shape_job_vm(job))) &&
           put_disk(object, &job->disks[0]) &&
           put_value(object, "disks", shape_disks(job));
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

/* Milliseconds with three decimals, never 17; null when there is none. */
static bool put_ms(struct json_object *object, const char *key, int64_t us)
{
    double ms = (double)us / 1000.0;
    char text[32];

    if (us < 0)
        return put_null(object, key);
    (void)str_format(text, sizeof(text), "%.3f", ms);
    return put_value(object, key, json_object_new_double_s(ms, text));
}

static struct json_object *shape_memory(const struct job_progress *progress)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_u64(object, "done", progress->memory_done) &&
                       put_u64(object, "total", progress->memory_total));
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
    ok = ok && (progress->memory_total == 0 ||
                put_value(object, "memory", shape_memory(progress)));
    return put_end(
        object, ok && put_ms(object, "pauseMs", progress->pause_us) &&
                    put_ms(object, "quietWriteMs", progress->quiet_write_us) &&
                    put_ms(object, "writeMs", progress->write_us));
}

static bool put_move(struct json_object *object, const struct job *job)
{
    return put_text(object, "strategy", job_strategy_name(job->strategy)) &&
           put_flag(object, "keepSource", job->keep_source) &&
           put_flag(object, "verify", job->verify) &&
           put_flag(object, "fast", job->fast);
}

/* What was asked for, by kind. */
static bool put_wishes(struct json_object *object, const struct job *job)
{
    const struct job_disk *disk = &job->disks[0];

    switch (job->kind) {
    case JOB_DISK_MIGRATE:
        return put_move(object, job);
    case JOB_REPLICATE:
        return put_flag(object, "finishRequested", job->finish_requested) &&
               put_flag(object, "fast", job->fast);
    case JOB_SNAPSHOT:
        return put_flag(object, "quiesce", job->quiesce);
    case JOB_MERGE:
        return put_layers(object, job, disk) &&
               put_flag(object, "deleteTop", job->delete_top);
    case JOB_SYNC:
        return put_text(object, "scope", job_scope_name(job->scope));
    case JOB_VM_MIGRATE:
        return put_text(object, "host", job->peer) &&
               put_flag(object, "keepSource", job->keep_source) &&
               put_i64(object, "timeout", job->wait_s);
    case JOB_VM_RECEIVE:
        return put_text(object, "host", job->peer) &&
               put_flag(object, "finishRequested", job->finish_requested);
    case JOB_COPY:
    case JOB_MOVE:
    case JOB_COPY_DATA:
    case JOB_MOVE_DATA:
        return put_flag(object, "verify", job->verify);
    default:
        return true;
    }
}

static bool put_error(struct json_object *object, const struct job *job)
{
    const char *phase = job_state_name(job->failed_in);
    return job->error.rc == 0 ||
           put_value(object, "error", shape_error(&job->error, phase));
}

static bool put_end_of_job(struct json_object *object, const struct job *job)
{
    return put_error(object, job) &&
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
            put_text(object, "state", job_state_name(job->state)) &&
            put_text(object, "status", job_vdsm_status(job)) &&
            put_disks(object, job) && put_wishes(object, job) &&
            put_value(object, "progress", shape_progress(job)) &&
            put_u64(object, "limit", job->limit) &&
            put_flag(object, "cancelRequested", job->cancel_requested) &&
            put_end_of_job(object, job));
}

static const char *vdsm_description(const struct job *job)
{
    return job->kind == JOB_SNAPSHOT ? "snapshot_vm" : job_kind_name(job->kind);
}

const char *shape_vdsm_type(const struct job *job)
{
    return job->kind == JOB_SNAPSHOT ? "virt" : "storage";
}

struct json_object *shape_vdsm_job(const struct job *job)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_text(object, "id", job->id) &&
                       put_text(object, "status", job_vdsm_status(job)) &&
                       put_text(object, "description", vdsm_description(job)) &&
                       put_text(object, "job_type", shape_vdsm_type(job)) &&
                       put_u64(object, "progress", percent(job)) &&
                       put_error(object, job));
}
