/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Plans and requests about disks on LVs: what they will take, in extents, and
 * who is refused for want of it. A layer of the fake world has 64 MiB, a chunk
 * 16, an extent 1; doubled while replicating, a mirror needs 32 more.
 */
#include "../../fakes/fake-world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ULL << 20)

enum {
    LAYER = 64,
    TWO_CHUNKS = 32,
};

static struct fake_world world;

static void make_world(size_t layers, bool src, bool dst)
{
    world_init(&world, layers);
    world.writes_per_ms = 0;
    if (src)
        world_set_block(&world, SRC);
    if (dst)
        world_set_block(&world, DST);
}

static struct migrate_request request(enum job_strategy strategy)
{
    return (
        struct migrate_request){ .vm = "web1",
                                 .n_wishes = 1,
                                 .wishes = { { .disk = "vda", .to = "new" } },
                                 .choose = true,
                                 .strategy = strategy };
}

static struct migrate_plan plan_for(const struct migrate_request *wish)
{
    struct migrate_plan plan;
    struct err err = ERR_INIT;

    assert_int_equal(migrate_plan(&world.ports, wish, 0, &plan, &err), 0);
    return plan;
}

static struct migrate_plan plan(enum job_strategy strategy)
{
    const struct migrate_request wish = request(strategy);

    return plan_for(&wish);
}

/* To the byte, and what is needed is said. */
static void check_limit(enum job_strategy strategy, enum side side,
                        uint64_t bytes)
{
    struct migrate_plan made;

    world.domains[side].free_bytes = bytes;
    made = plan(strategy);
    if (made.n_obstacles)
        fail_msg("%s", made.obstacles[0].message);
    world.domains[side].free_bytes = bytes - 1;
    made = plan(strategy);
    assert_int_equal(made.n_obstacles, 1);
    assert_int_equal(made.obstacles[0].code, ERR_NO_SPACE);
    assert_true(made.obstacles[0].next[0]);
}

static void a_mirror_takes_its_leaf_and_two_chunks(void **state)
{
    struct migrate_plan made;

    (void)state;
    make_world(3, false, true);
    made = plan(JOB_MIRROR);
    assert_int_equal(made.disks[0].bytes, 3 * LAYER * MIB);
    assert_int_equal(made.disks[0].required, (3 * LAYER + TWO_CHUNKS) * MIB);
    check_limit(JOB_MIRROR, DST, (3 * LAYER + TWO_CHUNKS) * MIB);
}

static void parts_of_extents_are_whole_ones(void **state)
{
    (void)state;
    make_world(2, false, true);
    world_volume(&world, SRC, 0, 0)->used = 10 * MIB + 1;
    world_volume(&world, SRC, 0, 1)->used = 20 * MIB + 1;
    assert_int_equal(plan(JOB_MIRROR).disks[0].required,
                     (11 + 21 + TWO_CHUNKS) * MIB);
}

static void a_snapshot_takes_overlays_on_both_sides(void **state)
{
    (void)state;
    make_world(2, true, true);
    assert_int_equal(plan(JOB_BY_SNAPSHOT).disks[0].required,
                     (2 * LAYER + TWO_CHUNKS) * MIB);
    check_limit(JOB_BY_SNAPSHOT, DST, (2 * LAYER + TWO_CHUNKS) * MIB);
    world.domains[DST].free_bytes = 1 << 30;
    check_limit(JOB_BY_SNAPSHOT, SRC, TWO_CHUNKS * MIB);
}

/* The LV says nothing about what is in it. */
static void a_thin_source_is_looked_into(void **state)
{
    struct migrate_plan made;

    (void)state;
    make_world(1, true, false);
    world_volume(&world, SRC, 0, 0)->used = 5 * MIB;
    made = plan(JOB_MIRROR);
    assert_int_equal(made.disks[0].bytes, 5 * MIB);
    assert_in_range(made.disks[0].required, 5 * MIB, 8 * MIB);
}

static void nothing_takes_more_than_a_full_qcow2(void **state)
{
    const struct watermark_layer layer = { .capacity_bytes = 1 << 30 };
    struct watermark_policy policy;

    (void)state;
    make_world(1, false, true);
    policy = world.ports.policy;
    policy.extent_bytes = FAKE_EXTENT;
    world_volume(&world, SRC, 0, 0)->used = 1020 * MIB;
    assert_int_equal(plan(JOB_MIRROR).disks[0].required,
                     watermark_max(&policy, &layer));
}

