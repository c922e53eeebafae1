/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.snapshot, VM.merge and VM.diskReplicateStart: what becomes a job, and the
 * number of everything that speaks against it.
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
    return 0;
}

static struct migrate_ask ask(enum job_kind kind, const char *vol)
{
    struct migrate_ask ask = {
        .kind = kind, .job_id = SMALL_JOB, .vm = "web1", .n_disks = 1
    };

    ask.disks[0].at = small_id(SMALL_A, vol);
    return ask;
}

/* 0, or the error's number. */
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

/* --- replicate --------------------------------------------------------- */

static struct migrate_ask replicate(void)
{
    struct migrate_ask wish = ask(JOB_REPLICATE, SMALL_V2);

    wish.disks[0].to = small_id(SMALL_B, SMALL_V2);
    wish.limit = 77;
    wish.fast = true;
    return wish;
}

static void replica_is_a_job_that_knows_both_sides(void **state)
{
    struct migrate_ask wish = replicate();
    char path[PATH_MAX];

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    assert_int_equal(code_of(&wish), 0);
    assert_string_equal(job.id, SMALL_JOB);
    assert_int_equal(job.kind, JOB_REPLICATE);
    assert_int_equal(job.state, JOB_PLANNED);
    assert_string_equal(job.vm, SMALL_VM);
    assert_string_equal(job.vm_name, "web1");
    assert_int_equal(job.limit, 77);
    assert_true(job.fast);
    assert_int_equal(job.n_disks, 1);
    assert_string_equal(job.disks[0].target, "vda");
    assert_string_equal(job.disks[0].src_sd, SMALL_A);
    assert_string_equal(job.disks[0].dst_sd, SMALL_B);
    assert_string_equal(job.disks[0].img, SMALL_IMG);
    assert_string_equal(job.disks[0].leaf, SMALL_V2);
    assert_string_equal(job.disks[0].overlay, "");
    small_path(path, SMALL_A, SMALL_V2);
    assert_string_equal(job.disks[0].src_path, path);
    small_path(path, SMALL_B, SMALL_V2);
    assert_string_equal(job.disks[0].dst_path, path);
    assert_false(job.disks[0].convert);
    assert_int_equal(world.prepared, 1);
    assert_true(world.allowed_illegal);
}

static void replica_may_have_another_base(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    small_volume(&world, SMALL_B, SMALL_V0)->format = VOLUME_COW;
    assert_int_equal(code_of(&wish), 0);
    assert_true(job.disks[0].convert);
    assert_true(job.disks[0].base_cow);
}

static void replica_needs_the_vm_and_its_disk(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    (void)str_copy(wish.vm, sizeof(wish.vm), "web2");
    refused(&wish, ERR_NO_VM, "web2");
    wish = replicate();
    wish.disks[0].at = small_id(SMALL_A, SMALL_V1);
    refused(&wish, ERR_NO_DISK, SMALL_V1);
    wish.disks[0].at = small_id(SMALL_B, SMALL_V2);
    refused(&wish, ERR_NO_DISK, SMALL_B);
    world.vms[0].info.state = VM_SHUTOFF;
    wish = replicate();
    refused(&wish, ERR_NO_VM, "does not run");
    world.vm_lost = true;
    refused(&wish, ERR_NOT_RESPONDING, "runs unknown");
    world.libvirt_away = true;
    refused(&wish, ERR_NOT_RESPONDING, "away");
    assert_int_equal(world.prepared, 0);
}

static void replica_needs_a_disk_that_can_move(void **state)
{
    struct migrate_ask wish = replicate();
    struct vm_disk *disk = small_disk(&world);

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    disk->transient = true;
    refused(&wish, ERR_TRANSIENT, "transient");
    disk->transient = false;
    disk->read_only = true;
    refused(&wish, ERR_REPLICA, "read-only");
    disk->read_only = false;
    disk->shareable = true;
    refused(&wish, ERR_REPLICA, "shareable");
    disk->shareable = false;
    disk->job = true;
    refused(&wish, ERR_REPLICA, "block job");
    disk->job = false;
    (void)str_copy(disk->device, sizeof(disk->device), "cdrom");
    refused(&wish, ERR_REPLICA, "no disk");
}

