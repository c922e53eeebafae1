/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes of SDM's copies. What is there at the destination is not gone on
 * with unless the copier has a checkpoint of it: a volume is emptied, a file
 * that we made is made anew. So whatever cut off an earlier life, this one
 * begins with a destination that it knows.
 *
 * Volumes whose headers would be the same are copied byte by byte, which can
 * share blocks and be gone on with; the rest is converted.
 */
#include "data.h"

#include <errno.h>
#include <string.h>

/* --- what to copy ------------------------------------------------------ */

static bool source_is_cow(const struct job *job, const struct data_ends *ends)
{
    return ends->chain.n ? data_leaf(ends)->format == VOLUME_COW
                         : job->data.src.cow;
}

static bool target_is_cow(const struct job *job, const struct data_ends *ends)
{
    return job->disks[0].dst_sd[0] ? ends->to.format == VOLUME_COW
                                   : job->data.dst.cow;
}

/* A file that somebody else made keeps its size. */
static bool keeps_its_size(const struct job *job, const struct data_ends *ends)
{
    return !job->disks[0].dst_sd[0] && !ends->dst_outside.block &&
           !job->data.make;
}

static bool same_header(const struct job *job, const struct data_ends *ends)
{
    bool in_domain = job->disks[0].dst_sd[0];
    bool block = in_domain ? ends->to.block : ends->dst_outside.block;

    if (block) /* a qcow2's end is not known there */
        return false;
    if (data_is_layer(job, ends))
        return strcmp(data_leaf(ends)->parent, ends->to.parent) == 0;
    return ends->chain.n <= 1;
}

static bool must_convert(const struct job *job, const struct data_ends *ends)
{
    if (keeps_its_size(job, ends) ||
        (job->disks[0].dst_sd[0] && ends->to.capacity != data_capacity(ends)))
        return true;
    return source_is_cow(job, ends) && !same_header(job, ends);
}

static int name_parents(const struct migration *m, const struct data_ends *ends,
                        struct copy_spec *spec, struct err *err)
{
    struct volume_id id = data_target(&m->job);
    struct volume_info parent;
    int rc;

    if (!data_is_layer(&m->job, ends))
        return 0;
    memcpy(id.vol, ends->to.parent, UUID_SIZE);
    rc = PORT(&m->ports, storage, volume_info, &id, &parent, err);
    memcpy(spec->dst_backing, id.vol, UUID_SIZE);
    spec->dst_backing_format = parent.format;
    spec->src_backing_format = ends->chain.volumes[ends->chain.n - 2].format;
    return rc;
}

static int describe(const struct migration *m, const struct data_ends *ends,
                    enum copy_task task, struct copy_spec *ret_spec,
                    struct err *err)
{
    const struct job *job = &m->job;
    const struct job_disk *disk = &job->disks[0];
    bool is_volume = disk->dst_sd[0];

    *ret_spec = (struct copy_spec){
        .src_format = source_is_cow(job, ends) ? VOLUME_COW : VOLUME_RAW,
        .dst_format = target_is_cow(job, ends) ? VOLUME_COW : VOLUME_RAW,
        .src_bytes = data_capacity(ends),
        .compact = must_convert(job, ends),
        .is_zero = job->data.is_zero,
        .bitmaps = job->data.bitmaps,
        .bytes_per_s = job->limit,
        .task = task,
    };
    (void)str_copy(ret_spec->src_path, sizeof(ret_spec->src_path),
                   disk->src_sd[0] ? data_leaf(ends)->path : disk->src_path);
    (void)str_copy(ret_spec->dst_path, sizeof(ret_spec->dst_path),
                   is_volume ? ends->to.path : disk->dst_path);
    if (task == COPY_DATA)
        (void)str_copy(ret_spec->resume_key, sizeof(ret_spec->resume_key),
                       job->id);
    return name_parents(m, ends, ret_spec, err);
}

void data_forget(const struct migration *m)
{
    PORT(&m->ports, copier, forget, m->job.id);
}

/* --- what it needs ----------------------------------------------------- */

