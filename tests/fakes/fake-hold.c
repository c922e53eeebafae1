/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One lease on storage that other hosts have, too: its record, the note beside
 * it, and the process that holds it, which outlives the daemon.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

enum {
    SURE_US = 100 * 1000 /* from a look at the lease to what it allows */
};

static bool is_mine(const struct fake_world *world, const struct xlease_id *id)
{
    return world->lease.there && strcmp(world->lease.id.sd, id->sd) == 0 &&
           strcmp(world->lease.id.lease, id->lease) == 0;
}

static int no_such_lease(struct err *err)
{
    return err_set_code(err, ERR_NO_SUCH_LEASE, "there is no such lease");
}

/* --- xleases ----------------------------------------------------------- */

static int lease_create(void *ctx, const struct xlease_id *id,
                        const struct xlease_job *job, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "lease create", err);

    if (rc)
        return rc;
    world_needs(world, "lease create", IN(JOB_PLANNED) | IN(JOB_PREPARING));
    if (!is_mine(world, id))
        world->lease =
            (struct fake_lease){ .there = true, .id = *id, .record = *job };
    return world_leave(world, 0, err);
}

static int lease_remove(void *ctx, const struct xlease_id *id, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "lease remove", err);

    if (rc)
        return rc;
    if (is_mine(world, id) && world->lease.owner != FAKE_NOBODY)
        return err_set_code(err, ERR_ACQUIRE_LOCK, "the lease is held");
    if (is_mine(world, id))
        world->lease.there = false;
    return world_leave(world, 0, err);
}

static int lease_place(void *ctx, const struct xlease_id *id,
                       struct lease_place *ret_place, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "lease place", err);

    if (rc)
        return rc;
    if (!is_mine(world, id))
        return no_such_lease(err);
    memset(ret_place, 0, sizeof(*ret_place));
    return world_leave(world, 0, err);
}

static int lease_status(void *ctx, const struct xlease_id *id,
                        struct xlease_status *ret_status, struct err *err)
{
    const struct fake_world *world = ctx;

    if (!is_mine(world, id))
        return no_such_lease(err);
    *ret_status = (struct xlease_status){
        .owner_host = world->lease.owner,
        .has_job = world->lease.owner == FAKE_NOBODY,
        .job = world->lease.record,
    };
    return 0;
}

static int lease_find(void *ctx, const char *job_id,
                      struct xlease_found *ret_found, struct err *err)
{
    const struct fake_world *world = ctx;

    if (!world->lease.there || strcmp(world->lease.record.job_id, job_id) != 0)
        return err_set_code(err, ERR_NO_JOB, "no job has the id %s", job_id);
    ret_found->id = world->lease.id;
    ret_found->job = world->lease.record;
    return lease_status(ctx, &world->lease.id, &ret_found->status, err);
}

static int lease_note(void *ctx, const struct xlease_id *id, char **ret_text,
                      struct err *err)
{
    const struct fake_world *world = ctx;

    (void)id;
    *ret_text = strdup(world->lease.has_note ? "a note" : "");
    return *ret_text ? 0 : err_set(err, -ENOMEM, "a note");
}

static bool lease_is_shared(void *ctx, const char *sd)
{
    const struct fake_world *world = ctx;

    (void)sd;
    return !world->dead;
}

static bool lease_host_lives(void *ctx, const char *sd, unsigned host_id)
{
    const struct fake_world *world = ctx;

    (void)sd;
    return !world->host_dead || host_id != FAKE_US;
}

/* --- who holds it ------------------------------------------------------ */

/* What the daemon knows of it. */
static int know(struct fake_world *world, int rc, struct err *err)
{
    world->lease.sure = rc == 0;
    world->lease.sure_us = world->now_us;
    return rc ? rc : world_leave(world, 0, err);
}

void world_needs_lease(struct fake_world *world, const char *deed)
{
    const struct fake_lease *lease = &world->lease;

    if (lease->there &&
        (!lease->sure || world->now_us - lease->sure_us > SURE_US))
        world_break(world, "%s without the lease", deed);
}

static void write_note(struct fake_world *world)
{
    world->lease.note = world->encoded;
    world->lease.has_note = true;
}

static int hold_take(void *ctx, const struct hold_task *task,
                     struct xlease_job *ret_record, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_lease *lease = &world->lease;
    int rc = world_enter(world, "hold take", err);

    if (rc)
        return rc;
    if (!lease->there)
        return no_such_lease(err);
    if (lease->owner != FAKE_NOBODY)
        return lease->owner == world->ports.host_id ? world_leave(world, 0, err)
                                                    : HOLD_BUSY;
    *ret_record = lease->record;
    if ((lease->record.status != XLEASE_PENDING ||
         lease->record.generation != task->generation) &&
        !(task->fenced && lease->record.status == XLEASE_FENCED))
        return know(world, HOLD_ENDED, err);
    lease->owner = world->ports.host_id;
    if (task->note)
        write_note(world);
    return know(world, 0, err);
}

static int hold_look(void *ctx, const char *job_id, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "hold look", err);

    (void)job_id;
    if (rc)
        return rc;
    return know(
        world, world->lease.owner == world->ports.host_id ? 0 : HOLD_NONE, err);
}

static int hold_note(void *ctx, const char *job_id, const char *note,
                     struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "hold note", err);

    (void)job_id;
    (void)note;
    if (rc)
        return rc;
    if (world->lease.owner != world->ports.host_id)
        return know(world, HOLD_NONE, err);
    write_note(world);
    return know(world, 0, err);
}

static int hold_release(void *ctx, const char *job_id,
                        enum xlease_job_status status, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_lease *lease = &world->lease;
    int rc = world_enter(world, "hold release", err);

    (void)job_id;
    if (rc)
        return rc;
    if (lease->owner != world->ports.host_id)
        return HOLD_NONE;
    if (lease->record.status == XLEASE_PENDING) {
        lease->record.status = status;
        lease->record.generation += status != XLEASE_FAILED;
        lease->records++;
    }
    lease->owner = FAKE_NOBODY;
    return world_leave(world, 0, err);
}

void fake_share(struct fake_world *world)
{
    static const struct xlease_ops leases = {
        .create = lease_create,
        .remove = lease_remove,
        .place = lease_place,
        .note = lease_note,
        .status = lease_status,
        .find_job = lease_find,
        .is_shared = lease_is_shared,
        .host_lives = lease_host_lives,
    };
    static const struct hold_ops holds = {
        .take = hold_take,
        .look = hold_look,
        .note = hold_note,
        .release = hold_release,
    };

    world->ports.host_id = FAKE_US;
    world->ports.xleases = (struct xlease_port){ world, &leases };
    world->ports.hold = (struct hold_port){ world, &holds };
}
