/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way back: the guest runs on the source, the block jobs end. Looks first
 * whether qemu is on the destination after all; then there is no way back, and
 * the job goes on from JOB_PIVOTED. The destination is removed in remove.c.
 */
#include "fold.h"

enum {
    FACTS_PATIENCE_MS = 500, /* the guest is held meanwhile */
    UNSEEN_MS = 10000,       /* how long qemu's own word is waited for */
};

/* --- ending the mirror ------------------------------------------------- */

static enum job_outcome retry_or_go_on(struct migration *m,
                                       const struct err *err, const char *what)
{
    if (migration_trouble(m, err, UNDO_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "%s: %.120s", what, err->message);
    return JOB_OK;
}

/* The mirrors died with their qemu. The source is right, unless the
 * destination itself says that the guest had gone on there: all disks
 * (engine.c, without_record()), or those that could not be brought back. */
static enum job_outcome without_vm(struct migration *m)
{
    struct err err = ERR_INIT;
    size_t there = 0;

    m->job.suspended = false;
    for_each_disk (d, m) {
        int settled = m->job.kind == JOB_MERGE ? 0 : disk_settled(d, &err);

        if (settled < 0)
            return retry_or_go_on(m, &err, "the destination was not looked at");
        there += (size_t)settled;
    }
    return there == m->job.n_disks ? JOB_LANDED : JOB_OK;
}

static bool is_ours(const struct disk *d, const struct vm_mirror_info *info)
{
    if (d->m->job.kind == JOB_MERGE)
        return info->kind == VM_JOB_COMMIT ||
               info->kind == VM_JOB_ACTIVE_COMMIT;
    return mirror_is_ours(d, info);
}

static enum job_outcome end_job(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return retry_or_go_on(m, &err, "the mirror could not be asked");
    if (!is_ours(d, &info))
        return JOB_OK;
    if (m->job.kind != JOB_MERGE && hang_free(d) == JOB_AGAIN)
        return JOB_AGAIN;
    if (PORT(&m->ports, hypervisor, mirror_abort, m->job.vm, d->of->target,
             &err) == 0) {
        if (migration_now_ms(m) - m->entered_ms < UNDO_PATIENCE_MS)
            return migration_again(m, migration_poll_ms(m));
        (void)err_set_code(&err, ERR_TIMEOUT, "it does not end");
    }
    return retry_or_go_on(m, &err, "the mirror still runs");
}

/* Where the disks are. */
struct whereabouts {
    bool seen; /* all could be asked */
    size_t gone, there;
};

static struct whereabouts look_around(struct migration *m, struct err *err)
{
    struct whereabouts w = { .seen = true };

    for_each_disk (d, m) {
        struct sight sight = { .where = ON_SOURCE };

        if (disk_look(d, &sight, err))
            w.seen = false;
        w.gone += sight.where == VM_GONE;
        w.there += sight.where == ON_DESTINATION;
    }
    return w;
}

int undo_leave_facts(struct migration *m, struct err *err)
{
    int rc = 0;

    for_each_disk (d, m) {
        const struct volume_id top = disk_target(d, disk_top(d));
        struct sight sight;

        if (rc == 0)
            rc = disk_look(d, &sight, err);
        if (rc == 0 && sight.where == ON_DESTINATION && d->of->dst_sd[0])
            rc = PORT(&m->ports, storage, volume_set_legality, &top,
                      VOLUME_LEGAL, err);
    }
    return rc;
}

static enum job_outcome resume(struct migration *m, const struct whereabouts *w)
{
    struct err err = ERR_INIT;
    bool divided = m->job.n_disks > 1 && (w->there > 0 || !w->seen);

    if (m->job.suspended && divided && undo_leave_facts(m, &err)) {
        if (migration_trouble(m, &err, FACTS_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(m, "a disk that went over could not be marked: %.120s",
                       err.message);
        err_clear(&err);
    }
    if (guest_resume(m, &err)) {
        if (retry_or_go_on(m, &err, "the VM is still paused, resume it") ==
            JOB_AGAIN)
            return JOB_AGAIN;
        m->job.suspended = false;
    }
    return JOB_OK;
}

/* --- the definition ---------------------------------------------------- */

/* A pivot that qemu did not survive may have changed the persistent definition
 * already: it must name the copy that stays. */
int disk_mend_definition(const struct disk *d, const struct sight *sight,
                         struct err *err)
{
    const char *format = NULL;
    char path[PATH_MAX];

    if (!disk_on_destination(d, sight->persistent))
        return 0;

    int rc = disk_ask_format(d, false, disk_top(d), &format, err);

    if (rc)
        return rc;
    disk_source_path(d, disk_top(d), path);
    return PORT(&d->m->ports, hypervisor, disk_set_persistent, d->m->job.vm,
                d->of->target, path, format, err);
}

/* A replica has no JOB_REMOVING that would see to it. */
static enum job_outcome mend_replicas_definition(struct disk *d)
{
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look_well(d, &sight, &err) == 0) {
        if (sight.where == ON_DESTINATION)
            return JOB_LANDED;
        if (disk_mend_definition(d, &sight, &err) == 0)
            return JOB_OK;
    }
    return retry_or_go_on(d->m, &err,
                          "the persistent definition names the destination");
}

/* --- all of it --------------------------------------------------------- */

/* The layer may be gone before its merge could be ended: then it is done. */
static enum job_outcome look_at_merge(struct disk *d)
{
    struct err err = ERR_INIT;
    struct fold fold;

    if (fold_look(d, &fold, &err))
        return retry_or_go_on(d->m, &err, "the layers could not be asked");
    return fold.position == FOLDED ? JOB_LANDED : JOB_OK;
}

/* qemu itself waits for a destination that died in the pivot, and answers
 * nobody. The guest was still, both copies are the same: cutting it off leaves
 * the source. */
static enum job_outcome free_qemu(struct migration *m, const struct err *err)
{
    if (m->job.kind == JOB_MERGE || migration_libvirt_is_away(m, err) ||
        migration_now_ms(m) - m->entered_ms < UNSEEN_MS)
        return JOB_OK;
    for_each_disk (d, m) {
        if (hang_free(d) == JOB_AGAIN)
            return JOB_AGAIN;
    }
    return JOB_OK;
}

/* Before it is tried again to see and to remove, or where nothing does. */
static enum job_outcome doubt(struct migration *m, const struct err *err)
{
    if (retry_or_go_on(m, err, "the VM could not be asked") == JOB_AGAIN)
        return JOB_AGAIN;
    for_each_disk (d, m)
        d->of->in_doubt = m->job.kind != JOB_MERGE;
    return JOB_OK;
}

static enum job_outcome abort_all(struct migration *m)
{
    struct err err = ERR_INIT;
    struct whereabouts w = look_around(m, &err);

    if (w.there == m->job.n_disks && m->job.kind != JOB_MERGE)
        return JOB_LANDED;
    if (w.gone > 0)
        return without_vm(m);
    if (!w.seen && free_qemu(m, &err) == JOB_AGAIN)
        return JOB_AGAIN;
    if (resume(m, &w) == JOB_AGAIN)
        return JOB_AGAIN;
    if (!w.seen)
        return doubt(m, &err);
    for_each_disk (d, m) {
        enum job_outcome outcome = end_job(d);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}

enum job_outcome act_abort(struct migration *m)
{
    enum job_outcome outcome = abort_all(m);

    if (outcome == JOB_OK && m->job.kind == JOB_MERGE)
        outcome = look_at_merge(&m->disks[0]);
    if (outcome == JOB_OK && m->job.kind == JOB_REPLICATE)
        outcome = mend_replicas_definition(&m->disks[0]);
    return outcome;
}
