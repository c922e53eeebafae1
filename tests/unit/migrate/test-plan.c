/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plan: what it resolves, counts, and refuses, and that it touches nothing.
 */
#include "../../fakes/fake-world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct migrate_request request(void)
{
    return (
        struct migrate_request){ .vm = "web1",
                                 .n_wishes = 1,
                                 .wishes = { { .disk = "vda", .to = "new" } },
                                 .choose = true,
                                 .strategy = JOB_MIRROR };
}

static struct migrate_plan plan_for(struct fake_world *world,
                                    const struct migrate_request *wish)
{
    struct migrate_plan plan;
    struct err err = ERR_INIT;

    assert_int_equal(migrate_plan(&world->ports, wish, 0, &plan, &err), 0);
    return plan;
}

static struct migrate_plan plan(struct fake_world *world)
{
    const struct migrate_request wish = request();

    return plan_for(world, &wish);
}

static bool has(const struct migrate_plan *plan, enum err_code code,
                const char *text)
{
    for (size_t i = 0; i < plan->n_obstacles; i++) {
        if (plan->obstacles[i].code == code &&
            strstr(plan->obstacles[i].message, text))
            return true;
    }
    return false;
}

static void expect(const struct migrate_plan *plan, enum err_code code,
                   const char *text)
{
    if (!has(plan, code, text))
        fail_msg("no obstacle %d '%s' among %zu, first: %s", code, text,
                 plan->n_obstacles, plan->obstacles[0].message);
}

/* Exactly one obstacle, this one. */
static void expect_only(struct fake_world *world, enum err_code code,
                        const char *text)
{
    const struct migrate_plan made = plan(world);

    expect(&made, code, text);
    assert_int_equal(made.n_obstacles, 1);
    assert_true(made.obstacles[0].next[0]); /* and what to do */
}

static void resolves_the_move(void **state)
{
    struct fake_world world;
    struct migrate_plan made;
    struct job job;

    (void)state;
    world_init(&world, 3);
    made = plan(&world);
    job = world_job(&world);
    assert_int_equal(made.n_obstacles, 0);
    assert_string_equal(made.job.vm, job.vm);
    assert_string_equal(made.job.vm_name, job.vm_name);
    assert_int_equal(made.job.kind, JOB_DISK_MIGRATE);
    assert_int_equal(made.job.n_disks, 1);
    assert_memory_equal(&made.job.disks[0], &job.disks[0],
                        sizeof(made.job.disks[0]));
    assert_int_equal(made.disks[0].chain_n, 3);
}

static void finds_the_disk_by_image_and_by_path(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();
    struct migrate_plan made;
    struct job job;

    (void)state;
    world_init(&world, 2);
    job = world_job(&world);
    (void)str_copy(wish.wishes[0].disk, sizeof(wish.wishes[0].disk),
                   job.disks[0].img);
    made = plan_for(&world, &wish);
    assert_string_equal(made.job.disks[0].target, "vda");
    (void)str_copy(wish.wishes[0].disk, sizeof(wish.wishes[0].disk),
                   job.disks[0].src_path);
    (void)str_copy(wish.vm, sizeof(wish.vm), job.vm);
    (void)str_copy(wish.wishes[0].to, sizeof(wish.wishes[0].to),
                   job.disks[0].dst_sd);
    made = plan_for(&world, &wish);
    assert_string_equal(made.job.disks[0].target, "vda");
    assert_int_equal(made.n_obstacles, 0);
}

static void carries_the_wishes(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();
    struct migrate_plan made;

    (void)state;
    world_init(&world, 1);
    wish.wishes[0].convert = true;
    wish.wishes[0].base_cow = true;
    wish.keep_source = true;
    made = plan_for(&world, &wish);
    assert_true(made.job.disks[0].convert && made.job.disks[0].base_cow);
    assert_true(made.job.keep_source);
}

static void unknown_names_are_errors(void **state)
{
    static const enum err_code codes[] = { ERR_NO_VM, ERR_NO_DISK,
                                           ERR_NO_DOMAIN };
    struct fake_world world;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct migrate_request wish = request();
        char *const fields[] = { wish.vm, wish.wishes[0].disk,
                                 wish.wishes[0].to };
        struct err err = ERR_INIT;
        struct migrate_plan made;

        world_init(&world, 1);
        fields[i][0] = 'x';
        assert_true(migrate_plan(&world.ports, &wish, 0, &made, &err) < 0);
        assert_int_equal(err.code, codes[i]);
    }
}

