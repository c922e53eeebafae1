/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which jobs may run at the same time.
 */
#include "../../../src/migrate/clash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define VM   "77777777-0000-4000-8000-000000000006"
#define IMG  "11111111-0000-4000-8000-000000000004"
#define IMG2 "11111111-0000-4000-8000-000000000005"
#define A    "aaaaaaaa-0000-4000-8000-000000000001"
#define B    "bbbbbbbb-0000-4000-8000-000000000002"

static struct job job_of(enum job_kind kind, const char *vm, const char *img)
{
    struct job job;

    job_init(&job, IMG, kind, 0);
    job.n_disks = 1;
    (void)str_copy(job.vm, UUID_SIZE, vm);
    (void)str_copy(job.disks[0].img, UUID_SIZE, img);
    (void)str_copy(job.disks[0].dst_sd, UUID_SIZE, B);
    (void)str_copy(job.disks[0].target, sizeof(job.disks[0].target),
                   *vm ? "vda" : "");
    return job;
}

static bool clashes(const struct job *wish, const struct job *job)
{
    return clash_find(wish, job, false) != NULL;
}

static void an_image_has_one_job(void **state)
{
    (void)state;
    for (int a = 0; a < JOB_KIND_COUNT; a++) {
        for (int b = 0; b < JOB_KIND_COUNT; b++) {
            const struct job x = job_of((enum job_kind)a, "", IMG);
            const struct job y = job_of((enum job_kind)b, "", IMG);
            const struct job other = job_of((enum job_kind)b, "", IMG2);

            if (a != JOB_COPY_DATA || a != b) /* a sync here is of all */
                assert_true(clashes(&x, &y));
            assert_false(clashes(&x, &other));
        }
    }
}

static struct job copy_of(const char *img, const char *dst_img,
                          const char *path)
{
    struct job job = job_of(JOB_COPY_DATA, "", img);
    struct job_disk *disk = &job.disks[0];

    (void)str_copy(disk->dst_img, UUID_SIZE, dst_img);
    (void)str_copy(disk->dst_path, sizeof(disk->dst_path), path);
    if (!dst_img[0])
        disk->dst_sd[0] = '\0';
    return job;
}

static void copies_may_share_their_source_only(void **state)
{
    const struct job out = copy_of(IMG, "", "/a");
    const struct job same = copy_of(IMG, "", "/b");
    const struct job onto = copy_of(IMG2, "", "/a");
    const struct job into = copy_of(IMG2, IMG, "/c");
    const struct job other = copy_of(IMG, IMG2, "/d");
    const struct job more = copy_of(IMG, IMG2, "/e");
    const struct job update = job_of(JOB_UPDATE, "", IMG2);
    struct job from = job_of(JOB_COPY_DATA, "", "");

    (void)state;
    from.disks[0].src_sd[0] = '\0';
    (void)str_copy(from.disks[0].src_path, sizeof(from.disks[0].src_path),
                   "/a");
    assert_false(clashes(&out, &same));
    assert_false(clashes(&out, &other));
    assert_true(clashes(&out, &onto));
    assert_true(clashes(&out, &into));
    assert_true(clashes(&into, &out));
    assert_true(clashes(&other, &more));
    assert_true(clashes(&update, &other));
    assert_true(clashes(&other, &update));
    assert_true(clashes(&from, &out));
    assert_true(clashes(&out, &from));
    assert_false(clashes(&from, &same));
}

static void layers_below_a_replica_may_be_copied(void **state)
{
    struct job copy = copy_of(IMG, IMG, "/a");
    struct job replica = job_of(JOB_REPLICATE, VM, IMG);

    (void)state;
    (void)str_copy(copy.disks[0].dst_vol, UUID_SIZE, A);
    (void)str_copy(replica.disks[0].leaf, UUID_SIZE, B);
    assert_false(clashes(&copy, &replica));
    assert_true(clash_fills(&copy, &replica));
    (void)str_copy(copy.disks[0].dst_vol, UUID_SIZE, B);
    assert_true(clashes(&copy, &replica));
}