static int activate(struct disk *d, struct err *err)
{
    const struct job_data *data = &d->m->job.data;
    int rc = disk_learn_places(d, err);

    if (rc == 0 && !data->dst.prepared)
        rc = disk_activate(d, true, d->of->dst_vol, err);
    if (rc == 0 && !data->src.prepared)
        rc = disk_activate(d, false, d->of->leaf, err);
    return rc;
}

/* Bytes of a qcow2 that holds what is copied. */
static int measure(const struct migration *m, const struct data_ends *ends,
                   uint64_t *ret_bytes, struct err *err)
{
    const struct volume_id id = data_source(&m->job);
    struct volume_measure measure = { .required = 0 };
    int rc = 0;

    if (ends->chain.n == 0)
        measure.required = ends->src_outside.true_bytes;
    else
        rc = PORT(&m->ports, storage, volume_measure, &id, VOLUME_COW,
                  data_is_layer(&m->job, ends) ? "" : NULL, &measure, err);
    *ret_bytes = measure.required + measure.bitmaps;
    return rc;
}

/* The copier never meets the end of a thin LV. */
static int make_room(struct disk *d, const struct data_ends *ends,
                     struct err *err)
{
    const struct volume_info *to = &ends->to;
    const struct watermark_policy policy =
        thin_policy(&d->m->ports, d->dst.extent_bytes);
    uint64_t bytes = 0, size = 0;
    int rc;

    if (!d->of->dst_sd[0] || !to->block || to->format != VOLUME_COW)
        return 0;
    rc = measure(d->m, ends, &bytes, err);
    if (rc)
        return rc;
    bytes = thin_copied(&policy, to->capacity, bytes, to->role == VOLUME_LEAF);
    if (bytes <= to->apparent_bytes)
        return 0;
    return PORT(&d->m->ports, storage, volume_grow, &to->id, bytes,
                migration_now_ms(d->m) + GROW_MS, &size, err);
}

static int make_outside(const struct migration *m, const struct data_ends *ends,
                        struct err *err)
{
    const struct job_disk *disk = &m->job.disks[0];
    int rc = 0;

    if (!m->job.data.make)
        return 0;
    if (disk->dst_made)
        rc = PORT(&m->ports, storage, outside_remove, disk->dst_path, err);
    return rc ? rc
              : PORT(&m->ports, storage, outside_create, disk->dst_path,
                     m->job.data.dst.cow ? VOLUME_COW : VOLUME_RAW,
                     data_capacity(ends), err);
}

/* Empty, unless @spec is gone on with. */
static int make_fresh(const struct migration *m, const struct data_ends *ends,
                      const struct copy_spec *spec, struct err *err)
{
    const struct volume_id id = data_target(&m->job);

    if (lease_is_there(&m->job)
            ? PORT(&m->ports, hold, resumable, m->job.id, spec)
            : PORT(&m->ports, copier, resumable, spec))
        return 0;
    if (!id.sd[0])
        return make_outside(m, ends, err);
    return PORT(&m->ports, storage, volume_reset, &id, err);
}

/* HOLD_NONE: the lease is not ours any more. */
static int start_copy(struct disk *d, const struct copy_spec *spec,
                      struct err *err)
{
    struct migration *m = d->m;
    int rc;

    if (!lease_is_there(&m->job))
        return PORT(&m->ports, copier, start, spec, &d->copy, err);
    rc = PORT(&m->ports, hold, copy, m->job.id, spec, err);
    d->held_copy = rc == 0;
    return rc;
}

static int start_with(struct disk *d, const struct data_ends *ends,
                      enum copy_task task, struct err *err)
{
    struct migration *m = d->m;
    struct copy_spec spec;
    int rc = data_check_users(&m->ports, &m->job, ends, err);

    if (rc == 0)
        rc = activate(d, err);
    if (rc == 0)
        rc = describe(m, ends, task, &spec, err);
    if (rc == 0 && task == COPY_DATA)
        rc = make_room(d, ends, err);
    if (rc == 0 && task == COPY_DATA)
        rc = make_fresh(m, ends, &spec, err);
    if (rc == 0)
        rc = start_copy(d, &spec, err);
    d->limit_applied = true;
    m->job.progress.total = data_bytes(&m->job, ends);
    return rc;
}

