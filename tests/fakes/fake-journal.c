/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A journal for one job.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

static int journal_put(void *ctx, const struct job *job, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "journal put", err);

    if (rc)
        return rc;
    if (world->journal_fails)
        return world_leave(world, err_set(err, -ENOSPC, "journal: full"), err);
    for (size_t i = 0; i < world->n_disks; i++) {
        const struct fake_job *mirror = &world->disks[i].job;

        if (job->state == JOB_PIVOTING && world->record.state != job->state &&
            mirror->kind == VM_JOB_COPY && !mirror->ready)
            world_break(world, "pivoting before the mirror is ready");
    }
    if (world->paused && !world->paused_by_other)
        world->puts_while_held++;
    world->record = *job;
    world->has_record = true;
    return world_leave(world, 0, err);
}

static int journal_remove(void *ctx, const char *job_id, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "journal remove", err);

    (void)job_id;
    if (rc)
        return rc;
    world->has_record = false;
    return world_leave(world, 0, err);
}

static int journal_encode(void *ctx, const struct job *job, char **ret_text,
                          struct err *err)
{
    struct fake_world *world = ctx;

    world->encoded = *job;
    *ret_text = strdup("a note");
    return *ret_text ? 0 : err_set(err, -ENOMEM, "a note");
}

static int journal_decode(void *ctx, const char *text, struct job *ret_job,
                          struct err *err)
{
    const struct fake_world *world = ctx;

    (void)text;
    if (!world->lease.has_note)
        return err_set(err, -EBADMSG, "no note");
    *ret_job = world->lease.note;
    return 0;
}

struct journal_port fake_journal(struct fake_world *world)
{
    static const struct journal_ops ops = {
        .put = journal_put,
        .remove = journal_remove,
        .encode = journal_encode,
        .decode = journal_decode,
    };

    return (struct journal_port){ .ctx = world, .ops = &ops };
}
