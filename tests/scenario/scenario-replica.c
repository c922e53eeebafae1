/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An engine replicates a disk to a structure that it made, and finishes it on
 * either side. Nothing of either side is deleted; without the internals there
 * is no pivot.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The disk is on one side, whole; the other is left to the engine. */
static void judge(const struct run *run, const char *where)
{
    struct fake_world *world = (struct fake_world *)(uintptr_t)&run->world;
    bool done = run->job.state == JOB_DONE;
    enum side side = done ? DST : SRC;
    const struct fake_volume *leaf =
        world_volume(world, side, 0, world->layers - 1);

    run_judge_chain(run, where, side, 0, false);
    run_judge_disk(run, where, 0, leaf);
    for (size_t i = 0; i < world->layers; i++) {
        CHECK(run, where, world_volume(world, SRC, 0, i)->exists);
        CHECK(run, where, world_volume(world, DST, 0, i)->exists);
    }
}

/* As cloneStructure and syncData leave it. */
static void setup(struct run *run)
{
    struct fake_world *world = &run->world;
    const char *below = UUID_BLANK;

    for (size_t i = 0; i < world->layers; i++) {
        const struct fake_volume *from = world_volume(world, SRC, 0, i);
        struct fake_volume *to =
            world_make(world, DST, 0, from->info.id.vol, below);

        to->info.role = from->info.role;
        to->info.format = from->info.format;
        to->whole = i + 1 < world->layers;
        to->fresh = false;
        below = from->info.id.vol;
    }
    world->domains[DST].prepared[0] = true;
    world_activate(world, DST);
    run->wish.kind = JOB_REPLICATE;
    (void)str_copy(run->wish.disks[0].dst_path, JOB_PATH_SIZE,
                   world_volume(world, DST, 0, world->layers - 1)->info.path);
    run->orders.finish = true;
    run->judge = judge;
}

/* Finished on the source as soon as it converges. */
static void cancelled(struct run *run)
{
    setup(run);
    run->before_step = disturb_by_cancel_in_converging;
}

static void pivot_fails(struct run *run)
{
    setup(run);
    run->before_step = disturb_pivots;
}

static const struct walk finish = { .name = "replicate, finish",
                                    .layers = 2,
                                    .setup = setup };
static const struct walk abort_it = { .name = "replicate, abort",
                                      .layers = 2,
                                      .setup = cancelled };
static const struct walk fail = { .name = "replicate, pivot fails",
                                  .layers = 1,
                                  .setup = pivot_fails };

static void replicates_and_finishes(void **state)
{
    struct run run;

    (void)state;
    for (unsigned i = 0; i < 3 * ALL_LVS; i++) {
        const struct walk walk = { .layers = 1 + i % 3,
                                   .lvs = i / 3,
                                   .setup = setup };

        walk_set_up(&run, &walk);
        run_all(&run, JOB_DONE, "replicate");
        assert_string_equal(run.job.warning, "");
    }
}

/* It stays as it is, however long, until somebody says what is to become of it.
 */
static void waits_to_be_finished(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    setup(&run);
    run.orders.finish = false;
    run.world.ports.converge_limit_s = 1;
    run_start(&run, &run.wish);
    for (int i = 0; i < 200; i++)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    assert_int_equal(migration_job(run.migration)->state, JOB_CONVERGING);
    assert_true(run.world.disks[0].job.ready);
    run.orders.finish = true;
    run_all(&run, JOB_DONE, "finished late");
}

static void a_finish_is_not_forgotten(void **state)
{
    struct job job;
    struct run run;

    (void)state;
    run_init(&run, 1);
    setup(&run);
    run.world.writes_per_ms = 8; /* it does not converge */
    run_until(&run, JOB_CONVERGING);
    (void)migration_step(run.migration, &run.orders);
    migration_free(run.migration);
    job = run.world.record;
    assert_true(job.finish_requested);
    run.orders.finish = true; /* as the job table reads it from the record */
    run.world.writes_per_ms = 1;
    run_start(&run, &job);
    run_all(&run, JOB_DONE, "restarted");
}

