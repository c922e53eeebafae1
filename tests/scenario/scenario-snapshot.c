/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The move by a snapshot: freeze, copy, mirror the overlay, pivot, fold. At its
 * end no layer is left that was not there before, whatever happened on the way;
 * what cannot be folded is said to be left.
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
    run->wish.verify = true;
}

static const struct walk one = { .name = "snapshot",
                                 .layers = 1,
                                 .setup = setup };
static const struct walk three = { .name = "snapshot",
                                   .layers = 3,
                                   .setup = setup };

static struct walk disturbed(struct walk walk,
                             void (*before_step)(struct run *run,
                                                 enum job_state state))
{
    walk.before_step = before_step;
    return walk;
}

static struct walk interrupted(struct walk walk,
                               void (*while_dead)(struct run *run))
{
    walk.while_dead = while_dead;
    return walk;
}

/* --- well -------------------------------------------------------------- */

static void moves_and_leaves_no_layer(void **state)
{
    static const size_t lengths[] = { 1, 2, LAYERS_MAX };
    struct run run;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        run_init(&run, lengths[i]);
        setup(&run);
        run_all(&run, JOB_DONE, "snapshot");
        assert_string_equal(run.job.warning, "");
    }
}

static void the_guests_pauses_are_short(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run_all(&run, JOB_DONE, "pause");
    /* The longer of two: each pivot takes 10 ms here, every call one. */
    assert_in_range(run.job.progress.pause_us, 10000, 40000);
}

static void converts_the_base(void **state)
{
    (void)state;
    for (int cow = 0; cow <= 1; cow++) {
        struct run run;

        run_init(&run, 2);
        run_by_snapshot(&run);
        world_set_format(&run.world, 0, cow ? VOLUME_RAW : VOLUME_COW);
        run.wish.disks[0].convert = true;
        run.wish.disks[0].base_cow = cow;
        run_all(&run, JOB_DONE, "convert");
        assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.format,
                         cow ? VOLUME_COW : VOLUME_RAW);
    }
}

/* qcow2 cannot be folded into a raw leaf otherwise than by its bytes. */
static void folds_into_a_raw_leaf(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run_by_snapshot(&run);
    world_set_format(&run.world, 0, VOLUME_RAW);
    run_all(&run, JOB_DONE, "raw");
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.format,
                     VOLUME_RAW);
}

/* The source that is kept is as it was, and has all that the guest had written
 * until the pivot. */
static void a_kept_source_has_no_overlay(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run.wish.keep_source = true;
    run_all(&run, JOB_DONE, "keep");
    assert_true(world_image_exists(&run.world, SRC));
    assert_null(run_volume(&run, SRC, 0, OVERLAY "0"));
    run_judge_chain(&run, "keep", SRC, 0, false);
    assert_string_equal(run.job.warning, "");
}

/* --- kills, failures, events ------------------------------------------- */

static void survives_a_kill_at_every_call(void **state)
{
    const struct walk walks[] = {
        one,
        three,
        disturbed(three, disturb_copies),
        disturbed(one, disturb_by_cancel_in_converging),
        disturbed(one, disturb_pivots),
    };
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
        walk_kills(&walks[i], seen);
    for (int i = JOB_PLANNED; i <= JOB_REMOVING; i++) {
        if (seen[i] == (i == JOB_RETURNING || i == JOB_SETTLING))
            fail_msg("kill in state %s: %d", job_state_name((enum job_state)i),
                     seen[i]);
    }
}

static void a_kill_alone_fails_no_job(void **state)
{
    (void)state;
    walk_kills_to(&one, JOB_DONE);
}

static void libvirtd_is_away(struct run *run)
{
    run->world.libvirt_back_us =
        run->world.now_us + (run->absence_ms + 2500) * 1000;
}

static void survives_what_happens_while_it_is_dead(void **state)
{
    static void (*const interludes[])(struct run * run) = {
        event_vm_ends, libvirtd_is_away, event_mirrors_die, event_cancel
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(interludes); i++) {
        struct walk walk = interrupted(one, interludes[i]);

        walk_kills(&walk, NULL);
        walk = disturbed(walk, disturb_by_cancel_in_converging);
        walk_kills(&walk, NULL);
    }
}

static void one_failing_call_harms_nothing(void **state)
{
    const struct walk walks[] = {
        one,
        disturbed(one, disturb_by_cancel_in_converging),
        disturbed(one, disturb_pivots),
        three,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
        walk_failures(&walks[i]);
}

static void a_transient_vm(struct run *run)
{
    setup(run);
    run->world.defined = false;
}

static void survives_the_vms_end_at_every_call(void **state)
{
    struct walk transient = one;
    const struct walk walks[] = {
        three,
        disturbed(one, disturb_by_cancel_in_converging),
        disturbed(one, disturb_pivots),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
        walk_event(&walks[i], event_vm_ends, JOB_STATE_COUNT);
    transient.setup = a_transient_vm;
    walk_event(&transient, event_vm_ends, JOB_STATE_COUNT);
    transient.before_step = disturb_by_cancel_in_converging;
    walk_event(&transient, event_vm_ends, JOB_STATE_COUNT);
}

static void waits_for_libvirtd_at_every_call(void **state)
{
    const struct walk cancelled =
        disturbed(one, disturb_by_cancel_in_converging);
    const struct walk failed = disturbed(one, disturb_pivots);

    (void)state;
    walk_event(&one, event_libvirtd_goes, JOB_DONE);
    walk_event(&cancelled, event_libvirtd_goes, JOB_CANCELLED);
    walk_event(&failed, event_libvirtd_goes, JOB_FAILED);
}

static void cut_calls(struct run *run)
{
    run_by_snapshot(run);
    run->world.cuts_calls = true;
}

/* What it does not know any more we read from qemu, and the definition that it
 * did not write is mended. */
static void libvirtd_may_die_in_every_call(void **state)
{
    struct walk walk = { .name = "cut", .layers = 2, .setup = cut_calls };
    struct run run;

    (void)state;
    run_init(&run, 2);
    cut_calls(&run);
    run_all(&run, JOB_DONE, "cut");
    assert_string_equal(run.job.warning, "");
    assert_in_range(run.job.progress.pause_us, 1000000, 1200000);
    walk_kills_to(&walk, JOB_DONE);
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk.while_dead = event_vm_ends;
    walk_kills(&walk, NULL);
    walk.while_dead = NULL;
    walk.before_step = disturb_by_cancel_in_converging;
    walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    walk_kills_to(&walk, JOB_CANCELLED);
}

static void others_may_pause_the_vm_at_every_call(void **state)
{
    const struct walk cancelled =
        disturbed(one, disturb_by_cancel_in_converging);

    (void)state;
    walk_event(&one, event_other_pauses, JOB_DONE);
    walk_event(&cancelled, event_other_pauses, JOB_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_and_leaves_no_layer),
        cmocka_unit_test(the_guests_pauses_are_short),
        cmocka_unit_test(converts_the_base),
        cmocka_unit_test(folds_into_a_raw_leaf),
        cmocka_unit_test(a_kept_source_has_no_overlay),
        cmocka_unit_test(survives_a_kill_at_every_call),
        cmocka_unit_test(a_kill_alone_fails_no_job),
        cmocka_unit_test(survives_what_happens_while_it_is_dead),
        cmocka_unit_test(one_failing_call_harms_nothing),
        cmocka_unit_test(survives_the_vms_end_at_every_call),
        cmocka_unit_test(waits_for_libvirtd_at_every_call),
        cmocka_unit_test(libvirtd_may_die_in_every_call),
        cmocka_unit_test(others_may_pause_the_vm_at_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
