/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Byte copies of real files: content, holes, limit, stop, errors.
 */
#include "copying.h"
#include <dray/base/util.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The promise to users: not over 2 % more; a block or two on tiny files. */
static void assert_holes_kept(const struct copying *t)
{
    uint64_t before = allocated_bytes(t->spec.src_path);
    uint64_t after = allocated_bytes(t->spec.dst_path);
    assert_in_range(after, 0, before + before / 50 + 8 * KIB);
}

static void check_copy(struct copying *t)
{
    make_file(t->spec.dst_path, 0);
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_holes_kept(t);
}

static void copies_an_empty_file(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 0);
    check_copy(t);
}

static void copies_odd_sizes(void **state)
{
    struct copying *t = *state;
    const uint64_t sizes[] = { 1,    511,   512,         4095,    4096,
                               4097, 65537, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        make_file(t->spec.src_path, sizes[i]);
        put_data(t->spec.src_path, 0, sizes[i], (unsigned)i);
        check_copy(t);
    }
}

static void keeps_holes_at_both_ends(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 64 * MIB);
    put_data(t->spec.src_path, 20 * MIB, 5 * MIB, 1);
    put_data(t->spec.src_path, 40 * MIB + 4096, 4096, 2);
    check_copy(t);
    assert_in_range(allocated_bytes(t->spec.dst_path), 5 * MIB, 6 * MIB);
}

static void copies_a_file_that_is_one_hole(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 64 * MIB + 3);
    check_copy(t);
    assert_int_equal(allocated_bytes(t->spec.dst_path), 0);
}

static void copies_beyond_four_gib(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 5ULL * 1024 * MIB + 7);
    put_data(t->spec.src_path, 4ULL * 1024 * MIB - 4096, 8192, 3);
    put_data(t->spec.src_path, 5ULL * 1024 * MIB, 7, 4);
    check_copy(t);
}

static void copies_random_layouts(void **state)
{
    struct copying *t = *state;
    unsigned seed = 20240917;
    for (unsigned round = 0; round < 25; round++) {
        uint64_t size = 1 + (uint64_t)rand_r(&seed) % (6 * MIB);
        make_file(t->spec.src_path, size);
        for (int n = rand_r(&seed) % 8; n > 0; n--) {
            uint64_t at = (uint64_t)rand_r(&seed) % size;
            uint64_t len = 1 + (uint64_t)rand_r(&seed) % (256 * KIB);
            if (len > size - at)
                len = size - at;
            put_data(t->spec.src_path, at, len, seed);
        }
        check_copy(t);
    }
}

static void replaces_what_the_destination_held(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 3 * MIB);
    put_data(t->spec.src_path, MIB, 4096, 1);
    make_file(t->spec.dst_path, 9 * MIB);
    put_data(t->spec.dst_path, 0, 9 * MIB, 2);
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_holes_kept(t);
}

static void preallocated_space_stays(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 8 * MIB);
    put_data(t->spec.src_path, 2 * MIB, MIB, 1);
    make_file(t->spec.dst_path, 0);
    int fd = open(t->spec.dst_path, O_RDWR | O_CLOEXEC);
    int rc = fallocate(fd, 0, 0, 8 * MIB);
    close(fd);
    if (rc < 0)
        skip(); /* this file system has no preallocation */
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_true(allocated_bytes(t->spec.dst_path) >= 8 * MIB);
}

static void counts_only_data_as_progress(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 64 * MIB);
    put_data(t->spec.src_path, 8 * MIB, 2 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    struct copy *copy = start_copy(t);
    run_until(t, copy, time_now_ms(), 30000);
    struct copy_progress progress = look(t, copy);
    t->port.ops->close(t->port.ctx, copy);
    assert_true(progress.finished);
    assert_int_equal(progress.total, 2 * MIB);
    assert_int_equal(progress.done, progress.total);
}

static void a_limit_is_kept_and_can_be_lifted(void **state)
{
    struct copying *t = *state;
    const uint64_t limit = 8 * MIB;
    make_file(t->spec.src_path, 64 * MIB);
    put_data(t->spec.src_path, 0, 64 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    t->spec.bytes_per_s = limit;
    int64_t since_ms = time_now_ms();
    struct copy *copy = start_copy(t);
    run_until(t, copy, since_ms, 2000);
    uint64_t done = look(t, copy).done;
    uint64_t due = limit * (uint64_t)(time_now_ms() - since_ms) / 1000;
    /* One chunk is always ahead. Below: a busy machine may hold us up. */
    assert_in_range(done, due / 3, due + due / 5 + MIB);

    t->port.ops->limit(t->port.ctx, copy, 64 * KIB); /* 12 more minutes */
    t->port.ops->limit(t->port.ctx, copy, 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, copy, &err), 0);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
}

static void a_limit_can_be_set_while_it_runs(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 64 * MIB);
    put_data(t->spec.src_path, 0, 64 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    t->spec.bytes_per_s = MIB;
    struct copy *copy = start_copy(t);
    t->port.ops->limit(t->port.ctx, copy, 16 * MIB);
    int64_t since_ms = time_now_ms();
    run_until(t, copy, since_ms, 1500);
    uint64_t done = look(t, copy).done;
    uint64_t due = 16 * MIB * (uint64_t)(time_now_ms() - since_ms) / 1000;
    t->port.ops->close(t->port.ctx, copy);
    assert_in_range(done, due / 3, due + due / 5 + 4 * MIB);
}

