/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mirror or snapshot: what the plan chooses, why, and what it refuses. And the
 * plan of disks from and to places outside of domains, and of several.
 */
#include "../../fakes/fake-world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct migrate_request request(void)
{
    return (struct migrate_request){ .vm = "web1",
                                     .n_wishes = 1,
                                     .wishes = {
                                         { .disk = "vda", .to = "new" },
                                         { .disk = "vdb", .to = "new" },
                                     } };
}

static struct migrate_plan plan_for(struct fake_world *world,
                                    const struct migrate_request *wish)
{
    struct migrate_plan plan;
    struct err err = ERR_INIT;

    assert_int_equal(migrate_plan(&world->ports, wish, 0, &plan, &err), 0);
    return plan;
}

/* Exactly one obstacle, this one, and what to do. */
static void expect_only(struct fake_world *world,
                        const struct migrate_request *wish, enum err_code code,
                        const char *text)
{
    const struct migrate_plan made = plan_for(world, wish);

    assert_int_equal(made.n_obstacles, 1);
    assert_int_equal(made.obstacles[0].code, code);
    if (!strstr(made.obstacles[0].message, text))
        fail_msg("'%s' does not say '%s'", made.obstacles[0].message, text);
    assert_true(made.obstacles[0].next[0]);
}

static void expect_choice(struct fake_world *world,
                          const struct migrate_request *wish,
                          enum job_strategy strategy, const char *why)
{
    const struct migrate_plan made = plan_for(world, wish);

    assert_int_equal(made.n_obstacles, 0);
    assert_int_equal(made.job.strategy, strategy);
    if (!strstr(made.why, why))
        fail_msg("'%s' does not say '%s'", made.why, why);
    for (size_t i = 0; i < made.job.n_disks; i++)
        assert_int_equal(uuid_is_valid(made.job.disks[i].overlay),
                         strategy == JOB_BY_SNAPSHOT);
}

/* --- what it chooses --------------------------------------------------- */

static void a_leaf_that_passes_through_the_host_is_mirrored(void **state)
{
    static const enum copy_mover movers[] = { COPY_BY_DIRECT, COPY_BY_CONVERT };
    const struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(movers); i++) {
        world_init(&world, 2);
        world.mover = movers[i];
        expect_choice(&world, &wish, JOB_MIRROR, "passes through this host");
        assert_int_equal(plan_for(&world, &wish).disks[0].mover, movers[i]);
    }
}

static void a_leaf_that_is_copied_cheaply_is_frozen(void **state)
{
    static const enum copy_mover movers[] = { COPY_BY_REFLINK, COPY_BY_SERVER };
    const struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(movers); i++) {
        world_init(&world, 2);
        world.mover = movers[i];
        expect_choice(&world, &wish, JOB_BY_SNAPSHOT,
                      copy_mover_name(movers[i]));
        expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "64 MiB");
    }
}

static void a_small_leaf_is_mirrored_all_the_same(void **state)
{
    const struct migrate_request wish = request();
    struct fake_world world;
    uint64_t *bytes;

    (void)state;
    world_init(&world, 2);
    world.mover = COPY_BY_REFLINK;
    bytes = &world_volume(&world, SRC, 0, 1)->info.true_bytes;
    *bytes = 32 << 20;
    expect_choice(&world, &wish, JOB_MIRROR, "small");
    *bytes = (32 << 20) + 1;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "reflink");
}

/* The base is the leaf, and its format changes: no reflink helps. */
static void a_leaf_that_is_converted_is_not_copied_cheaply(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world.mover = COPY_BY_REFLINK;
    wish.wishes[0].convert = true;
    expect_choice(&world, &wish, JOB_MIRROR, "passes through this host");
    assert_int_equal(plan_for(&world, &wish).disks[0].mover, COPY_BY_CONVERT);
    wish.wishes[0].base_cow = true; /* as it is */
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "reflink");
    world_init(&world, 2); /* the leaf keeps its format */
    world.mover = COPY_BY_REFLINK;
    wish.wishes[0].base_cow = false;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "reflink");
}

static void what_is_verified_is_frozen(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    wish.verify = true;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "compared with its copy");
    assert_true(plan_for(&world, &wish).job.verify);
}

