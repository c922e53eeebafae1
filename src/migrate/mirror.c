/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mirrors of what the VM writes to: starting them, watching them, waiting
 * for them.
 *
 * They belong to qemu and outlive us and libvirtd, so before starting one we
 * look for ours. Its end is announced by nobody reliably: every look asks.
 */
#include "migration.h"

#include <dray/base/log.h>

#include <inttypes.h>
#include <string.h>

enum {
    STALLED_MS = 2000, /* no less was left meanwhile */
    HASTE_MAX = 32,    /* times: beyond any disk */
};

bool mirror_is_ours(const struct disk *d, const struct vm_mirror_info *info)
{
    return info->job && disk_on_destination(d, info->mirror_path);
}

bool mirror_has_begun(const struct disk *d)
{
    return d->mirror.total > 1;
}

/* --- no space ---------------------------------------------------------- */

static enum job_outcome start_afresh(struct disk *d);
static enum job_outcome start(struct disk *d);

/* Once, an LV that was too small gets more, and the mirror begins anew: the
 * guest writes to the source, and knows nothing of it. */
static bool may_begin_anew(const struct disk *d, const char *why)
{
    enum job_state state = d->m->job.state;

    return d->dst.block && !d->grown && strstr(why, "No space left") != NULL &&
           (state == JOB_STARTING || state == JOB_CONVERGING);
}

static enum job_outcome begin_anew(struct disk *d, const char *why)
{
    struct migration *m = d->m;
    const struct volume_id id = disk_target(d, disk_top(d));
    struct err err = ERR_INIT;
    struct volume_info top;
    int rc = PORT(&m->ports, storage, volume_info, &id, &top, &err);

    if (rc == 0)
        rc = thin_grow_full(d, &top, &err);
    if (rc > 0)
        return migration_fail_text(m, ERR_REPLICA,
                                   "the mirror of disk %s of VM %s ended: %s",
                                   d->of->target, m->job.vm_name, why);
    if (rc < 0) {
        (void)err_wrap(&err, "the mirror of disk %s ended: %s", d->of->target,
                       why);
        return migration_doubt(m, &err, 0);
    }
    log_info("job=%s vm=%s the mirror of disk %s begins anew: %s", m->job.id,
             m->job.vm, d->of->target, why);
    d->grown = true;
    d->watched = false;
    if (start_afresh(d) == JOB_FAIL)
        return JOB_FAIL;
    return migration_again(m, POLL_STILL_MS);
}

/* --- watching ---------------------------------------------------------- */

/* Why there is no mirror of ours (any more). */
static enum job_outcome absence(struct disk *d, bool other_job)
{
    struct migration *m = d->m;
    const char *target = d->of->target;
    char why[256] = "";
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look(d, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where == ON_DESTINATION && m->job.n_disks == 1)
        return JOB_LANDED;
    if (sight.where == VM_GONE)
        return migration_fail_text(
            m, ERR_REPLICA,
            "VM %s was shut down during the copy of disk %s: the source is "
            "intact",
            m->job.vm_name, target);
    if (other_job)
        return migration_fail_text(m, ERR_DISK_BUSY,
                                   "disk %s of VM %s has another block job now",
                                   target, m->job.vm_name);
    PORT(&m->ports, hypervisor, mirror_failure, m->job.vm, target, why,
         sizeof(why));
    if (may_begin_anew(d, why))
        return begin_anew(d, why);
    return migration_fail_text(
        m, ERR_REPLICA, "the mirror of disk %s of VM %s ended: %s", target,
        m->job.vm_name, why[0] ? why : "qemu gave no reason");
}

enum job_outcome mirror_watch(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct err look_err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };
    struct sight sight;

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err)) {
        /* The question may have failed because the VM is gone. */
        if (disk_look(d, &sight, &look_err) == 0 && sight.where == VM_GONE)
            return absence(d, false);
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    }
    if (!mirror_is_ours(d, &info))
        return absence(d, info.kind != VM_JOB_NONE);
    d->mirror = info;
    return JOB_OK;
}

