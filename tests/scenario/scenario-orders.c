/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What people may order while a job runs: cancel and limit, at any moment.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void cancel_at_step(struct run *run, enum job_state state)
{
    if (run->steps != run->at_step)
        return;
    run->orders.cancel = true;
    run->happened = true;
    run->at_state = state;
}

/* Cancels before each step; marks the states that it met. Until the pivot is
 * asked for a cancel brings everything back; afterwards it is too late, and
 * nothing is harmed. */
static void cancel_everywhere(void (*setup)(struct run *run),
                              bool seen[JOB_STATE_COUNT])
{
    for (unsigned n = 1;; n++) {
        struct run run;

        run_init(&run, 3);
        if (setup)
            setup(&run);
        run.at_step = n;
        run.before_step = cancel_at_step;
        run_all(&run, JOB_STATE_COUNT, "cancel");
        if (!run.happened)
            break;
        seen[run.at_state] = true;
        if (run.at_state < JOB_PIVOTING)
            assert_int_equal(run.job.state, JOB_CANCELLED);
        if (run.at_state > JOB_PIVOTING)
            assert_int_equal(run.job.state, JOB_DONE);
        assert_string_equal(run.job.warning, "");
    }
}

static void verify(struct run *run)
{
    run_two_disks(run);
    run->wish.verify = true;
}

static void cancel_works_at_every_step(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    cancel_everywhere(NULL, seen);
    cancel_everywhere(run_by_snapshot, seen);
    cancel_everywhere(verify, seen);
    /* What follows within a step is not met: JOB_PIVOTED, JOB_FOLDED. */
    for (int i = 0; i <= JOB_RELEASING; i++) {
        bool within = i == JOB_PIVOTED || i == JOB_FOLDED ||
                      i == JOB_RETURNING || i == JOB_SETTLING;

        if (seen[i] == within)
            fail_msg("cancel in %s: %d", job_state_name((enum job_state)i),
                     seen[i]);
    }
}

/* A guest that is suspended when the cancel comes is let go. */
static void cancel_before_the_pivot_resumes_the_guest(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run_until(&run, JOB_PIVOTING);
    run.world.mirror_per_ms = 0; /* it lags: the pivot has to wait */
    run.world.writes_per_ms = 3;
    world_pass(&run.world, 5);
    world_pass(&run.world, migration_step(run.migration, &run.orders));
    assert_true(run.world.paused);
    run.orders.cancel = true;
    run.orders.limit = 1 << 20;
    run.world.mirror_per_ms = 4;
    run_all(&run, JOB_STATE_COUNT, "cancel while suspended");
    assert_int_equal(run.world.puts_while_held, 1);
}

static void cancel_waits_for_libvirtd(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run_until(&run, JOB_SYNCING);
    run.world.libvirt_back_us = run.world.now_us + 120 * 1000000LL;
    run.orders.cancel = true;
    run_all(&run, JOB_CANCELLED, "cancel while libvirtd is away");
    assert_true(run.world.now_us >= run.world.libvirt_back_us);
    assert_string_equal(run.job.warning, "");
}

static void limit_holds_mirror_and_copy(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.wish.limit = run.orders.limit = 8 << 20;
    run_until(&run, JOB_CONVERGING);
    /* 64 MiB at no more than 8 MiB/s. */
    assert_true(run.world.now_us > 8 * 1000000LL);
    assert_int_equal(run.world.disks[0].job.limit, 8 << 20);
    run_all(&run, JOB_DONE, "limited");
}

/* What libvirt says of a job before it has begun is no progress to go by. */
static void a_fold_that_gets_on_keeps_the_limit(void **state)
{
    struct run run;
    struct fake_job *job = &run.world.disks[0].job;

    (void)state;
    run_init(&run, 1);
    run_by_snapshot(&run);
    run.wish.limit = run.orders.limit = 1 << 20;
    run_until(&run, JOB_COMMITTING);
    while (job->kind == VM_JOB_NONE)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    job->left = 10 << 10; /* ten seconds */
    while (migration_job(run.migration)->state == JOB_COMMITTING) {
        assert_int_equal(job->limit, 1 << 20);
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    }
    assert_true(job->done >= 10 << 10);
    run_all(&run, JOB_DONE, "a slow fold");
}

/* Together they keep the limit. */
static void several_mirrors_share_the_limit(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run_two_disks(&run);
    run.wish.limit = run.orders.limit = (8 << 20) + 1;
    run_until(&run, JOB_CONVERGING);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(run.world.disks[i].job.limit, (4 << 20) + 1);
    run_all(&run, JOB_DONE, "shared limit");
}

static void a_copy_takes_a_new_limit(void **state)
{
    struct run run;
    int64_t begin_us;

    (void)state;
    run_init(&run, 2);
    run.wish.limit = run.orders.limit = 1 << 20;
    run_until(&run, JOB_SYNCING);
    (void)migration_step(run.migration, &run.orders);
    run.orders.limit = 0;
    begin_us = run.world.now_us;
    while (migration_job(run.migration)->state == JOB_SYNCING)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    assert_true(run.world.now_us - begin_us < 2 * 1000000LL);
    run_all(&run, JOB_DONE, "no limit any more");
}

