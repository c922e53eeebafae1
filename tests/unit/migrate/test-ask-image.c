/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Image.cloneStructure, syncData, copy and move: what becomes a job, the number
 * of everything that speaks against it; and that a new sync copies again.
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
static struct err err;

static int fresh(void **state)
{
    (void)state;
    small_init(&world);
    world.n_vms = 0;
    return 0;
}

static struct migrate_ask ask(enum job_kind kind)
{
    struct migrate_ask ask = { .kind = kind,
                               .job_id = SMALL_JOB,
                               .n_disks = 1 };

    ask.disks[0].at = small_id(SMALL_A, "");
    ask.disks[0].to = small_id(SMALL_B, "");
    return ask;
}

static int code_of(const struct migrate_ask *wish)
{
    err = (struct err)ERR_INIT;
    return migrate_ask(&world.ports, wish, &job, &err) == 0 ? 0 : err.code;
}

static void refused(const struct migrate_ask *wish, int code, const char *text)
{
    assert_int_equal(code_of(wish), code);
    if (!strstr(err.message, text))
        fail_msg("'%s' is not in '%s'", text, err.message);
}

static const enum job_kind fresh_kinds[] = { JOB_CLONE, JOB_COPY, JOB_MOVE };

static void image_becomes_a_job(void **state)
{
    char path[PATH_MAX];

    (void)state;
    small_path(path, SMALL_A, SMALL_V2);
    for (size_t i = 0; i < ARRAY_SIZE(fresh_kinds); i++) {
        struct migrate_ask wish = ask(fresh_kinds[i]);

        wish.verify = i > 0;
        wish.limit = 42;
        assert_int_equal(code_of(&wish), 0);
        assert_int_equal(job.kind, fresh_kinds[i]);
        assert_int_equal(job.limit, 42);
        assert_int_equal(job.verify, i > 0);
        assert_string_equal(job.vm, "");
        assert_string_equal(job.disks[0].target, "");
        assert_string_equal(job.disks[0].src_sd, SMALL_A);
        assert_string_equal(job.disks[0].dst_sd, SMALL_B);
        assert_string_equal(job.disks[0].img, SMALL_IMG);
        assert_string_equal(job.disks[0].leaf, SMALL_V2);
        assert_string_equal(job.disks[0].src_path, path);
        assert_int_equal(job.disks[0].capacity, 1 << 30);
        assert_true(migrate_ask_is(&wish, &job));
        wish.disks[0].to = small_id(SMALL_C, "");
        assert_false(migrate_ask_is(&wish, &job));
    }
}

static void image_needs_its_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fresh_kinds); i++) {
        struct migrate_ask wish = ask(fresh_kinds[i]);

        (void)str_copy(wish.disks[0].at.sd, UUID_SIZE, SMALL_C);
        refused(&wish, ERR_NO_DOMAIN, SMALL_C);
        wish = ask(fresh_kinds[i]);
        (void)str_copy(wish.disks[0].at.img, UUID_SIZE, SMALL_JOB);
        refused(&wish, ERR_NO_IMAGE, SMALL_JOB);
        wish = ask(fresh_kinds[i]);
        world.volumes[0].role = VOLUME_SHARED;
        refused(&wish, ERR_SOURCE_IMAGE, "template");
        world.volumes[0].role = VOLUME_INTERNAL;
        world.volumes[1].capacity = 4097;
        refused(&wish, ERR_SOURCE_IMAGE, "4097");
        world.volumes[1].capacity = 1 << 30;
    }
}

static void image_needs_a_free_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fresh_kinds); i++) {
        struct migrate_ask wish = ask(fresh_kinds[i]);

        (void)str_copy(wish.disks[0].to.sd, UUID_SIZE, SMALL_C);
        refused(&wish, ERR_NO_DOMAIN, SMALL_C);
        (void)str_copy(wish.disks[0].to.sd, UUID_SIZE, SMALL_A);
        refused(&wish, ERR_VALUE, "already");
        wish = ask(fresh_kinds[i]);
        world.b.status = DOMAIN_LEFT;
        refused(&wish, ERR_NO_DOMAIN, "new");
        world.b.status = DOMAIN_JOINED;
        world.b.read_only = true;
        refused(&wish, ERR_DOMAIN_ATTACHED, "new");
        world.b.read_only = false;
        small_copy(&world, SMALL_B, 1, VOLUME_ILLEGAL);
        refused(&wish, ERR_DESTINATION_IMAGE, "already");
        world.n_volumes--;
    }
}

