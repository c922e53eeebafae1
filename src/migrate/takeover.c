/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Job.takeover: the job of a dead host becomes one of this host, that finds out
 * what is left to do: nothing, when the volume says that all was copied, else
 * the undoing. It takes the lease first, as its maker did, so the two never
 * work at once; and it may die as well, and is taken over then.
 *
 * What the job was about its maker left beside its record. Without that nothing
 * was changed: it is written first.
 */
#include "data.h"

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
           job_is_data(ret_job) &&
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
        job->disks[0] = left->disks[0];
        job->data = left->data;
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

    make_job(&found, known ? &left : NULL, PORT(ports, clock, wall_ms),
             ret_job);
    return 0;
}
