/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When the overlay of a move cannot be folded: the chain with it is whole and
 * right, the move is what it was before, and the job says what is left.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void setup(struct run *run)
{
    run_by_snapshot(run);
    run->may_leave_overlay = true;
}

static void no_commit(struct run *run)
{
    setup(run);
    run->world.commit_fails = true;
}

static void pivots_back_fail(struct run *run, enum job_state state)
{
    run->world.pivot_fails = state >= JOB_PIVOTED;
}

static void pivots_back_hang(struct run *run, enum job_state state)
{
    run->world.pivot_hangs = state >= JOB_PIVOTED;
}

/* Two folds as a whole. */
static void pivots_back_fail_twice(struct run *run, enum job_state state)
{
    if (state == JOB_FOLDING && run->at_state != JOB_FOLDING)
        run->at_step++;
    run->at_state = state;
    run->world.pivot_fails = state == JOB_FOLDING && run->at_step < 3;
}

static const struct fake_volume *top_of(const struct run *run)
{
    return run->world.disks[0].chain[0];
}

static void a_refused_commit_leaves_the_overlay(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    no_commit(&run);
    run_all(&run, JOB_DONE, "commit refused");
    assert_string_equal(top_of(&run)->info.id.vol, OVERLAY "0");
    assert_int_equal(top_of(&run)->side, DST);
    assert_true(run.world.record.disks[0].overlay_stays);
    assert_non_null(strstr(run.job.warning, "VM.merge"));
    assert_false(world_image_exists(&run.world, SRC));
}

static void so_on_the_way_back(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    no_commit(&run);
    run.before_step = disturb_by_cancel_in_converging;
    run_all(&run, JOB_CANCELLED, "commit refused");
    assert_int_equal(top_of(&run)->side, SRC);
    assert_false(world_image_exists(&run.world, DST));
}

static void a_refused_pivot_is_tried_again(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run.before_step = pivots_back_fail_twice;
    run_all(&run, JOB_DONE, "refused at first");
    assert_int_equal(run.at_step, 3);
    assert_string_equal(run.job.warning, "");
    run_init(&run, 2);
    setup(&run);
    run.before_step = pivots_back_fail;
    run_all(&run, JOB_DONE, "refused");
    assert_string_equal(top_of(&run)->info.id.vol, OVERLAY "0");
}

/* The guest does not stand longer than it may, three times. */
static void a_pivot_that_hangs_does_not_keep_the_guest(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    setup(&run);
    run.before_step = pivots_back_hang;
    run_all(&run, JOB_DONE, "hangs");
    assert_in_range(run.job.progress.pause_us, 5000000, 6000000);
}

static void the_way_back_keeps_its_reason(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    setup(&run);
    run.world.pivot_fails = true; /* that of the move, too */
    run_to_failure(&run, JOB_PIVOTING, "pivot of disk vda");
}

static void an_overlay_that_cannot_be_deleted_is_named(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run.world.domains[DST].deletes_fail = true;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_DONE);
    assert_string_equal(run.world.violation, "");
    assert_non_null(strstr(run.job.warning, OVERLAY "0"));
    assert_string_equal(top_of(&run)->info.id.vol, run.wish.disks[0].leaf);
    run_deinit(&run);
}

/* What was given up stays so: the overlay has data that is nowhere else. */
static void giving_up_survives_anything(void **state)
{
    struct walk walk = {
        .name = "given up", .layers = 1, .stride = 2, .setup = no_commit
    };

    (void)state;
    walk_kills(&walk, NULL);
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk.while_dead = event_vm_ends;
    walk_kills(&walk, NULL);
    walk.before_step = disturb_by_cancel_in_converging;
    walk_kills(&walk, NULL);
    walk.while_dead = NULL;
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk.before_step = pivots_back_fail;
    walk.setup = setup;
    walk_kills(&walk, NULL);
    walk_failures(&walk);
}

static void a_transient_vm(struct run *run)
{
    no_commit(run);
    run->world.defined = false;
}

static void so_with_a_vm_that_leaves_no_definition(void **state)
{
    struct walk walk = { .name = "given up, transient",
                         .layers = 1,
                         .stride = 2,
                         .setup = a_transient_vm };

    (void)state;
    walk_kills(&walk, NULL);
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk.while_dead = event_vm_ends;
    walk_kills(&walk, NULL);
}

/* Somebody takes a snapshot when the commit is ready, which ends it. */
static void another_layer_comes(struct run *run)
{
    struct fake_world *world = &run->world;
    struct fake_disk *disk = &world->disks[0];
    struct fake_volume *under = disk->chain[0];
    struct fake_volume *top =
        world_make(world, under->side, 0, OVERLAY "9", under->info.id.vol);

    world_end_job(disk);
    under->info.role = VOLUME_INTERNAL;
    world_open_chain(disk, top);
    disk->xml = disk->persistent = top;
}

static void a_layer_above_is_left_where_it_is(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run_until(&run, JOB_FOLDING);
    another_layer_comes(&run);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_DONE);
    assert_string_equal(run.world.violation, "");
    assert_null(run_volume(&run, DST, 0, OVERLAY "0"));
    assert_string_equal(top_of(&run)->info.id.vol, OVERLAY "9");
    run_judge_disk(&run, "another layer", 0, top_of(&run));
    run_judge_chain(&run, "another layer", DST, 0, true);
    run_deinit(&run);
}

static void journal_fills_up(struct run *run, enum job_state state)
{
    if (state == JOB_FOLDING && run->world.paused)
        run->world.journal_fails = true;
    else if (run->world.journal_fails && run->at_step++ > 3)
        run->world.journal_fails = false;
}

/* The guest is not left standing; the records of the image say where it is. */
static void a_full_journal_at_the_fold_loses_nothing(void **state)
{
    (void)state;
    for (int defined = 0; defined <= 1; defined++) {
        struct run run;

        run_init(&run, 2);
        run_by_snapshot(&run);
        run.world.defined = defined;
        run.before_step = journal_fills_up;
        run_all(&run, JOB_DONE, "journal");
        assert_in_range(run.job.progress.pause_us, 1, 1000000);
        assert_string_equal(run.job.warning, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_commit_leaves_the_overlay),
        cmocka_unit_test(so_on_the_way_back),
        cmocka_unit_test(a_refused_pivot_is_tried_again),
        cmocka_unit_test(a_pivot_that_hangs_does_not_keep_the_guest),
        cmocka_unit_test(the_way_back_keeps_its_reason),
        cmocka_unit_test(an_overlay_that_cannot_be_deleted_is_named),
        cmocka_unit_test(a_layer_above_is_left_where_it_is),
        cmocka_unit_test(giving_up_survives_anything),
        cmocka_unit_test(so_with_a_vm_that_leaves_no_definition),
        cmocka_unit_test(a_full_journal_at_the_fold_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