/* All of a job's disks together keep its limit. 0 would mean no limit. */
uint64_t mirror_share(const struct disk *d)
{
    const struct job *job = &d->m->job;
    uint64_t share = (job->limit + job->n_disks - 1) / job->n_disks;

    return share > UINT64_MAX >> d->haste ? UINT64_MAX : share << d->haste;
}

void mirror_apply_limit(struct disk *d)
{
    struct migration *m = d->m;
    struct err ignored = ERR_INIT; /* tried again at the next poll */

    if (!d->limit_applied)
        d->limit_applied = PORT(&m->ports, hypervisor, mirror_limit, m->job.vm,
                                d->of->target, mirror_share(d), &ignored) == 0;
}

/* qemu copies whole chunks, so a guest that writes here and there is faster
 * than a limit that is well above what it writes. */
void mirror_hurry(struct disk *d)
{
    struct migration *m = d->m;
    uint64_t left = d->mirror.total - d->mirror.done;
    int64_t now_ms = migration_now_ms(m);

    if (!mirror_has_begun(d))
        return;
    if (d->least_ms == 0 || left < d->least_left) {
        d->least_left = left;
        d->least_ms = now_ms;
    }
    if (m->job.limit == 0 || d->haste == HASTE_MAX ||
        now_ms - d->least_ms < STALLED_MS)
        return;
    d->haste++;
    d->limit_applied = false;
    d->least_ms = now_ms;
    log_info("job=%s vm=%s disk %s: the guest writes faster than the limit "
             "allows: %" PRIu64 " KiB/s now",
             m->job.id, m->job.vm, d->of->target, mirror_share(d) >> 10);
}

void mirror_lift_limit(struct disk *d)
{
    struct migration *m = d->m;
    struct err ignored = ERR_INIT; /* then the rest takes longer */

    if (m->job.limit == 0)
        return;
    (void)PORT(&m->ports, hypervisor, mirror_limit, m->job.vm, d->of->target, 0,
               &ignored);
    d->limit_applied = false;
}

/* A mirror that fills an LV stands until the watch says that it may run. */
enum job_outcome mirror_let_run(struct disk *d)
{
    struct err err = ERR_INIT;

    if (watch_begin(d, NULL, &err)) {
        (void)err_wrap(&err, "room for the mirror of disk %s", d->of->target);
        return migration_doubt(
            d->m, &err, err.code == ERR_NO_SPACE ? 0 : QUERY_PATIENCE_MS);
    }
    mirror_apply_limit(d);
    return JOB_OK;
}

/* --- starting ---------------------------------------------------------- */

static bool has_parent_there(const struct disk *d)
{
    return d->of->overlay[0] || (!job_disk_is_flat(d->of) && d->chain.n > 1);
}

/* What an overlay held before would silently survive under a shallow mirror:
 * it is made anew right before, unless nobody had it since we made it. */
static int make_ready(struct disk *d, struct err *err)
{
    struct migration *m = d->m;
    const struct volume_id id = disk_target(d, disk_top(d));
    struct volume_info top;
    int rc = disk_activate(d, true, disk_top(d), err);

    if (rc || !d->of->dst_sd[0])
        return rc || d->fresh ? rc : overlay_make(d, true, err);
    if (!d->fresh)
        rc = PORT(&m->ports, storage, volume_reset, &id, err);
    if (rc || !d->dst.block)
        return rc;
    rc = PORT(&m->ports, storage, volume_info, &id, &top, err);
    return rc ? rc : thin_grow_mirror(d, &top, err);
}

/* Of a raw LV, which has whole extents, or of a device outside, the guest shall
 * see no more than it did. */
static uint64_t visible_bytes(const struct disk *d, const char *format)
{
    bool larger = d->dst.block && strcmp(format, "raw") == 0;

    return !d->of->dst_sd[0] || larger ? d->of->capacity : 0;
}

/* This life put it on the overlay, and began no mirror since. Whether somebody
 * else did, or moved it, the start itself finds out. */
static bool is_as_frozen(const struct disk *d)
{
    return d->fresh && d->of->overlay[0];
}

