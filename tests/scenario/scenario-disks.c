/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two disks in one job: both pivot inside one suspension, or neither does.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct walk two = { .name = "two disks",
                                 .layers = 1,
                                 .setup = run_two_disks };
static const struct walk second_fails = { .name = "second pivot fails",
                                          .layers = 1,
                                          .setup = run_two_disks,
                                          .before_step = disturb_second_pivot };

static struct walk with(struct walk walk,
                        void (*before_step)(struct run *run,
                                            enum job_state state),
                        void (*while_dead)(struct run *run))
{
    if (before_step)
        walk.before_step = before_step;
    walk.while_dead = while_dead;
    return walk;
}

/* --- well -------------------------------------------------------------- */

static void both_move_in_one_suspension(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run_two_disks(&run);
    run.wish.verify = true;
    run_all(&run, JOB_DONE, "two disks");
    assert_string_equal(run.job.warning, "");
    assert_in_range(run.job.progress.pause_us, 20000, 80000);
}

/* --- the second one fails ---------------------------------------------- */

static void never_runs_divided(void *arg)
{
    struct run *run = arg;
    struct fake_world *world = &run->world;

    if (world->alive && !world->paused &&
        world->disks[0].chain[0]->side != world->disks[1].chain[0]->side)
        world_break(world, "the guest runs with a disk on either side");
}

static void disturb_first_pivot(struct run *run, enum job_state state)
{
    run->world.disks[0].pivot_fails = state <= JOB_PIVOTING;
}

static void the_first_is_brought_back(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct run run;

        (void)state;
        run_init(&run, 2);
        run_two_disks(&run);
        run.before_step = i ? disturb_second_pivot : disturb_first_pivot;
        run.world.on_call = never_runs_divided;
        run_to_failure(&run, JOB_PIVOTING, i ? "disk vdb" : "disk vda");
        assert_string_equal(run.job.warning, "");
        assert_in_range(run.job.progress.pause_us, 10000, 3000000);
    }
}

static void no_way_back(struct run *run)
{
    run_two_disks(run);
    run->world.disks[0].return_fails = true;
    run->may_be_mixed = true;
    run->may_leave_source = true;
}

static void what_cannot_return_is_said(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    no_way_back(&run);
    run.before_step = disturb_second_pivot;
    run_to_failure(&run, JOB_PIVOTING, "disk vdb");
    assert_int_equal(run.world.disks[0].chain[0]->side, DST);
    assert_int_equal(run.world.disks[1].chain[0]->side, SRC);
    assert_non_null(strstr(run.job.warning, "disk vda went over"));
    /* Both are whole and folded; only the first one's source is left over. */
    assert_null(run_volume(&run, DST, 0, OVERLAY "0"));
    assert_null(run_volume(&run, SRC, 1, OVERLAY "1"));
    assert_false(world_volume(&run.world, DST, 1, 1)->exists);
}

static void vm_ends_divided(void *arg)
{
    struct run *run = arg;
    const struct fake_world *world = &run->world;

    if (world->paused || world->record.state != run->at_state ||
        world->disks[0].chain[0]->side == world->disks[1].chain[0]->side)
        return;
    if (world->alive && run->at_step)
        run->world.dead = true; /* and the daemon with it */
    run->happened = run->happened || world->alive;
    world_shut_down(&run->world);
}

/* The VM ends while its disks are on either side: each has one right copy, the
 * one that the guest wrote to last. */
static void a_vm_that_ends_divided_loses_nothing(void **state)
{
    static const enum job_state states[] = { JOB_ABORTING, JOB_REMOVING };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(states); i++) {
        struct run run;

        run_init(&run, 2);
        no_way_back(&run);
        run.before_step = disturb_second_pivot;
        run.at_state = states[i / 2];
        run.at_step = i % 2;
        run.world.on_call = vm_ends_divided;
        run_all(&run, JOB_FAILED, job_state_name(run.at_state));
        assert_true(run.happened);
        assert_int_equal(run.world.disks[0].persistent->side, DST);
        assert_int_equal(run.world.disks[1].persistent->side, SRC);
        assert_non_null(strstr(run.job.warning, "disk vda went over"));
    }
}

/* --- kills, failures, events ------------------------------------------- */

static void survives_a_kill_at_every_call(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk_kills(&two, seen);
    walk_kills(&second_fails, seen);
    for (int i = JOB_PLANNED; i <= JOB_REMOVING; i++) {
        if (seen[i] == (i == JOB_VERIFYING || i == JOB_SETTLING))
            fail_msg("kill in state %s: %d", job_state_name((enum job_state)i),
                     seen[i]);
    }
    walk_kills_to(&two, JOB_DONE);
}

static void survives_kills_where_one_cannot_return(void **state)
{
    struct walk walk = second_fails;

    (void)state;
    walk.setup = no_way_back;
    walk.stride = 12;
    walk_kills(&walk, NULL);
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&walk, event_libvirtd_goes, JOB_FAILED);
}

static void survives_what_happens_while_it_is_dead(void **state)
{
    const struct walk walks[] = {
        with(second_fails, NULL, event_vm_ends),
        with(second_fails, NULL, event_cancel),
        with(second_fails, NULL, event_mirrors_die),
        with(two, NULL, event_vm_ends),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
        walk_kills(&walks[i], NULL);
}

static void one_failing_call_harms_nothing(void **state)
{
    (void)state;
    walk_failures(&two);
    walk_failures(&second_fails);
}

static void survives_the_vms_end_at_every_call(void **state)
{
    (void)state;
    walk_event(&two, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&second_fails, event_vm_ends, JOB_STATE_COUNT);
}

static void waits_for_libvirtd_at_every_call(void **state)
{
    (void)state;
    walk_event(&two, event_libvirtd_goes, JOB_DONE);
    walk_event(&second_fails, event_libvirtd_goes, JOB_FAILED);
}

static void others_may_pause_the_vm_at_every_call(void **state)
{
    (void)state;
    walk_event(&two, event_other_pauses, JOB_DONE);
    walk_event(&second_fails, event_other_pauses, JOB_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_move_in_one_suspension),
        cmocka_unit_test(the_first_is_brought_back),
        cmocka_unit_test(what_cannot_return_is_said),
        cmocka_unit_test(a_vm_that_ends_divided_loses_nothing),
        cmocka_unit_test(survives_a_kill_at_every_call),
        cmocka_unit_test(survives_kills_where_one_cannot_return),
        cmocka_unit_test(survives_what_happens_while_it_is_dead),
        cmocka_unit_test(one_failing_call_harms_nothing),
        cmocka_unit_test(survives_the_vms_end_at_every_call),
        cmocka_unit_test(waits_for_libvirtd_at_every_call),
        cmocka_unit_test(others_may_pause_the_vm_at_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
