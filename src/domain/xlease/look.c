/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at external leases without taking one.
 *
 * A holder writes the record before it gives the lease back. So the owner is
 * read first: a lease seen free has its last record on the disk. When that is
 * PENDING, somebody may have had the lease in between: it is looked at again,
 * so that no job that ran just now is called dead.
 */
#include "look.h"
#include "lvb.h"
#include "volume.h"
#include <errno.h>

enum {
    LOOKS = 5
};

int xlease_info(void *ctx, const struct xlease_id *id,
                struct xlease_place *ret_place, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    struct lease_place place = { .offset = 0 };
    int rc = xlease_volume_open(ctx, id->sd, &volume, err);
    if (rc == 0)
        rc = xlease_volume_get(&volume, id->lease, &place, err);
    if (rc < 0)
        return rc;
    (void)str_copy(ret_place->path, sizeof(ret_place->path), place.path);
    ret_place->offset = place.offset;
    return 0;
}

int xlease_place(void *ctx, const struct xlease_id *id,
                 struct lease_place *ret_place, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    int rc = xlease_volume_open(ctx, id->sd, &volume, err);
    if (rc == 0)
        rc = domain_check_not_attached(&volume.info, err);
    return rc < 0 ? rc : xlease_volume_get(&volume, id->lease, ret_place, err);
}

int xlease_note(void *ctx, const struct xlease_id *id, char **ret_text,
                struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    const struct domains *domains = ctx;
    struct lease_place place;
    int rc = xlease_volume_open(ctx, id->sd, &volume, err);
    if (rc == 0)
        rc = xlease_volume_get(&volume, id->lease, &place, err);
    return rc < 0 ? rc
                  : domains->leases.ops->read_note(domains->leases.ctx, &place,
                                                   ret_text, err);
}

static int read_owner(const struct domains *domains,
                      const struct lease_place *place,
                      struct lease_owner *ret_owner, struct err *err)
{
    const struct lease_port *leases = &domains->leases;
    int rc = leases->ops->owner(leases->ctx, place, ret_owner, err);
    if (rc != LEASE_NONE)
        return rc;
    (void)err_set_code(err, ERR_STORAGE,
                       "there is no lease %s at %s:%llu, where the index has "
                       "it",
                       place->resource, place->path,
                       (unsigned long long)place->offset);
    return err_next(err, "drayctl lease rebuild %s", place->lockspace);
}

/* The record of a lease that was free when @owner was read. */
static int read_job(const struct domains *domains,
                    const struct lease_place *place,
                    struct xlease_status *status, struct err *err)
{
    struct format_job job;
    int rc = xlease_job_read(domains, place, &job, err);
    status->has_job = rc == 0;
    if (status->has_job)
        xlease_job_show(&job, &status->job);
    return rc < 0 ? rc : 0;
}

static bool may_be_outdated(const struct xlease_status *status)
{
    return status->has_job && status->job.status == XLEASE_PENDING;
}

int xlease_look(const struct domains *domains, const struct lease_place *place,
                struct xlease_status *ret_status, struct err *err)
{
    struct lease_owner owner = { 0 }, again = { 0 };
    struct xlease_status status = { 0 };
    int rc = read_owner(domains, place, &owner, err);
    for (int i = 0; rc == 0 && owner.host_id == 0 && i < LOOKS; i++) {
        rc = read_job(domains, place, &status, err);
        if (rc < 0 || !may_be_outdated(&status))
            break;
        rc = read_owner(domains, place, &again, err);
        bool same = again.host_id == 0 && again.version == owner.version;
        owner = again;
        if (same)
            break;
    }
    if (rc < 0)
        return rc;
    status.has_job = status.has_job && owner.host_id == 0;
    status.owner_host = owner.host_id;
    status.version = owner.version;
    *ret_status = status;
    return 0;
}

int xlease_status(void *ctx, const struct xlease_id *id,
                  struct xlease_status *ret_status, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    struct lease_place place;
    int rc = xlease_volume_open(ctx, id->sd, &volume, err);
    if (rc == 0)
        rc = xlease_volume_get(&volume, id->lease, &place, err);
    return rc < 0 ? rc : xlease_look(ctx, &place, ret_status, err);
}

/* --- all of them --- */

/* As xlease_look(), but that sanlock is asked only for one that is held, or was
 * when its holder died: to ask for each takes milliseconds. */
static int look_fast(const struct xlease_volume *volume, size_t n,
                     const struct lease_place *place,
                     struct xlease_status *ret_status, struct err *err)
{
    struct format_leader leader;
    struct xlease_status status = { 0 };
    int rc = xlease_volume_leader(volume, n, &leader, err);
    if (rc != 0 || !str_equal(leader.resource, place->resource) ||
        leader.timestamp != 0)
        return rc < 0 ? rc
                      : xlease_look(volume->domains, place, ret_status, err);
    status.version = leader.version;
    rc = read_job(volume->domains, place, &status, err);
    if (rc < 0)
        return rc;
    if (may_be_outdated(&status))
        rc = xlease_volume_leader(volume, n, &leader, err);
    if (rc != 0 || leader.timestamp != 0 || leader.version != status.version)
        return rc < 0 ? rc
                      : xlease_look(volume->domains, place, ret_status, err);
    *ret_status = status;
    return 0;
}

static void fill_item(const struct xlease_volume *volume, size_t n,
                      const char *lease, struct xlease_item *item)
{
    struct err err = ERR_INIT;
    struct lease_place place;
    xlease_volume_place(volume, n, lease, &place);
    (void)str_copy(item->lease, sizeof(item->lease), lease);
    item->offset = place.offset;
    if (look_fast(volume, n, &place, &item->status, &err) < 0)
        (void)str_copy(item->problem, sizeof(item->problem), err.message);
}

int xlease_list(void *ctx, const char *sd, struct xlease_item **ret_items,
                size_t *ret_n, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    size_t n = 0;
    int rc = xlease_volume_open(ctx, sd, &volume, err);
    if (rc == 0) /* no lease is called so; a damaged index is refused */
        rc = xlease_volume_find(&volume, UUID_BLANK, &n, err);
    if (rc < 0)
        return rc;
    n = 0;
    struct xlease_item *items = calloc(volume.limit + 1, sizeof(*items));
    if (!items)
        return err_set(err, -ENOMEM, "domain %s: out of memory", sd);
    for (size_t i = 0; i < volume.limit; i++) {
        struct format_xlease lease =
            format_xlease_get(volume.index, i, volume.info.alignment);
        if (lease.state == FORMAT_XLEASE_USED)
            fill_item(&volume, i, lease.id, &items[n++]);
    }
    *ret_items = items;
    *ret_n = n;
    return 0;
}
