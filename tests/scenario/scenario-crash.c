/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kill -9 of the daemon at every call of a port, in every state of the table;
 * meanwhile the world lives on. Whatever the daemon finds when it comes back,
 * one copy is right, and the judge must find that one whole.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct walk one = { .name = "move", .layers = 1 };
static const struct walk two = { .name = "move", .layers = 2 };
static const struct walk three = { .name = "move", .layers = 3 };

/* What goes on in the world until the daemon is back. */
static void vm_shuts_down(struct run *run)
{
    world_pass(&run->world, 300);
    event_vm_ends(run);
}

static void libvirtd_is_away(struct run *run)
{
    run->world.libvirt_back_us =
        run->world.now_us + (run->absence_ms + 2500) * 1000;
}

static void walk_with(void (*while_dead)(struct run *run),
                      void (*before_step)(struct run *run,
                                          enum job_state state))
{
    struct walk walk = two;

    walk.while_dead = while_dead;
    walk.before_step = before_step;
    walk_kills(&walk, NULL);
}

static void survives_a_kill_at_every_call(void **state)
{
    struct walk broken = three, cancelled = two;
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    broken.before_step = disturb_copies;
    cancelled.before_step = disturb_by_cancel_in_converging;
    walk_kills(&one, seen);
    walk_kills(&three, seen);
    walk_kills(&broken, seen);
    walk_kills(&cancelled, seen);
    /* A move by a mirror passes through these states, dying in each. */
    for (int i = JOB_PLANNED; i <= JOB_REMOVING; i++) {
        bool passed = i != JOB_FREEZING && i != JOB_VERIFYING &&
                      i != JOB_SETTLING && i != JOB_RETURNING &&
                      i != JOB_COMMITTING && i != JOB_FOLDING &&
                      i != JOB_FOLDED;

        if (seen[i] != passed)
            fail_msg("kill in state %s: %d", job_state_name((enum job_state)i),
                     seen[i]);
    }
}

static void a_kill_alone_fails_no_job(void **state)
{
    (void)state;
    walk_kills_to(&two, JOB_DONE);
}

static void survives_when_the_vm_ends_meanwhile(void **state)
{
    (void)state;
    walk_with(vm_shuts_down, NULL);
    walk_with(event_vm_ends, NULL);
    walk_with(vm_shuts_down, disturb_by_cancel_in_converging);
}

static void survives_when_libvirtd_is_away(void **state)
{
    (void)state;
    walk_with(libvirtd_is_away, NULL);
    walk_with(libvirtd_is_away, disturb_by_cancel_in_converging);
}

static void survives_when_the_mirror_dies_meanwhile(void **state)
{
    (void)state;
    walk_with(event_mirrors_die, NULL);
}

static void survives_when_it_is_cancelled_then(void **state)
{
    (void)state;
    walk_with(event_cancel, NULL);
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
    (void)state;
    for (second = 1; second <= 24; second++)
        walk_with(dies_again, NULL);
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
