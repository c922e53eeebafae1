/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disks on LVs, in every mixture with files: what is used is active, what is
 * written has room, and nothing of it is left. Each mixture is walked as the
 * moves between files are.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* --- mixtures ---------------------------------------------------------- */

enum { /* of a mixture */
    SRC_LV = 1,
    DST_LV = 2,
    RAW = 4,    /* the base */
    TO_COW = 8, /* the raw base becomes qcow2 */
    FROZEN = 16,
};

struct mixture {
    const char *name;
    unsigned is;
};

static const struct mixture mixtures[] = {
    {"file to block",              DST_LV                                 },
    { "block to file",             SRC_LV                                 },
    { "block to block",            SRC_LV | DST_LV                        },
    { "raw file to raw block",     DST_LV | RAW                           },
    { "raw file to qcow2 block",   DST_LV | RAW | TO_COW                  },
    { "raw block to file",         SRC_LV | RAW                           },
    { "raw block to raw block",    SRC_LV | DST_LV | RAW                  },
    { "frozen file to block",      DST_LV | FROZEN                        },
    { "frozen block to file",      SRC_LV | FROZEN                        },
    { "frozen block to block",     SRC_LV | DST_LV | FROZEN               },
    { "frozen raw block to qcow2", SRC_LV | DST_LV | FROZEN | RAW | TO_COW},
};

enum { /* some of them */
    FILE_TO_BLOCK = 0,
    BLOCK_TO_FILE = 1,
    BLOCK_TO_BLOCK = 2,
    FROZEN_FILE = 7,
    FROZEN_BLOCK = 9,
    MIXTURES = ARRAY_SIZE(mixtures),
};

static const struct mixture *mixture; /* of setup() */

static void set_up(struct run *run)
{
    struct fake_world *world = &run->world;

    if (mixture->is & RAW)
        world_set_format(world, 0, VOLUME_RAW);
    if (mixture->is & SRC_LV)
        world_set_block(world, SRC);
    if (mixture->is & DST_LV)
        world_set_block(world, DST);
    run->wish = world_job(world);
    run->wish.disks[0].convert = mixture->is & TO_COW;
    run->wish.disks[0].base_cow = mixture->is & TO_COW;
    if (mixture->is & FROZEN)
        run_by_snapshot(run);
}

static struct walk walk_of(size_t i, size_t layers)
{
    mixture = &mixtures[i];
    return (struct walk){ .name = mixture->name,
                          .layers = layers,
                          .setup = set_up };
}

static void start_mixture(struct run *run, size_t i, size_t layers)
{
    mixture = &mixtures[i];
    run_init(run, layers);
    set_up(run);
}

static void all_mixtures_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        for (size_t layers = 1; layers <= 3; layers++) {
            struct run run;

            start_mixture(&run, i, layers);
            run_all(&run, JOB_DONE, mixture->name);
            assert_string_equal(run.job.warning, "");
        }
    }
}

static void two_disks_arrive(void **state)
{
    (void)state;
    for (size_t i = FROZEN_FILE; i <= FROZEN_BLOCK; i++) {
        struct run run;

        mixture = &mixtures[i];
        run_init(&run, 2);
        world_add_disk(&run.world);
        set_up(&run);
        run_all(&run, JOB_DONE, mixture->name);
    }
}

static void a_kept_source_has_its_layers(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct run run;

        start_mixture(&run, i, 2);
        run.wish.keep_source = true;
        run_all(&run, JOB_DONE, mixture->name);
        assert_string_equal(run.job.warning, "");
    }
}

/* --- walks ------------------------------------------------------------- */

static void survives_a_kill_at_every_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk_kills_to(&walk, JOB_DONE);
    }
}

static void survives_a_host_that_starts_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk.stride = 2;
        walk.while_dead = event_host_restarts;
        walk_kills(&walk, NULL);
    }
}

static void survives_a_failure_of_every_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk_failures(&walk);
    }
}

static void can_be_cancelled_before_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk_cancels(&walk);
    }
}

static void survives_the_end_of_the_vm(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk_event(&walk, event_vm_ends, JOB_STATE_COUNT);
    }
}

static void is_undone_when_a_pivot_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXTURES; i++) {
        struct walk walk = walk_of(i, 2);

        walk.stride = 1;
        walk.before_step = disturb_pivots;
        walk_kills(&walk, NULL);
    }
}

/* --- sizes ------------------------------------------------------------- */

static void a_copy_drops_clusters_without_data(void **state)
{
    struct run run;

    (void)state;
    start_mixture(&run, FROZEN_FILE, 2);
    run.wish.verify = true;
    world_volume(&run.world, SRC, 0, 0)->waste = 100 << 20;
    world_volume(&run.world, SRC, 0, 1)->waste = 3 << 20;
    run_all(&run, JOB_DONE, "fragmented");
    assert_true(world_volume(&run.world, DST, 0, 0)->info.apparent_bytes <
                70 << 20);
    assert_int_equal(world_volume(&run.world, DST, 0, 1)->waste, 3 << 20);
}

/* The guest filled the leaf between the plan and the mirror. */
static void fill_leaf(struct run *run, enum job_state state)
{
    if (state == JOB_STARTING && !run->happened)
        world_volume(&run->world, SRC, 0, 1)->used += 200 << 20;
    run->happened = run->happened || state == JOB_STARTING;
}