static void counts_what_is_to_be_moved(void **state)
{
    const uint64_t layer = 64ULL << 20;
    const uint64_t tables =
        (1ULL << 30) / 8192 + (1ULL << 30) / 32768 + (1ULL << 20);
    struct fake_world world;
    struct migrate_plan made;

    (void)state;
    world_init(&world, 3);
    made = plan(&world);
    assert_int_equal(made.bytes, 3 * layer);
    assert_int_equal(made.disks[0].required,
                     3 * (layer + tables) + 3 * (layer + tables) / 100);
    assert_int_equal(made.disks[0].dst.free_bytes,
                     world.domains[DST].free_bytes);
    assert_int_equal(made.disks[0].src.free_bytes,
                     world.domains[SRC].free_bytes);
}

static void counts_preallocated_raw_in_full(void **state)
{
    struct fake_world world;
    struct volume_info *base;
    struct migrate_request wish = request();
    struct migrate_plan made;

    (void)state;
    world_init(&world, 1);
    world_set_format(&world, 0, VOLUME_RAW);
    base = &world_volume(&world, SRC, 0, 0)->info;
    made = plan(&world);
    assert_int_equal(made.disks[0].required, base->true_bytes * 101 / 100);
    base->allocation = VOLUME_PREALLOCATED;
    made = plan(&world);
    assert_int_equal(made.disks[0].required,
                     base->capacity + base->capacity / 100);
    wish.wishes[0].convert = wish.wishes[0].base_cow =
        true; /* qcow2 is made sparse */
    made = plan_for(&world, &wish);
    assert_true(made.disks[0].required < base->capacity / 2);
}

static void space_is_needed_to_the_byte(void **state)
{
    struct fake_world world;
    uint64_t required;

    (void)state;
    world_init(&world, 2);
    required = plan(&world).disks[0].required;
    world.domains[DST].free_bytes = required;
    assert_int_equal(plan(&world).n_obstacles, 0);
    world.domains[DST].free_bytes = required - 1;
    expect_only(&world, ERR_NO_SPACE, "MiB free");
}

static void expects_a_time_from_the_rate(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();
    struct migrate_plan made;
    struct err err = ERR_INIT;

    (void)state;
    world_init(&world, 2);
    assert_int_equal(plan(&world).expected_s, 1); /* 128 MiB by a guess */
    assert_int_equal(migrate_plan(&world.ports, &wish, 32 << 20, &made, &err),
                     0);
    assert_int_equal(made.expected_s, 5);
    wish.limit = 16 << 20;
    assert_int_equal(migrate_plan(&world.ports, &wish, 32 << 20, &made, &err),
                     0);
    assert_int_equal(made.expected_s, 9);
    assert_int_equal(migrate_plan(&world.ports, &wish, 0, &made, &err), 0);
    assert_int_equal(made.expected_s, 9);
}

/* --- one obstacle each ------------------------------------------------- */

static void a_vm_that_is_off(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world_shut_down(&world);
    expect_only(&world, ERR_UNSUPPORTED, "not running");
}

static void a_paused_vm_is_no_obstacle(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world_pause_by_other(&world);
    assert_int_equal(plan(&world).n_obstacles, 0);
}

static void a_disk_of_the_wrong_kind(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    (void)str_copy(world.disk.device, sizeof(world.disk.device), "cdrom");
    expect_only(&world, ERR_UNSUPPORTED, "cdrom");
    world_init(&world, 1);
    world.disk.read_only = true;
    expect_only(&world, ERR_UNSUPPORTED, "read-only");
    world_init(&world, 1);
    world.disk.shareable = true;
    expect_only(&world, ERR_UNSUPPORTED, "shareable");
    world_init(&world, 1);
    world.disk.transient = true;
    expect_only(&world, ERR_UNSUPPORTED, "transient");
}

static void a_block_job(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world.disk.job = true;
    expect_only(&world, ERR_DISK_BUSY, "block job");
    world_init(&world, 1);
    world.disk.mirror.present = true;
    expect_only(&world, ERR_DISK_BUSY, "block job");
}

