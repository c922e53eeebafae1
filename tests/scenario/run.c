/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The runner and the judge of the scenarios.
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

#define CHECK(run, where, condition)                                           \
    do {                                                                       \
        if (!(condition))                                                      \
            complain(run, where, #condition);                                  \
    } while (0)

static void complain(const struct run *run, const char *where, const char *what)
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
    run->absence_ms = 1500;
    run->at_state = JOB_STATE_COUNT;
    run->world.on_call_arg = run;
}

void run_start(struct run *run, const struct job *job)
{
    run->world.dead = false;
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
    job = run->world.has_record ? run->world.record : world_job(&run->world);
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
        fail_msg("the job does not end: it is %s",
                 job_state_name(migration_job(run->migration)->state));
}

void run_deinit(struct run *run)
{
    migration_free(run->migration);
    run->migration = NULL;
    world_deinit(&run->world);
}

/* --- judging ----------------------------------------------------------- */

static enum side right_side(const struct run *run)
{
    /* One that libvirt forgot stands still: the record decides. */
    if (run->world.alive && !run->world.forgotten)
        return run->world.qemu_at;
    return run->job.state == JOB_DONE ? DST : SRC;
}

static void judge_survivor(const struct run *run, const char *where,
                           enum side side)
{
    const struct fake_world *world = &run->world;
    const struct fake_domain *domain = &world->domains[side];

    for (size_t i = 0; i < world->layers; i++) {
        const struct fake_volume *volume = &domain->volumes[i];

        CHECK(run, where, volume->exists);
        CHECK(run, where, volume->info.legality == VOLUME_LEGAL);
        CHECK(run, where, i == world_leaf(world) || volume->whole);
    }
    CHECK(run, where, domain->writes == world->acknowledged);
    CHECK(run, where,
          !world->defined || world->persistent_at == side || run->stale_xml);
    CHECK(run, where, !world->alive || world->xml_at == side || run->stale_xml);
}

static void judge_loser(const struct run *run, const char *where,
                        enum side side)
{
    const struct fake_world *world = &run->world;
    bool there = world_image_exists(world, side);
    bool may_stay =
        side == SRC ? run->may_leave_source : run->may_leave_destination;

    if (side == SRC && world->record.move.keep_source) {
        CHECK(run, where, there);
        return;
    }
    CHECK(run, where, !there || may_stay);
    CHECK(run, where, !there || run->job.warning[0]);
    CHECK(run, where, there || !world->domains[side].prepared);
}

static void judge_guest(const struct run *run, const char *where)
{
    const struct fake_world *world = &run->world;

    CHECK(run, where, !world->mirror.active || run->may_leave_destination);
    CHECK(run, where, world->copy == NULL);
    CHECK(run, where,
          !world->alive || world->forgotten ||
              world->paused == world->paused_by_other);
}

static void judge_record(const struct run *run, const char *where)
{
    const struct job *job = &run->job;

    CHECK(run, where, job_is_terminal(job->state));
    CHECK(run, where, run->world.has_record);
    CHECK(run, where, run->world.record.state == job->state);
    CHECK(run, where, job->ended_ms > 0);
    CHECK(run, where, !job->suspended);
    CHECK(run, where, (job->state == JOB_FAILED) == (job->error.rc != 0));
    CHECK(run, where, job->error.rc == 0 || job->error.message[0]);
    CHECK(run, where, job->error.rc == 0 || job->error.next[0]);
}

void run_judge(const struct run *run, const char *where)
{
    enum side right = right_side(run);

    if (run->world.violation[0])
        complain(run, where, run->world.violation);
    judge_record(run, where);
    judge_guest(run, where);
    CHECK(run, where,
          (run->job.state == JOB_DONE) == (right == DST) ||
              run->world.forgotten);
    judge_survivor(run, where, right);
    if (!run->world.forgotten)
        judge_loser(run, where, right == SRC ? DST : SRC);
}

void run_all(struct run *run, enum job_state expected, const char *where)
{
    struct job job = world_job(&run->world);

    if (!run->migration)
        run_start(run, &job);
    run_to_end(run);
    run_judge(run, where);
    if (expected != JOB_STATE_COUNT && run->job.state != expected)
        complain(run, where, "ended in another state");
    run_deinit(run);
}

void run_to_failure(struct run *run, enum job_state in, const char *text)
{
    run_all(run, JOB_FAILED, text);
    assert_int_equal(run->job.failed_in, in);
    if (!strstr(run->job.error.message, text))
        fail_msg("'%s' does not say '%s'", run->job.error.message, text);
}