static void several_disks_are_frozen(void **state)
{
    struct migrate_request wish = request();
    struct migrate_plan made;
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    world_add_disk(&world);
    wish.n_wishes = 2;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "brought back");
    made = plan_for(&world, &wish);
    assert_int_equal(made.job.n_disks, 2);
    assert_string_equal(made.job.disks[1].target, "vdb");
    assert_string_not_equal(made.job.disks[0].overlay,
                            made.job.disks[1].overlay);
    assert_int_equal(made.bytes, 4 * (64ULL << 20));
    assert_int_equal(made.bytes, made.disks[0].bytes + made.disks[1].bytes);
}

static void the_caller_may_choose(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    wish.choose = true;
    wish.strategy = JOB_BY_SNAPSHOT;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "asked for");
    world.mover = COPY_BY_REFLINK;
    expect_choice(&world, &wish, JOB_BY_SNAPSHOT, "reflink"); /* we, too */
    wish.strategy = JOB_MIRROR;
    expect_choice(&world, &wish, JOB_MIRROR, "asked for");
}

static void carries_the_wishes(void **state)
{
    struct migrate_request wish = request();
    struct migrate_plan made;
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    wish.fast = true;
    wish.limit = 7;
    made = plan_for(&world, &wish);
    assert_true(made.job.fast);
    assert_int_equal(made.job.limit, 7);
}

/* --- what it refuses --------------------------------------------------- */

static void a_mirror_of_what_must_be_frozen(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    world_add_disk(&world);
    wish.choose = true;
    wish.verify = true;
    expect_only(&world, &wish, ERR_UNSUPPORTED, "verifying needs strategy");
    wish.verify = false;
    wish.n_wishes = 2;
    expect_only(&world, &wish, ERR_UNSUPPORTED, "several disks at once need");
}

static void a_snapshot_without_room_for_the_overlay(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    wish.verify = true;
    world.domains[SRC].free_bytes = 64 << 20;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    world.domains[SRC].free_bytes = (64 << 20) - 1;
    expect_only(&world, &wish, ERR_NO_SPACE, "63 MiB free");
    wish.verify = false; /* a mirror needs none */
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
}

static void a_disk_that_is_named_twice(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    wish.n_wishes = 2;
    (void)str_copy(wish.wishes[1].disk, JOB_PATH_SIZE, "vda");
    expect_only(&world, &wish, ERR_VALUE, "named twice");
}

/* Each alone would fit. */
static void two_disks_that_do_not_fit_together(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;
    uint64_t required;

    (void)state;
    world_init(&world, 2);
    world_add_disk(&world);
    required = plan_for(&world, &wish).disks[0].required;
    wish.n_wishes = 2;
    world.domains[DST].free_bytes = 2 * required;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    world.domains[DST].free_bytes = 2 * required - 1;
    expect_only(&world, &wish, ERR_NO_SPACE, "MiB free");
}

/* --- outside of domains ------------------------------------------------ */

static void from_outside(struct fake_world *world)
{
    world_init(world, 1);
    world_set_outside(world, SRC, false);
}

static struct migrate_request to_outside(struct fake_world *world, bool device)
{
    struct migrate_request wish = request();

    world_init(world, 2);
    world_set_outside(world, DST, device);
    (void)str_copy(wish.wishes[0].to, JOB_PATH_SIZE,
                   world_volume(world, DST, 0, 0)->info.path);
    return wish;
}

static void an_import_becomes_an_image_of_its_own(void **state)
{
    const struct migrate_request wish = request();
    const struct job_disk *of;
    struct migrate_plan made;
    struct fake_world world;

    (void)state;
    from_outside(&world);
    expect_choice(&world, &wish, JOB_MIRROR, "outside");
    made = plan_for(&world, &wish);
    of = &made.job.disks[0];
    assert_string_equal(of->src_sd, "");
    assert_string_equal(of->src_path, "/out/src-vda");
    assert_true(uuid_is_valid(of->img) && uuid_is_valid(of->leaf));
    assert_true(of->convert && of->base_cow);
    assert_int_equal(of->capacity, 1 << 30);
    assert_int_equal(made.bytes, 1 << 30);
}

static void an_import_may_change_its_format(void **state)
{
    struct migrate_request wish = request();
    struct fake_world world;

    (void)state;
    from_outside(&world);
    wish.wishes[0].convert = true;
    assert_false(plan_for(&world, &wish).job.disks[0].base_cow);
    world_set_format(&world, 0, VOLUME_RAW);
    wish.wishes[0].convert = false;
    assert_false(plan_for(&world, &wish).job.disks[0].base_cow);
}

