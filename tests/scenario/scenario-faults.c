/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each call of a port fails once, with and without having done its work; each
 * may be the one that nobody thought of.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const enum fault failures[] = { FAULT_FAIL, FAULT_FAIL_AFTER };

typedef void (*disturbance)(struct run *run, enum job_state state);

static void cancel_in_converging(struct run *run, enum job_state state)
{
    run->orders.cancel = run->orders.cancel || state == JOB_CONVERGING;
}

static void cancel_in_pivoting(struct run *run, enum job_state state)
{
    run->orders.cancel = run->orders.cancel || state == JOB_PIVOTING;
}

static void pivot_will_fail(struct run *run, enum job_state state)
{
    (void)state;
    run->world.pivot_fails = true;
}

/* Fails the n'th call of a run, for all n; returns how many there were. */
static unsigned fail_each(size_t layers, enum fault fault, disturbance before)
{
    for (unsigned n = 1;; n++) {
        struct run run;
        char where[96];

        run_init(&run, layers);
        run.world.fault = fault;
        run.world.fault_at = n;
        run.before_step = before;
        (void)str_format(where, sizeof(where), "%zu layers, failure at %u",
                         layers, n);
        run_all(&run, JOB_STATE_COUNT, where);
        if (run.world.faulted_call[0] == '\0')
            return n;
    }
}

static void one_failing_call_harms_nothing(void **state)
{
    static const disturbance disturbances[] = { NULL, cancel_in_converging,
                                                cancel_in_pivoting,
                                                pivot_will_fail };

    (void)state;
    for (size_t f = 0; f < ARRAY_SIZE(failures); f++) {
        for (size_t d = 0; d < ARRAY_SIZE(disturbances); d++) {
            for (size_t layers = 1; layers <= 3; layers++)
                assert_true(fail_each(layers, failures[f], disturbances[d]) >
                            20);
        }
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

/* --- things that go wrong in the world --------------------------------- */

/* In the state that the run names, once. */
static bool now(struct run *run, enum job_state state)
{
    if (run->happened || state != run->at_state)
        return false;
    run->happened = true;
    return true;
}

typedef void (*event)(struct run *run);

static void vm_shuts_down(struct run *run)
{
    world_shut_down(&run->world);
}

static void libvirtd_goes(struct run *run)
{
    run->world.libvirt_back_us = run->world.now_us + 3000000;
}

static void other_pauses(struct run *run)
{
    world_pause_by_other(&run->world);
}

static void vm_shuts_down_in_state(void *arg)
{
    struct run *run = arg;

    if (run->world.has_record && now(run, run->world.record.state))
        vm_shuts_down(run);
}

/* The VM ends in each state: before the pivot is recorded the source stays,
 * after that the destination. */
static void survives_the_vms_end_in_every_state(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        enum job_state at = (enum job_state)s;
        bool pivoted = at == JOB_PIVOTED || at == JOB_RELEASING;

        if (job_is_terminal(at))
            continue;
        for (int defined = 0; defined <= 1; defined++) {
            struct run run;

            run_init(&run, 3);
            run.world.defined = defined;
            run.world.copies_fail = at == JOB_ABORTING || at == JOB_REMOVING;
            run.world.on_call = vm_shuts_down_in_state;
            run.at_state = at;
            run.may_leave_source = pivoted;
            run_all(&run, pivoted ? JOB_DONE : JOB_FAILED, job_state_name(at));
            assert_true(run.happened);
        }
    }
}

static unsigned event_call;
static event event_now;

static void event_at_call(void *arg)
{
    struct run *run = arg;

    if (run->world.calls != event_call)
        return;
    run->happened = true;
    event_now(run);
}

/* Lets @what happen at each call of a run of @layers; @before disturbs it. */
static void at_every_call(event what, enum job_state expected,
                          disturbance before, size_t layers)
{
    struct run run;

    event_now = what;
    for (event_call = 1;; event_call++) {
        char where[64];

        run_init(&run, layers);
        run.world.on_call = event_at_call;
        run.before_step = before;
        run.may_leave_source = what == vm_shuts_down;
        (void)str_format(where, sizeof(where), "event at call %u", event_call);
        run_all(&run, expected, where);
        if (!run.happened)
            break;
    }
    assert_true(event_call > 30);
}

static void survives_the_vms_end_at_every_call(void **state)
{
    (void)state;
    at_every_call(vm_shuts_down, JOB_STATE_COUNT, NULL, 1);
    at_every_call(vm_shuts_down, JOB_STATE_COUNT, NULL, 3);
    at_every_call(vm_shuts_down, JOB_STATE_COUNT, cancel_in_converging, 2);
    at_every_call(vm_shuts_down, JOB_STATE_COUNT, pivot_will_fail, 2);
}

/* While it is away nothing is decided; the job waits and ends as it would. */
static void waits_for_libvirtd_at_every_call(void **state)
{
    (void)state;
    at_every_call(libvirtd_goes, JOB_DONE, NULL, 3);
    at_every_call(libvirtd_goes, JOB_CANCELLED, cancel_in_converging, 2);
    at_every_call(libvirtd_goes, JOB_FAILED, pivot_will_fail, 2);
}

static void others_may_pause_the_vm_at_every_call(void **state)
{
    (void)state;
    at_every_call(other_pauses, JOB_DONE, NULL, 3);
    at_every_call(other_pauses, JOB_CANCELLED, cancel_in_converging, 2);
}

static void a_full_destination_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run.world.domains[DST].free_bytes = 0;
    run_to_failure(&run, JOB_PREPARING, "full");
    assert_int_equal(run.job.error.code, ERR_NO_SPACE);
}

