/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kill -9 of the daemon at every call of a port, in every state of the table;
 * meanwhile the world lives on. Whatever the daemon finds when it comes back,
 * one copy is right, and the judge must find that one whole.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const enum fault kills[] = { FAULT_KILL_BEFORE, FAULT_KILL_HALF,
                                    FAULT_KILL_AFTER };

/* What goes on in the world until the daemon is back. */
static void nothing_happens(struct run *run)
{
    (void)run;
}

static void vm_shuts_down(struct run *run)
{
    world_pass(&run->world, 300);
    world_shut_down(&run->world);
    run->may_leave_source = true; /* without a VM nothing proves enough */
}

static void vm_shuts_down_at_once(struct run *run)
{
    world_shut_down(&run->world);
    run->may_leave_source = true;
}

static void libvirtd_is_away(struct run *run)
{
    run->world.libvirt_back_us =
        run->world.now_us + (run->absence_ms + 2500) * 1000;
}

static void mirror_dies(struct run *run)
{
    if (!run->world.mirror.active || run->world.mirror.pivot_at_us >= 0)
        return;
    memset(&run->world.mirror, 0, sizeof(run->world.mirror));
    run->world.mirror.pivot_at_us = -1;
}

static void is_cancelled(struct run *run)
{
    run->orders.cancel = true;
}

typedef void (*interlude)(struct run *run);

/* Orders a failure of the copy, so that the undo states are walked too. */
static void copy_breaks(struct run *run, enum job_state state)
{
    (void)state;
    run->world.copies_fail = true;
}

static void cancel_in_converging(struct run *run, enum job_state state)
{
    run->orders.cancel = run->orders.cancel || state == JOB_CONVERGING;
}

typedef void (*disturbance)(struct run *run, enum job_state state);

/* One run with the kill at call @n; false when the run has fewer calls. */
static bool killed_run(size_t layers, enum fault fault, unsigned n,
                       interlude while_dead, disturbance before_step,
                       bool seen[JOB_STATE_COUNT])
{
    struct run run;
    char where[128];
    bool killed;

    run_init(&run, layers);
    run.world.fault = fault;
    run.world.fault_at = n;
    run.while_dead = while_dead;
    run.before_step = before_step;
    (void)str_format(where, sizeof(where), "%zu layers, kill %d at call %u",
                     layers, fault, n);
    run_all(&run, JOB_STATE_COUNT, where);
    killed = run.world.faulted_call[0] != '\0';
    if (killed && run.lives > 1)
        seen[run.world.died_in] = true;
    return killed;
}

/* Kills at every call; marks the states it died in. */
static void walk(size_t layers, interlude while_dead, disturbance before_step,
                 bool seen[JOB_STATE_COUNT])
{
    for (size_t k = 0; k < ARRAY_SIZE(kills); k++) {
        unsigned n = 1;

        while (killed_run(layers, kills[k], n, while_dead, before_step, seen))
            n++;
        assert_true(n > 20); /* it did walk */
    }
}

static void survives_a_kill_at_every_call(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk(1, nothing_happens, NULL, seen);
    walk(3, nothing_happens, NULL, seen);
    walk(3, nothing_happens, copy_breaks, seen);
    walk(2, nothing_happens, cancel_in_converging, seen);
    /* Every state that has an act was died in: a new one must be walked. */
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (!job_is_terminal((enum job_state)i) && !seen[i])
            fail_msg("no kill in state %s", job_state_name((enum job_state)i));
    }
}

static void a_kill_alone_fails_no_job(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_SIZE(kills); k++) {
        for (unsigned n = 1;; n++) {
            struct run run;

            run_init(&run, 2);
            run.world.fault = kills[k];
            run.world.fault_at = n;
            run_all(&run, JOB_DONE, "kill");
            assert_string_equal(run.job.warning, "");
            if (run.world.faulted_call[0] == '\0')
                break;
        }
    }
}

static void survives_when_the_vm_ends_meanwhile(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk(2, vm_shuts_down, NULL, seen);
    walk(2, vm_shuts_down_at_once, NULL, seen);
    walk(2, vm_shuts_down, cancel_in_converging, seen);
}

static void survives_when_libvirtd_is_away(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk(2, libvirtd_is_away, NULL, seen);
    walk(2, libvirtd_is_away, cancel_in_converging, seen);
}

static void survives_when_the_mirror_dies_meanwhile(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk(2, mirror_dies, NULL, seen);
}

