/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job record in a lease's LVB: read without the lease, written under it,
 * and read back.
 *
 * Who holds the lease reads it from the disk as well: nobody else writes there
 * meanwhile, and what sanlock has in memory may come from a read that failed.
 */
#include "lvb.h"
#include "volume.h"
#include <errno.h>

enum {
    ACQUIRE_MS = 3000 /* for what passes by itself: a lease that is going */
};

static void now(struct format_job *job, const struct domains *domains)
{
    job->modified_s = (uint64_t)time_wall_ms() / 1000;
    (void)str_copy(job->host, sizeof(job->host), domains->hardware_id);
}

void xlease_job_show(const struct format_job *job, struct xlease_job *ret_job)
{
    *ret_job = (struct xlease_job){
        .status = (enum xlease_job_status)job->status,
        .generation = job->generation,
        .created_s = job->created_s,
        .modified_s = job->modified_s,
    };
    (void)str_copy(ret_job->job_id, sizeof(ret_job->job_id), job->job_id);
    (void)str_copy(ret_job->host_hardware_id, sizeof(ret_job->host_hardware_id),
                   job->host);
}

int xlease_job_read(const struct domains *domains,
                    const struct lease_place *place, struct format_job *ret_job,
                    struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    char lvb[LEASE_LVB_SIZE];
    int rc = leases->ops->read_lvb(leases->ctx, place, lvb, err);
    if (rc == 0)
        rc = format_job_parse(lvb, sizeof(lvb), ret_job, err);
    return rc < 0 ? err_wrap(err, "lease %s", place->resource) : rc;
}

/* Consumes @held. */
static int release_with(const struct domains *domains, struct lease_held *held,
                        const struct format_job *job, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    char lvb[LEASE_LVB_SIZE];
    int rc = format_job_build(job, lvb, err);
    if (rc < 0) {
        (void)leases->ops->release(leases->ctx, held, NULL);
        return rc;
    }
    return leases->ops->release_lvb(leases->ctx, held, lvb, err);
}

int xlease_fail_busy(const struct lease_port *leases,
                     const struct lease_place *place, struct err *err)
{
    struct lease_owner owner = { 0 };
    (void)leases->ops->owner(leases->ctx, place, &owner, NULL);
    (void)err_set_code(
        err, ERR_ACQUIRE_LOCK, "lease %s is held by host %u of domain %s",
        place->resource, (unsigned)owner.host_id, place->lockspace);
    return err_next(err, "the job runs: wait; when that host is dead its lease "
                         "is free after a while (drayctl lease status)");
}

static int take(const struct domains *domains, const struct lease_place *place,
                struct lease_held **ret_held, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    int rc = leases->ops->acquire_lvb(
        leases->ctx, place, time_now_ms() + ACQUIRE_MS, ret_held, err);
    if (rc == LEASE_BUSY)
        return xlease_fail_busy(leases, place, err);
    if (rc == LEASE_NONE) {
        (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                           "there is no lease %s at %s:%llu, where the index "
                           "has it",
                           place->resource, place->path,
                           (unsigned long long)place->offset);
        return err_next(err, "drayctl lease rebuild %s", place->lockspace);
    }
    return rc < 0 ? err_default_code(err, ERR_ACQUIRE_LOCK) : 0;
}

int xlease_job_write(const struct domains *domains,
                     const struct lease_place *place,
                     const struct xlease_job *job, struct err *err)
{
    struct lease_held *held = NULL;
    struct format_job record = {
        .status = (enum format_job_status)job->status,
        .generation = job->generation,
    };
    int rc = take(domains, place, &held, err);
    if (rc < 0)
        return rc;
    (void)str_copy(record.job_id, sizeof(record.job_id), job->job_id);
    now(&record, domains);
    record.created_s = record.modified_s;
    return release_with(domains, held, &record, err);
}

/* --- fencing --- */

static int check_expected(const struct format_job *found,
                          const struct xlease_job *expected, struct err *err)
{
    enum format_job_status status = (enum format_job_status)expected->status;
    if (!str_equal(found->job_id, expected->job_id))
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "the lease is of job %s, not %s", found->job_id,
                            expected->job_id);
    if (found->status != status)
        return err_set_code(err, ERR_JOB_STATUS, "job %s is %s, not %s",
                            found->job_id,
                            format_job_status_name(found->status),
                            format_job_status_name(status));
    if (found->generation != expected->generation)
        return err_set_code(err, ERR_GENERATION,
                            "job %s has generation %u, not %u", found->job_id,
                            found->generation, expected->generation);
    return 0;
}

static int check_on_disk(const struct domains *domains,
                         const struct lease_place *place,
                         const struct xlease_job *expected,
                         struct format_job *ret_job, struct err *err)
{
    int rc = xlease_job_read(domains, place, ret_job, err);
    if (rc == FORMAT_JOB_NONE)
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "lease %s is not of a job", place->resource);
    return rc < 0 ? rc : check_expected(ret_job, expected, err);
}

int xlease_fence(void *ctx, const struct xlease_id *id,
                 const struct xlease_job *expected, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    struct domains *domains = ctx;
    struct lease_held *held = NULL;
    struct lease_place place = { .offset = 0 };
    struct format_job job = { .generation = 0 };
    int rc = xlease_volume_open(domains, id->sd, &volume, err);
    if (rc == 0)
        rc = domain_check_not_attached(&volume.info, err);
    if (rc == 0)
        rc = xlease_volume_get(&volume, id->lease, &place, err);
    if (rc == 0)
        rc = take(domains, &place, &held, err);
    if (rc < 0)
        return rc;
    rc = check_on_disk(domains, &place, expected, &job, err);
    if (rc < 0) {
        (void)domains->leases.ops->release(domains->leases.ctx, held, NULL);
        return rc;
    }
    job.status = FORMAT_JOB_FENCED;
    job.generation = format_generation_next(job.generation);
    now(&job, domains);
    return release_with(domains, held, &job, err);
}