static int start_mirror(struct disk *d, struct err *err)
{
    struct migration *m = d->m;
    const char *format = disk_top_format(d);
    bool held = watch_is_needed(d);
    struct vm_mirror_spec spec = {
        .capacity = visible_bytes(d, format),
        .format = format,
        .shallow = has_parent_there(d),
        .bytes_per_s = held ? HELD_BYTES_PER_S : mirror_share(d),
        .buffer_bytes = m->job.fast ? 0 : m->ports.buffer_bytes,
    };

    (void)str_copy(spec.vm, sizeof(spec.vm), m->job.vm);
    (void)str_copy(spec.target, sizeof(spec.target), d->of->target);
    disk_target_path(d, disk_top(d), spec.path);
    if (is_as_frozen(d))
        disk_source_path(d, disk_top(d), spec.from);
    d->fresh = false;
    d->limit_applied = !held;
    return PORT(&m->ports, hypervisor, mirror_start, &spec, err);
}

static enum job_outcome start_afresh(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    enum job_outcome outcome = d->fresh ? JOB_OK : hang_watch(d);
    bool as_frozen = is_as_frozen(d);

    if (outcome == JOB_OK && make_ready(d, &err))
        return migration_storage_failed(m, &err);
    if (outcome == JOB_OK) /* qemu would wait for it, and the guest for qemu */
        outcome = hang_watch(d);
    if (outcome != JOB_OK)
        return outcome;
    if (start_mirror(d, &err)) {
        if (as_frozen)
            return start(d); /* looks for the reason, or spells it right */
        (void)err_wrap(&err, "start the mirror");
        return migration_doubt(m, &err, 0);
    }
    return mirror_let_run(d);
}

/* No mirror of it is known. */
static enum job_outcome start_known(struct disk *d)
{
    struct err err = ERR_INIT;

    if (disk_learn_places(d, &err) || disk_load_chain(d, &err))
        return migration_storage_failed(d->m, &err);
    return start_afresh(d);
}

static enum job_outcome start(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };
    struct sight sight;

    if (is_as_frozen(d))
        return start_known(d);
    if (disk_look(d, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where != ON_SOURCE)
        return absence(d, false);
    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (mirror_is_ours(d, &info))
        return JOB_OK;
    if (info.kind != VM_JOB_NONE)
        return absence(d, true);
    return start_known(d);
}

enum job_outcome act_start(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    guest_watch_begin(m);
    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = start(d);
    }
    return outcome;
}

/* --- waiting ----------------------------------------------------------- */

static enum job_outcome too_slow(struct migration *m)
{
    const struct job_progress *progress = &m->job.progress;
    uint64_t left = progress->total - progress->done;

    return migration_fail_text(
        m, ERR_TIMEOUT,
        "no convergence in %u s: the guest writes as fast as the mirror "
        "copies (%" PRIu64 " MiB left at %" PRIu64 " MiB/s)",
        m->ports.converge_limit_s, left >> 20, progress->rate >> 20);
}

static enum job_outcome watch(struct disk *d)
{
    struct err ignored = ERR_INIT; /* only the progress is less exact */
    enum job_outcome outcome = mirror_watch(d);

    if (outcome == JOB_OK)
        outcome = disk_see_destination(d);
    if (outcome == JOB_OK) {
        (void)disk_load_chain(d, &ignored);
        if (disk_learn_places(d, &ignored) == 0)
            outcome = mirror_let_run(d);
    }
    return outcome;
}

static bool may_pivot(const struct migration *m)
{
    bool ready = m->job.kind != JOB_REPLICATE || m->job.finish_requested;

    for (size_t i = 0; i < m->job.n_disks; i++)
        ready = ready && m->disks[i].mirror.ready;
    return ready;
}

enum job_outcome act_converge(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = watch(d);
    }
    if (outcome != JOB_OK)
        return outcome;
    migration_report(m);
    if (may_pivot(m) || migration_poll_ms(m) == POLL_MS)
        guest_watch(m);
    if (may_pivot(m))
        return JOB_OK;

    int64_t waited_ms = migration_now_ms(m) - m->entered_ms;
    int64_t limit_ms = (int64_t)m->ports.converge_limit_s * 1000;

    if (m->job.kind == JOB_DISK_MIGRATE && limit_ms > 0 &&
        waited_ms >= limit_ms)
        return too_slow(m);
    return migration_again(m, migration_poll_ms(m));
}
