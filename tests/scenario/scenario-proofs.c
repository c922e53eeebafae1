/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What must be proven before a pivot is asked for and before a copy is deleted,
 * one missing proof at a time; and pivots that come when nobody expects them.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* --- pivots that go astray --------------------------------------------- */

/* It is given up after some seconds, and the guest runs; the mirror cannot be
 * ended while it pivots, so the destination is left, and said so. */
static void a_pivot_that_hangs_does_not_keep_the_guest(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_hangs = true;
    run.may_leave_destination = true;
    run_to_failure(&run, JOB_PIVOTING, "did not come to an end");
    assert_int_equal(run.world.disks[0].job.kind, VM_JOB_COPY);
    assert_true(world_image_exists(&run.world, DST));
    assert_non_null(strstr(run.job.warning, "destination left"));
}

static void pivot_gets_through(struct run *run, enum job_state state)
{
    if (state == JOB_ABORTING)
        run->world.pivot_hangs = false;
}

/* Given up, and then qemu switches after all: there is no way back. */
static void a_late_pivot_is_followed(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_hangs = true;
    run.before_step = pivot_gets_through;
    run_all(&run, JOB_DONE, "late pivot");
    assert_non_null(strstr(run.job.warning, "qemu had switched"));
}

static void a_stale_xml_deletes_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_leaves_xml = true;
    run.stale_xml = true;
    run.may_leave_source = true;
    run_all(&run, JOB_DONE, "stale XML");
    assert_true(world_image_exists(&run.world, SRC));
    assert_non_null(strstr(run.job.warning, "live XML"));
    assert_int_equal(run.world.disks[0].persistent->side,
                     DST); /* that could be mended */
}

/* libvirt believes the VM is off, but its qemu lives on the destination. */
static void a_forgotten_vm_deletes_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_forgets = true;
    run_all(&run, JOB_FAILED, "forgotten");
    assert_true(world_image_exists(&run.world, SRC));
    assert_true(world_image_exists(&run.world, DST));
    assert_non_null(strstr(run.job.warning, "destination left"));
    assert_true(run.world.record.disks[0].in_doubt);
}

static void another_user_keeps_the_source(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.other_user = true;
    run.may_leave_source = true;
    run_all(&run, JOB_DONE, "other user");
    assert_true(world_image_exists(&run.world, SRC));
    assert_non_null(strstr(run.job.warning, "source kept"));
}

/* The mirror could not be ended, and pivots when the undo is nearly done. */
static void pivot_gets_through_late(struct run *run, enum job_state state)
{
    if (state != JOB_REMOVING || run->happened)
        return;
    run->happened = true;
    run->world.pivot_hangs = false;
    world_pass(&run->world, 1);
}

static void a_very_late_pivot_is_followed(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_hangs = true;
    run.before_step = pivot_gets_through_late;
    run_all(&run, JOB_DONE, "very late pivot");
    assert_true(run.happened);
}

/* --- before something is deleted --------------------------------------- */

static void happen_in_releasing(struct run *run, enum job_state state)
{
    if (run->happened || state != JOB_RELEASING)
        return;
    run->happened = true;
    switch (run->at_step) {
    case 0: /* a snapshot was made: qemu writes to some third file */
        run->world.elsewhere = true;
        break;
    case 1: /* the destination is damaged */
        world_volume(&run->world, DST, 0, 0)->info.legality = VOLUME_ILLEGAL;
        break;
    default:
        world_shut_down(&run->world);
        break;
    }
}

static void doubts_keep_the_source(void **state)
{
    static const char *const reasons[] = { "do not both name", "is not legal",
                                           "does not run any more" };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++) {
        struct run run;
        struct job job;

        run_init(&run, 2);
        run.at_step = i;
        run.before_step = happen_in_releasing;
        job = world_job(&run.world);
        run_start(&run, &job);
        run_to_end(&run);
        assert_int_equal(run.job.state, JOB_DONE);
        assert_string_equal(run.world.violation, "");
        assert_true(world_image_exists(&run.world, SRC));
        assert_non_null(strstr(run.job.warning, reasons[i]));
        run_deinit(&run);
    }
}

static void doubts_keep_the_destination(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct run run;

        run_init(&run, 2);
        run.world.copies_fail = true;
        run_until(&run, JOB_REMOVING);
        if (i == 0) /* a settled leaf is nobody's leftover */
            world_volume(&run.world, DST, 0, 1)->info.legality = VOLUME_LEGAL;
        else /* libvirt believes that the VM has it */
            run.world.disks[0].xml = world_volume(&run.world, DST, 0, 1);
        run_to_end(&run);
        assert_int_equal(run.job.state, JOB_FAILED);
        if (i == 0)
            assert_string_equal(run.world.violation, "");
        assert_true(world_image_exists(&run.world, DST));
        assert_non_null(strstr(run.job.warning, "destination left"));
        run_deinit(&run);
    }
}

/* --- before the pivot -------------------------------------------------- */

static void no_pivot_onto_an_incomplete_layer(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run_until(&run, JOB_PIVOTING);
    world_volume(&run.world, DST, 0, 1)->info.legality = VOLUME_ILLEGAL;
    world_volume(&run.world, DST, 0, 1)->whole = false;
    run_to_failure(&run, JOB_PIVOTING, "is not complete");
}

static void a_vm_that_others_resume_is_held(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run_until(&run, JOB_PIVOTING);
    run.world.mirror_per_ms = 0;
    world_pass(&run.world, 5);
    world_pause_by_other(&run.world);
    (void)migration_step(run.migration, &run.orders);
    assert_int_equal(migration_job(run.migration)->state, JOB_PIVOTING);
    run.world.paused = run.world.paused_by_other = false;
    run.world.mirror_per_ms = 4;
    run_all(&run, JOB_DONE, "resumed by others");
    assert_int_equal(run.world.puts_while_held, 1);
}

static void a_pivot_that_is_not_ready_is_asked_again(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.pivot_refusals = 3;
    run_all(&run, JOB_DONE, "not ready");
    assert_int_equal(run.world.pivot_refusals, 0);
}

/* --- failures that do not last ----------------------------------------- */

static void fail_now_and_then(struct run *run, enum job_state state)
{
    if (state != JOB_CONVERGING)
        return;
    if (run->world.now_us > 60000000)
        run->world.writes_per_ms = 1;
    if (run->steps % 16 != 0)
        return;
    run->world.fault = FAULT_FAIL;
    run->world.fault_at = run->world.calls + 1;
    run->at_step++;
}

static void failures_now_and_then_do_not_add_up(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    run.before_step = fail_now_and_then;
    run_all(&run, JOB_DONE, "now and then");
    assert_true(run.at_step > 10);
    assert_string_equal(run.world.faulted_call, "mirror info");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pivot_that_hangs_does_not_keep_the_guest),
        cmocka_unit_test(a_late_pivot_is_followed),
        cmocka_unit_test(a_stale_xml_deletes_nothing),
        cmocka_unit_test(a_forgotten_vm_deletes_nothing),
        cmocka_unit_test(another_user_keeps_the_source),
        cmocka_unit_test(a_very_late_pivot_is_followed),
        cmocka_unit_test(doubts_keep_the_source),
        cmocka_unit_test(doubts_keep_the_destination),
        cmocka_unit_test(no_pivot_onto_an_incomplete_layer),
        cmocka_unit_test(a_vm_that_others_resume_is_held),
        cmocka_unit_test(a_pivot_that_is_not_ready_is_asked_again),
        cmocka_unit_test(failures_now_and_then_do_not_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
