/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mirror of the leaf: starting it, watching it, waiting for it.
 *
 * It belongs to qemu and outlives us and libvirtd, so before starting one we
 * look for ours. Its end is announced by nobody reliably: every look asks.
 */
#include "migration.h"

#include <inttypes.h>

bool mirror_is_ours(const struct migration *m,
                    const struct vm_mirror_info *info)
{
    return info->job && migration_on_destination(m, info->mirror_path);
}

/* Why there is no mirror of ours (any more). */
static enum job_outcome absence(struct migration *m, bool other_job)
{
    const struct job_disk_move *move = &m->job.move;
    char why[256] = "";
    struct err err = ERR_INIT;
    struct sight sight;

    if (migration_look(m, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where == ON_DESTINATION)
        return JOB_LANDED;
    if (sight.where == VM_GONE)
        return migration_fail_text(
            m, ERR_REPLICA,
            "VM %s was shut down during the copy of disk %s: the source is "
            "intact",
            move->vm_name, move->target);
    if (other_job)
        return migration_fail_text(m, ERR_DISK_BUSY,
                                   "disk %s of VM %s has another block job now",
                                   move->target, move->vm_name);
    PORT(&m->ports, hypervisor, mirror_failure, move->vm, move->target, why,
         sizeof(why));
    return migration_fail_text(
        m, ERR_REPLICA, "the mirror of disk %s of VM %s ended: %s",
        move->target, move->vm_name, why[0] ? why : "qemu gave no reason");
}

enum job_outcome mirror_watch(struct migration *m,
                              struct vm_mirror_info *ret_info)
{
    const struct job_disk_move *move = &m->job.move;
    struct err err = ERR_INIT;
    struct err look_err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };
    struct sight sight;

    if (PORT(&m->ports, hypervisor, mirror_info, move->vm, move->target, &info,
             &err)) {
        /* The question may have failed because the VM is gone. */
        if (migration_look(m, &sight, &look_err) == 0 && sight.where == VM_GONE)
            return absence(m, false);
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    }
    if (!mirror_is_ours(m, &info))
        return absence(m, info.job);
    *ret_info = info;
    return JOB_OK;
}

/* While internal volumes are copied beside the mirror each gets half; a mirror
 * that has caught up needs only what the guest writes. 0 would mean no limit.
 */
static uint64_t mirror_share(const struct migration *m)
{
    bool alone = m->chain.n == 1 || m->job.state > JOB_SYNCING;

    if (m->job.limit == 0 || alone)
        return m->job.limit;
    return m->job.limit / (m->caught_up ? 8 : 2) + 1;
}

uint64_t migration_copy_share(const struct migration *m)
{
    uint64_t mirror = mirror_share(m);

    if (m->job.limit == 0)
        return 0;
    return mirror < m->job.limit ? m->job.limit - mirror : 1;
}

void mirror_apply_limit(struct migration *m)
{
    struct err ignored = ERR_INIT; /* tried again at the next poll */

    if (m->limit_applied)
        return;
    if (m->copy)
        PORT(&m->ports, copier, limit, m->copy, migration_copy_share(m));
    m->limit_applied = PORT(&m->ports, hypervisor, mirror_limit, m->job.move.vm,
                            m->job.move.target, mirror_share(m), &ignored) == 0;
}

/* What an overlay held before would silently survive under a shallow mirror:
 * the leaf is made anew right before. */
static enum job_outcome start_afresh(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    const struct volume_id leaf = migration_target(m, move->leaf);
    struct err err = ERR_INIT;
    struct vm_mirror_spec spec = { .shallow = m->chain.n > 1,
                                   .bytes_per_s = mirror_share(m),
                                   .buffer_bytes = m->ports.buffer_bytes };
    bool cow = migration_format(m, m->chain.n - 1) == VOLUME_COW;

    if (PORT(&m->ports, storage, volume_reset, &leaf, &err))
        return migration_storage_failed(m, &err);
    spec.format = cow ? "qcow2" : "raw";
    (void)str_copy(spec.vm, sizeof(spec.vm), move->vm);
    (void)str_copy(spec.target, sizeof(spec.target), move->target);
    (void)str_copy(spec.path, sizeof(spec.path), move->dst_path);
    if (PORT(&m->ports, hypervisor, mirror_start, &spec, &err)) {
        (void)err_wrap(&err, "start the mirror");
        return migration_doubt(m, &err, 0);
    }
    m->limit_applied = true;
    return JOB_OK;
}

enum job_outcome act_start(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };
    struct sight sight;

    if (migration_look(m, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where != ON_SOURCE)
        return absence(m, false);
    if (PORT(&m->ports, hypervisor, mirror_info, move->vm, move->target, &info,
             &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (mirror_is_ours(m, &info))
        return JOB_OK;
    if (info.job)
        return absence(m, true);
    if (migration_load_chain(m, &err))
        return migration_storage_failed(m, &err);
    return start_afresh(m);
}

static enum job_outcome too_slow(struct migration *m,
                                 const struct vm_mirror_info *info)
{
    uint64_t left = info->total > info->done ? info->total - info->done : 0;

    return migration_fail_text(
        m, ERR_TIMEOUT,
        "no convergence in %u s: the guest writes as fast as the mirror "
        "copies (%" PRIu64 " MiB left at %" PRIu64 " MiB/s)",
        m->ports.converge_limit_s, left >> 20, m->job.progress.rate >> 20);
}

enum job_outcome act_converge(struct migration *m)
{
    struct vm_mirror_info info = { .job = false };
    struct err ignored = ERR_INIT; /* only the progress is less exact */
    enum job_outcome outcome = mirror_watch(m, &info);

    if (outcome == JOB_OK)
        outcome = migration_see_destination(m);
    if (outcome != JOB_OK)
        return outcome;
    (void)migration_load_chain(m, &ignored);
    mirror_apply_limit(m);
    sync_report(m, &info, 0);
    if (info.ready)
        return JOB_OK;

    int64_t waited_ms = migration_now_ms(m) - m->entered_ms;
    int64_t limit_ms = (int64_t)m->ports.converge_limit_s * 1000;

    if (limit_ms > 0 && waited_ms >= limit_ms)
        return too_slow(m, &info);
    return migration_again(m, POLL_MS);
}
