/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies the frozen volumes, base first, one disk after another, before the
 * mirror starts: what the guest writes meanwhile is mirrored once, not twice,
 * and a copy that fails has no block job to abort. With --verify both sides are
 * read again and compared, later, in a state of its own.
 *
 * LEGAL on the destination is the mark of a finished volume: set after the
 * copier made it durable; nobody but us checks that all are there before the
 * pivot. A copy that a crash cut off goes on from the copier's checkpoint.
 *
 * To or from a place outside of domains a disk goes as one: the frozen leaf,
 * with all that is below it. There no mark says so; in another life it is
 * copied again.
 */
#include "migration.h"

#include <errno.h>

/* --- which layers ------------------------------------------------------ */

struct range {
    size_t first, end;
};

static struct range frozen(const struct disk *d)
{
    const struct job *job = &d->m->job;
    struct range range = { 0, d->chain.n };

    if (d->chain.n == 0 || (job_disk_is_flat(d->of) && !d->of->overlay[0]) ||
        job->kind == JOB_REPLICATE)
        return (struct range){ 0, 0 }; /* the mirror takes it all */
    if (job_disk_is_flat(d->of))
        return (struct range){ d->chain.n - 1, d->chain.n };
    if (job->kind == JOB_SYNC)
        scope_range(job->scope, d->chain.n, &range.first, &range.end);
    else if (job->kind != JOB_COPY && job->kind != JOB_MOVE &&
             !d->of->overlay[0])
        range.end = d->chain.n - 1; /* the leaf is mirrored */
    return range;
}

/* --- progress ---------------------------------------------------------- */

int sync_close_copies(struct migration *m)
{
    struct err err = ERR_INIT;

    for_each_disk (d, m) {
        if (d->copy)
            PORT(&m->ports, copier, close, d->copy);
        d->copy = NULL;
        d->copied = 0;
        d->copy_seen = false;
        if (d->held_copy && PORT(&m->ports, hold, stop, m->job.id, &err))
            return -EAGAIN;
        d->held_copy = false;
    }
    return 0;
}

void sync_forget(struct disk *d)
{
    const struct migration *m = d->m;
    struct err ignored = ERR_INIT; /* a few bytes are left then */

    (void)disk_load_chain(d, &ignored);
    for (size_t i = 0; i < d->chain.n; i++) {
        char key[COPY_KEY_SIZE];

        if (str_format(key, sizeof(key), "%s-%s", m->job.id,
                       d->chain.volumes[i].id.vol))
            PORT(&m->ports, copier, forget, key);
    }
}

static bool copies_are_done(const struct migration *m)
{
    switch (m->job.state) {
    case JOB_PLANNED:
    case JOB_PREPARING:
    case JOB_FREEZING:
    case JOB_SYNCING:
        return false;
    default:
        return true;
    }
}

/* What is copied as layer @i. */
static uint64_t bytes_of(const struct disk *d, size_t i)
{
    uint64_t bytes = d->chain.volumes[i].true_bytes;

    while (disk_is_outside(d, true) && i-- > 0)
        bytes += d->chain.volumes[i].true_bytes;
    return bytes;
}

static void add_disk(const struct disk *d, struct job_progress *progress)
{
    struct range range = frozen(d);

    for (size_t i = range.first; i < range.end; i++) {
        uint64_t bytes = bytes_of(d, i);

        progress->total += bytes;
        if (copies_are_done(d->m) || i < d->layer)
            progress->done += bytes;
    }
    progress->done += copies_are_done(d->m) ? 0 : d->copied;
    if (!mirror_has_begun(d))
        return;
    progress->total += d->mirror.total;
    progress->done += d->mirror.done;
}

void migration_report(struct migration *m)
{
    struct job_progress *progress = &m->job.progress;

    progress->done = 0;
    progress->total = 0;
    for_each_disk (d, m)
        add_disk(d, progress);
    if (progress->done > progress->total)
        progress->done = progress->total;
    progress->rate = meter_read(&m->meter, migration_now_ms(m), progress->done);
    progress->eta_s =
        meter_eta_s(progress->rate, progress->total - progress->done);
}

/* --- one volume -------------------------------------------------------- */

static void describe(const struct disk *d, const struct volume_info *to,
                     enum copy_task task, struct copy_spec *ret_spec)
{
    const struct volume_info *from = &d->chain.volumes[d->layer];