/* A disk that has no file cannot come from anywhere; one that is outside can
 * only go into a domain. */
static void a_disk_without_a_place(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();
    struct migrate_plan made;

    (void)state;
    world_init(&world, 1);
    world_set_outside(&world, SRC, false);
    world_set_outside(&world, DST, false);
    (void)str_copy(wish.wishes[0].to, JOB_PATH_SIZE, "/out/dst-vda");
    made = plan_for(&world, &wish);
    expect(&made, ERR_NO_DISK, "/out/src-vda, which is in no domain");
}

static void names_that_disagree(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world.elsewhere = true;
    expect_only(&world, ERR_CHANGE_DISK, "/other/file");
    world_init(&world, 1);
    world.disks[0].persistent = world_volume(&world, DST, 0, 0);
    expect_only(&world, ERR_CHANGE_DISK, "persistent definition");
}

static void a_chain_that_is_not_whole(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 3);
    world_volume(&world, SRC, 0, 1)->exists = false;
    expect_only(&world, ERR_IMAGE_CHAIN, "a layer lacks");
    world_init(&world, 3);
    world_volume(&world, SRC, 0, 1)->info.legality = VOLUME_ILLEGAL;
    expect_only(&world, ERR_VOLUME_ILLEGAL, "not legal");
    world_init(&world, 3);
    world_volume(&world, SRC, 0, 0)->info.role = VOLUME_SHARED;
    expect_only(&world, ERR_VOLUME_SHARED, "template");
    world_init(&world, 2);
    world_volume(&world, SRC, 0, 1)->info.role = VOLUME_INTERNAL;
    expect_only(&world, ERR_IMAGE_CHAIN, "has children");
    world_init(&world, 3);
    world.disk.chain_n = 2;
    expect_only(&world, ERR_IMAGE_CHAIN, "2 layers in the VM, 3");
}

static void records_that_do_not_fit_the_vm(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 2);
    world.disk.capacity = 2 << 20;
    expect_only(&world, ERR_METADATA_INVALID, "2097152");
    world.disk.capacity = 0; /* not known: no obstacle */
    assert_int_equal(plan(&world).n_obstacles, 0);
    (void)str_copy(world.disk.format, sizeof(world.disk.format), "raw");
    expect_only(&world, ERR_VOLUME_FORMAT, "as raw");
    world_init(&world, 1);
    world_volume(&world, SRC, 0, 0)->info.capacity = 1000;
    world.disk.capacity = 1000; /* as odd as it was where it came from */
    assert_int_equal(plan(&world).n_obstacles, 0);
}

static void a_destination_that_cannot_take_it(void **state)
{
    struct fake_world world;

    (void)state;
    world_init(&world, 1);
    world.domains[DST].status = DOMAIN_MISSING;
    expect_only(&world, ERR_NO_DOMAIN, "new is missing");
    world_init(&world, 1);
    world.domains[DST].read_only = true;
    expect_only(&world, ERR_DOMAIN_ATTACHED, "oVirt pool");
    world_init(&world, 1);
    world.domains[DST].block_size = 4096;
    expect_only(&world, ERR_UNSUPPORTED, "sector sizes");
    world_init(&world, 2);
    world_volume(&world, DST, 0, 0)->exists = true;
    expect_only(&world, ERR_VOLUME_EXISTS, "already");
}

static void the_domain_it_is_on(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();
    struct migrate_plan made;

    (void)state;
    world_init(&world, 1);
    (void)str_copy(wish.wishes[0].to, sizeof(wish.wishes[0].to), "old");
    made = plan_for(&world, &wish);
    expect(&made, ERR_VALUE, "on this domain already");
    assert_int_equal(made.n_obstacles, 1);
}

static void a_source_that_may_not_be_deleted(void **state)
{
    struct fake_world world;
    struct migrate_request wish = request();

    (void)state;
    world_init(&world, 1);
    world.domains[SRC].read_only = true;
    expect_only(&world, ERR_DOMAIN_ATTACHED, "cannot be deleted");
    wish.keep_source = true;
    assert_int_equal(plan_for(&world, &wish).n_obstacles, 0);
}

