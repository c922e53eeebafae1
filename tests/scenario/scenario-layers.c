/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An engine's own layers: VM.snapshot puts disks onto volumes that it made,
 * all of them or none; VM.merge takes a layer out of a chain.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Only looked at. */
static struct fake_world *world_of(const struct run *run)
{
    return (struct fake_world *)(uintptr_t)&run->world;
}

/* --- snapshot ---------------------------------------------------------- */

static void judge_snapshot(const struct run *run, const char *where)
{
    size_t n = run->world.n_disks;
    size_t taken = 0;

    for (size_t i = 0; i < n; i++) {
        const struct fake_volume *overlay =
            run_volume(run, SRC, i, run->wish.disks[i].overlay);
        const struct fake_volume *leaf =
            world_volume(world_of(run), SRC, i, run->world.layers - 1);
        bool on_overlay = run->world.disks[i].chain[0] == overlay;

        CHECK(run, where, overlay != NULL);
        run_judge_chain(run, where, SRC, i, true);
        run_judge_disk(run, where, i, on_overlay ? overlay : leaf);
        taken += on_overlay;
    }
    CHECK(run, where, taken == 0 || taken == n);
    CHECK(run, where, run->job.state != JOB_DONE || taken == n);
    CHECK(run, where,
          run->job.state == JOB_DONE || taken == 0 || !run->world.alive);
}

/* As Volume.create leaves it. */
static void make_overlay(struct run *run, size_t disk)
{
    struct fake_world *world = &run->world;
    struct fake_volume *leaf =
        world_volume(world, SRC, disk, world->layers - 1);

    leaf->info.role = VOLUME_INTERNAL;
    (void)world_make(world, SRC, disk, run->wish.disks[disk].overlay,
                     leaf->info.id.vol);
    run->wish.disks[disk].dst_sd[0] = '\0';
}

static void snapshot(struct run *run)
{
    run_two_disks(run);
    run->wish.kind = JOB_SNAPSHOT;
    run->wish.strategy = JOB_MIRROR;
    run->may_leave_active = true; /* the engine's overlay, if it fails */
    run->judge = judge_snapshot;
    for (size_t i = 0; i < run->world.n_disks; i++)
        make_overlay(run, i);
}

static const struct walk snapshots = { .name = "snapshot",
                                       .layers = 2,
                                       .setup = snapshot };

static void takes_a_snapshot_of_all_disks(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    snapshot(&run);
    run_all(&run, JOB_DONE, "snapshot");
    assert_string_equal(run.job.warning, "");
    assert_string_equal(run.world.disks[1].chain[0]->info.id.vol, OVERLAY "1");
}

static void a_refused_snapshot_changes_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    snapshot(&run);
    run.world.snapshot_fails = true;
    run_to_failure(&run, JOB_FREEZING, "agent does not answer");
    assert_int_equal(run.job.error.code, ERR_SNAPSHOT);
}

static void survives(const struct walk *walk)
{
    struct walk dies = *walk;

    walk_kills_to(walk, JOB_DONE);
    walk_failures(walk);
    walk_event(walk, event_vm_ends, JOB_STATE_COUNT);
    walk_event(walk, event_libvirtd_goes, JOB_DONE);
    walk_event(walk, event_other_pauses, JOB_DONE);
    walk_cancels(walk);
    dies.while_dead = event_vm_ends;
    walk_kills(&dies, NULL);
}

static struct walk on_lvs(const struct walk *walk)
{
    struct walk on = *walk;

    on.lvs = 1 << SRC;
    return on;
}

static void a_snapshot_survives_anything(void **state)
{
    const struct walk lvs = on_lvs(&snapshots);

    (void)state;
    survives(&snapshots);
    survives(&lvs);
}

/* --- merge ------------------------------------------------------------- */

/* Whether the merged layer's data are in the one below, for qemu. */
static bool is_merged(const struct run *run)
{
    const struct fake_disk *disk = &run->world.disks[0];
    const char *top = run->wish.disks[0].overlay;

    for (size_t i = 0; i < disk->n; i++) {
        if (strcmp(disk->chain[i]->info.id.vol, top) == 0)
            return false;
    }
    return true;
}

static void judge_merge(const struct run *run, const char *where)
{
    const struct fake_disk *disk = &run->world.disks[0];
    const struct fake_volume *top =
        run_volume(run, SRC, 0, run->wish.disks[0].overlay);
    bool done = run->job.state == JOB_DONE;

    run_judge_disk(run, where, 0, disk->chain[0]);
    /* Of a VM that died the records may lag: reconcileVolumeChain. */
    CHECK(run, where, done == is_merged(run) || !run->world.alive);
    if (done && run->wish.delete_top)
        CHECK(run, where, top == NULL);
    for (const struct fake_volume *layer = disk->chain[0]; done && layer;
         layer = layer->below) {
        CHECK(run, where, layer->exists);
        CHECK(run, where, layer->info.legality == VOLUME_LEGAL);
        CHECK(run, where, strcmp(layer->info.parent, layer->backing) == 0);
        CHECK(run, where,
              (layer->info.role == VOLUME_LEAF) == (layer == disk->chain[0]));
    }
    if (!done && run->world.alive)
        run_judge_chain(run, where, SRC, 0, false);
}