/* --- formats ----------------------------------------------------------- */

static void sparse_raw_becomes_qcow2(void **state)
{
    struct migrate_request wish = request(JOB_MIRROR);
    struct migrate_plan made;

    (void)state;
    make_world(1, false, true);
    world_set_format(&world, 0, VOLUME_RAW);
    made = plan_for(&wish);
    assert_int_equal(made.n_obstacles, 0);
    assert_true(made.job.disks[0].convert);
    assert_true(made.job.disks[0].base_cow);
    assert_int_equal(made.disks[0].required, (LAYER + TWO_CHUNKS) * MIB);
    wish.wishes[0].convert = true; /* to RAW */
    made = plan_for(&wish);
    assert_false(made.job.disks[0].base_cow);
    assert_int_equal(made.disks[0].required, 1 << 30);
}

static void what_has_all_its_space_stays_raw(void **state)
{
    struct migrate_plan made;

    (void)state;
    make_world(1, false, true);
    world_set_format(&world, 0, VOLUME_RAW);
    world_volume(&world, SRC, 0, 0)->info.allocation = VOLUME_PREALLOCATED;
    made = plan(JOB_MIRROR);
    assert_false(made.job.disks[0].convert);
    assert_int_equal(made.disks[0].required, 1 << 30);
}

static void on_files_sparse_raw_stays_raw(void **state)
{
    (void)state;
    make_world(1, false, false);
    world_set_format(&world, 0, VOLUME_RAW);
    assert_false(plan(JOB_MIRROR).job.disks[0].convert);
}

/* --- names and sizes of LVs -------------------------------------------- */

static void an_lv_is_called_as_its_records_do(void **state)
{
    const struct fake_volume *leaf;
    struct migrate_plan made;

    (void)state;
    make_world(2, true, true);
    leaf = world_volume(&world, SRC, 0, 1);
    (void)str_format(world.disk.path, PATH_MAX, "/run%s", leaf->info.path);
    world.other_spelling = true;
    world.defined = false;
    made = plan(JOB_MIRROR);
    if (made.n_obstacles)
        fail_msg("%s", made.obstacles[0].message);
    assert_string_equal(made.job.disks[0].src_path, leaf->info.path);
}

/* A raw LV has whole extents; the VM may see all of them. */
static void a_vm_may_see_whole_extents(void **state)
{
    struct fake_volume *leaf;

    (void)state;
    world_init(&world, 1);
    world_set_format(&world, 0, VOLUME_RAW);
    leaf = world_volume(&world, SRC, 0, 0);
    leaf->info.capacity = (1 << 30) - 4096;
    world_set_block(&world, SRC);
    assert_int_equal(leaf->info.apparent_bytes, 1 << 30);
    assert_int_equal(plan(JOB_MIRROR).n_obstacles, 0);
    world.disk.capacity = (1 << 30) - 4096;
    assert_int_equal(plan(JOB_MIRROR).n_obstacles, 0);
    world.disk.capacity = (1 << 30) + 4096;
    assert_int_equal(plan(JOB_MIRROR).obstacles[0].code, ERR_METADATA_INVALID);
}

/* Its record says what the LV has; a VM that came with its disk from a file saw
 * less, by less than an extent. */
static void a_vm_may_see_less_of_a_rounded_disk(void **state)
{
    (void)state;
    world_init(&world, 1);
    world_set_format(&world, 0, VOLUME_RAW);
    world_set_block(&world, SRC);
    world.disk.capacity = (1 << 30) - FAKE_EXTENT + 4096;
    assert_int_equal(plan(JOB_MIRROR).n_obstacles, 0);
    world.disk.capacity = (1 << 30) - FAKE_EXTENT;
    assert_int_equal(plan(JOB_MIRROR).obstacles[0].code, ERR_METADATA_INVALID);
}

/* --- an engine's requests ---------------------------------------------- */

static struct volume_id name(enum side side, const char *vol)
{
    struct volume_id id = world_volume(&world, side, 0, 0)->info.id;

    (void)str_copy(id.vol, UUID_SIZE, vol);
    return id;
}

