/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Job.takeover: the job of a dead host becomes one of this host, that finds out
 * what is left to do. It takes the lease first, as its maker did, so the two
 * never work at once; and it may die as well, and is taken over then.
 *
 * What the job was about, and in which state, its maker left beside its record.
 * Without that nothing was changed: it is written first.
 *
 * A copy of SDM's is finished when the volume says that all was copied, else it
 * is undone (data.c). All other jobs worked for a VM of the dead host, or on
 * whole images: of these a destination is removed that nobody can have written
 * to but the job. That is certain when its host is dead, and with it the VM,
 * and when it had not come to the pivot. Else all stays, and the job says what,
 * and which copy is right, as far as that can be known.
 */
#include "data.h"
#include "own.h"

#include <errno.h>
#include <string.h>

static int check_dead(const struct xlease_found *found, struct err *err)
{
    const char *id = found->job.job_id;

    if (found->status.owner_host) {
        (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                           "job %s runs on host %u of domain %s", id,
                           (unsigned)found->status.owner_host, found->id.sd);
        return err_next(err, "cancel it there; when that host is dead its "
                             "lease is free after a while");
    }
    if (found->job.status == XLEASE_PENDING ||
        found->job.status == XLEASE_FENCED)
        return 0;
    return err_set_code(err, ERR_JOB_NOT_ACTIVE, "job %s has ended: %s", id,
                        xlease_job_status_name(found->job.status));
}

static bool is_of(const struct job_end *end, const struct xlease_id *id)
{
    return strcmp(end->lease_sd, id->sd) == 0 &&
           strcmp(end->lease, id->lease) == 0;
}

/* What its maker left there; false: nothing that can be understood. */
static bool read_note(const struct migrate_ports *ports,
                      const struct xlease_found *found, const char *text,
                      struct job *ret_job)
{
    return PORT(ports, journal, decode, text, ret_job, NULL) == 0 &&
           (job_is_data(ret_job) || ret_job->data.lease_made) &&
           strcmp(ret_job->id, found->job.job_id) == 0 &&
           ret_job->data.lease_generation == found->job.generation &&
           (is_of(&ret_job->data.dst, &found->id) ||
            is_of(&ret_job->data.src, &found->id));
}

/* The record of a fenced job has the next generation already. */
static void look_back(struct xlease_found *found)
{
    unsigned *generation = &found->job.generation;

    if (found->job.status == XLEASE_FENCED)
        *generation =
            *generation ? *generation - 1 : (unsigned)VOLUME_GENERATION_MAX;
}

/* Its drayd may be away for a moment, while its VM, and qemu's block jobs in
 * it, live on. */
static int check_host(const struct migrate_ports *ports,
                      const struct xlease_found *found, const struct job *left,
                      struct err *err)
{
    if (job_is_data(left) ||
        !PORT(ports, xleases, host_lives, found->id.sd, left->data.host_id))
        return 0;
    (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                       "job %s is of host %u of domain %s, which is not dead",
                       left->id, left->data.host_id, found->id.sd);
    return err_next(err, "its drayd goes on with the job when it is started; "
                         "that a host is dead is certain after a while");
}

/* Only the lease with the record is needed. */
static void set_lease(const struct xlease_found *found, struct job_data *data)
{
    data->src.lease[0] = data->src.lease_sd[0] = '\0';
    memcpy(data->dst.lease_sd, found->id.sd, UUID_SIZE);
    memcpy(data->dst.lease, found->id.lease, UUID_SIZE);
    data->record = true;
    data->lease_generation = found->job.generation;
    data->taken_over = true;
    data->fenced = found->job.status == XLEASE_FENCED;
}

static void make_job(const struct xlease_found *found, const struct job *left,
                     int64_t wall_ms, struct job *job)
{
    job_init(job, found->job.job_id, left ? left->kind : JOB_COPY_DATA,
             wall_ms);
    job->n_disks = 1;
    if (left) {
        job->n_disks = left->n_disks;
        memcpy(job->disks, left->disks, sizeof(job->disks));
        memcpy(job->vm, left->vm, UUID_SIZE);
        memcpy(job->vm_name, left->vm_name, sizeof(job->vm_name));
        job->strategy = left->strategy;
        job->keep_source = left->keep_source;
        job->data = left->data;
        job->data.left_in = left->state;
    }
    /* It is active here, or it is not: that is not ours to change. */
    job->data.src.prepared = job->data.dst.prepared = true;
    job->data.owned = false;
    set_lease(found, &job->data);
    if (!left)
        (void)str_copy(job->warning, sizeof(job->warning),
                       "the job left no note of what it was about: nothing but "
                       "its record was changed");
}

int migrate_takeover(const struct migrate_ports *ports, const char *job_id,
                     struct job *ret_job, struct err *err)
{
    _cleanup_free_ char *note = NULL;
    struct xlease_found found;
    struct job left;
    int rc = PORT(ports, xleases, find_job, job_id, &found, err);

    if (rc == 0)
        rc = check_dead(&found, err);
    if (rc == 0)
        rc = PORT(ports, xleases, note, &found.id, &note, err);
    if (rc)
        return rc;
    look_back(&found);

    bool known = read_note(ports, &found, note, &left);

    if (note[0] && !known)
        return err_set_code(err, ERR_UNSUPPORTED,
                            "job %s: what its host left is not understood: "
                            "another version of drayd wrote it",
                            job_id);
    rc = known ? check_host(ports, &found, &left, err) : 0;
    if (rc)
        return rc;
    make_job(&found, known ? &left : NULL, PORT(ports, clock, wall_ms),
             ret_job);
    return 0;
}

/* --- what is left of it ------------------------------------------------ */