static void replica_keeps_its_names(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    wish.disks[0].to = small_id(SMALL_B, SMALL_V1);
    refused(&wish, ERR_REPLICA, SMALL_V1);
    wish.disks[0].to = small_id(SMALL_B, SMALL_V2);
    (void)str_copy(wish.disks[0].to.img, UUID_SIZE, SMALL_JOB);
    refused(&wish, ERR_REPLICA, SMALL_JOB);
    wish.disks[0].to = small_id(SMALL_A, SMALL_V2);
    refused(&wish, ERR_REPLICA, "already");
}

static void replica_needs_its_destination(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    refused(&wish, ERR_REPLICA, "no image");
    (void)str_copy(wish.disks[0].to.sd, UUID_SIZE, SMALL_C);
    refused(&wish, ERR_REPLICA, SMALL_C);
    wish = replicate();
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    world.b.status = DOMAIN_MISSING;
    refused(&wish, ERR_REPLICA, "missing");
    world.b.status = DOMAIN_JOINED;
    world.b.read_only = true;
    refused(&wish, ERR_REPLICA, "read-only");
    world.b.read_only = false;
    (void)str_copy(world.b.class_name, sizeof(world.b.class_name), "Iso");
    refused(&wish, ERR_REPLICA, "Iso");
    (void)str_copy(world.b.class_name, sizeof(world.b.class_name), "Data");
    small_volume(&world, SMALL_B, SMALL_V2)->capacity = 4096;
    refused(&wish, ERR_REPLICA, "4096");
    small_volume(&world, SMALL_B, SMALL_V2)->capacity = 1 << 30;
    world.prepare_fails = true;
    refused(&wish, ERR_REPLICA, "no link");
}

static void replica_needs_the_same_chain(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    world.volumes[4].id = small_id(SMALL_B, SMALL_V3);
    refused(&wish, ERR_REPLICA, SMALL_V3);
    world.volumes[4] = world.volumes[5]; /* shorter */
    world.n_volumes--;
    refused(&wish, ERR_REPLICA, "and 2 on domain");
    assert_int_equal(world.prepared, 0);
}

static void replica_is_not_written_over_what_a_vm_has(void **state)
{
    struct migrate_ask wish = replicate();
    struct small_vm *other = &world.vms[1];

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_LEGAL);
    world.n_vms = 2;
    *other = world.vms[0];
    (void)str_copy(other->info.uuid, UUID_SIZE, SMALL_JOB);
    (void)str_copy(other->info.name, sizeof(other->info.name), "web2");
    small_path(other->disks[0].path, SMALL_B, SMALL_V2);
    refused(&wish, ERR_REPLICA, "VM web2 runs on");
    other->info.state = VM_SHUTOFF;
    refused(&wish, ERR_REPLICA, "VM web2 is defined with");
    other->info.state = VM_PAUSED;
    other->disks[0].path[0] = '\0';
    other->disks[0].mirror.present = true;
    small_path(other->disks[0].mirror.path, SMALL_B, SMALL_V2);
    refused(&wish, ERR_REPLICA, "VM web2 mirrors a disk to");
    other->disks[0].mirror.present = false;
    assert_int_equal(code_of(&wish), 0);
}

/* --- finish ------------------------------------------------------------ */

static int finish_code(void)
{
    err = (struct err)ERR_INIT;
    return migrate_check_finish(&world.ports, &job, &err) == 0 ? 0 : err.code;
}

