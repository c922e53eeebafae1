/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The runner of the scenarios.
 */
#include "run.h"

#include <dray/base/log.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    STEPS_MAX = 200000,
    LIVES_MAX = 50
};

void run_complain(const struct run *run, const char *where, const char *what)
{
    const struct fake_world *world = &run->world;

    fail_msg("%s: %s; fault %d at call %u (%s), died in %s; job is %s, error "
             "'%s', warning '%s'",
             where, what, world->fault, world->fault_at, world->faulted_call,
             job_state_name(world->died_in), job_state_name(run->job.state),
             run->job.error.message, run->job.warning);
}

void run_init(struct run *run, size_t layers)
{
    memset(run, 0, sizeof(*run));
    /* Nothing but what the tests themselves say. */
    log_setup((enum log_level)0, false);
    world_init(&run->world, layers);
    run->wish = world_job(&run->world);
    run->absence_ms = 1500;
    run->at_state = JOB_STATE_COUNT;
    run->world.on_call_arg = run;
}

void run_by_snapshot(struct run *run)
{
    run->wish.strategy = JOB_BY_SNAPSHOT;
    for (size_t i = 0; i < run->wish.n_disks; i++)
        (void)str_format(run->wish.disks[i].overlay, UUID_SIZE, OVERLAY "%zu",
                         i);
}

void run_two_disks(struct run *run)
{
    world_add_disk(&run->world);
    run->wish = world_job(&run->world);
    run_by_snapshot(run);
}

void run_start(struct run *run, const struct job *job)
{
    run->world.dead = false;
    run->world.kept = 0; /* with the life before */
    run->lives++;
    assert_int_equal(migration_new(&run->world.ports, job, &run->migration), 0);
}

static void end(struct run *run, const struct job *job)
{
    run->job = *job;
    run->ended = true;
}

static void die(struct run *run)
{
    run->world.died_in = migration_job(run->migration)->state;
    migration_free(run->migration);
    run->migration = NULL;
    run->world.fault_at = 0;
    for (size_t i = 0; i < run->world.n_disks; i++)
        run->world.disks[i].watched = false; /* the watch died with it */
    run->world.watch_held = 0;
}

static void live_again(struct run *run)
{
    struct job job;

    if (run->lives >= LIVES_MAX)
        fail_msg("dies again and again");
    if (run->while_dead)
        run->while_dead(run);
    world_pass(&run->world, run->absence_ms);
    /* Killed before the first record: whoever asked got no answer, and asks
     * again. */
    job = run->world.has_record ? run->world.record : run->wish;
    if (job_is_terminal(job.state))
        end(run, &job);
    else
        run_start(run, &job);
}

static void step(struct run *run)
{
    int64_t wait_ms;

    run->steps++;
    if (run->before_step)
        run->before_step(run, migration_job(run->migration)->state);
    wait_ms = migration_step(run->migration, &run->orders);
    if (run->world.dead) {
        die(run);
        return;
    }
    if (wait_ms >= 0) {
        world_pass(&run->world, wait_ms);
        return;
    }
    end(run, migration_job(run->migration));
    migration_free(run->migration);
    run->migration = NULL;
}

void run_to_end(struct run *run)
{
    while (!run->ended && run->steps < STEPS_MAX) {
        if (run->migration)
            step(run);
        else
            live_again(run);
    }
    if (!run->ended)
        run_complain(run, job_state_name(run->world.record.state),
                     "the job does not end");
}

void run_until(struct run *run, enum job_state state)
{
    run_start(run, &run->wish);
    while (migration_job(run->migration)->state != state)
        world_pass(&run->world, migration_step(run->migration, &run->orders));
}

bool run_is_now(struct run *run, enum job_state state)
{
    if (run->happened || state != run->at_state)
        return false;
    run->happened = true;
    return true;
}

void run_deinit(struct run *run)
{
    migration_free(run->migration);
    run->migration = NULL;
    world_deinit(&run->world);
}

void run_all(struct run *run, enum job_state expected, const char *where)
{
    if (!run->migration)
        run_start(run, &run->wish);
    run_to_end(run);
    run_judge(run, where);
    if (expected != JOB_STATE_COUNT && run->job.state != expected)
        run_complain(run, where, "ended in another state");
    run_deinit(run);
}

void run_to_failure(struct run *run, enum job_state in, const char *text)
{
    run_all(run, JOB_FAILED, text);
    assert_int_equal(run->job.failed_in, in);
    if (!strstr(run->job.error.message, text))
        fail_msg("'%s' does not say '%s'", run->job.error.message, text);
}