static enum job_outcome start(struct disk *d, enum copy_task task)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct data_ends ends;
    enum job_outcome outcome = lease_own(m);

    if (outcome != JOB_OK)
        return outcome;
    if (data_look(&m->ports, &m->job, &ends, &err))
        return migration_storage_failed(m, &err);

    int rc = start_with(d, &ends, task, &err);

    data_ends_deinit(&ends);
    return rc < 0 ? migration_storage_failed(m, &err)
                  : migration_again(m, POLL_STILL_MS);
}

/* --- while it runs ----------------------------------------------------- */

static void report(struct migration *m, const struct copy_progress *copy)
{
    struct job_progress *progress = &m->job.progress;
    double part = copy->total ? (double)copy->done / (double)copy->total : 0;

    progress->done = (uint64_t)(part * (double)progress->total);
    progress->rate = meter_read(&m->meter, migration_now_ms(m), progress->done);
    progress->eta_s =
        meter_eta_s(progress->rate, progress->total - progress->done);
}

/* What nobody could wait for, but the volume is better with. */
static void finish(struct disk *d)
{
    struct migration *m = d->m;
    const struct volume_id id = data_target(&m->job);
    struct err err = ERR_INIT;

    m->job.progress.done = m->job.progress.total;
    if (!id.sd[0])
        return;
    if (PORT(&m->ports, storage, volume_preallocate, &id, &err))
        migration_warn(m, "preallocated volume %s is sparse: %.120s", id.vol,
                       err.message);
    thin_shrink(d, true, id.vol);
}

/* Looks anew: nobody froze the source. */
static int see_users(struct migration *m, struct err *err)
{
    struct data_ends ends;
    int rc = data_look(&m->ports, &m->job, &ends, err);

    if (rc)
        return rc;
    rc = data_check_users(&m->ports, &m->job, &ends, err);
    data_ends_deinit(&ends);
    return rc;
}

static enum job_outcome finished(struct disk *d, enum copy_task task,
                                 const struct copy_progress *progress,
                                 struct err *err)
{
    struct migration *m = d->m;

    if (sync_close_copies(m))
        return migration_again(m, POLL_MS);
    if (progress->result) {
        (void)err_set(err, progress->result, "ended with error %d",
                      -progress->result); /* unless poll() said more */
        return migration_fail(m, err);
    }
    if (task == COPY_DATA)
        finish(d);
    return see_users(m, err) ? migration_fail(m, err) : JOB_OK;
}

/* HOLD_NONE: there is no copy any more. */
static int look(struct disk *d, struct copy_progress *ret, struct err *err)
{
    const struct migration *m = d->m;

    if (!d->held_copy) {
        *ret = copy_look(d, err);
        return 0;
    }
    if (!d->limit_applied)
        PORT(&m->ports, hold, limit, m->job.id, m->job.limit);
    d->limit_applied = true;
    return PORT(&m->ports, hold, poll, m->job.id, ret, err);
}

static enum job_outcome go_on(struct disk *d, enum copy_task task)
{
    struct migration *m = d->m;
    struct copy_progress progress = { .finished = false };
    struct err err = ERR_INIT;
    int rc = look(d, &progress, &err);

    if (rc == HOLD_NONE) {
        d->held_copy = false;
        return migration_again(m, POLL_MS);
    }
    if (rc < 0)
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (progress.finished)
        return finished(d, task, &progress, &err);
    if (task == COPY_DATA)
        report(m, &progress);
    if (migration_now_ms(m) - m->looked_ms < STORAGE_LOOK_MS)
        return migration_again(m, migration_poll_ms(m));
    if (see_users(m, &err))
        return migration_doubt(
            m, &err, err.code == ERR_VOLUME_BUSY ? 0 : QUERY_PATIENCE_MS);
    m->looked_ms = migration_now_ms(m);
    return migration_again(m, migration_poll_ms(m));
}

static enum job_outcome work_on(struct migration *m, enum copy_task task)
{
    struct disk *d = &m->disks[0];

    return d->copy || d->held_copy ? go_on(d, task) : start(d, task);
}

enum job_outcome data_sync(struct migration *m)
{
    return work_on(m, COPY_DATA);
}

enum job_outcome data_verify(struct migration *m)
{
    return work_on(m, COPY_COMPARE);
}
