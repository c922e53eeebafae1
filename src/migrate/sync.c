/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies the internal volumes, base first, while the mirror runs. qemu opens
 * the destination's internal volumes only at the pivot, so we may write them
 * until then; nobody but us checks that they are complete by then.
 *
 * LEGAL on the destination is the mark of a finished one: set after the copier
 * made it durable. A copy that a crash cut off is done again from zero.
 */
#include "migration.h"

static bool all_copied(const struct migration *m)
{
    return m->layer + 1 >= m->chain.n;
}

void sync_close_copy(struct migration *m)
{
    if (m->copy)
        PORT(&m->ports, copier, close, m->copy);
    m->copy = NULL;
}

/* Bytes of the internal volumes below layer @end. */
static uint64_t internal_bytes(const struct migration *m, size_t end)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < end && i + 1 < m->chain.n; i++)
        sum += m->chain.volumes[i].true_bytes;
    return sum;
}

void sync_report(struct migration *m, const struct vm_mirror_info *info,
                 uint64_t copying)
{
    struct job_progress *progress = &m->job.progress;
    size_t copied = m->job.state > JOB_SYNCING ? m->chain.n : m->layer;

    progress->total = internal_bytes(m, m->chain.n) + info->total;
    progress->done = internal_bytes(m, copied) + copying + info->done;
    if (progress->done > progress->total)
        progress->done = progress->total;
    progress->rate = meter_read(&m->meter, migration_now_ms(m), progress->done);
    progress->eta_s =
        meter_eta_s(progress->rate, progress->total - progress->done);
}

/* Skips what an earlier life of the daemon finished. */
static int skip_finished(struct migration *m, struct volume_info *ret_info,
                         struct err *err)
{
    for (; !all_copied(m); m->layer++) {
        const struct volume_id id =
            migration_target(m, m->chain.volumes[m->layer].id.vol);
        int rc = PORT(&m->ports, storage, volume_info, &id, ret_info, err);

        if (rc)
            return rc;
        if (ret_info->legality != VOLUME_LEGAL)
            break;
    }
    return 0;
}

static void describe_copy(const struct migration *m,
                          const struct volume_info *to,
                          struct copy_spec *ret_spec)
{
    const struct volume_info *from = &m->chain.volumes[m->layer];

    *ret_spec = (struct copy_spec){ .src_format = from->format,
                                    .dst_format = to->format,
                                    .bytes_per_s = migration_copy_share(m) };
    (void)str_copy(ret_spec->src_path, sizeof(ret_spec->src_path), from->path);
    (void)str_copy(ret_spec->dst_path, sizeof(ret_spec->dst_path), to->path);
    if (m->layer == 0)
        return;
    (void)str_copy(ret_spec->dst_backing, sizeof(ret_spec->dst_backing),
                   m->chain.volumes[m->layer - 1].id.vol);
    ret_spec->src_backing_format = m->chain.volumes[m->layer - 1].format;
    ret_spec->dst_backing_format = migration_format(m, m->layer - 1);
}

static int start_copy(struct migration *m, const struct volume_info *to,
                      struct err *err)
{
    struct copy_spec spec;
    int rc = PORT(&m->ports, storage, volume_reset, &to->id, err);

    if (rc)
        return rc;
    describe_copy(m, to, &spec);
    return PORT(&m->ports, copier, start, &spec, &m->copy, err);
}

static enum job_outcome copy_finished(struct migration *m,
                                      const struct copy_progress *progress,
                                      struct err *err)
{
    const struct volume_info *from = &m->chain.volumes[m->layer];
    const struct volume_id id = migration_target(m, from->id.vol);

    sync_close_copy(m);
    if (progress->result) {
        (void)err_set(err, progress->result, "the copy ended with error %d",
                      -progress->result); /* unless poll() said more */
        (void)err_wrap(err, "copy volume %s", from->id.vol);
        migration_name_cause(m, err);
        return migration_fail(m, err);
    }
    if (PORT(&m->ports, storage, volume_set_legality, &id, VOLUME_LEGAL, err))
        return migration_storage_failed(m, err);
    m->layer++;
    return migration_again(m, 0);
}

static enum job_outcome go_on_copying(struct migration *m,
                                      const struct vm_mirror_info *info)
{
    const struct volume_info *from = &m->chain.volumes[m->layer];
    struct copy_progress progress = { .finished = false };
    struct err err = ERR_INIT;

    PORT(&m->ports, copier, poll, m->copy, &progress, &err);
    if (progress.finished)
        return copy_finished(m, &progress, &err);

    double part =
        progress.total ? (double)progress.done / (double)progress.total : 0;

    sync_report(m, info, (uint64_t)(part * (double)from->true_bytes));
    return migration_again(m, POLL_MS);
}

enum job_outcome act_sync(struct migration *m)
{
    struct vm_mirror_info mirror = { .job = false };
    struct volume_info to;
    struct err err = ERR_INIT;
    enum job_outcome outcome = mirror_watch(m, &mirror);

    if (outcome == JOB_OK)
        outcome = migration_see_destination(m);
    if (outcome != JOB_OK)
        return outcome;
    if (migration_load_chain(m, &err))
        return migration_storage_failed(m, &err);
    if (mirror.ready != m->caught_up)
        m->limit_applied = m->job.limit == 0;
    m->caught_up = mirror.ready;
    mirror_apply_limit(m);
    if (m->copy)
        return go_on_copying(m, &mirror);
    sync_report(m, &mirror, 0);
    if (skip_finished(m, &to, &err))
        return migration_storage_failed(m, &err);
    if (all_copied(m)) {
        m->limit_applied = m->job.limit == 0; /* the mirror has it all now */
        return JOB_OK;
    }
    if (start_copy(m, &to, &err)) {
        (void)err_wrap(&err, "copy volume %s", to.id.vol);
        return migration_storage_failed(m, &err);
    }
    return migration_again(m, POLL_MS / 10); /* small layers take no longer */
}