static void copy_needs_space(void **state)
{
    struct migrate_ask wish = ask(JOB_COPY);

    (void)state;
    world.free_bytes = (3 << 20) - 1;
    refused(&wish, ERR_NO_SPACE, "3145728");
    world.free_bytes = 3 << 20;
    assert_int_equal(code_of(&wish), 0);
}

static void move_deletes_its_source(void **state)
{
    struct migrate_ask wish = ask(JOB_MOVE);

    (void)state;
    world.a.read_only = true;
    refused(&wish, ERR_DOMAIN_ATTACHED, "old");
    wish = ask(JOB_COPY);
    assert_int_equal(code_of(&wish), 0);
}

static void copy_needs_data_that_stays(void **state)
{
    struct migrate_ask wish = ask(JOB_COPY);

    (void)state;
    world.volumes[1].legality = VOLUME_ILLEGAL;
    refused(&wish, ERR_VOLUME_ILLEGAL, SMALL_V1);
    world.volumes[1].legality = VOLUME_LEGAL;
    world.n_vms = 1;
    refused(&wish, ERR_SOURCE_IMAGE, "VM web1 writes to");
    wish = ask(JOB_MOVE);
    refused(&wish, ERR_SOURCE_IMAGE, "VM web1 writes to");
    world.vms[0].info.state = VM_PAUSED;
    refused(&wish, ERR_SOURCE_IMAGE, "VM web1 writes to");
    world.vms[0].info.state = VM_SHUTOFF;
    assert_int_equal(code_of(&wish), 0);
    world.vms[0].info.state = VM_RUNNING;
    wish = ask(JOB_CLONE); /* the structure alone */
    assert_int_equal(code_of(&wish), 0);
}

static void doubt_is_no_permission(void **state)
{
    struct migrate_ask wish = ask(JOB_COPY);

    (void)state;
    world.n_vms = 1;
    world.storage_hangs = true;
    refused(&wish, ERR_SOURCE_IMAGE, "who has image");
    (void)str_copy(small_disk(&world)->path, PATH_MAX, "/dev/elsewhere");
    assert_int_equal(code_of(&wish), 0); /* cannot be it */
    world.libvirt_away = true;
    refused(&wish, ERR_NOT_RESPONDING, "away");
}

/* --- sync -------------------------------------------------------------- */

static struct migrate_ask sync_of(enum job_scope scope)
{
    struct migrate_ask wish = ask(JOB_SYNC);

    wish.scope = scope;
    return wish;
}

static void sync_needs_the_same_structure(void **state)
{
    struct migrate_ask wish = sync_of(JOB_ALL);

    (void)state;
    refused(&wish, ERR_DESTINATION_IMAGE, "no image");
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    assert_int_equal(code_of(&wish), 0);
    assert_int_equal(job.scope, JOB_ALL);
    assert_string_equal(job.disks[0].leaf, SMALL_V2);
    assert_false(job.disks[0].convert);
    world.volumes[4].id = small_id(SMALL_B, SMALL_V3);
    refused(&wish, ERR_DESTINATION_IMAGE, SMALL_V3);
    world.volumes[4] = world.volumes[5];
    world.n_volumes--;
    refused(&wish, ERR_DESTINATION_IMAGE, "and 2 on domain");
    (void)str_copy(wish.disks[0].to.sd, UUID_SIZE, SMALL_C);
    refused(&wish, ERR_NO_DOMAIN, SMALL_C);
}

static void sync_converts_the_base(void **state)
{
    struct migrate_ask wish = sync_of(JOB_INTERNAL);

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    small_volume(&world, SMALL_B, SMALL_V0)->format = VOLUME_COW;
    assert_int_equal(code_of(&wish), 0);
    assert_true(job.disks[0].convert);
    assert_true(job.disks[0].base_cow);
    assert_true(migrate_ask_is(&wish, &job));
    wish.scope = JOB_LEAF;
    assert_false(migrate_ask_is(&wish, &job));
}

