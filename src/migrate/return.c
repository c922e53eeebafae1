/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One disk of several could not pivot: those that had are brought back before
 * the guest resumes, by a mirror the other way. Only small overlays are ever
 * mirrored in such a job (the plan sees to it), and the source's overlay holds
 * what the destination's does, for the guest was still all the time: so what is
 * in it already may survive under the shallow mirror.
 *
 * If that takes longer than a guest may be held, it is resumed with its disks
 * where they are. Each has one right copy then, too: the one that qemu writes.
 */
#include "migration.h"

enum {
    RETURN_MAX_MS = 2500, /* on top of HOLD_MAX_MS: the guest is held longer */
};

/* While libvirtd is away nothing can be done, and no time is lost by that. */
static enum job_outcome trouble(struct migration *m, const struct err *err)
{
    if (migration_libvirt_is_away(m, err))
        m->entered_ms = migration_now_ms(m);
    return migration_trouble(m, err, HOLD_MAX_MS);
}

/* The guest may run since a crash; it must not while a disk comes back. */
static enum job_outcome keep_still(struct migration *m,
                                   const struct sight *sight)
{
    if (sight->state != VM_PAUSED)
        m->still = false;
    return m->still ? JOB_OK : guest_hold(m);
}

/* The guest may have run on there (engine.c, without_record()). */
static int take_mark(const struct disk *d, struct err *err)
{
    const struct volume_id top = disk_target(d, disk_top(d));
    int settled = disk_settled(d, err);

    return settled > 0 ? PORT(&d->m->ports, storage, volume_set_legality, &top,
                              VOLUME_ILLEGAL, err)
                       : settled;
}

static enum job_outcome start_back(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_mirror_spec spec = { .format = "qcow2", .shallow = true };

    (void)str_copy(spec.vm, sizeof(spec.vm), m->job.vm);
    (void)str_copy(spec.target, sizeof(spec.target), d->of->target);
    disk_source_path(d, disk_top(d), spec.path);
    d->pivot_asked = false;
    if (take_mark(d, &err))
        return trouble(m, &err);
    if (PORT(&m->ports, hypervisor, mirror_start, &spec, &err))
        return trouble(m, &err);
    return migration_again(m, POLL_STILL_MS);
}

/* No job is left: the disk came back since we looked, or was never asked to. */
static enum job_outcome without_job(struct disk *d)
{
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look(d, &sight, &err))
        return trouble(d->m, &err);
    return sight.where == ON_DESTINATION ? start_back(d)
                                         : migration_again(d->m, 0);
}

static enum job_outcome bring_back(struct disk *d)
{
    struct migration *m = d->m;
    struct vm_mirror_info info = { .job = false };
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return trouble(m, &err);
    if (info.kind == VM_JOB_NONE)
        return without_job(d);
    if (!info.ready || info.done < info.total)
        return migration_again(m, POLL_STILL_MS);
    if (PORT(&m->ports, hypervisor, mirror_pivot, m->job.vm, d->of->target,
             &err) &&
        err.code != ERR_NOT_READY)
        return trouble(m, &err);
    return migration_again(m, POLL_STILL_MS);
}

/* The first disk that is on the destination; NULL: none, or no VM. */
static struct disk *first_over_there(struct migration *m,
                                     struct sight *ret_sight, struct err *err)
{
    for_each_disk (d, m) {
        if (disk_look(d, ret_sight, err))
            return NULL;
        if (ret_sight->where == ON_DESTINATION)
            return d;
    }
    return NULL;
}

static bool all_over_there(struct migration *m)
{
    struct err ignored = ERR_INIT;

    for_each_disk (d, m) {
        struct sight sight;

        if (disk_look(d, &sight, &ignored) || sight.where != ON_DESTINATION)
            return false;
    }
    return true;
}

enum job_outcome act_return(struct migration *m)
{
    struct err err = ERR_INIT;
    struct sight sight = { .where = VM_GONE };

    if (all_over_there(m))
        return JOB_LANDED;

    struct disk *d = first_over_there(m, &sight, &err);

    if (err.rc)
        return trouble(m, &err) == JOB_AGAIN ? JOB_AGAIN : JOB_OK;
    if (!d || migration_now_ms(m) - m->entered_ms > RETURN_MAX_MS)
        return JOB_OK;

    enum job_outcome outcome = keep_still(m, &sight);

    if (outcome == JOB_OK)
        outcome = bring_back(d);
    return outcome == JOB_AGAIN ? JOB_AGAIN : JOB_OK;
}
