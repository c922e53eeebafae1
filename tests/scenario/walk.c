/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See walk.h.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    CALLS_MIN = 4, /* fewer: it did not walk */
};

void walk_set_up(struct run *run, const struct walk *walk)
{
    run_init(run, walk->layers);
    run->before_step = walk->before_step;
    run->while_dead = walk->while_dead;
    for (int side = 0; side < SIDES; side++) {
        if (walk->lvs & 1U << side)
            world_set_block(&run->world, (enum side)side);
    }
    if (walk->setup)
        walk->setup(run);
}

/* --- faults ------------------------------------------------------------ */

/* One run with the fault at call @n; false when the run has fewer calls. */
static bool faulty_run(const struct walk *walk, enum fault fault, unsigned n,
                       enum job_state expected, bool *seen)
{
    struct run run;
    char where[128];

    walk_set_up(&run, walk);
    run.world.fault = fault;
    run.world.fault_at = n;
    (void)str_format(where, sizeof(where), "%s, %zu layers, fault %d at %u",
                     walk->name, walk->layers, fault, n);
    run_all(&run, expected, where);
    if (!run.world.faulted_call[0])
        return false;
    if (seen && run.lives > 1)
        seen[run.world.died_in] = true;
    return true;
}

static void walk_faults(const struct walk *walk, enum fault from, enum fault to,
                        enum job_state expected, bool *seen)
{
    for (int fault = (int)from; fault <= (int)to; fault++) {
        unsigned n = 1;

        while (faulty_run(walk, (enum fault)fault, n, expected, seen))
            n += walk->stride + 1;
        assert_true(n > CALLS_MIN);
    }
}

void walk_kills(const struct walk *walk, bool seen[JOB_STATE_COUNT])
{
    walk_faults(walk, FAULT_KILL_BEFORE, FAULT_KILL_AFTER, JOB_STATE_COUNT,
                seen);
}

void walk_kills_to(const struct walk *walk, enum job_state expected)
{
    walk_faults(walk, FAULT_KILL_BEFORE, FAULT_KILL_AFTER, expected, NULL);
}

void walk_failures(const struct walk *walk)
{
    walk_faults(walk, FAULT_FAIL, FAULT_FAIL_AFTER, JOB_STATE_COUNT, NULL);
}

/* --- events ------------------------------------------------------------ */

static unsigned event_call;
static void (*event_now)(struct run *run);

static void at_call(void *arg)
{
    struct run *run = arg;

    if (run->world.calls != event_call)
        return;
    run->happened = true;
    event_now(run);
}

void walk_event(const struct walk *walk, void (*what)(struct run *run),
                enum job_state expected)
{
    struct run run;

    event_now = what;
    for (event_call = 1;; event_call += walk->stride + 1) {
        char where[96];

        walk_set_up(&run, walk);
        run.world.on_call = at_call;
        (void)str_format(where, sizeof(where), "%s, %zu layers, event at %u",
                         walk->name, walk->layers, event_call);
        run_all(&run, expected, where);
        if (!run.happened)
            break;
    }
    assert_true(event_call > CALLS_MIN);
}

static void in_state(void *arg)
{
    struct run *run = arg;

    if (run->world.has_record && run_is_now(run, run->world.record.state))
        event_now(run);
}

unsigned walk_states(const struct walk *walk, void (*what)(struct run *run))
{
    unsigned n = 0;

    event_now = what;
    for (int state = 0; state < JOB_STATE_COUNT; state++) {
        struct run run;
        char where[96];

        walk_set_up(&run, walk);
        run.world.on_call = in_state;
        run.at_state = (enum job_state)state;
        (void)str_format(where, sizeof(where), "%s, event in %s", walk->name,
                         job_state_name(run.at_state));
        run_all(&run, JOB_STATE_COUNT, where);
        n += run.happened;
    }
    return n;
}

void walk_cancels(const struct walk *walk)
{
    for (unsigned n = 1;; n++) {
        struct run run;
        char where[96];
        bool meant = false;

        walk_set_up(&run, walk);
        (void)str_format(where, sizeof(where), "%s, cancel at step %u",
                         walk->name, n);
        run_start(&run, &run.wish);
        for (unsigned i = 1; i <= n && !run.ended; i++) {
            int64_t wait_ms;

            meant = i == n && !migration_job(run.migration)->undo;
            run.orders.cancel = i == n;
            if (run.before_step)
                run.before_step(&run, migration_job(run.migration)->state);
            wait_ms = migration_step(run.migration, &run.orders);
            run.ended = wait_ms < 0;
            world_pass(&run.world, wait_ms > 0 ? wait_ms : 0);
        }
        if (run.ended) {
            run_deinit(&run);
            break;
        }
        run_all(&run, JOB_STATE_COUNT, where);
        if (meant && run.job.state == JOB_FAILED)
            run_complain(&run, where, "failed of a cancel");
    }
}

/* --- what happens ------------------------------------------------------ */

void event_vm_ends(struct run *run)
{
    world_shut_down(&run->world);
    run->may_leave_source = true; /* without a VM nothing proves enough */
}

void event_host_restarts(struct run *run)
{
    world_reboot(&run->world);
    run->may_leave_source = true;
}

void event_libvirtd_goes(struct run *run)
{
    run->world.libvirt_back_us = run->world.now_us + 3000000;
}

void event_other_pauses(struct run *run)
{
    world_pause_by_other(&run->world);
}

void event_cancel(struct run *run)
{
    run->orders.cancel = true;
}

void event_mirrors_die(struct run *run)
{
    for (size_t i = 0; i < run->world.n_disks; i++) {
        if (run->world.disks[i].job.pivot_at_us < 0)
            world_end_job(&run->world.disks[i]);
    }
}

/* --- what disturbs ----------------------------------------------------- */

void disturb_copies(struct run *run, enum job_state state)
{
    (void)state;
    run->world.copies_fail = true;
}

void disturb_pivots(struct run *run, enum job_state state)
{
    run->world.pivot_fails = state <= JOB_PIVOTING;
}

void disturb_second_pivot(struct run *run, enum job_state state)
{
    run->world.disks[1].pivot_fails = state <= JOB_PIVOTING;
}

void disturb_by_cancel_in_converging(struct run *run, enum job_state state)
{
    run->orders.cancel = run->orders.cancel || state == JOB_CONVERGING;
}

void disturb_by_cancel_in_pivoting(struct run *run, enum job_state state)
{
    run->orders.cancel = run->orders.cancel || state == JOB_PIVOTING;
}
