/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job of any host, by the record in its lease. Which lease that is only its
 * maker knows, so the records of all leases are read: a tenth of a millisecond
 * each, and no lease is taken. The record of a lease that is held is what it
 * was when it was taken: it names the job already.
 */
#include "../known.h"
#include "lvb.h"
#include "look.h"
#include "volume.h"
#include <errno.h>

enum {
    NOT_HERE = 1 /* outcome */
};

static bool is_of_job(const struct xlease_volume *volume,
                      const struct lease_place *place, const char *job_id,
                      struct format_job *ret_job)
{
    return xlease_job_read(volume->domains, place, ret_job, NULL) == 0 &&
           str_equal(ret_job->job_id, job_id);
}

/* 0 or NOT_HERE. */
static int search(const struct xlease_volume *volume, const char *job_id,
                  struct xlease_found *found, struct err *err)
{
    for (size_t i = 0; i < volume->limit; i++) {
        struct lease_place place;
        struct format_job job;
        struct format_xlease lease =
            format_xlease_get(volume->index, i, volume->info.alignment);
        if (lease.state != FORMAT_XLEASE_USED)
            continue;
        xlease_volume_place(volume, i, lease.id, &place);
        if (!is_of_job(volume, &place, job_id, &job))
            continue;
        (void)str_copy(found->id.sd, sizeof(found->id.sd), volume->info.sd);
        (void)str_copy(found->id.lease, sizeof(found->id.lease), lease.id);
        xlease_job_show(&job, &found->job);
        return xlease_look(volume->domains, &place, &found->status, err);
    }
    return NOT_HERE;
}

static int search_domain(struct domains *domains, const char *sd,
                         const char *job_id, struct xlease_found *found,
                         struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    size_t n = 0;
    int rc = xlease_volume_open(domains, sd, &volume, err);
    if (rc == 0) /* no lease is called so; a damaged index is refused */
        rc = xlease_volume_find(&volume, UUID_BLANK, &n, err);
    return rc < 0 ? rc : search(&volume, job_id, found, err);
}

int xlease_find_job(void *ctx, const char *job_id,
                    struct xlease_found *ret_found, struct err *err)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    struct xlease_found found = { .id = { .sd = "" } };
    struct err unread = ERR_INIT;
    size_t n = 0;
    int failed = 0;
    int rc = domain_known_all(ctx, &infos, &n, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (infos[i].status != DOMAIN_JOINED)
            continue;
        rc = search_domain(ctx, infos[i].sd, job_id, &found, &unread);
        if (rc == 0) {
            if (found.status.has_job)
                found.job = found.status.job;
            *ret_found = found;
            return 0;
        }
        if (rc < 0)
            failed = rc;
    }
    if (failed == 0)
        return err_set_code(err, ERR_NO_JOB, "no job has the id %s", job_id);
    if (err)
        *err = unread;
    return failed;
}