/* Layer @top of the chain into the one below. */
static void merge(struct run *run, size_t top)
{
    struct job_disk *of = &run->wish.disks[0];
    const struct fake_volume *base = world_volume(&run->world, SRC, 0, top - 1);

    run->wish.kind = JOB_MERGE;
    run->wish.delete_top = true;
    run->judge = judge_merge;
    of->dst_sd[0] = '\0';
    (void)str_copy(of->leaf, UUID_SIZE, base->info.id.vol);
    (void)str_copy(of->overlay, UUID_SIZE,
                   world_volume(&run->world, SRC, 0, top)->info.id.vol);
    (void)str_copy(of->src_path, JOB_PATH_SIZE, base->info.path);
}

static void merge_leaf(struct run *run)
{
    world_pass(&run->world, 20); /* there is something to be lost */
    merge(run, run->world.layers - 1);
}

static void merge_inner(struct run *run)
{
    world_volume(&run->world, SRC, 0, 0)->to = 5;
    world_volume(&run->world, SRC, 0, 1)->from = 5;
    world_volume(&run->world, SRC, 0, 1)->to = 10;
    run->world.disks[0].acknowledged = 10;
    merge(run, 1);
}

static const struct walk active = { .name = "active merge",
                                    .layers = 2,
                                    .setup = merge_leaf };
static const struct walk inner = { .name = "inner merge",
                                   .layers = 3,
                                   .setup = merge_inner };

static void merges_the_leaf(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    merge_leaf(&run);
    run_all(&run, JOB_DONE, "active");
    assert_string_equal(run.job.warning, "");
    assert_in_range(run.job.progress.pause_us, 10000, 40000);
    assert_true(run.job.progress.total > 0);
}

static void merges_an_inner_layer(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    merge_inner(&run);
    run_all(&run, JOB_DONE, "inner");
    assert_string_equal(run.job.warning, "");
    assert_int_equal(run.job.progress.pause_us, -1);
    assert_int_equal(run.world.disks[0].n, 2);
}

static void leaves_the_merged_volume_if_asked(void **state)
{
    struct run run;

    (void)state;
    for (size_t top = 1; top <= 2; top++) {
        run_init(&run, 3);
        merge(&run, top);
        run.wish.delete_top = false;
        run_all(&run, JOB_DONE, "keep top");
        assert_non_null(run_volume(&run, SRC, 0, run.wish.disks[0].overlay));
    }
}

static void a_refused_merge_changes_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    merge_leaf(&run);
    run.world.commit_fails = true;
    run_to_failure(&run, JOB_COMMITTING, "commit refused");
    run_init(&run, 2);
    merge_leaf(&run);
    run.world.pivot_fails = true;
    run_to_failure(&run, JOB_FOLDING, "pivot of disk vda");
}

static void mirror_dies(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_pass(&run->world, 50);
    else if (run->happened)
        event_mirrors_die(run);
}

static void a_commit_that_dies_fails_the_merge(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    merge_leaf(&run);
    run.at_state = JOB_COMMITTING;
    run.before_step = mirror_dies;
    run_to_failure(&run, JOB_COMMITTING, "No space left on device");
    assert_int_equal(run.job.error.code, ERR_MERGE);
}

static void a_merge_survives_anything(const struct walk *walk)
{
    struct walk dies = *walk;

    survives(walk);
    dies.while_dead = event_cancel;
    walk_kills(&dies, NULL);
    dies.while_dead = NULL;
    dies.before_step = disturb_pivots;
    walk_kills(&dies, NULL);
}

static void merges_survive_anything(void **state)
{
    const struct walk lvs[] = { on_lvs(&active), on_lvs(&inner) };

    (void)state;
    a_merge_survives_anything(&active);
    a_merge_survives_anything(&inner);
    a_merge_survives_anything(&lvs[0]);
    a_merge_survives_anything(&lvs[1]);
}

/* The base has room for both before the commit begins; one that nobody writes
 * to keeps no more than it needs. */
static void a_merge_sizes_its_base(void **state)
{
    const struct walk walks[] = { on_lvs(&active), on_lvs(&inner) };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        const struct fake_volume *base;
        struct run run;

        walk_set_up(&run, &walks[i]);
        base = world_volume(&run.world, SRC, 0, 0);
        run_all(&run, JOB_DONE, walks[i].name);
        assert_string_equal(run.job.warning, "");
        assert_int_equal(run.world.domains[SRC].grown, 1);
        assert_in_range(base->used, 128 << 20, 129 << 20);
        assert_in_range(base->info.apparent_bytes, base->used,
                        base->used + (i == 0 ? 2 * FAKE_CHUNK : FAKE_EXTENT));
    }
}

static void a_merge_without_room_changes_nothing(void **state)
{
    const struct walk walk = on_lvs(&active);
    struct run run;

    (void)state;
    walk_set_up(&run, &walk);
    run.world.domains[SRC].free_bytes = 1 << 20;
    run_to_failure(&run, JOB_COMMITTING, "MiB more are needed");
    assert_int_equal(run.job.error.code, ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_snapshot_of_all_disks),
        cmocka_unit_test(a_refused_snapshot_changes_nothing),
        cmocka_unit_test(a_snapshot_survives_anything),
        cmocka_unit_test(merges_the_leaf),
        cmocka_unit_test(merges_an_inner_layer),
        cmocka_unit_test(leaves_the_merged_volume_if_asked),
        cmocka_unit_test(a_refused_merge_changes_nothing),
        cmocka_unit_test(a_commit_that_dies_fails_the_merge),
        cmocka_unit_test(merges_survive_anything),
        cmocka_unit_test(a_merge_sizes_its_base),
        cmocka_unit_test(a_merge_without_room_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