/* An engine that has started it may finish it on the source at any time. */
static void can_be_ended_at_any_time(void **state)
{
    struct run run;

    (void)state;
    walk_cancels(&finish);
    run_init(&run, 2);
    setup(&run);
    run.orders.finish = false;
    run_until(&run, JOB_CONVERGING);
    run.orders.cancel = true;
    run_all(&run, JOB_CANCELLED, "before it is ready");
    assert_int_equal(run.world.disks[0].job.kind, VM_JOB_NONE);
}

static void no_pivot_without_the_internals(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    setup(&run);
    world_volume(&run.world, DST, 0, 1)->info.legality = VOLUME_ILLEGAL;
    world_volume(&run.world, DST, 0, 1)->whole = false;
    run_to_failure(&run, JOB_PIVOTING, "is not complete");
    assert_int_equal(run.job.error.code, ERR_VOLUME_ILLEGAL);
}

/* What the engine's structure held before does not survive. */
static void begins_with_an_empty_leaf(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    setup(&run);
    world_volume(&run.world, DST, 0, 1)->from = 0;
    world_volume(&run.world, DST, 0, 1)->to = 1000000;
    run_all(&run, JOB_DONE, "stale leaf");
}

/* The mark of a disk that went over before is not taken. */
static void a_disk_that_is_there_is_left_alone(void **state)
{
    struct run run;
    struct fake_volume *leaf;

    (void)state;
    run_init(&run, 1);
    setup(&run);
    leaf = world_volume(&run.world, DST, 0, 0);
    leaf->whole = true;
    world_open_chain(&run.world.disks[0], leaf);
    run.world.disks[0].xml = run.world.disks[0].persistent = leaf;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.failed_in, JOB_PLANNED);
    assert_int_equal(leaf->info.legality, VOLUME_LEGAL);
    assert_string_equal(run.world.violation, "");
    run_deinit(&run);
}

static struct walk with_lvs(const struct walk *walk, unsigned lvs)
{
    struct walk with = *walk;

    with.lvs = lvs;
    return with;
}

static void survives_a_kill_at_every_call(void **state)
{
    (void)state;
    for (unsigned lvs = 0; lvs < ALL_LVS; lvs++) {
        struct walk well = with_lvs(&finish, lvs);
        struct walk badly = with_lvs(&fail, lvs);
        struct walk back = with_lvs(&abort_it, lvs);
        struct walk dies = well;

        walk_kills_to(&well, JOB_DONE);
        walk_kills_to(&back, JOB_CANCELLED);
        walk_kills(&badly, NULL);
        dies.while_dead = event_vm_ends;
        walk_kills(&dies, NULL);
        dies.while_dead = event_mirrors_die;
        walk_kills(&dies, NULL);
    }
}

static void survives_failures_and_events(void **state)
{
    (void)state;
    for (unsigned lvs = 0; lvs < ALL_LVS; lvs++) {
        struct walk well = with_lvs(&finish, lvs);
        struct walk badly = with_lvs(&fail, lvs);
        struct walk back = with_lvs(&abort_it, lvs);

        walk_failures(&well);
        walk_failures(&back);
        walk_failures(&badly);
    }
    walk_event(&finish, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&abort_it, event_vm_ends, JOB_STATE_COUNT);
    walk_event(&finish, event_libvirtd_goes, JOB_DONE);
    walk_event(&abort_it, event_libvirtd_goes, JOB_CANCELLED);
    walk_event(&finish, event_other_pauses, JOB_DONE);
    assert_int_equal(walk_states(&finish, event_vm_ends), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicates_and_finishes),
        cmocka_unit_test(waits_to_be_finished),
        cmocka_unit_test(a_finish_is_not_forgotten),
        cmocka_unit_test(can_be_ended_at_any_time),
        cmocka_unit_test(no_pivot_without_the_internals),
        cmocka_unit_test(begins_with_an_empty_leaf),
        cmocka_unit_test(a_disk_that_is_there_is_left_alone),
        cmocka_unit_test(survives_a_kill_at_every_call),
        cmocka_unit_test(survives_failures_and_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