static void mirror_dies(struct run *run, enum job_state state)
{
    if (!now(run, state))
        return;
    memset(&run->world.mirror, 0, sizeof(run->world.mirror));
    run->world.mirror.pivot_at_us = -1;
}

static void a_mirror_that_dies_fails_the_job(void **state)
{
    static const enum job_state states[] = { JOB_SYNCING, JOB_CONVERGING,
                                             JOB_PIVOTING };
    struct run run;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        run_init(&run, 3);
        run.before_step = mirror_dies;
        run.at_state = states[i];
        run_to_failure(&run, states[i], "No space left on device");
        assert_int_equal(run.job.error.code, ERR_REPLICA);
    }
}

static void a_copy_that_breaks_off_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run.world.copies_fail = true;
    run_to_failure(&run, JOB_SYNCING, "broke off");
}

static void a_refused_mirror_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.start_fails = true;
    run_to_failure(&run, JOB_STARTING, "refused");
}

static void a_guest_faster_than_the_mirror_fails_by_verdict(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    run.world.ports.converge_limit_s = 20;
    run_to_failure(&run, JOB_CONVERGING, "no convergence in 20 s");
    assert_int_equal(run.job.error.code, ERR_TIMEOUT);
}

static void without_a_limit_it_waits_for_convergence(void **state)
{
    struct run run;
    struct job job;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    job = world_job(&run.world);
    run_start(&run, &job);
    for (int i = 0; i < 2000; i++)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    assert_int_equal(migration_job(run.migration)->state, JOB_CONVERGING);
    run.world.writes_per_ms = 1;
    run_all(&run, JOB_DONE, "calm again");
}

static void a_pivot_that_fails_leaves_the_source(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_fails = true;
    run_to_failure(&run, JOB_PIVOTING, "pivot of disk vda");
    assert_int_equal(run.job.error.code, ERR_CHANGE_DISK);
}

/* Somebody made a snapshot at the last moment. */
static void writes_elsewhere(struct run *run, enum job_state state)
{
    if (now(run, state))
        run->world.elsewhere = true;
}

static void a_disk_that_is_elsewhere_is_not_pivoted(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = writes_elsewhere;
    run.at_state = JOB_PIVOTING;
    run_to_failure(&run, JOB_PIVOTING, "neither on the source");
    assert_int_equal(run.job.error.code, ERR_CHANGE_DISK);
}

static void a_source_that_cannot_be_deleted_ends_as_warning(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.domains[SRC].deletes_fail = true;
    run.may_leave_source = true;
    run_all(&run, JOB_DONE, "source stays");
    assert_non_null(strstr(run.job.warning, "drayctl rpc Image.delete"));
    assert_non_null(strstr(run.job.warning, run.job.move.src_sd));
}

static void a_destination_that_cannot_be_deleted_ends_as_warning(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.copies_fail = true;
    run.world.domains[DST].deletes_fail = true;
    run.may_leave_destination = true;
    run_all(&run, JOB_FAILED, "destination stays");
    assert_non_null(strstr(run.job.warning, "drayctl rpc Image.delete"));
    assert_non_null(strstr(run.job.warning, run.job.move.dst_sd));
}

static void deletion_works_again(struct run *run, enum job_state state)
{
    (void)state;
    if (run->world.now_us > 8000000)
        run->world.domains[DST].deletes_fail = false;
}

static void a_busy_destination_is_deleted_later(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.copies_fail = true;
    run.world.domains[DST].deletes_fail = true;
    run.before_step = deletion_works_again;
    run_all(&run, JOB_FAILED, "later");
    assert_string_equal(run.job.warning, "");
}