static void close_stops_in_the_middle(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 32 * MIB);
    put_data(t->spec.src_path, 0, 32 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    t->spec.bytes_per_s = MIB;
    struct copy *copy = start_copy(t);
    while (look(t, copy).done == 0)
        run_until(t, copy, time_now_ms(), 5);
    int64_t before_ms = time_now_ms();
    t->port.ops->close(t->port.ctx, copy);
    assert_in_range(time_now_ms() - before_ms, 0, 5000);
    assert_in_range(allocated_bytes(t->spec.dst_path), 1, 24 * MIB);
}

static void names_what_is_missing(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.dst_path, 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -ENOENT);
    assert_non_null(strstr(err.message, t->spec.src_path));
    assert_non_null(strstr(err.message, "No such file"));
}

static void a_missing_destination_is_not_made(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, MIB);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -ENOENT);
    assert_non_null(strstr(err.message, t->spec.dst_path));
    assert_int_equal(access(t->spec.dst_path, F_OK), -1);
}

static void refuses_a_link_as_destination(void **state)
{
    struct copying *t = *state;
    char precious[PATH_MAX];
    str_format(precious, sizeof(precious), "%s/precious", t->dir);
    make_file(t->spec.src_path, MIB);
    make_file(precious, 0);
    put_data(precious, 0, 100, 1);
    assert_int_equal(symlink(precious, t->spec.dst_path), 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -ELOOP);
    assert_true(allocated_bytes(precious) > 0);
}

static void refuses_to_copy_a_file_onto_itself(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 0);
    put_data(t->spec.src_path, 0, 100, 1);
    assert_int_equal(link(t->spec.src_path, t->spec.dst_path), 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EINVAL);
    assert_true(allocated_bytes(t->spec.src_path) > 0);
}

static void refuses_what_is_no_file(void **state)
{
    struct copying *t = *state;
    assert_int_equal(mkfifo(t->spec.src_path, 0600), 0);
    make_file(t->spec.dst_path, 0);
    struct err err = ERR_INIT;
    assert_true(finish_copy(t, start_copy(t), &err) < 0);
    assert_non_null(strstr(err.message, t->spec.src_path));
}

static void reports_a_failing_write(void **state)
{
    struct copying *t = *state;
    struct rlimit before, low = { 0 };
    make_file(t->spec.src_path, 4 * MIB);
    put_data(t->spec.src_path, 0, 4 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    struct err err = ERR_INIT;
    int rc = finish_copy(t, start_copy(t), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.message, t->spec.dst_path));
}

/* In a child with a mount namespace of its own: a file system of 2 MiB. */
static int copy_to_small_storage(void)
{
    if (unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/mnt", "tmpfs", 0, "size=2m") < 0)
        return SKIP_STATUS;
    struct copying t = { 0 };
    struct copying small = { 0 };
    copying_init(&t, "/var/tmp");
    copying_init(&small, "/mnt");
    make_file(t.spec.src_path, 4 * MIB);
    put_data(t.spec.src_path, 0, MIB, 1);
    str_copy(t.spec.dst_path, PATH_MAX, small.spec.dst_path);
    make_file(t.spec.dst_path, 0);
    copy_all(&t); /* memory has no direct I/O: through the page cache */
    assert_same_content(t.spec.src_path, t.spec.dst_path);

    put_data(t.spec.src_path, 0, 4 * MIB, 2);
    struct err err = ERR_INIT;
    int rc = finish_copy(&t, start_copy(&t), &err);
    copying_deinit(&small);
    copying_deinit(&t);
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_true(err.next[0]);
    return 0;
}

static void a_full_storage_gets_its_own_number(void **state)
{
    (void)state;
    in_a_child(copy_to_small_storage); /* needs the right to mount */
}

/* Data among zeros that were written: space for the data only. */
static void written_zeros_become_holes(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 0);
    put_zeros(t->spec.src_path, 0, 24 * MIB + 100);
    put_data(t->spec.src_path, 5 * MIB, 4096, 1);
    put_data(t->spec.src_path, 9 * MIB + 4096, 2 * MIB, 2);
    put_data(t->spec.src_path, 24 * MIB + 99, 1, 3);
    check_copy(t);
    assert_in_range(allocated_bytes(t->spec.dst_path), 2 * MIB + 8 * KIB,
                    2 * MIB + 256 * KIB);
}

/* Hundreds of chunks, with the last one cut. */
static void copies_more_than_is_in_flight(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 100 * MIB + 12345);
    put_data(t->spec.src_path, 0, 40 * MIB, 1);
    put_data(t->spec.src_path, 41 * MIB, 59 * MIB + 12345, 2);
    check_copy(t);
}