/* --- and all together -------------------------------------------------- */

static void names_all_obstacles_at_once(void **state)
{
    struct fake_world world;
    struct migrate_plan made;

    (void)state;
    world_init(&world, 2);
    world_shut_down(&world);
    world.disk.read_only = true;
    world_volume(&world, SRC, 0, 0)->info.legality = VOLUME_ILLEGAL;
    world.domains[DST].read_only = true;
    world.domains[DST].unwritable = true;
    world.domains[DST].free_bytes = 0;
    made = plan(&world);
    expect(&made, ERR_UNSUPPORTED, "not running");
    expect(&made, ERR_UNSUPPORTED, "read-only");
    expect(&made, ERR_VOLUME_ILLEGAL, "not legal");
    expect(&made, ERR_DOMAIN_ATTACHED, "oVirt pool");
    expect(&made, ERR_STORAGE, "mounted read-only");
    expect(&made, ERR_NO_SPACE, "MiB free");
    assert_int_equal(made.n_obstacles, 6);
}

static void more_obstacles_than_fit_are_cut_off(void **state)
{
    struct fake_world world;
    struct migrate_plan made;

    (void)state;
    world_init(&world, LAYERS_MAX);
    for (size_t i = 0; i < LAYERS_MAX; i++) {
        struct volume_info *info = &world_volume(&world, SRC, 0, i)->info;

        info->legality = VOLUME_ILLEGAL;
        info->role = VOLUME_SHARED;
        info->capacity = 1000;
    }
    made = plan(&world);
    assert_int_equal(made.n_obstacles, PLAN_OBSTACLES_MAX);
    for (size_t i = 0; i < PLAN_OBSTACLES_MAX; i++)
        assert_true(made.obstacles[i].rc < 0 && made.obstacles[i].message[0]);
}

/* Whatever question fails, the plan says so and nothing is changed. */
static void every_failing_question_is_told(void **state)
{
    for (unsigned n = 1;; n++) {
        const struct migrate_request wish = request();
        struct fake_world world;
        struct fake_domain before[SIDES];
        struct migrate_plan made;
        struct err err = ERR_INIT;
        int rc;

        (void)state;
        world_init(&world, 2);
        world.writes_per_ms = 0;
        memcpy(before, world.domains, sizeof(before));
        world.fault = FAULT_FAIL;
        world.fault_at = n;
        rc = migrate_plan(&world.ports, &wish, 0, &made, &err);
        assert_memory_equal(before, world.domains, sizeof(before));
        assert_false(world.has_record ||
                     world.disks[0].job.kind != VM_JOB_NONE);
        if (world.faulted_call[0] == '\0')
            break;
        if (strcmp(world.faulted_call, "copier probe") == 0)
            continue; /* then it goes through the host */
        assert_true(rc < 0 || made.n_obstacles > 0);
        assert_non_null(
            strstr(rc ? err.message : made.obstacles[0].message, "injected"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_the_move),
        cmocka_unit_test(finds_the_disk_by_image_and_by_path),
        cmocka_unit_test(carries_the_wishes),
        cmocka_unit_test(unknown_names_are_errors),
        cmocka_unit_test(counts_what_is_to_be_moved),
        cmocka_unit_test(counts_preallocated_raw_in_full),
        cmocka_unit_test(space_is_needed_to_the_byte),
        cmocka_unit_test(expects_a_time_from_the_rate),
        cmocka_unit_test(a_vm_that_is_off),
        cmocka_unit_test(a_paused_vm_is_no_obstacle),
        cmocka_unit_test(a_disk_of_the_wrong_kind),
        cmocka_unit_test(a_block_job),
        cmocka_unit_test(a_disk_without_a_place),
        cmocka_unit_test(names_that_disagree),
        cmocka_unit_test(a_chain_that_is_not_whole),
        cmocka_unit_test(records_that_do_not_fit_the_vm),
        cmocka_unit_test(a_destination_that_cannot_take_it),
        cmocka_unit_test(the_domain_it_is_on),
        cmocka_unit_test(a_source_that_may_not_be_deleted),
        cmocka_unit_test(names_all_obstacles_at_once),
        cmocka_unit_test(more_obstacles_than_fit_are_cut_off),
        cmocka_unit_test(every_failing_question_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