static void finish_needs_a_mirror_and_what_is_below(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    assert_int_equal(code_of(&wish), 0);
    job.state = JOB_STARTING;
    assert_int_equal(finish_code(), ERR_NOT_READY);
    job.state = JOB_CONVERGING;
    assert_int_equal(finish_code(), ERR_REPLICA); /* it has died */
    world.mirror.job = true;
    assert_int_equal(finish_code(), ERR_NOT_READY);
    world.mirror.ready = true;
    assert_int_equal(finish_code(), ERR_VOLUME_ILLEGAL);
    assert_non_null(strstr(err.message, SMALL_V0));
    assert_non_null(strstr(err.next, "Image.syncData"));
    small_volume(&world, SMALL_B, SMALL_V0)->legality = VOLUME_LEGAL;
    assert_int_equal(finish_code(), ERR_VOLUME_ILLEGAL);
    assert_non_null(strstr(err.message, SMALL_V1));
    small_volume(&world, SMALL_B, SMALL_V1)->legality = VOLUME_LEGAL;
    assert_int_equal(finish_code(), 0); /* the leaf is the mirror's */
    world.libvirt_away = true;
    assert_int_equal(finish_code(), ERR_NOT_RESPONDING);
}

/* --- snapshot ---------------------------------------------------------- */

static struct migrate_ask snapshot(void)
{
    struct migrate_ask wish = ask(JOB_SNAPSHOT, SMALL_V2);

    memcpy(wish.disks[0].top, SMALL_V3, UUID_SIZE);
    return wish;
}

static struct volume_info *add_overlay(void)
{
    struct volume_info *volume = &world.volumes[world.n_volumes++];

    *volume = *small_volume(&world, SMALL_A, SMALL_V2);
    volume->id = small_id(SMALL_A, SMALL_V3);
    memcpy(volume->parent, SMALL_V2, UUID_SIZE);
    small_path(volume->path, SMALL_A, SMALL_V3);
    return volume;
}

static void snapshot_is_a_job(void **state)
{
    struct migrate_ask wish = snapshot();
    char path[PATH_MAX];

    (void)state;
    (void)add_overlay();
    wish.quiesce = true;
    assert_int_equal(code_of(&wish), 0);
    assert_int_equal(job.kind, JOB_SNAPSHOT);
    assert_true(job.quiesce);
    assert_string_equal(job.vm, SMALL_VM);
    assert_string_equal(job.disks[0].leaf, SMALL_V2);
    assert_string_equal(job.disks[0].overlay, SMALL_V3);
    assert_string_equal(job.disks[0].src_sd, SMALL_A);
    assert_string_equal(job.disks[0].dst_sd, "");
    small_path(path, SMALL_A, SMALL_V2);
    assert_string_equal(job.disks[0].src_path, path);
}

static void snapshot_that_was_taken_is_the_same_job(void **state)
{
    struct migrate_ask wish = snapshot();
    char path[PATH_MAX];

    (void)state;
    (void)add_overlay();
    small_path(small_disk(&world)->path, SMALL_A, SMALL_V3);
    small_volume(&world, SMALL_A, SMALL_V3)->role = VOLUME_INTERNAL;
    assert_int_equal(code_of(&wish), 0);
    small_path(path, SMALL_A, SMALL_V2);
    assert_string_equal(job.disks[0].src_path, path);
}

static void snapshot_needs_the_volume_below(void **state)
{
    struct migrate_ask wish = snapshot();

    (void)state;
    (void)add_overlay();
    wish.disks[0].at = small_id(SMALL_A, SMALL_V1);
    refused(&wish, ERR_SNAPSHOT, SMALL_V1);
    wish = snapshot();
    (void)str_copy(wish.disks[0].at.img, UUID_SIZE, SMALL_JOB);
    refused(&wish, ERR_SNAPSHOT, SMALL_JOB);
    wish = snapshot();
    (void)str_copy(wish.vm, sizeof(wish.vm), "web2");
    refused(&wish, ERR_NO_VM, "web2");
    wish = snapshot();
    world.vms[0].info.state = VM_SHUTOFF;
    refused(&wish, ERR_NO_VM, "does not run");
    world.vms[0].info.state = VM_RUNNING;
    small_disk(&world)->job = true;
    refused(&wish, ERR_SNAPSHOT, "block job");
    small_disk(&world)->job = false;
    small_disk(&world)->transient = true;
    refused(&wish, ERR_SNAPSHOT, "transient");
}

