/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The snapshot of VM.snapshot, as a job: with and without the guest's agent,
 * repeated, of disks that are there already.
 */
#include "small-world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

static struct small_world world;
static struct job job;

static void path_of(char ret_path[PATH_MAX], const char *vol)
{
    small_path(ret_path, SMALL_A, vol);
}

static void add_disk(size_t i, const char *target, const char *vol)
{
    struct job_disk *disk = &job.disks[i];
    char path[PATH_MAX];

    (void)str_copy(disk->target, sizeof(disk->target), target);
    memcpy(disk->src_sd, SMALL_A, UUID_SIZE);
    memcpy(disk->img, SMALL_IMG, UUID_SIZE);
    memcpy(disk->leaf, vol, UUID_SIZE);
    memcpy(disk->overlay, SMALL_V3, UUID_SIZE);
    path_of(path, vol);
    (void)str_copy(disk->src_path, sizeof(disk->src_path), path);
    job.n_disks = i + 1;
}

static int fresh(void **state)
{
    (void)state;
    small_init(&world);
    job_init(&job, SMALL_JOB, JOB_SNAPSHOT, 1000);
    memcpy(job.vm, SMALL_VM, UUID_SIZE);
    (void)str_copy(job.vm_name, sizeof(job.vm_name), "web1");
    job.quiesce = true;
    add_disk(0, "vda", SMALL_V2);
    return 0;
}

/* To its end; what it says then. */
static struct job run(void)
{
    const struct migration_orders orders = { .cancel = false };
    struct migration *migration = NULL;
    int64_t wait_ms = 0;

    assert_int_equal(migration_new(&world.ports, &job, &migration), 0);
    for (int i = 0; wait_ms >= 0 && i < 50; i++)
        wait_ms = migration_step(migration, &orders);

    struct job ended = *migration_job(migration);

    migration_free(migration);
    return ended;
}

static void check_on(size_t i, const char *vol)
{
    char path[PATH_MAX];

    path_of(path, vol);
    assert_string_equal(world.vms[0].disks[i].path, path);
}

static void agent_freezes_the_file_systems(void **state)
{
    struct job ended;

    (void)state;
    world.agent = true;
    ended = run();
    assert_int_equal(ended.state, JOB_DONE);
    assert_string_equal(ended.warning, "");
    assert_true(world.quiesced);
    assert_int_equal(world.snapshots, 1);
    check_on(0, SMALL_V3);
}

static void without_an_agent_it_is_a_crash_image(void **state)
{
    struct job ended = run();

    (void)state;
    assert_int_equal(ended.state, JOB_DONE);
    assert_non_null(strstr(ended.warning, "not frozen: no agent answers"));
    assert_false(world.quiesced);
    check_on(0, SMALL_V3);
}

static void frozen_before_is_not_frozen_again(void **state)
{
    struct job ended;

    (void)state;
    job.quiesce = false;
    ended = run();
    assert_int_equal(ended.state, JOB_DONE);
    assert_string_equal(ended.warning, "");
    assert_false(world.quiesced);
}

static void what_cannot_be_taken_is_said(void **state)
{
    struct job ended;

    (void)state;
    world.snapshots_fail = true;
    ended = run();
    assert_int_equal(ended.state, JOB_FAILED);
    assert_int_equal(ended.error.code, ERR_SNAPSHOT);
    assert_non_null(strstr(ended.error.message, "qemu would not"));
    check_on(0, SMALL_V2);
}

static void disk_that_is_there_is_left_alone(void **state)
{
    char path[PATH_MAX];
    struct job ended;

    (void)state;
    world.agent = true;
    world.vms[0].n_disks = 2;
    world.vms[0].disks[1] = world.vms[0].disks[0];
    (void)str_copy(world.vms[0].disks[1].target, DISK_TARGET_SIZE, "vdb");
    add_disk(1, "vdb", SMALL_V2);
    path_of(path, SMALL_V3);
    (void)str_copy(world.vms[0].disks[0].path, PATH_MAX, path);
    ended = run();
    assert_int_equal(ended.state, JOB_DONE);
    assert_int_equal(world.snapshots, 1);
    assert_int_equal(world.overlays, 1);
    check_on(1, SMALL_V3);
    ended = run(); /* all of them are */
    assert_int_equal(ended.state, JOB_DONE);
    assert_int_equal(world.snapshots, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(agent_freezes_the_file_systems),
        TEST(without_an_agent_it_is_a_crash_image),
        TEST(frozen_before_is_not_frozen_again),
        TEST(what_cannot_be_taken_is_said),
        TEST(disk_that_is_there_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