static void a_leaf_that_filled_since_has_room(void **state)
{
    struct run run;

    (void)state;
    start_mixture(&run, FILE_TO_BLOCK, 2);
    run.before_step = fill_leaf;
    run_all(&run, JOB_DONE, "filled since");
    assert_true(run.happened);
    assert_int_equal(run.world.domains[DST].grown, 1);
}

static void a_frozen_leaf_has_room_for_its_commit(void **state)
{
    struct run run;

    (void)state;
    start_mixture(&run, FROZEN_BLOCK, 2);
    run.world.copy_per_ms = 64 << 10; /* a second for each */
    run.world.writes_per_ms = 20;
    run.world.mirror_per_ms = 60;
    run_all(&run, JOB_DONE, "commit");
    assert_true(run.world.domains[DST].grown > 0);
}

/* --- no space ---------------------------------------------------------- */

static unsigned losses; /* how often the mirror has no space */

static void lose_mirror(struct run *run, enum job_state state)
{
    struct fake_disk *disk = &run->world.disks[0];

    if (state != JOB_CONVERGING || disk->job.kind != VM_JOB_COPY ||
        disk->job.limit == 1 || losses == 0)
        return;
    losses--;
    world_end_job(disk);
    (void)str_copy(disk->failure, sizeof(disk->failure),
                   "No space left on device");
}

static void a_mirror_without_space_begins_anew_once(void **state)
{
    struct run run;

    (void)state;
    losses = 1;
    start_mixture(&run, FILE_TO_BLOCK, 2);
    run.before_step = lose_mirror;
    run.may_be_large = true; /* it was not really full */
    run_all(&run, JOB_DONE, "no space once");
    assert_int_equal(losses, 0);
    assert_true(run.world.domains[DST].grown >= 1);
}

static void a_mirror_without_space_fails_the_second_time(void **state)
{
    struct run run;

    (void)state;
    losses = 2;
    start_mixture(&run, FILE_TO_BLOCK, 2);
    run.before_step = lose_mirror;
    run_to_failure(&run, JOB_CONVERGING, "No space left");
}

static void a_full_vg_ends_it_with_the_numbers(void **state)
{
    struct run run;

    (void)state;
    losses = 1;
    start_mixture(&run, BLOCK_TO_BLOCK, 2);
    run.before_step = lose_mirror;
    /* Enough for the destination's first sizes: nothing is left then. */
    run.world.domains[DST].free_bytes = (64 + 64 + 2 * 16 + 1) << 20;
    run_to_failure(&run, JOB_CONVERGING, "MiB more are needed");
    assert_non_null(strstr(run.job.error.message, "No space left"));
}

static void on_files_nothing_begins_anew(void **state)
{
    struct run run;

    (void)state;
    losses = 1;
    start_mixture(&run, BLOCK_TO_FILE, 2);
    run.before_step = lose_mirror;
    run_to_failure(&run, JOB_CONVERGING, "No space left");
}

static void what_the_watch_refuses_does_not_run(void **state)
{
    struct run run;

    (void)state;
    start_mixture(&run, FILE_TO_BLOCK, 2);
    run.world.watch_fails = true;
    run_to_failure(&run, JOB_STARTING, "the VG is full");
    assert_int_equal(run.job.error.code, ERR_NO_SPACE);
}

/* In an overlay that the watch cannot help, the VM goes on. */
static void no_room_in_the_middle_is_undone(void **state)
{
    struct run run;

    (void)state;
    start_mixture(&run, FROZEN_FILE, 2);
    run.world.domains[DST].free_bytes = 80 << 20;
    run_all(&run, JOB_FAILED, "VG full");
    assert_int_equal(run.job.failed_in, JOB_PREPARING);
    assert_int_equal(run.job.error.code, ERR_NO_SPACE);
    assert_int_equal(run.world.domains[DST].free_bytes, 80 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mixtures_arrive),
        cmocka_unit_test(two_disks_arrive),
        cmocka_unit_test(a_kept_source_has_its_layers),
        cmocka_unit_test(survives_a_kill_at_every_call),
        cmocka_unit_test(survives_a_host_that_starts_anew),
        cmocka_unit_test(survives_a_failure_of_every_call),
        cmocka_unit_test(can_be_cancelled_before_every_step),
        cmocka_unit_test(survives_the_end_of_the_vm),
        cmocka_unit_test(is_undone_when_a_pivot_fails),
        cmocka_unit_test(a_copy_drops_clusters_without_data),
        cmocka_unit_test(a_leaf_that_filled_since_has_room),
        cmocka_unit_test(a_frozen_leaf_has_room_for_its_commit),
        cmocka_unit_test(a_mirror_without_space_begins_anew_once),
        cmocka_unit_test(a_mirror_without_space_fails_the_second_time),
        cmocka_unit_test(a_full_vg_ends_it_with_the_numbers),
        cmocka_unit_test(on_files_nothing_begins_anew),
        cmocka_unit_test(what_the_watch_refuses_does_not_run),
        cmocka_unit_test(no_room_in_the_middle_is_undone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