static void an_export_has_the_leafs_format(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, false);
    struct migrate_plan made = plan_for(&world, &wish);

    (void)state;
    assert_int_equal(made.n_obstacles, 0);
    assert_int_equal(made.job.strategy, JOB_MIRROR);
    assert_string_equal(made.job.disks[0].dst_sd, "");
    assert_string_equal(made.job.disks[0].dst_path, "/out/dst-vda");
    assert_true(made.job.disks[0].convert && made.job.disks[0].base_cow);
    wish.wishes[0].convert = true;
    assert_false(plan_for(&world, &wish).job.disks[0].base_cow);
}

static void an_import_needs_what_its_file_has(void **state)
{
    struct fake_world world;
    const struct migrate_request wish = request();
    uint64_t bytes;

    (void)state;
    world_init(&world, 1);
    world_set_outside(&world, SRC, false);
    bytes = world_volume(&world, SRC, 0, 0)->info.true_bytes;
    world.domains[DST].free_bytes = bytes;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    assert_int_equal(plan_for(&world, &wish).disks[0].required, bytes);
    world.domains[DST].free_bytes = bytes - 1;
    expect_only(&world, &wish, ERR_NO_SPACE, "MiB free");
}

static void a_file_that_is_there(void **state)
{
    struct fake_world world;
    const struct migrate_request wish = to_outside(&world, false);

    (void)state;
    world_volume(&world, DST, 0, 0)->exists = true;
    expect_only(&world, &wish, ERR_VOLUME_EXISTS, "/out/dst-vda exists");
}

static void a_place_that_is_too_small_or_does_not_answer(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, true);
    struct migrate_plan made;

    (void)state;
    wish.wishes[0].convert = true; /* to raw */
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    world.disk.capacity = (1 << 30) + 4096;
    world_volume(&world, SRC, 0, 1)->info.capacity = (1 << 30) + 4096;
    expect_only(&world, &wish, ERR_TOO_SMALL, "nbd://host/dst-vda has");
    wish.wishes[0].base_cow = true;
    expect_only(&world, &wish, ERR_UNSUPPORTED, "cannot grow");
    wish.wishes[0].base_cow = false;
    world_volume(&world, DST, 0, 0)->exists = false;
    made = plan_for(&world, &wish);
    assert_int_equal(made.obstacles[made.n_obstacles - 1].code, ERR_STORAGE);
}

/* The guest may fill its disk: qcow2 is no way to have less room. */
static void a_device_is_as_large_as_the_disk(void **state)
{
    struct fake_world world;
    const struct migrate_request wish = to_outside(&world, true);

    (void)state;
    world.domains[DST].device_bytes = 1 << 30;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    assert_int_equal(plan_for(&world, &wish).disks[0].dst.free_bytes, 0);
    world.domains[DST].device_bytes = (1 << 30) - 1;
    expect_only(&world, &wish, ERR_TOO_SMALL, "dst-vda has 1073741823 bytes");
}

static void a_file_system_without_room(void **state)
{
    struct fake_world world;
    const struct migrate_request wish = to_outside(&world, false);
    uint64_t required;

    (void)state;
    required = plan_for(&world, &wish).disks[0].required;
    assert_true(required > 0);
    world.domains[DST].free_bytes = required;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
    world.domains[DST].free_bytes = required - 1;
    expect_only(&world, &wish, ERR_NO_SPACE, "file system of /out/dst-vda");
    world.domains[DST].free_bytes = 0;
    expect_only(&world, &wish, ERR_NO_SPACE, "has 0 MiB free");
}

static void a_place_that_a_vm_has(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, true);

    (void)state;
    wish.wishes[0].convert = true; /* to raw */
    world.place_user = true;
    expect_only(&world, &wish, ERR_VOLUME_BUSY, "VM web1 has nbd://host");
    world.domains[DST].device_bytes = 1 << 30;
    expect_only(&world, &wish, ERR_VOLUME_BUSY, "VM web1 has");
}

