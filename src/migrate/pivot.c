/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pivot: hold the guest still, wait until the mirrors have nothing left,
 * pivot disk by disk, read back what qemu writes to. JOB_PIVOTED is recorded
 * before the guest runs again, so a crash at any point leaves one right answer:
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

/* --- one disk; commits that end with a pivot do so too (fold.c) -------- */

/* qemu stayed where it was and the job is gone. */
static enum job_outcome refused(struct disk *d)
{
    struct migration *m = d->m;
    char why[256] = "";

    if (d->pivot_error.rc) {
        (void)err_wrap(&d->pivot_error, "pivot disk %s", d->of->target);
        return migration_fail(m, &d->pivot_error);
    }
    PORT(&m->ports, hypervisor, mirror_failure, m->job.vm, d->of->target, why,
         sizeof(why));
    return migration_fail_text(
        m, ERR_CHANGE_DISK, "the pivot of disk %s of VM %s failed: %s",
        d->of->target, m->job.vm_name, why[0] ? why : "qemu gave no reason");
}

static enum job_outcome held_too_long(struct disk *d)
{
    return migration_fail_text(
        d->m, ERR_TIMEOUT,
        "the pivot of disk %s of VM %s did not come to an end within %d ms",
        d->of->target, d->m->job.vm_name, HOLD_MAX_MS);
}

enum job_outcome pivot_ask(struct disk *d, enum vm_job_kind kind)
{
    struct migration *m = d->m;
    const char *target = d->of->target;
    struct vm_mirror_info info = { .job = false };
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, target, &info,
             &err))
        return migration_doubt(m, &err, HOLD_MAX_MS);
    if (info.kind != kind)
        return refused(d);
    if (guest_held_too_long(m))
        return held_too_long(d);
    if (!info.ready || info.done < info.total)
        return migration_again(m, POLL_STILL_MS);
    d->pivot_asked = true;
    d->pivot_error = (struct err)ERR_INIT;
    if (PORT(&m->ports, hypervisor, mirror_pivot, m->job.vm, target,
             &d->pivot_error) &&
        d->pivot_error.code == ERR_NOT_READY)
        d->pivot_asked = false;
    return migration_again(m, POLL_STILL_MS);
}

/* The job's own question failed: it may be because it is all over. */
static enum job_outcome without_answer(struct disk *d, const struct err *err)
{
    struct err ignored = ERR_INIT;
    struct sight sight;

    if (disk_look(d, &sight, &ignored) == 0 && sight.where != ON_SOURCE)
        return JOB_OK;
    return migration_doubt(d->m, err, HOLD_MAX_MS);
}

enum job_outcome pivot_wait(struct disk *d, enum vm_job_kind kind)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return without_answer(d, &err);
    if (info.kind != kind)
        return JOB_OK; /* the look that follows decides */
    if (guest_held_too_long(m))
        return held_too_long(d);
    if (d->pivot_error.rc && info.ready &&
        migration_libvirt_is_away(m, &d->pivot_error)) {
        d->pivot_asked = false; /* it never heard of it: ask again */
        return migration_again(m, POLL_STILL_MS);
    }
    if (d->pivot_error.rc &&
        PORT(&m->ports, clock, now_us) - m->held_us > REFUSED_US)
        return refused(d);
    return migration_again(m, POLL_STILL_MS);
}

/* --- before ------------------------------------------------------------ */

/* No qemu: see above. (JOB_ABORTING looks for the one exception, a pivot that
 * was found done while the journal could not be written.) */
static enum job_outcome vm_is_gone(struct migration *m)
{
    return migration_fail_text(m, ERR_REPLICA,
                               "VM %s went away during the pivot: the source "
                               "is intact",
                               m->job.vm_name);
}

/* Every layer below the top must be complete: qemu opens them now, and nobody
 * else checks. Reading their records also proves that the destination answers,
 * which must be known before a guest waits for it. */
static enum job_outcome check_layers(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;

    if (!d->of->dst_sd[0])
        return JOB_OK;
    if (disk_load_chain(d, &err))
        return migration_storage_failed(m, &err);
    for (size_t i = 0; i < d->chain.n; i++) {
        const struct volume_id id = disk_target(d, d->chain.volumes[i].id.vol);
        bool top = i + 1 == d->chain.n && !d->of->overlay[0];
        struct volume_info info;

        if (PORT(&m->ports, storage, volume_info, &id, &info, &err))
            return migration_storage_failed(m, &err);
        if (!top && info.legality != VOLUME_LEGAL)
            return migration_fail_text(m, ERR_VOLUME_ILLEGAL,
                                       "volume %s on domain %s is not complete",
                                       id.vol, id.sd);
    }
    return JOB_OK;
}