    *ret_spec = (struct copy_spec){ .src_format = from->format,
                                    .dst_format = to->format,
                                    .src_bytes = to->capacity,
                                    .bytes_per_s = d->m->job.limit,
                                    .task = task };
    (void)str_copy(ret_spec->src_path, sizeof(ret_spec->src_path), from->path);
    (void)str_copy(ret_spec->dst_path, sizeof(ret_spec->dst_path), to->path);
    if (task == COPY_DATA)
        (void)str_format(ret_spec->resume_key, sizeof(ret_spec->resume_key),
                         "%s-%s", d->m->job.id, to->id.vol);
    if (disk_is_outside(d, false))
        ret_spec->src_format = d->of->src_cow ? VOLUME_COW : VOLUME_RAW;
    if (d->layer == 0 || job_disk_is_flat(d->of))
        return;
    (void)str_copy(ret_spec->dst_backing, sizeof(ret_spec->dst_backing),
                   d->chain.volumes[d->layer - 1].id.vol);
    ret_spec->src_backing_format = d->chain.volumes[d->layer - 1].format;
    ret_spec->dst_backing_format = disk_format(d, d->layer - 1);
}

/* LVs that only we use, or that a host which was started again has not. */
static int activate(struct disk *d, struct err *err)
{
    int rc = disk_activate(d, true, disk_top(d), err);

    if (rc == 0 && !d->of->target[0])
        rc = disk_activate(d, false, d->of->leaf, err);
    return rc;
}

/* The copier never meets the end of an LV. */
static int make_room(struct disk *d, struct volume_info *to,
                     enum copy_task task, bool *ret_compact, struct err *err)
{
    const struct volume_info *from = &d->chain.volumes[d->layer];
    int rc = activate(d, err);

    /* It was made large enough, and qcow2 may have more below. */
    if (job_disk_is_flat(d->of)) {
        *ret_compact = d->of->src_cow || from->format == VOLUME_COW;
        return rc;
    }
    if (rc == 0 && task == COPY_DATA)
        return thin_grow_copy(d, from, to, ret_compact, err);
    return rc ? rc : thin_is_compact(d, from, to, ret_compact, err);
}

static int start(struct disk *d, struct volume_info *to, enum copy_task task,
                 struct err *err)
{
    struct migration *m = d->m;
    struct copy_spec spec;
    bool compact = false;
    int rc = make_room(d, to, task, &compact, err);

    describe(d, to, task, &spec);
    spec.compact = compact;
    if (rc == 0 && task == COPY_DATA && !d->fresh && d->of->dst_sd[0] &&
        !PORT(&m->ports, copier, resumable, &spec))
        rc = PORT(&m->ports, storage, volume_reset, &to->id, err);
    if (rc == 0)
        rc = PORT(&m->ports, copier, start, &spec, &d->copy, err);
    if (rc)
        return err_wrap(err, "copy volume %s", to->id.vol);
    d->limit_applied = true;
    return 0;
}

/* Copies leave holes where there are zeros. What the guest's moves do when it
 * runs again (release.c) is done here when no guest waits. */
static void take_promised_space(struct disk *d, const struct volume_id *id)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;

    if (!m->job.vm[0] && PORT(&m->ports, storage, volume_preallocate, id, &err))
        migration_warn(m, "preallocated volume %s is sparse: %.120s", id->vol,
                       err.message);
}

static enum job_outcome finished(struct disk *d, enum copy_task task,
                                 const struct copy_progress *progress,
                                 struct err *err)
{
    struct migration *m = d->m;
    const struct volume_id id =
        disk_target(d, d->chain.volumes[d->layer].id.vol);

    (void)sync_close_copies(m);
    if (progress->result) {
        (void)err_set(err, progress->result, "ended with error %d",
                      -progress->result); /* unless poll() said more */
        (void)err_wrap(err, "%s volume %s",
                       task == COPY_DATA ? "copy" : "verify", id.vol);
        migration_name_cause(m, err);
        return migration_fail(m, err);
    }
    if (task == COPY_DATA && d->of->dst_sd[0]) {
        take_promised_space(d, &id);
        thin_shrink(d, true, id.vol);
    }
    if (task == COPY_DATA && d->of->dst_sd[0] &&
        PORT(&m->ports, storage, volume_set_legality, &id, VOLUME_LEGAL, err))
        return migration_storage_failed(m, err);
    d->layer++;
    return migration_again(m, 0);
}

