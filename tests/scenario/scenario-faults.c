/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each call of a port fails once, with and without having done its work; each
 * may be the one that nobody thought of. And what others do to the VM, at each
 * call.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct walk two = { .name = "move", .layers = 2 };
static const struct walk three = { .name = "move", .layers = 3 };

static struct walk disturbed(struct walk walk,
                             void (*before_step)(struct run *run,
                                                 enum job_state state))
{
    walk.before_step = before_step;
    return walk;
}

static void one_failing_call_harms_nothing(void **state)
{
    struct walk walk = { .name = "move" };

    (void)state;
    for (walk.layers = 1; walk.layers <= 3; walk.layers++) {
        struct walk walks[] = {
            walk,
            disturbed(walk, disturb_by_cancel_in_converging),
            disturbed(walk, disturb_by_cancel_in_pivoting),
            disturbed(walk, disturb_pivots),
        };

        for (size_t i = 0; i < ARRAY_SIZE(walks); i++)
            walk_failures(&walks[i]);
    }
}

/* A failed question is asked again; the job need not die of it. */
static void questions_are_asked_again(void **state)
{
    static const char *const questions[] = {
        "vm find", "disk truth", "mirror info", "journal put", "path user",
    };
    unsigned n = 1;
    struct run run;

    (void)state;
    do {
        run_init(&run, 2);
        run.world.fault = FAULT_FAIL;
        run.world.fault_at = n++;
        run_all(&run, JOB_STATE_COUNT, "question");
        for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
            if (strcmp(run.world.faulted_call, questions[i]) == 0 &&
                run.job.state != JOB_DONE)
                fail_msg("%s at call %u ended the job: %s", questions[i], n - 1,
                         run.job.error.message);
        }
    } while (run.world.faulted_call[0]);
}

/* --- what others do ---------------------------------------------------- */

static void vm_shuts_down_in_state(void *arg)
{
    struct run *run = arg;

    if (run->world.has_record && run_is_now(run, run->world.record.state))
        event_vm_ends(run);
}

/* The VM ends in each state: before the pivot is recorded the source stays,
 * after that the destination. */
static void vm_ends_in(enum job_state at, bool defined,
                       void (*setup)(struct run *run))
{
    bool pivoted = at == JOB_PIVOTED || at == JOB_COMMITTING ||
                   at == JOB_FOLDING || at == JOB_FOLDED || at == JOB_RELEASING;
    struct run run;

    run_init(&run, 3);
    if (setup)
        setup(&run);
    run.world.defined = defined;
    run.world.copies_fail = at == JOB_ABORTING || at == JOB_REMOVING;
    if (at == JOB_ABORTING) {
        run.world.copies_fail = false;
        run.before_step = disturb_by_cancel_in_converging;
    }
    run.world.on_call = vm_shuts_down_in_state;
    run.at_state = at;
    run_all(&run, JOB_STATE_COUNT, job_state_name(at));
    if (!run.happened)
        return;
    if (pivoted)
        assert_int_equal(run.job.state, JOB_DONE);
    else
        assert_int_not_equal(run.job.state, JOB_DONE);
}

static void survives_the_vms_end_in_every_state(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        for (int defined = 0; defined <= 1; defined++) {
            vm_ends_in((enum job_state)s, defined, NULL);
            vm_ends_in((enum job_state)s, defined, run_by_snapshot);
        }
    }
}

static void survives_the_vms_end_at_every_call(void **state)
{
    const struct walk cancelled =
        disturbed(two, disturb_by_cancel_in_converging);
    const struct walk failed = disturbed(two, disturb_pivots);

    (void)state;
    walk_event(&three, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&cancelled, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&failed, event_vm_ends, JOB_STATE_COUNT);
}

/* While it is away nothing is decided; the job waits and ends as it would. */
static void waits_for_libvirtd_at_every_call(void **state)
{
    const struct walk cancelled =
        disturbed(two, disturb_by_cancel_in_converging);
    const struct walk failed = disturbed(two, disturb_pivots);

    (void)state;
    walk_event(&three, event_libvirtd_goes, JOB_DONE);
    walk_event(&cancelled, event_libvirtd_goes, JOB_CANCELLED);
    walk_event(&failed, event_libvirtd_goes, JOB_FAILED);
}

static void others_may_pause_the_vm_at_every_call(void **state)
{
    const struct walk cancelled =
        disturbed(two, disturb_by_cancel_in_converging);

    (void)state;
    walk_event(&three, event_other_pauses, JOB_DONE);
    walk_event(&cancelled, event_other_pauses, JOB_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failing_call_harms_nothing),
        cmocka_unit_test(questions_are_asked_again),
        cmocka_unit_test(survives_the_vms_end_in_every_state),
        cmocka_unit_test(survives_the_vms_end_at_every_call),
        cmocka_unit_test(waits_for_libvirtd_at_every_call),
        cmocka_unit_test(others_may_pause_the_vm_at_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