static void the_destination_keeps_its_inode(void **state)
{
    struct copying *t = *state;
    struct stat before, after;
    make_file(t->spec.src_path, MIB);
    put_data(t->spec.src_path, 0, MIB, 1);
    make_file(t->spec.dst_path, 0);
    assert_int_equal(stat(t->spec.dst_path, &before), 0);
    copy_all(t);
    assert_int_equal(stat(t->spec.dst_path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_source_that_shrinks_is_an_error(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 32 * MIB);
    put_data(t->spec.src_path, 0, 32 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    struct copy *copy = NULL;
    (void)start_held(t, &copy);
    assert_int_equal(truncate(t->spec.src_path, 20 * MIB + 5), 0);
    t->port.ops->limit(t->port.ctx, copy, 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, copy, &err), -EIO);
    assert_non_null(strstr(err.message, "shrank"));
    assert_non_null(strstr(err.message, t->spec.src_path));
}

/* So much that its map shows a hole instead. */
static void a_source_that_loses_data_unseen_is_an_error(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 64 * MIB);
    put_data(t->spec.src_path, 0, MIB, 1);
    put_data(t->spec.src_path, 60 * MIB, MIB, 1);
    make_file(t->spec.dst_path, 0);
    struct copy *copy = NULL;
    (void)start_held(t, &copy);
    assert_int_equal(truncate(t->spec.src_path, 30 * MIB), 0);
    t->port.ops->limit(t->port.ctx, copy, 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, copy, &err), -EIO);
    assert_non_null(strstr(err.message, "shrank"));
}

static void close_stops_at_once_at_full_speed(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 256 * MIB);
    put_data(t->spec.src_path, 0, 256 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    struct copy *copy = start_copy(t);
    while (look(t, copy).done == 0)
        (void)poll(NULL, 0, 1);
    t->port.ops->close(t->port.ctx, copy);
    uint64_t after = allocated_bytes(t->spec.dst_path);
    assert_in_range(after, 1, 255 * MIB);
    (void)poll(NULL, 0, 50);
    assert_int_equal(allocated_bytes(t->spec.dst_path), after);
}

/* As in a container whose filter knows no io_uring. */
static int copy_without_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return SKIP_STATUS;
    struct copying t = { 0 };
    copying_init(&t, "/var/tmp");
    make_file(t.spec.src_path, 64 * MIB + 77);
    put_data(t.spec.src_path, 3 * MIB, 50 * MIB, 1);
    put_data(t.spec.src_path, 64 * MIB, 77, 2);
    check_copy(&t);
    t.spec.task = COPY_COMPARE;
    copy_all(&t);
    t.spec.task = COPY_DATA;
    interrupt_copy(&t);
    copy_all(&t);
    assert_same_content(t.spec.src_path, t.spec.dst_path);
    copying_deinit(&t);
    return 0;
}

static void works_where_io_uring_is_forbidden(void **state)
{
    (void)state;
    in_a_child(copy_without_uring);
}

/* May write so often, and never again. */
static bool count_down(void *arg)
{
    return atomic_fetch_sub((_Atomic int *)arg, 1) > 0;
}

/* Each write is asked for, also when its data was read long before. */
static void nothing_is_written_without_the_right_to(void **state)
{
    struct copying *t = *state;
    static _Atomic int left;
    static const struct copier_guard guard = { .may_write = count_down,
                                               .arg = (void *)&left };
    struct err err = ERR_INIT;

    copier_set_guard(t->copier, &guard);
    make_file(t->spec.src_path, 32 * MIB);
    put_data(t->spec.src_path, 0, 32 * MIB, 1);
    for (int times = 0; times < 5; times++) {
        make_file(t->spec.dst_path, 0);
        atomic_store(&left, times);
        assert_int_equal(finish_copy(t, start_copy(t), &err), -ECANCELED);
        assert_true(allocated_bytes(t->spec.dst_path) <= (uint64_t)times * MIB);
        err_clear(&err);
    }
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, copying_setup, copying_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_an_empty_file),
        TEST(copies_odd_sizes),
        TEST(keeps_holes_at_both_ends),
        TEST(copies_a_file_that_is_one_hole),
        TEST(copies_beyond_four_gib),
        TEST(copies_random_layouts),
        TEST(replaces_what_the_destination_held),
        TEST(preallocated_space_stays),
        TEST(counts_only_data_as_progress),
        TEST(a_limit_is_kept_and_can_be_lifted),
        TEST(a_limit_can_be_set_while_it_runs),
        TEST(close_stops_in_the_middle),
        TEST(names_what_is_missing),
        TEST(a_missing_destination_is_not_made),
        TEST(refuses_a_link_as_destination),
        TEST(refuses_to_copy_a_file_onto_itself),
        TEST(refuses_what_is_no_file),
        TEST(reports_a_failing_write),
        TEST(a_full_storage_gets_its_own_number),
        TEST(written_zeros_become_holes),
        TEST(copies_more_than_is_in_flight),
        TEST(the_destination_keeps_its_inode),
        TEST(a_source_that_shrinks_is_an_error),
        TEST(a_source_that_loses_data_unseen_is_an_error),
        TEST(close_stops_at_once_at_full_speed),
        TEST(works_where_io_uring_is_forbidden),
        TEST(nothing_is_written_without_the_right_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