static void survives_when_it_is_cancelled_then(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    walk(2, is_cancelled, NULL, seen);
}

/* The second life is killed too, @second calls into it. */
static unsigned second;

static void dies_again(struct run *run)
{
    if (run->lives == 1) {
        run->world.calls = 0;
        run->world.fault_at = second;
    }
}

static void survives_two_kills(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    for (second = 1; second <= 24; second++)
        walk(2, dies_again, NULL, seen);
}

/* Between two steps there is no call to be killed at. */
static void survives_a_kill_after_every_step(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct run run;
        struct job job;
        bool ended;

        run_init(&run, 2);
        job = world_job(&run.world);
        run_start(&run, &job);
        while (run.steps < n && !run.ended) {
            int64_t wait_ms = migration_step(run.migration, &run.orders);

            run.steps++;
            run.ended = wait_ms < 0;
            world_pass(&run.world, wait_ms > 0 ? wait_ms : 0);
        }
        ended = run.ended;
        run.ended = false;
        migration_free(run.migration);
        run.migration = NULL;
        run.world.dead = true;
        run_to_end(&run);
        run_judge(&run, "kill after a step");
        assert_int_equal(run.job.state, JOB_DONE);
        run_deinit(&run);
        if (ended)
            break;
    }
}

static void count_calls_while_paused(void *arg)
{
    struct run *run = arg;

    if (run->world.paused)
        run->at_step = run->world.calls;
}

/* Kills after call @n. Returns whether the job had that many calls. */
static bool run_until_killed(struct run *run, unsigned n)
{
    struct job job;

    run_init(run, 1);
    run->world.fault = FAULT_KILL_AFTER;
    run->world.fault_at = n;
    job = world_job(&run->world);
    run_start(run, &job);
    while (!run->world.dead && !run->ended) {
        int64_t wait_ms = migration_step(run->migration, &run->orders);

        run->ended = wait_ms < 0;
        world_pass(&run->world, wait_ms > 0 ? wait_ms : 0);
    }
    migration_free(run->migration);
    run->migration = NULL;
    return run->world.dead;
}

/* Whatever else there is to do: a look, the record, and the guest goes on. */
static void a_suspended_guest_is_resumed_first(void **state)
{
    unsigned suspended = 0;
    struct run run;

    (void)state;
    for (unsigned n = 1; run_until_killed(&run, n); n++) {
        struct job job = run.world.record;

        if (!run.world.paused)
            continue;
        suspended++;
        world_pass(&run.world, 2000);
        run.world.fault_at = 0;
        run.world.calls = 0;
        run.world.on_call = count_calls_while_paused;
        run_start(&run, &job);
        for (int i = 0; i < 20 && run.world.paused; i++)
            (void)migration_step(run.migration, &run.orders);
        assert_false(run.world.paused);
        if (run.at_step > 4)
            fail_msg("%u calls before the guest went on, record %s",
                     run.at_step, job_state_name(job.state));
        migration_free(run.migration);
    }
    assert_true(suspended > 5);
}

/* Given up, killed before the guest was resumed, and then qemu switches. */
static void kill_in_aborting(void *arg)
{
    struct run *run = arg;

    if (run->happened || run->world.record.state != JOB_ABORTING)
        return;
    run->happened = true;
    run->world.fault = FAULT_KILL_BEFORE;
    run->world.fault_at = run->world.calls;
}

static void pivot_gets_through(struct run *run)
{
    run->world.pivot_hangs = false;
}

static void an_undo_that_finds_a_pivot_goes_forward(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_hangs = true;
    run.world.on_call = kill_in_aborting;
    run.while_dead = pivot_gets_through;
    run.absence_ms = 500;
    run_all(&run, JOB_DONE, "pivot while dead");
    assert_true(run.happened);
    assert_non_null(strstr(run.job.warning, "qemu had switched"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_a_kill_at_every_call),
        cmocka_unit_test(a_kill_alone_fails_no_job),
        cmocka_unit_test(survives_when_the_vm_ends_meanwhile),
        cmocka_unit_test(survives_when_libvirtd_is_away),
        cmocka_unit_test(survives_when_the_mirror_dies_meanwhile),
        cmocka_unit_test(survives_when_it_is_cancelled_then),
        cmocka_unit_test(survives_two_kills),
        cmocka_unit_test(survives_a_kill_after_every_step),
        cmocka_unit_test(a_suspended_guest_is_resumed_first),
        cmocka_unit_test(an_undo_that_finds_a_pivot_goes_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