static struct migrate_ask ask(enum job_kind kind)
{
    const char *leaf =
        world_volume(&world, SRC, 0, world.layers - 1)->info.id.vol;
    struct migrate_ask ask = {
        .kind = kind,
        .job_id = "66666666-6666-4666-8666-666666666666",
        .n_disks = 1,
    };
    struct migrate_ask_disk *disk = &ask.disks[0];
    bool live = kind == JOB_MERGE || kind == JOB_REPLICATE;

    if (live)
        (void)str_copy(ask.vm, sizeof(ask.vm), "web1");
    disk->at = name(SRC, live ? leaf : "");
    disk->to = name(DST, live ? leaf : "");
    (void)str_copy(disk->base, UUID_SIZE,
                   world_volume(&world, SRC, 0, 0)->info.id.vol);
    (void)str_copy(disk->top, UUID_SIZE, leaf);
    return ask;
}

/* Whether it is refused for want of exactly so much. */
static void check_ask(enum job_kind kind, enum side side, uint64_t bytes)
{
    const struct migrate_ask wish = ask(kind);
    struct err err = ERR_INIT;
    struct job job;
    char number[32];

    world.domains[side].free_bytes = bytes;
    if (migrate_ask(&world.ports, &wish, &job, &err))
        fail_msg("%s", err.message);
    world.domains[side].free_bytes = bytes - 1;
    assert_true(migrate_ask(&world.ports, &wish, &job, &err) < 0);
    (void)str_format(number, sizeof(number), "%llu are needed",
                     (unsigned long long)bytes);
    if (!strstr(err.message, number))
        fail_msg("'%s' does not say %s", err.message, number);
}

static void stop_vm(void)
{
    world_reboot(&world);
    world.defined = false;
}

static void images_need_extents(void **state)
{
    static const enum job_kind kinds[] = { JOB_CLONE, JOB_COPY, JOB_MOVE };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        make_world(2, i == 1, true);
        stop_vm();
        /* The leaf keeps a chunk for whoever starts on it. */
        check_ask(kinds[i], DST, (2 * LAYER + 16) * MIB);
    }
}

static void a_structure_of_files_needs_nothing(void **state)
{
    const struct migrate_ask wish =
        (make_world(2, false, false), ask(JOB_CLONE));
    struct err err = ERR_INIT;
    struct job job;

    (void)state;
    world.domains[DST].free_bytes = 4096;
    assert_int_equal(migrate_ask(&world.ports, &wish, &job, &err), 0);
}

/* What its leaf lacks. */
static void a_replica_needs_room_to_begin(void **state)
{
    struct fake_volume *to;

    (void)state;
    make_world(1, false, true);
    to = world_make(&world, DST, 0,
                    world_volume(&world, SRC, 0, 0)->info.id.vol, UUID_BLANK);
    to->info.apparent_bytes = to->info.true_bytes = 16 * MIB;
    check_ask(JOB_REPLICATE, DST, (LAYER + TWO_CHUNKS - 16) * MIB);
}

static void a_merge_needs_room_for_both(void **state)
{
    (void)state;
    make_world(2, true, false);
    check_ask(JOB_MERGE, SRC,
              (2 * LAYER + 16) * MIB -
                  world_volume(&world, SRC, 0, 0)->info.apparent_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mirror_takes_its_leaf_and_two_chunks),
        cmocka_unit_test(parts_of_extents_are_whole_ones),
        cmocka_unit_test(a_snapshot_takes_overlays_on_both_sides),
        cmocka_unit_test(a_thin_source_is_looked_into),
        cmocka_unit_test(nothing_takes_more_than_a_full_qcow2),
        cmocka_unit_test(sparse_raw_becomes_qcow2),
        cmocka_unit_test(what_has_all_its_space_stays_raw),
        cmocka_unit_test(on_files_sparse_raw_stays_raw),
        cmocka_unit_test(an_lv_is_called_as_its_records_do),
        cmocka_unit_test(a_vm_may_see_whole_extents),
        cmocka_unit_test(a_vm_may_see_less_of_a_rounded_disk),
        cmocka_unit_test(images_need_extents),
        cmocka_unit_test(a_structure_of_files_needs_nothing),
        cmocka_unit_test(a_replica_needs_room_to_begin),
        cmocka_unit_test(a_merge_needs_room_for_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