/* What an earlier life copied says nothing about how fast it goes now. */
static void a_copy_that_goes_on_has_its_own_rate(void **state)
{
    struct run run;
    struct job job;

    (void)state;
    run_init(&run, 2);
    run.wish.limit = run.orders.limit = 1 << 20;
    run_until(&run, JOB_SYNCING);
    while (migration_job(run.migration)->progress.done < 16 << 20)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    migration_free(run.migration);
    job = run.world.record;
    run_start(&run, &job);
    while (migration_job(run.migration)->progress.done < 32 << 20) {
        world_pass(&run.world, migration_step(run.migration, &run.orders));
        assert_true(migration_job(run.migration)->progress.rate <= 2 << 20);
    }
    run_all(&run, JOB_STATE_COUNT, "its own rate");
}

static void limit_changes_reach_the_mirror(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8; /* it will not converge */
    run_until(&run, JOB_CONVERGING);
    assert_int_equal(run.world.disks[0].job.limit, 0);
    run.orders.limit = 5 << 20;
    (void)migration_step(run.migration, &run.orders);
    assert_int_equal(run.world.disks[0].job.limit, 5 << 20);
    assert_int_equal(run.world.record.limit, 5 << 20);
    run.orders.limit = 0;
    (void)migration_step(run.migration, &run.orders);
    assert_int_equal(run.world.disks[0].job.limit, 0);
    run.world.writes_per_ms = 1;
    run_all(&run, JOB_DONE, "limit changed");
}

/* A new life applies the recorded limit: the last one may have died before. */
static void limit_survives_a_restart(void **state)
{
    struct run run;
    struct job job;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    run_until(&run, JOB_CONVERGING);
    migration_free(run.migration);
    job = run.world.record;
    job.limit = 3 << 20;
    run.orders.limit = job.limit;
    run_start(&run, &job);
    (void)migration_step(run.migration, &run.orders);
    assert_int_equal(run.world.disks[0].job.limit, 3 << 20);
    run.world.writes_per_ms = 1;
    run_all(&run, JOB_DONE, "limit restored");
}

/* A guest that writes more than the limit while its overlay is committed. */
static void write_fast_in_the_commit(struct run *run, enum job_state state)
{
    run->world.writes_per_ms = state == JOB_COMMITTING ? 8 : 1;
    if (state == JOB_CONVERGING && run->happened)
        run->orders.cancel = true;
}

static void a_commit_ends_in_spite_of_its_limit(void **state)
{
    struct run run;

    (void)state;
    for (int undo = 0; undo <= 1; undo++) {
        run_init(&run, 2);
        run_by_snapshot(&run);
        run.wish.limit = run.orders.limit = 2 << 20;
        run.world.mirror_per_ms = 64;
        run.happened = undo;
        run.before_step = write_fast_in_the_commit;
        run_all(&run, undo ? JOB_CANCELLED : JOB_DONE, "limited commit");
        assert_string_equal(run.job.warning, "");
    }
}

/* Not before the limit keeps it from its end. */
static void a_commit_keeps_its_limit(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run_two_disks(&run);
    run.wish.limit = run.orders.limit = 8 << 20;
    run.world.mirror_per_ms = 64;
    run_until(&run, JOB_COMMITTING);
    (void)migration_step(run.migration, &run.orders);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(run.world.disks[i].job.limit, 4 << 20);
    while (migration_job(run.migration)->state == JOB_COMMITTING)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    (void)migration_step(run.migration, &run.orders);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(run.world.disks[i].job.limit, 0);
    run_all(&run, JOB_DONE, "limited commit of two");
}

static void the_pivot_does_not_wait_for_the_limit(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.wish.limit = run.orders.limit = 2 << 20;
    run_until(&run, JOB_PIVOTING);
    (void)migration_step(run.migration, &run.orders);
    assert_int_equal(run.world.disks[0].job.limit, 0);
    run_all(&run, JOB_DONE, "limited pivot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_works_at_every_step),
        cmocka_unit_test(cancel_before_the_pivot_resumes_the_guest),
        cmocka_unit_test(cancel_waits_for_libvirtd),
        cmocka_unit_test(limit_holds_mirror_and_copy),
        cmocka_unit_test(a_fold_that_gets_on_keeps_the_limit),
        cmocka_unit_test(several_mirrors_share_the_limit),
        cmocka_unit_test(a_copy_takes_a_new_limit),
        cmocka_unit_test(a_copy_that_goes_on_has_its_own_rate),
        cmocka_unit_test(limit_changes_reach_the_mirror),
        cmocka_unit_test(limit_survives_a_restart),
        cmocka_unit_test(a_commit_ends_in_spite_of_its_limit),
        cmocka_unit_test(a_commit_keeps_its_limit),
        cmocka_unit_test(the_pivot_does_not_wait_for_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
