/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A lease is made and removed.
 *
 * Made: the lease, its job record, and last of all the record in the index that
 * lets anybody find it. So a job's lease that can be found has its record.
 * Removed: the other way round. The lease is taken first, since clearing it
 * under a job that runs would let another one start beside it.
 */
#include "change.h"
#include "../layout.h"
#include "lvb.h"
#include "volume.h"
#include <errno.h>

enum {
    ACQUIRE_MS = 3000
};

static int write_record(const struct xlease_volume *volume, size_t n,
                        const char *lease, struct err *err)
{
    format_xlease_set(volume->index, n, volume->info.alignment, lease);
    return xlease_volume_write(volume, format_xlease_position(n),
                               FORMAT_XLEASE_SIZE, err);
}

static int make(const struct xlease_volume *volume, const char *lease,
                const struct xlease_job *job, struct err *err)
{
    const struct lease_port *leases = &volume->domains->leases;
    struct lease_place place;
    size_t n = 0;
    int rc = format_xleases_room(volume->index, volume->limit,
                                 volume->info.alignment, lease, &n, err);
    if (rc < 0)
        return err_wrap(err, "xleases of domain %s", volume->info.sd);
    xlease_volume_place(volume, n, lease, &place);
    rc = leases->ops->format_resource(leases->ctx, &place, err);
    if (rc < 0)
        return err_default_code(err, ERR_LOCK_INIT);
    if (job)
        rc = xlease_job_write(volume->domains, &place, job, err);
    return rc < 0 ? rc : write_record(volume, n, lease, err);
}

/* The lease is there: made by an earlier try of the same request, or it is
 * something else's. */
static int check_same(const struct xlease_volume *volume, size_t n,
                      const char *lease, const struct xlease_job *job,
                      struct err *err)
{
    struct lease_place place;
    struct format_job found;
    if (!job)
        return 0;
    xlease_volume_place(volume, n, lease, &place);
    int rc = xlease_job_read(volume->domains, &place, &found, err);
    if (rc == FORMAT_JOB_NONE)
        return xlease_job_write(volume->domains, &place, job, err);
    if (rc == 0 && !str_equal(found.job_id, job->job_id))
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "lease %s is that of job %s already", lease,
                            found.job_id);
    return rc;
}

int xlease_create(void *ctx, const struct xlease_id *id,
                  const struct xlease_job *job, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    size_t n = 0;
    int rc = xlease_volume_begin(ctx, id->sd, &volume, err);
    if (rc == 0)
        rc = xlease_volume_find(&volume, id->lease, &n, err);
    if (rc == FORMAT_XLEASE_NONE)
        return make(&volume, id->lease, job, err);
    return rc < 0 ? rc : check_same(&volume, n, id->lease, job, err);
}

static int take(const struct lease_port *leases,
                const struct lease_place *place, struct lease_held **ret_held,
                struct err *err)
{
    int rc = leases->ops->acquire(leases->ctx, place,
                                  time_now_ms() + ACQUIRE_MS, ret_held, err);
    if (rc == LEASE_NONE)
        return 0; /* what is there is no lease: nobody can hold it */
    if (rc == LEASE_BUSY)
        return xlease_fail_busy(leases, place, err);
    return rc < 0 ? err_default_code(err, ERR_ACQUIRE_LOCK) : 0;
}

int xlease_remove(void *ctx, const struct xlease_id *id, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    struct domains *domains = ctx;
    const struct lease_port *leases = &domains->leases;
    struct lease_held *held = NULL;
    struct lease_place place;
    size_t n = 0;
    int rc = xlease_volume_begin(domains, id->sd, &volume, err);
    if (rc == 0)
        rc = xlease_volume_find(&volume, id->lease, &n, err);
    if (rc != 0)
        return rc == FORMAT_XLEASE_NONE ? 0 : rc;
    xlease_volume_place(&volume, n, id->lease, &place);
    rc = take(leases, &place, &held, err);
    if (rc < 0)
        return rc;
    rc = write_record(&volume, n, NULL, err);
    if (held)
        (void)leases->ops->release(leases->ctx, held, NULL);
    /* Nobody finds what cannot be cleared; the next lease there writes it
     * anew, or a rebuild clears it. */
    if (rc == 0)
        (void)leases->ops->clear_resource(leases->ctx, &place, NULL);
    return rc;
}