static enum job_outcome get_ready(struct disk *d)
{
    struct migration *m = d->m;
    enum job_outcome outcome = mirror_watch(d);

    if (outcome != JOB_OK)
        return outcome;
    if (!d->mirror.ready) {
        if (migration_now_ms(m) - m->entered_ms < READY_AGAIN_MS)
            return migration_again(m, POLL_MS / 2);
        return migration_fail_text(m, ERR_NOT_READY,
                                   "the mirror of disk %s is not ready any "
                                   "more",
                                   d->of->target);
    }
    outcome = hang_watch(d); /* once it is pivoting, qemu waits for it */
    if (outcome == JOB_OK)
        outcome = check_layers(d);
    if (outcome == JOB_OK)
        mirror_lift_limit(d);
    return outcome;
}

/* The guest still runs. Disks that are over there were just seen. */
static enum job_outcome hold(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    for_each_disk (d, m) {
        if (outcome == JOB_OK && !d->there)
            outcome = get_ready(d);
        disk_changes_soon(d, true); /* its leaf will be LEGAL */
    }
    return outcome == JOB_OK ? guest_hold(m) : outcome;
}

/* --- all disks --------------------------------------------------------- */

struct survey {
    size_t there;       /* disks on the destination */
    struct disk *next;  /* the first that is not; NULL: none */
    struct sight sight; /* of that one, or of the last */
};

static int look_around(struct migration *m, struct survey *ret, struct err *err)
{
    *ret = (struct survey){ .there = 0 };
    for_each_disk (d, m) {
        struct sight sight;
        int rc = disk_look(d, &sight, err);

        if (rc)
            return rc;
        d->there = sight.where == ON_DESTINATION;
        if (d->there)
            ret->there++;
        else if (!ret->next)
            ret->next = d;
        if (ret->next == d || !ret->next)
            ret->sight = sight;
    }
    return 0;
}

/* An earlier life suspended it, and no disk had gone over: begin again. With
 * some over there the guest must not write before all are. */
static bool must_begin_again(const struct migration *m,
                             const struct survey *survey)
{
    return m->resume_first && survey->there == 0;
}

static enum job_outcome go_on(struct migration *m, const struct survey *survey)
{
    struct err err = ERR_INIT;

    if (must_begin_again(m, survey)) {
        if (guest_resume(m, &err))
            return migration_doubt(m, &err, UNDO_PATIENCE_MS);
        return migration_again(m, 0);
    }
    if (survey->next->pivot_asked)
        return refused(survey->next);
    if (survey->sight.state != VM_PAUSED)
        m->still = false; /* somebody resumed it: hold it again */
    if (!m->still) {
        enum job_outcome outcome = hold(m);

        if (outcome != JOB_OK)
            return outcome;
    }
    return pivot_ask(survey->next, VM_JOB_COPY);
}

/* A libvirtd that died in the call goes on telling of a job that qemu ended. */
static bool went_over_all_the_same(const struct disk *d)
{
    struct err ignored = ERR_INIT; /* asked again */
    struct sight sight;

    return d->pivot_error.rc && disk_look(d, &sight, &ignored) == 0 &&
           sight.where == ON_DESTINATION;
}

static enum job_outcome wait_for_asked(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    for_each_disk (d, m) {
        if (d->pivot_asked && outcome == JOB_OK && !went_over_all_the_same(d))
            outcome = pivot_wait(d, VM_JOB_COPY);
    }
    return outcome;
}

enum job_outcome act_pivot(struct migration *m)
{
    struct err err = ERR_INIT;
    struct survey survey;
    enum job_outcome outcome = wait_for_asked(m);

    if (outcome != JOB_OK)
        return outcome;
    if (look_around(m, &survey, &err))
        return migration_doubt(m, &err, HOLD_MAX_MS);
    if (!survey.next)
        return JOB_OK;
    switch (survey.sight.where) {
    case ON_SOURCE:
        return go_on(m, &survey);
    case VM_GONE:
        return vm_is_gone(m);
    default:
        return migration_fail_text(
            m, ERR_CHANGE_DISK,
            "disk %s of VM %s is neither on the source nor on the destination",
            survey.next->of->target, m->job.vm_name);
    }
}