/* What a VM writes to is not copied; the rest is. */
static void sync_beside_a_vm(void **state)
{
    struct migrate_ask all = sync_of(JOB_ALL), leaf = sync_of(JOB_LEAF),
                       internal = sync_of(JOB_INTERNAL);

    (void)state;
    world.n_vms = 1;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    refused(&all, ERR_SOURCE_IMAGE, "VM web1 writes to");
    refused(&leaf, ERR_SOURCE_IMAGE, "VM web1 writes to");
    assert_int_equal(code_of(&internal), 0);
    small_path(small_disk(&world)->path, SMALL_A, SMALL_V1); /* no snapshot */
    refused(&internal, ERR_SOURCE_IMAGE, "VM web1 writes to");
}

static void sync_beside_a_replica(void **state)
{
    struct migrate_ask leaf = sync_of(JOB_LEAF),
                       internal = sync_of(JOB_INTERNAL);

    (void)state;
    world.n_vms = 1;
    world.vms[0].disks[0].path[0] = '\0';
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    small_disk(&world)->mirror.present = true;
    small_path(small_disk(&world)->mirror.path, SMALL_B, SMALL_V2);
    refused(&leaf, ERR_DESTINATION_IMAGE, "VM web1 mirrors a disk to");
    assert_int_equal(code_of(&internal), 0);
}

static void sync_does_not_write_over_what_a_vm_has(void **state)
{
    struct migrate_ask internal = sync_of(JOB_INTERNAL);

    (void)state;
    world.n_vms = 1;
    small_copy(&world, SMALL_B, 3, VOLUME_LEGAL);
    small_path(small_disk(&world)->path, SMALL_B, SMALL_V2);
    refused(&internal, ERR_DESTINATION_IMAGE, "VM web1 runs on");
    world.vms[0].info.state = VM_SHUTOFF;
    refused(&internal, ERR_DESTINATION_IMAGE, "VM web1 is defined with");
}

/* --- a new sync copies again ------------------------------------------- */

/* One step of the job: its first act. */
static const struct job *first_step(struct migration **ret_migration)
{
    const struct migration_orders orders = { .cancel = false };

    assert_int_equal(migration_new(&world.ports, &job, ret_migration), 0);
    (void)migration_step(*ret_migration, &orders);
    return migration_job(*ret_migration);
}

static void check_renewed(enum job_scope scope, const char *marks)
{
    static const char *const vols[] = { SMALL_V0, SMALL_V1, SMALL_V2 };
    struct migrate_ask wish = sync_of(scope);
    struct migration *migration = NULL;

    world.n_volumes = 3;
    small_copy(&world, SMALL_B, 3, VOLUME_LEGAL);
    assert_int_equal(code_of(&wish), 0);
    assert_int_equal(world.marked, 0);
    assert_int_equal(first_step(&migration)->state, JOB_SYNCING);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(small_volume(&world, SMALL_B, vols[i])->legality,
                         marks[i] == 'x' ? VOLUME_ILLEGAL : VOLUME_LEGAL);
    migration_free(migration);
    world.marked = 0;
}

static void new_sync_takes_the_marks_away(void **state)
{
    (void)state;
    check_renewed(JOB_ALL, "xxx");
    check_renewed(JOB_INTERNAL, "xx-");
    check_renewed(JOB_LEAF, "--x");
}

static void new_sync_looks_again_who_has_it(void **state)
{
    struct migrate_ask wish = sync_of(JOB_INTERNAL);
    struct migration *migration = NULL;

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_LEGAL);
    assert_int_equal(code_of(&wish), 0);
    world.n_vms = 1; /* meanwhile */
    small_path(small_disk(&world)->path, SMALL_B, SMALL_V2);

    const struct job *now = first_step(&migration);

    assert_int_equal(now->state, JOB_FAILED);
    assert_int_equal(now->error.code, ERR_VOLUME_BUSY);
    assert_int_equal(world.marked, 0);
    migration_free(migration);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(image_becomes_a_job),
        TEST(image_needs_its_source),
        TEST(image_needs_a_free_place),
        TEST(copy_needs_space),
        TEST(move_deletes_its_source),
        TEST(copy_needs_data_that_stays),
        TEST(doubt_is_no_permission),
        TEST(sync_needs_the_same_structure),
        TEST(sync_converts_the_base),
        TEST(sync_beside_a_vm),
        TEST(sync_beside_a_replica),
        TEST(sync_does_not_write_over_what_a_vm_has),
        TEST(new_sync_takes_the_marks_away),
        TEST(new_sync_looks_again_who_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