struct copy_progress copy_look(struct disk *d, struct err *err)
{
    struct migration *m = d->m;
    struct copy_progress progress = { .finished = false };

    if (!d->limit_applied)
        PORT(&m->ports, copier, limit, d->copy, m->job.limit);
    d->limit_applied = true;
    PORT(&m->ports, copier, poll, d->copy, &progress, err);
    /* What an earlier life copied is no work of this one. */
    if (!d->copy_seen)
        meter_begin(&m->meter);
    d->copy_seen = true;
    return progress;
}

static enum job_outcome go_on(struct disk *d, enum copy_task task)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    const struct copy_progress progress = copy_look(d, &err);

    if (progress.finished)
        return finished(d, task, &progress, &err);

    double part =
        progress.total ? (double)progress.done / (double)progress.total : 0;

    d->copied = (uint64_t)(part * (double)bytes_of(d, d->layer));
    return migration_again(m, migration_poll_ms(m));
}

/* --- all of them ------------------------------------------------------- */

/* What the layer @d->layer becomes. */
static int find_target(const struct disk *d, struct volume_info *ret_to,
                       struct err *err)
{
    const struct volume_id id =
        disk_target(d, d->chain.volumes[d->layer].id.vol);

    if (d->of->dst_sd[0])
        return PORT(&d->m->ports, storage, volume_info, &id, ret_to, err);
    *ret_to = (struct volume_info){
        .id = id,
        .format = d->of->base_cow ? VOLUME_COW : VOLUME_RAW,
        .legality = VOLUME_ILLEGAL,
        .capacity = d->of->capacity,
    };
    (void)str_copy(ret_to->path, sizeof(ret_to->path), d->of->dst_path);
    return 0;
}

/* The next volume of @d, in *ret_to; skips what is finished. 0: there is none.
 */
static int next_volume(struct disk *d, enum copy_task task,
                       struct volume_info *ret_to, struct err *err)
{
    struct range range = frozen(d);

    if (d->layer < range.first)
        d->layer = range.first;
    for (; d->layer < range.end; d->layer++) {
        int rc = find_target(d, ret_to, err);

        if (rc)
            return rc;
        if (task == COPY_COMPARE || ret_to->legality != VOLUME_LEGAL)
            return 1;
    }
    return 0;
}

/* Nothing freezes the image of a VM that is off: looked at before each volume
 * and after the last, not only now and then. */
static enum job_outcome see_writers_now(struct migration *m)
{
    if (m->job.vm[0])
        return JOB_OK;
    m->looked_ms -= STORAGE_LOOK_MS;
    return migration_see_vm(m);
}

static enum job_outcome work_on(struct disk *d, enum copy_task task)
{
    struct migration *m = d->m;
    struct volume_info to;
    struct err err = ERR_INIT;

    if (disk_load_chain(d, &err))
        return migration_storage_failed(m, &err);
    if (d->copy)
        return go_on(d, task);

    int more = next_volume(d, task, &to, &err);

    if (more == 0) {
        m->at++;
        return migration_again(m, 0);
    }
    enum job_outcome outcome = more > 0 ? see_writers_now(m) : JOB_OK;

    if (outcome != JOB_OK)
        return outcome;
    if (more < 0 || start(d, &to, task, &err))
        return migration_storage_failed(m, &err);
    return migration_again(m, POLL_STILL_MS);
}

static enum job_outcome work_through(struct migration *m, enum copy_task task)
{
    enum job_outcome outcome = migration_see_vm(m);

    while (outcome == JOB_OK && m->at < m->job.n_disks) {
        struct disk *d = &m->disks[m->at];
        size_t at = m->at;

        outcome = disk_see_destination(d);
        if (outcome == JOB_OK)
            outcome = work_on(d, task);
        if (outcome == JOB_AGAIN && m->wait_ms == 0 && m->at > at)
            outcome = JOB_OK; /* on to the next disk */
    }
    if (task == COPY_DATA)
        migration_report(m);
    return outcome == JOB_OK ? see_writers_now(m) : outcome;
}

enum job_outcome act_sync(struct migration *m)
{
    return work_through(m, COPY_DATA);
}

enum job_outcome act_verify(struct migration *m)
{
    return work_through(m, COPY_COMPARE);
}