static void snapshot_needs_the_new_volume(void **state)
{
    struct migrate_ask wish = snapshot();
    struct volume_info *volume;

    (void)state;
    refused(&wish, ERR_SNAPSHOT, SMALL_V3);
    volume = add_overlay();
    memcpy(volume->parent, SMALL_V1, UUID_SIZE);
    refused(&wish, ERR_SNAPSHOT, "another parent");
    memcpy(volume->parent, SMALL_V2, UUID_SIZE);
    volume->format = VOLUME_RAW;
    refused(&wish, ERR_SNAPSHOT, "not COW");
    volume->format = VOLUME_COW;
    volume->legality = VOLUME_ILLEGAL;
    refused(&wish, ERR_SNAPSHOT, "not LEGAL");
    volume->legality = VOLUME_LEGAL;
    volume->role = VOLUME_INTERNAL;
    refused(&wish, ERR_SNAPSHOT, "has children");
    volume->role = VOLUME_LEAF;
    volume->capacity = 4096;
    refused(&wish, ERR_SNAPSHOT, "smaller");
}

static void snapshot_of_one_disk_twice_is_refused(void **state)
{
    struct migrate_ask wish = snapshot();

    (void)state;
    (void)add_overlay();
    wish.n_disks = 2;
    wish.disks[1] = wish.disks[0];
    refused(&wish, ERR_SNAPSHOT, "twice");
}

/* --- merge ------------------------------------------------------------- */

static struct migrate_ask merge(const char *base, const char *top)
{
    struct migrate_ask wish = ask(JOB_MERGE, SMALL_V2);

    memcpy(wish.disks[0].base, base, UUID_SIZE);
    memcpy(wish.disks[0].top, top, UUID_SIZE);
    return wish;
}

static void merge_is_a_job(void **state)
{
    struct migrate_ask wish = merge(SMALL_V1, SMALL_V2);
    char path[PATH_MAX];

    (void)state;
    wish.delete_top = true;
    assert_int_equal(code_of(&wish), 0);
    assert_int_equal(job.kind, JOB_MERGE);
    assert_true(job.delete_top);
    assert_string_equal(job.disks[0].leaf, SMALL_V1);
    assert_string_equal(job.disks[0].overlay, SMALL_V2);
    assert_string_equal(job.disks[0].target, "vda");
    small_path(path, SMALL_A, SMALL_V1);
    assert_string_equal(job.disks[0].src_path, path);
    wish = merge(SMALL_V0, SMALL_V1);
    assert_int_equal(code_of(&wish), 0);
}

static void merge_needs_two_neighbours(void **state)
{
    struct migrate_ask wish = merge(SMALL_V0, SMALL_V2);

    (void)state;
    refused(&wish, ERR_MERGE, "not right above");
    wish = merge(SMALL_V2, SMALL_V1);
    refused(&wish, ERR_MERGE, "not right above");
    wish = merge(SMALL_V1, SMALL_V1);
    refused(&wish, ERR_MERGE, "not right above");
    wish = merge(SMALL_V3, SMALL_V2);
    refused(&wish, ERR_MERGE, SMALL_V3);
    wish = merge(SMALL_V2, SMALL_V3);
    refused(&wish, ERR_MERGE, SMALL_V3);
}

static void merge_needs_the_vm_and_its_disk(void **state)
{
    struct migrate_ask wish = merge(SMALL_V1, SMALL_V2);

    (void)state;
    wish.disks[0].at = small_id(SMALL_A, SMALL_V1);
    refused(&wish, ERR_NO_DISK, SMALL_V1);
    wish = merge(SMALL_V1, SMALL_V2);
    (void)str_copy(wish.vm, sizeof(wish.vm), SMALL_JOB);
    refused(&wish, ERR_NO_VM, SMALL_JOB);
    wish = merge(SMALL_V1, SMALL_V2);
    small_disk(&world)->job = true;
    refused(&wish, ERR_MERGE, "block job");
}