static void a_disk_has_one_job(void **state)
{
    struct job x = job_of(JOB_MERGE, VM, IMG);
    struct job y = job_of(JOB_DISK_MIGRATE, VM, IMG2);

    (void)state;
    assert_ptr_equal(clash_find(&x, &y, false), &x.disks[0]);
    (void)str_copy(y.disks[0].target, sizeof(y.disks[0].target), "vdb");
    assert_false(clashes(&x, &y));
    y.n_disks = 2;
    y.disks[1] = x.disks[0];
    (void)str_copy(y.disks[1].img, UUID_SIZE, "");
    assert_true(clashes(&x, &y));
    (void)str_copy(y.vm, UUID_SIZE, IMG); /* another VM's vda */
    assert_false(clashes(&x, &y));
}

/* The pair that an engine's move needs, in either order. */
static void a_replica_may_be_filled_below(void **state)
{
    struct job replica = job_of(JOB_REPLICATE, VM, IMG);
    struct job sync = job_of(JOB_SYNC, "", IMG);

    (void)state;
    sync.scope = JOB_INTERNAL;
    assert_false(clashes(&sync, &replica));
    assert_false(clashes(&replica, &sync));
    sync.scope = JOB_ALL; /* the leaf is the mirror's */
    assert_true(clashes(&sync, &replica));
    sync.scope = JOB_LEAF;
    assert_true(clashes(&sync, &replica));
    sync.scope = JOB_INTERNAL;
    (void)str_copy(sync.disks[0].dst_sd, UUID_SIZE, A);
    assert_true(clashes(&sync, &replica));
}

static void a_replica_that_pivots_is_left_alone(void **state)
{
    struct job replica = job_of(JOB_REPLICATE, VM, IMG);
    struct job sync = job_of(JOB_SYNC, "", IMG);

    (void)state;
    sync.scope = JOB_INTERNAL;
    assert_non_null(clash_find(&sync, &replica, true)); /* ordered just now */
    replica.finish_requested = true;
    assert_true(clashes(&sync, &replica));
    assert_true(clash_fills(&sync, &replica));
    (void)str_copy(sync.disks[0].img, UUID_SIZE, IMG2);
    assert_false(clash_fills(&sync, &replica));
    sync = job_of(JOB_CLONE, "", IMG);
    assert_false(clash_fills(&sync, &replica));
}

static void a_template_is_made_by_one_job(void **state)
{
    struct job x = job_of(JOB_VM_RECEIVE, VM, IMG);
    struct job y = job_of(JOB_VM_RECEIVE, A, IMG2);

    (void)state;
    (void)str_copy(x.disks[0].template_img, UUID_SIZE, B);
    (void)str_copy(y.disks[0].template_img, UUID_SIZE, B);
    assert_false(clashes(&x, &y)); /* it is there */
    x.disks[0].template_absent = true;
    assert_false(clashes(&x, &y));
    assert_false(clashes(&y, &x));
    y.disks[0].template_absent = true;
    assert_true(clashes(&x, &y));
    (void)str_copy(y.disks[0].template_img, UUID_SIZE, A);
    assert_false(clashes(&x, &y));
    (void)str_copy(y.disks[0].template_img, UUID_SIZE, B);
    (void)str_copy(y.disks[0].dst_sd, UUID_SIZE, A);
    assert_false(clashes(&x, &y));
}

static void it_is_said_who_is_in_the_way(void **state)
{
    const struct job replica = job_of(JOB_REPLICATE, VM, IMG);
    const struct job sync = job_of(JOB_SYNC, "", IMG);
    struct err err = ERR_INIT;

    (void)state;
    (void)clash_say(&replica, &replica.disks[0], &sync, &err);
    assert_int_equal(err.code, ERR_DISK_BUSY);
    assert_non_null(strstr(err.message, "vda"));
    assert_non_null(strstr(err.next, sync.id));
    err = (struct err)ERR_INIT;
    (void)clash_say(&sync, &sync.disks[0], &replica, &err);
    assert_non_null(strstr(err.message, IMG));
    err = (struct err)ERR_INIT;
    assert_true(clash_say_filling(&sync, &replica, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_has_one_job),
        cmocka_unit_test(copies_may_share_their_source_only),
        cmocka_unit_test(layers_below_a_replica_may_be_copied),
        cmocka_unit_test(a_disk_has_one_job),
        cmocka_unit_test(a_replica_may_be_filled_below),
        cmocka_unit_test(a_replica_that_pivots_is_left_alone),
        cmocka_unit_test(a_template_is_made_by_one_job),
        cmocka_unit_test(it_is_said_who_is_in_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