/* It made images at its destination. */
static bool makes_images(const struct job *job)
{
    return job->kind == JOB_DISK_MIGRATE || job->kind == JOB_CLONE ||
           job->kind == JOB_COPY || job->kind == JOB_MOVE;
}

/* Nothing but the job has written there. */
static bool is_only_a_copy(const struct job *job)
{
    switch (job->data.left_in) {
    case JOB_PREPARING:
    case JOB_FREEZING:
    case JOB_SYNCING:
    case JOB_VERIFYING:
    case JOB_STARTING:
    case JOB_REMOVING:
        return makes_images(job);
    default:
        return false;
    }
}

static const char *what_to_do(const struct job *job)
{
    if (job->data.left_in == JOB_PLANNED || is_only_a_copy(job))
        return "nothing was changed at the source: start the VM where it was, "
               "then the job again";
    switch (job->kind) {
    case JOB_DISK_MIGRATE:
        return job->data.left_in == JOB_RELEASING
                   ? "the destination is the right copy: start the VM from "
                     "there, then delete the source"
                   : "see the warning, and keep both copies until the VM runs";
    case JOB_MOVE:
        return "the destination is whole: delete what is left of the source";
    case JOB_REPLICATE:
        return "the destination's leaf is not whole, unless it is LEGAL "
               "(Volume.getInfo): then the VM was on it";
    case JOB_MERGE:
        return "start the VM with the chain that it had, then merge again";
    case JOB_SYNC:
        return "the image at the destination is not whole: sync it again";
    case JOB_VM_MIGRATE:
        return "see whether the VM runs on the other host; else start it here";
    default:
        return "look at the volumes (Volume.getInfo), then ask again";
    }
}

static enum job_outcome say_dead(struct migration *m)
{
    struct err err = ERR_INIT;

    (void)err_set_code(
        &err, ERR_JOB_STATUS, "the host of the job (%u) died while it was %s",
        m->job.data.host_id, job_state_name(m->job.data.left_in));
    (void)err_next(&err, "%s", what_to_do(&m->job));
    return migration_fail(m, &err);
}

static enum job_outcome leave(struct disk *d, const char *why)
{
    d->of->in_doubt = true;
    migration_warn(d->m, "destination left: image %s on %s: %.160s", d->of->img,
                   d->of->dst_sd, why);
    return JOB_OK;
}

/* What has it on this host, or its host that came back. */
static int check_unused(const struct disk *d, struct err *err)
{
    const struct migrate_ports *ports = &d->m->ports;
    const struct job_data *data = &d->m->job.data;
    struct migrate_users users;
    int rc = 0;

    if (PORT(ports, xleases, host_lives, data->dst.lease_sd, data->host_id))
        return err_set_code(err, ERR_VOLUME_BUSY,
                            "host %u, whose job it was, has come back",
                            data->host_id);
    rc = migrate_find_users(ports, d->of->dst_sd, d->of->img, &users, err);
    if (rc)
        return rc;
    if (!users.writer.uuid[0] && !users.mirror.uuid[0] && !users.owner.uuid[0])
        return 0;
    return err_set_code(err, ERR_VOLUME_BUSY, "a VM of this host has it");
}

/* The mark of a guest that is over there: it is set before a pivot ends. */
static int check_not_settled(const struct disk *d, struct err *err)
{
    int rc = d->m->job.kind == JOB_DISK_MIGRATE ? disk_settled(d, err) : 0;

    return rc <= 0 ? rc
                   : err_set_code(err, ERR_VOLUME_BUSY,
                                  "its leaf is marked legal, which only a "
                                  "finished move does");
}

static enum job_outcome remove_copy(struct disk *d)
{
    const struct job_disk *of = d->of;
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    int rc = check_unused(d, &err);

    if (rc == 0)
        rc = check_not_settled(d, &err);
    if (rc == 0)
        rc =
            PORT(&m->ports, storage, image_teardown, of->dst_sd, of->img, &err);
    if (rc == 0 || err.code == ERR_NO_IMAGE) {
        err_clear(&err);
        rc = PORT(&m->ports, storage, image_delete, of->dst_sd, of->img, &err);
    }
    if (rc == 0 || err.code == ERR_NO_IMAGE)
        return JOB_OK;
    return migration_trouble(m, &err, TIDY_PATIENCE_MS) == JOB_AGAIN
               ? JOB_AGAIN
               : leave(d, err.message);
}

/* Before the pivot a snapshot of the job's is what the VM wrote to. */
static void name_overlay(struct disk *d)
{
    if (d->of->overlay[0] && d->of->src_sd[0] &&
        d->m->job.data.left_in != JOB_PLANNED &&
        d->m->job.kind == JOB_DISK_MIGRATE)
        migration_warn(d->m,
                       "disk %s: above volume %s there may be the layer %s, "
                       "with what the VM wrote last: keep it",
                       d->of->target, d->of->leaf, d->of->overlay);
}

static enum job_outcome tidy(struct disk *d)
{
    const struct job *job = &d->m->job;

    name_overlay(d);
    if (job->data.left_in == JOB_PLANNED || !makes_images(job))
        return JOB_OK;
    if (!d->of->dst_sd[0]) {
        if (d->of->dst_made)
            migration_warn(d->m,
                           "destination left: %.160s: the dead host made it, "
                           "and it is not known whether it is the same file "
                           "here",
                           d->of->dst_path);
        return JOB_OK;
    }
    if (!is_only_a_copy(job))
        return leave(d, "the VM may have been on it");
    return remove_copy(d);
}

enum job_outcome takeover_act(struct migration *m)
{
    if (m->job.state == JOB_PLANNED)
        return say_dead(m);
    for (; m->at < m->job.n_disks; m->at++) {
        enum job_outcome outcome = tidy(&m->disks[m->at]);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}
