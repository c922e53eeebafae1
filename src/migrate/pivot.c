/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pivot: hold the guest still, wait until the mirror has nothing left,
 * pivot, read back what qemu writes to. JOB_PIVOTED is recorded before the
 * guest runs again, so a crash at any point leaves one right answer:
 *
 *   qemu lives     what it has open is right, whatever anybody recorded
 *   qemu is gone   JOB_PIVOTING: the source (the guest wrote nothing since it
 *                  was still); JOB_PIVOTED: the destination
 *
 * What the calls return decides nothing; their errors only explain. A guest is
 * held for HOLD_MAX_MS at most; then what is true at that moment decides.
 */
#include "migration.h"

enum {
    READY_AGAIN_MS = 60000, /* how long a mirror may take to be ready again */
    REFUSED_US = 500000,    /* a pivot whose call failed: nothing will come */
};

/* No qemu: see above. (JOB_ABORTING looks for the one exception, a pivot that
 * was found done while the journal could not be written.) */
static enum job_outcome vm_is_gone(struct migration *m)
{
    return migration_fail_text(m, ERR_REPLICA,
                               "VM %s went away during the pivot: the source "
                               "is intact",
                               m->job.move.vm_name);
}

/* qemu stayed where it was and the mirror is gone. */
static enum job_outcome refused(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    char why[256] = "";

    if (m->pivot_error.rc) {
        (void)err_wrap(&m->pivot_error, "pivot disk %s", move->target);
        return migration_fail(m, &m->pivot_error);
    }
    PORT(&m->ports, hypervisor, mirror_failure, move->vm, move->target, why,
         sizeof(why));
    return migration_fail_text(
        m, ERR_CHANGE_DISK, "the pivot of disk %s of VM %s failed: %s",
        move->target, move->vm_name, why[0] ? why : "qemu gave no reason");
}

static enum job_outcome held_too_long(struct migration *m)
{
    return migration_fail_text(
        m, ERR_TIMEOUT,
        "the pivot of disk %s of VM %s did not come to an end within %d ms",
        m->job.move.target, m->job.move.vm_name, HOLD_MAX_MS);
}

/* Every internal volume must be complete: qemu opens them now, and nobody else
 * checks. Reading their records also proves that the destination answers, which
 * must be known before a guest waits for it. */
static enum job_outcome check_layers(struct migration *m)
{
    struct err err = ERR_INIT;

    if (migration_load_chain(m, &err))
        return migration_storage_failed(m, &err);
    for (size_t i = 0; i < m->chain.n; i++) {
        const struct volume_id id =
            migration_target(m, m->chain.volumes[i].id.vol);
        bool leaf = i + 1 == m->chain.n;
        struct volume_info info;

        if (PORT(&m->ports, storage, volume_info, &id, &info, &err))
            return migration_storage_failed(m, &err);
        if (!leaf && info.legality != VOLUME_LEGAL)
            return migration_fail_text(m, ERR_VOLUME_ILLEGAL,
                                       "volume %s on domain %s is not complete",
                                       id.vol, id.sd);
    }
    return JOB_OK;
}

/* The guest still runs. */
static enum job_outcome get_ready(struct migration *m)
{
    struct err ignored = ERR_INIT; /* then the rest takes longer */
    struct vm_mirror_info info = { .job = false };
    enum job_outcome outcome = mirror_watch(m, &info);

    if (outcome != JOB_OK)
        return outcome;
    if (!info.ready) {
        if (migration_now_ms(m) - m->entered_ms < READY_AGAIN_MS)
            return migration_again(m, POLL_MS / 2);
        return migration_fail_text(m, ERR_NOT_READY,
                                   "the mirror of disk %s is not ready any "
                                   "more",
                                   m->job.move.target);
    }
    outcome = check_layers(m);
    if (outcome == JOB_OK && m->job.limit) /* the guest shall not wait for it */
        (void)PORT(&m->ports, hypervisor, mirror_limit, m->job.move.vm,
                   m->job.move.target, 0, &ignored);
    return outcome;
}

/* The guest is still: what the mirror has left can only become less. */
static enum job_outcome ask_for_pivot(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct vm_mirror_info info = { .job = false };
    enum job_outcome outcome = mirror_watch(m, &info);

    if (outcome != JOB_OK)
        return outcome;
    if (guest_held_too_long(m))
        return held_too_long(m);
    if (!info.ready || info.done < info.total)
        return migration_again(m, POLL_STILL_MS);
    m->pivot_asked = true;
    m->pivot_error = (struct err)ERR_INIT;
    if (PORT(&m->ports, hypervisor, mirror_pivot, move->vm, move->target,
             &m->pivot_error) &&
        m->pivot_error.code == ERR_NOT_READY)
        m->pivot_asked = false;
    return migration_again(m, POLL_STILL_MS);
}

/* Whether the mirror is still there, and we should wait for it. */
static enum job_outcome pivot_goes_on(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct err err = ERR_INIT;
    struct err ignored = ERR_INIT;
    struct vm_mirror_info info = { .job = false };
    struct sight sight;

    if (PORT(&m->ports, hypervisor, mirror_info, move->vm, move->target, &info,
             &err)) {
        /* It may fail because it is all over; else it must be asked again. */
        if (migration_look(m, &sight, &ignored) == 0 &&
            sight.where != ON_SOURCE)
            return JOB_OK;
        return migration_doubt(m, &err, HOLD_MAX_MS);
    }
    if (!info.job)
        return JOB_OK; /* the look that follows decides */
    if (guest_held_too_long(m))
        return held_too_long(m);
    if (m->pivot_error.rc && info.ready &&
        migration_libvirt_is_away(m, &m->pivot_error)) {
        m->pivot_asked = false; /* it never heard of it: ask again */
        return migration_again(m, POLL_STILL_MS);
    }
    if (m->pivot_error.rc &&
        PORT(&m->ports, clock, now_us) - m->held_us > REFUSED_US)
        return refused(m);
    return migration_again(m, POLL_STILL_MS);
}

static enum job_outcome on_source(struct migration *m,
                                  const struct sight *sight)
{
    struct err err = ERR_INIT;
    enum job_outcome outcome;

    if (m->resume_first) { /* an earlier life suspended it: begin again */
        if (guest_resume(m, &err))
            return migration_doubt(m, &err, UNDO_PATIENCE_MS);
        return migration_again(m, 0);
    }
    if (m->pivot_asked)
        return refused(m);
    if (sight->state != VM_PAUSED)
        m->still = false; /* somebody resumed it: hold it again */
    if (!m->still) {
        outcome = get_ready(m);
        if (outcome == JOB_OK)
            outcome = guest_hold(m);
        if (outcome != JOB_OK)
            return outcome;
    }
    return ask_for_pivot(m);
}

enum job_outcome act_pivot(struct migration *m)
{
    struct err err = ERR_INIT;
    struct sight sight;

    if (m->pivot_asked) {
        enum job_outcome outcome = pivot_goes_on(m);

        if (outcome != JOB_OK)
            return outcome;
    }
    if (migration_look(m, &sight, &err))
        return migration_doubt(m, &err, HOLD_MAX_MS);
    switch (sight.where) {
    case ON_SOURCE:
        return on_source(m, &sight);
    case ON_DESTINATION:
        return JOB_OK;
    case VM_GONE:
        return vm_is_gone(m);
    case ON_ELSEWHERE:
        break;
    }
    return migration_fail_text(
        m, ERR_CHANGE_DISK,
        "disk %s of VM %s is neither on the source nor on the destination",
        m->job.move.target, m->job.move.vm_name);
}