static void expect_frozen_outside(struct fake_world *world,
                                  const struct migrate_request *wish,
                                  const char *dir)
{
    const struct migrate_plan plan = plan_for(world, wish);
    const struct job_disk *of = &plan.job.disks[0];
    char path[JOB_PATH_SIZE];

    assert_int_equal(plan.n_obstacles, 0);
    assert_int_equal(plan.job.strategy, JOB_BY_SNAPSHOT);
    assert_true(uuid_is_valid(of->overlay));
    (void)str_format(path, sizeof(path), "%s/drayd-%s.qcow2", dir, of->overlay);
    assert_string_equal(of->beside, path);
    assert_true(of->src_cow);
}

/* Beside a file, or beside the domain. */
static void the_overlay_of_what_is_outside_has_a_place(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, false);

    (void)state;
    assert_string_equal(plan_for(&world, &wish).job.disks[0].beside, "");
    wish.verify = true;
    expect_frozen_outside(&world, &wish, "/out");
    wish.verify = false;
    wish.choose = true;
    wish.strategy = JOB_BY_SNAPSHOT;
    expect_frozen_outside(&world, &wish, "/out");
    wish.strategy = JOB_MIRROR;
    wish.verify = true;
    expect_only(&world, &wish, ERR_UNSUPPORTED, "verifying needs strategy");
    wish = to_outside(&world, true);
    wish.verify = true;
    wish.wishes[0].convert = true; /* to raw */
    expect_frozen_outside(&world, &wish, "/srv/domain");
}

static void an_overlay_shows_all_of_a_device(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, true);

    (void)state;
    wish.verify = true;
    wish.wishes[0].convert = true; /* to raw */
    world.domains[DST].device_bytes = 1 << 30;
    expect_frozen_outside(&world, &wish, "/srv/domain");
    world.domains[DST].device_bytes++;
    expect_only(&world, &wish, ERR_UNSUPPORTED, "exactly as large");
    wish.wishes[0].base_cow = true;
    expect_frozen_outside(&world, &wish, "/srv/domain");
}

static void no_file_system_no_overlay(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, true);

    (void)state;
    world_set_block(&world, SRC);
    wish.verify = true;
    wish.wishes[0].convert = true; /* to raw */
    expect_only(&world, &wish, ERR_UNSUPPORTED, "no file system");
}

static void what_only_goes_between_domains(void **state)
{
    struct fake_world world;
    struct migrate_request wish = to_outside(&world, false);

    (void)state;
    world_add_disk(&world);
    wish.n_wishes = 2;
    (void)str_copy(wish.wishes[1].to, JOB_PATH_SIZE,
                   world_volume(&world, DST, 1, 0)->info.path);
    expect_only(&world, &wish, ERR_UNSUPPORTED, "several disks at once only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_that_passes_through_the_host_is_mirrored),
        cmocka_unit_test(a_leaf_that_is_copied_cheaply_is_frozen),
        cmocka_unit_test(a_small_leaf_is_mirrored_all_the_same),
        cmocka_unit_test(a_leaf_that_is_converted_is_not_copied_cheaply),
        cmocka_unit_test(what_is_verified_is_frozen),
        cmocka_unit_test(several_disks_are_frozen),
        cmocka_unit_test(the_caller_may_choose),
        cmocka_unit_test(carries_the_wishes),
        cmocka_unit_test(a_mirror_of_what_must_be_frozen),
        cmocka_unit_test(a_snapshot_without_room_for_the_overlay),
        cmocka_unit_test(a_disk_that_is_named_twice),
        cmocka_unit_test(two_disks_that_do_not_fit_together),
        cmocka_unit_test(an_import_becomes_an_image_of_its_own),
        cmocka_unit_test(an_import_may_change_its_format),
        cmocka_unit_test(an_export_has_the_leafs_format),
        cmocka_unit_test(an_import_needs_what_its_file_has),
        cmocka_unit_test(a_file_that_is_there),
        cmocka_unit_test(a_place_that_is_too_small_or_does_not_answer),
        cmocka_unit_test(a_device_is_as_large_as_the_disk),
        cmocka_unit_test(a_file_system_without_room),
        cmocka_unit_test(a_place_that_a_vm_has),
        cmocka_unit_test(the_overlay_of_what_is_outside_has_a_place),
        cmocka_unit_test(an_overlay_shows_all_of_a_device),
        cmocka_unit_test(no_file_system_no_overlay),
        cmocka_unit_test(what_only_goes_between_domains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
