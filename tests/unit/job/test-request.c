/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * New records, and which requests are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dray/job.h>

static struct job a_job(void)
{
    static const struct job_disk disk = {
        .target = "vda",
        .src_sd = "22222222-2222-4222-8222-222222222222",
        .dst_sd = "33333333-3333-4333-8333-333333333333",
        .img = "44444444-4444-4444-8444-444444444444",
        .leaf = "55555555-5555-4555-8555-555555555555",
        .src_path = "/a/leaf",
    };
    struct job job;

    job_init(&job, "66666666-6666-4666-8666-666666666666", JOB_DISK_MIGRATE,
             1234);
    (void)str_copy(job.vm, UUID_SIZE, "11111111-1111-4111-8111-111111111111");
    job.n_disks = 2;
    job.disks[0] = job.disks[1] = disk;
    job.disks[1].img[0] = '5';
    return job;
}

static void init_makes_a_planned_record(void **state)
{
    struct job job;

    (void)state;
    memset(&job, 0xa5, sizeof(job));
    job_init(&job, "66666666-6666-4666-8666-666666666666", JOB_MERGE, 1234);
    assert_string_equal(job.id, "66666666-6666-4666-8666-666666666666");
    assert_int_equal(job.kind, JOB_MERGE);
    assert_int_equal(job.state, JOB_PLANNED);
    assert_int_equal(job.n_disks, 0);
    assert_int_equal(job.limit, 0);
    assert_int_equal(job.created_ms, 1234);
    assert_int_equal(job.modified_ms, 1234);
    assert_int_equal(job.ended_ms, 0);
    assert_int_equal(job.progress.eta_s, -1);
    assert_int_equal(job.progress.pause_us, -1);
    assert_int_equal(job.progress.quiet_write_us, -1);
    assert_int_equal(job.progress.write_us, -1);
    assert_false(job.suspended || job.cancel_requested || job.undo);
    assert_int_equal(job.error.rc, 0);
}

static void what_was_asked_makes_the_same_request(void **state)
{
    const struct job a = a_job();
    struct job b = a_job();

    (void)state;
    assert_true(job_same_request(&a, &b));
    b.limit = 99;
    b.state = JOB_DONE;
    b.undo = b.suspended = b.cancel_requested = true;
    b.disks[1].base_cow = true; /* says nothing without convert */
    (void)str_copy(b.disks[0].src_sd, UUID_SIZE, b.disks[0].dst_sd);
    (void)str_copy(b.disks[0].src_path, JOB_PATH_SIZE, "/b/leaf");
    (void)str_copy(b.disks[0].dst_path, JOB_PATH_SIZE, "/b/leaf");
    assert_true(job_same_request(&a, &b));
}

static void any_other_wish_is_another_request(void **state)
{
    const struct job a = a_job();
    struct job b;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        b = a_job();
        char *const id[] = { b.id, b.vm, b.disks[1].img, b.disks[1].dst_sd };

        id[i][0] ^= 1;
        assert_false(job_same_request(&a, &b));
        assert_false(job_same_request(&b, &a));
    }
    for (size_t i = 0; i < 4; i++) {
        b = a_job();
        bool *const flag[] = { &b.keep_source, &b.verify, &b.disks[1].convert,
                               &b.delete_top };

        *flag[i] = true;
        assert_false(job_same_request(&a, &b));
    }
    b = a_job();
    b.n_disks = 1;
    assert_false(job_same_request(&a, &b));
    b = a_job();
    b.kind = JOB_REPLICATE;
    assert_false(job_same_request(&a, &b));
    b = a_job();
    b.scope = JOB_LEAF;
    assert_false(job_same_request(&a, &b));
}

static void base_format_counts_when_conversion_is_asked(void **state)
{
    struct job a = a_job();
    struct job b = a_job();

    (void)state;
    a.disks[0].convert = b.disks[0].convert = true;
    assert_true(job_same_request(&a, &b));
    b.disks[0].base_cow = true;
    assert_false(job_same_request(&a, &b));
}

/* Outside of all domains the path is the place. */
static void the_path_counts_outside_of_domains(void **state)
{
    struct job a = a_job();
    struct job b = a_job();

    (void)state;
    a.disks[1].dst_sd[0] = b.disks[1].dst_sd[0] = '\0';
    (void)str_copy(a.disks[1].dst_path, JOB_PATH_SIZE, "/out/a");
    (void)str_copy(b.disks[1].dst_path, JOB_PATH_SIZE, "/out/b");
    assert_false(job_same_request(&a, &b));
    (void)str_copy(b.disks[1].dst_path, JOB_PATH_SIZE, "/out/a");
    assert_true(job_same_request(&a, &b));
}

static void a_lease_that_was_asked_for_counts(void **state)
{
    struct job a = a_job();
    struct job b = a_job();

    (void)state;
    a.kind = b.kind = JOB_COPY_DATA;
    (void)str_copy(b.data.dst.lease, UUID_SIZE, b.id);
    assert_false(job_same_request(&a, &b));
    b.data.lease_made = true; /* by the job itself */
    assert_true(job_same_request(&a, &b));
    assert_true(job_same_request(&b, &a));
    (void)str_copy(b.data.src.lease, UUID_SIZE, b.id);
    assert_false(job_same_request(&a, &b));
}

static void finds_the_disk_of_an_image(void **state)
{
    struct job job = a_job();

    (void)state;
    assert_ptr_equal(job_disk_of_image(&job, job.disks[1].img), &job.disks[1]);
    assert_null(job_disk_of_image(&job, job.id));
    job.disks[0].img[0] = '\0';
    assert_null(job_disk_of_image(&job, "")); /* none is no name */
}

static void a_place_outside_makes_a_disk_flat(void **state)
{
    struct job job = a_job();

    (void)state;
    assert_false(job_disk_is_flat(&job.disks[0]));
    job.disks[0].src_sd[0] = '\0';
    assert_true(job_disk_is_flat(&job.disks[0]));
    job.disks[1].dst_sd[0] = '\0';
    assert_true(job_disk_is_flat(&job.disks[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_makes_a_planned_record),
        cmocka_unit_test(what_was_asked_makes_the_same_request),
        cmocka_unit_test(any_other_wish_is_another_request),
        cmocka_unit_test(base_format_counts_when_conversion_is_asked),
        cmocka_unit_test(the_path_counts_outside_of_domains),
        cmocka_unit_test(a_lease_that_was_asked_for_counts),
        cmocka_unit_test(finds_the_disk_of_an_image),
        cmocka_unit_test(a_place_outside_makes_a_disk_flat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