static void merge_does_not_change_what_others_need(void **state)
{
    struct migrate_ask wish = merge(SMALL_V1, SMALL_V2);

    (void)state;
    small_volume(&world, SMALL_A, SMALL_V1)->role = VOLUME_SHARED;
    refused(&wish, ERR_MERGE, "template");
    small_volume(&world, SMALL_A, SMALL_V1)->role = VOLUME_INTERNAL;
    small_volume(&world, SMALL_A, SMALL_V1)->legality = VOLUME_ILLEGAL;
    refused(&wish, ERR_MERGE, "ILLEGAL");
}

static void merge_into_a_smaller_raw_base_needs_the_leaf(void **state)
{
    struct migrate_ask wish = merge(SMALL_V0, SMALL_V1);

    (void)state;
    small_volume(&world, SMALL_A, SMALL_V0)->capacity = 4096;
    refused(&wish, ERR_TOO_SMALL, "4096");
    assert_non_null(strstr(err.next, "Volume.extendSize"));
    world.n_volumes = 2; /* SMALL_V1 is the leaf */
    small_path(small_disk(&world)->path, SMALL_A, SMALL_V1);
    wish.disks[0].at = small_id(SMALL_A, SMALL_V1);
    assert_int_equal(code_of(&wish), 0);
}

/* --- repetition -------------------------------------------------------- */

static void request_knows_its_job(void **state)
{
    struct migrate_ask wish = merge(SMALL_V1, SMALL_V2);

    (void)state;
    assert_int_equal(code_of(&wish), 0);
    assert_true(migrate_ask_is(&wish, &job));
    (void)str_copy(wish.vm, sizeof(wish.vm), SMALL_VM);
    assert_true(migrate_ask_is(&wish, &job));
    wish.limit = 5; /* may have been changed since */
    assert_true(migrate_ask_is(&wish, &job));
    wish.delete_top = true;
    assert_false(migrate_ask_is(&wish, &job));
    wish = merge(SMALL_V0, SMALL_V1);
    assert_false(migrate_ask_is(&wish, &job));
    wish = merge(SMALL_V1, SMALL_V2);
    (void)str_copy(wish.vm, sizeof(wish.vm), "web2");
    assert_false(migrate_ask_is(&wish, &job));
    wish = merge(SMALL_V1, SMALL_V2);
    (void)str_copy(wish.disks[0].at.sd, UUID_SIZE, SMALL_B);
    assert_false(migrate_ask_is(&wish, &job));
    wish = snapshot();
    assert_false(migrate_ask_is(&wish, &job));
}

static void replica_knows_its_job_whatever_the_base_became(void **state)
{
    struct migrate_ask wish = replicate();

    (void)state;
    small_copy(&world, SMALL_B, 3, VOLUME_ILLEGAL);
    small_volume(&world, SMALL_B, SMALL_V0)->format = VOLUME_COW;
    assert_int_equal(code_of(&wish), 0);
    assert_true(migrate_ask_is(&wish, &job));
    (void)str_copy(wish.disks[0].to.sd, UUID_SIZE, SMALL_C);
    assert_false(migrate_ask_is(&wish, &job));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replica_is_a_job_that_knows_both_sides),
        TEST(replica_may_have_another_base),
        TEST(replica_needs_the_vm_and_its_disk),
        TEST(replica_needs_a_disk_that_can_move),
        TEST(replica_keeps_its_names),
        TEST(replica_needs_its_destination),
        TEST(replica_needs_the_same_chain),
        TEST(replica_is_not_written_over_what_a_vm_has),
        TEST(finish_needs_a_mirror_and_what_is_below),
        TEST(snapshot_is_a_job),
        TEST(snapshot_that_was_taken_is_the_same_job),
        TEST(snapshot_needs_the_volume_below),
        TEST(snapshot_needs_the_new_volume),
        TEST(snapshot_of_one_disk_twice_is_refused),
        TEST(merge_is_a_job),
        TEST(merge_needs_two_neighbours),
        TEST(merge_needs_the_vm_and_its_disk),
        TEST(merge_does_not_change_what_others_need),
        TEST(merge_into_a_smaller_raw_base_needs_the_leaf),
        TEST(request_knows_its_job),
        TEST(replica_knows_its_job_whatever_the_base_became),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