static void journal_fills_up(struct run *run, enum job_state state)
{
    (void)state;
    if (run->world.paused)
        run->world.journal_fails = true;
    else if (run->world.qemu_at == DST && run->at_step++ > 3)
        run->world.journal_fails = false;
}

/* The record of the pivot cannot be written: the guest is not left standing,
 * and the fact is left at the destination. */
static void a_full_journal_at_the_pivot_loses_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = journal_fills_up;
    run_all(&run, JOB_DONE, "journal");
    assert_in_range(run.job.progress.pause_us, 1, 1000000);

    run_init(&run, 1);
    run.before_step = journal_fills_up;
    run.world.domains[DST].legality_fails = true;
    run.may_leave_source = true;
    struct job job = world_job(&run.world);

    run_start(&run, &job);
    run_to_end(&run);
    assert_string_equal(run.world.violation, "");
    assert_in_range(run.job.progress.pause_us, 5000000, 8000000);
    run_deinit(&run);
}

static void die_and_lose_qemu(struct run *run, enum job_state state)
{
    run->world.journal_fails = run->world.paused || run->world.qemu_at == DST;
    if (run->world.qemu_at == DST && !run->world.paused &&
        state == JOB_PIVOTED && !run->happened) {
        run->happened = true;
        run->world.dead = true;
    }
}

static void host_goes_on(struct run *run)
{
    world_pass(&run->world, 100);
    world_shut_down(&run->world);
    run->world.journal_fails = false;
    run->before_step = NULL;
    run->may_leave_source = true;
}

/* ... and then drayd and qemu die: the record says "pivoting", without qemu
 * that would mean the source; the leaf says otherwise. */
static void the_leafs_mark_replaces_the_lost_record(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = die_and_lose_qemu;
    run.while_dead = host_goes_on;
    run_all(&run, JOB_DONE, "mark");
    assert_true(run.happened);
}

static void somebody_was_faster(struct run *run, enum job_state state)
{
    struct fake_volume *base = &run->world.domains[DST].volumes[0];

    if (!now(run, state))
        return;
    base->exists = true;
    base->info.legality = VOLUME_LEGAL;
    base->info.format = VOLUME_COW;
    base->info.capacity = 1 << 30;
}

/* An image of that name appears between plan and first volume. */
static void somebody_elses_image_is_left_alone(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = somebody_was_faster;
    run.at_state = JOB_PREPARING;
    run.may_leave_destination = true;
    run_to_failure(&run, JOB_PREPARING, "made by somebody else");
    assert_true(run.world.domains[DST].volumes[0].exists);

    run_init(&run, 2);
    run.before_step = somebody_was_faster;
    run.at_state = JOB_PLANNED;
    run.may_leave_destination = true;
    struct job job = world_job(&run.world);

    run_start(&run, &job);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.failed_in, JOB_PLANNED);
    assert_true(run.world.domains[DST].volumes[0].exists);
    assert_string_equal(run.world.violation, "");
    run_deinit(&run);
}

static void other_job_comes(struct run *run, enum job_state state)
{
    if (now(run, state))
        run->world.disk.job = true;
}

static void another_block_job_fails_the_start(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.before_step = other_job_comes;
    run.at_state = JOB_STARTING;
    run_to_failure(&run, JOB_STARTING, "has a job");
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
        cmocka_unit_test(a_full_destination_fails_the_job),
        cmocka_unit_test(a_mirror_that_dies_fails_the_job),
        cmocka_unit_test(a_copy_that_breaks_off_fails_the_job),
        cmocka_unit_test(a_refused_mirror_fails_the_job),
        cmocka_unit_test(a_guest_faster_than_the_mirror_fails_by_verdict),
        cmocka_unit_test(without_a_limit_it_waits_for_convergence),
        cmocka_unit_test(a_pivot_that_fails_leaves_the_source),
        cmocka_unit_test(a_disk_that_is_elsewhere_is_not_pivoted),
        cmocka_unit_test(a_source_that_cannot_be_deleted_ends_as_warning),
        cmocka_unit_test(a_destination_that_cannot_be_deleted_ends_as_warning),
        cmocka_unit_test(a_busy_destination_is_deleted_later),
        cmocka_unit_test(a_full_journal_at_the_pivot_loses_nothing),
        cmocka_unit_test(the_leafs_mark_replaces_the_lost_record),
        cmocka_unit_test(somebody_elses_image_is_left_alone),
        cmocka_unit_test(another_block_job_fails_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
