/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Comparing finds every difference, says where the first one is, and reads no
 * more than it must.
 */
#include "copying.h"
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const uint64_t size = 40 * MIB + 777;

/* Data, written zeros, holes, and an odd end; and an exact copy. */
static void make_pair(struct copying *t)
{
    make_file(t->spec.src_path, size);
    put_data(t->spec.src_path, 0, 3 * MIB, 1);
    put_data(t->spec.src_path, 8 * MIB + 4096, 20 * MIB, 2);
    put_zeros(t->spec.src_path, 32 * MIB, 2 * MIB);
    put_data(t->spec.src_path, 40 * MIB, 777, 3);
    make_file(t->spec.dst_path, 0);
    copy_all(t);
    t->spec.task = COPY_COMPARE;
}

static int compare(struct copying *t, struct err *err)
{
    *err = (struct err)ERR_INIT;
    return finish_copy(t, start_copy(t), err);
}

static void expect_equal(struct copying *t)
{
    struct err err = ERR_INIT;
    if (compare(t, &err))
        fail_msg("%s", err.message);
}

static void expect_difference(struct copying *t, uint64_t at)
{
    struct err err = ERR_INIT;
    char where[64];
    assert_int_equal(compare(t, &err), -EIO);
    assert_int_equal(err.code, ERR_IMAGE_VERIFICATION);
    assert_non_null(strstr(err.message, t->spec.dst_path));
    str_format(where, sizeof(where), "offset %llu", (unsigned long long)at);
    const char *found = strstr(err.message, where);
    if (!found || found[strlen(where)] != '\0')
        fail_msg("'%s' does not end in '%s'", err.message, where);
    assert_non_null(strstr(err.next, "source is unchanged"));
}

static void a_copy_is_equal(void **state)
{
    struct copying *t = *state;
    make_pair(t);
    expect_equal(t);
}

static void one_bit_anywhere_is_found(void **state)
{
    struct copying *t = *state;
    const uint64_t places[] = {
        0,                /* data */
        MIB - 1,          /* the end of a chunk */
        3 * MIB - 1,      /* the end of data */
        3 * MIB,          /* a hole becomes data */
        5 * MIB + 17,     /* the same, in its middle */
        8 * MIB + 4096,   /* the start of data */
        20 * MIB + 12345, /* data */
        33 * MIB,         /* zeros that were written in the source only */
        40 * MIB - 1,     /* the last byte of a hole */
        40 * MIB,         /* the cut block */
        40 * MIB + 776,   /* the last byte */
    };
    make_pair(t);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        flip_bit(t->spec.dst_path, places[i]);
        expect_difference(t, places[i]);
        flip_bit(t->spec.dst_path, places[i]);
        expect_equal(t);
        flip_bit(t->spec.src_path, places[i]);
        expect_difference(t, places[i]);
        flip_bit(t->spec.src_path, places[i]);
    }
    expect_equal(t);
}

static void the_first_difference_is_named(void **state)
{
    struct copying *t = *state;
    make_pair(t);
    for (uint64_t at = 28 * MIB; at > 9 * MIB; at -= MIB / 2)
        flip_bit(t->spec.dst_path, at);
    expect_difference(t, 9 * MIB + MIB / 2);
    flip_bit(t->spec.dst_path, 3);
    expect_difference(t, 3);
}

static void punch(const char *path, uint64_t at, uint64_t len)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_int_equal(fallocate(fd, mode, (off_t)at, (off_t)len), 0);
}

static void data_that_was_lost_is_found(void **state)
{
    struct copying *t = *state;
    make_pair(t);
    punch(t->spec.dst_path, 12 * MIB, 4096);
    expect_difference(t, 12 * MIB);
}

static void holes_and_zeros_are_the_same(void **state)
{
    struct copying *t = *state;
    make_pair(t);
    put_zeros(t->spec.dst_path, 4 * MIB, 3 * MIB);
    punch(t->spec.src_path, 33 * MIB, 4096);
    expect_equal(t);
}

static void another_size_is_a_difference(void **state)
{
    struct copying *t = *state;
    struct err err = ERR_INIT;
    make_pair(t);
    assert_int_equal(truncate(t->spec.dst_path, (off_t)size - 1), 0);
    assert_int_equal(compare(t, &err), -EIO);
    assert_int_equal(err.code, ERR_IMAGE_VERIFICATION);
    assert_int_equal(truncate(t->spec.dst_path, (off_t)size + 1), 0);
    assert_int_equal(compare(t, &err), -EIO);
    assert_int_equal(err.code, ERR_IMAGE_VERIFICATION);
    assert_non_null(strstr(err.message, t->spec.dst_path));
}

static void a_missing_copy_is_no_mismatch(void **state)
{
    struct copying *t = *state;
    struct err err = ERR_INIT;
    make_pair(t);
    assert_int_equal(unlink(t->spec.dst_path), 0);
    assert_int_equal(compare(t, &err), -ENOENT);
    assert_int_equal(err.code, ERR_GENERAL);
}

static void nothing_is_written(void **state)
{
    struct copying *t = *state;
    struct stat before, after;
    make_pair(t);
    flip_bit(t->spec.dst_path, 100);
    assert_int_equal(stat(t->spec.dst_path, &before), 0);
    expect_difference(t, 100);
    assert_int_equal(stat(t->spec.dst_path, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim,
                        sizeof(before.st_mtim));
    assert_int_equal(before.st_blocks, after.st_blocks);
}

static void empty_and_tiny_files_are_compared(void **state)
{
    struct copying *t = *state;
    for (uint64_t n = 0; n <= 2; n++) {
        make_file(t->spec.src_path, n);
        make_file(t->spec.dst_path, n);
        put_data(t->spec.src_path, 0, n, 1);
        put_data(t->spec.dst_path, 0, n, 1);
        t->spec.task = COPY_COMPARE;
        expect_equal(t);
        if (n == 0)
            continue;
        flip_bit(t->spec.dst_path, n - 1);
        expect_difference(t, n - 1);
    }
}

static void a_huge_hole_takes_no_time(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 4096 * 1024 * MIB);
    make_file(t->spec.dst_path, 4096 * 1024 * MIB);
    put_data(t->spec.src_path, 4095 * 1024 * MIB, 1, 1);
    put_data(t->spec.dst_path, 4095 * 1024 * MIB, 1, 1);
    t->spec.task = COPY_COMPARE;
    int64_t since_ms = time_now_ms();
    expect_equal(t);
    assert_in_range(time_now_ms() - since_ms, 0, 2000);
    flip_bit(t->spec.dst_path, 4095 * 1024 * MIB);
    expect_difference(t, 4095 * 1024 * MIB);
}

static void progress_counts_what_is_read(void **state)
{
    struct copying *t = *state;
    make_pair(t);
    struct copy *copy = start_copy(t);
    while (!look(t, copy).finished)
        (void)poll(NULL, 0, 2);
    struct copy_progress progress = look(t, copy);
    t->port.ops->close(t->port.ctx, copy);
    assert_int_equal(progress.total, 25 * MIB + 777);
    assert_int_equal(progress.done, progress.total);
}

static void a_limit_is_kept_and_a_stop_is_seen(void **state)
{
    struct copying *t = *state;
    const uint64_t limit = 8 * MIB;
    make_pair(t);
    t->spec.bytes_per_s = limit;
    int64_t since_ms = time_now_ms();
    struct copy *copy = start_copy(t);
    run_until(t, copy, since_ms, 1000);
    uint64_t done = look(t, copy).done;
    uint64_t due = limit * (uint64_t)(time_now_ms() - since_ms) / 1000;
    assert_in_range(done, due / 3, due + due / 5 + MIB);
    since_ms = time_now_ms();
    t->port.ops->close(t->port.ctx, copy);
    assert_in_range(time_now_ms() - since_ms, 0, 1000);
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, copying_setup, copying_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_equal),
        TEST(one_bit_anywhere_is_found),
        TEST(the_first_difference_is_named),
        TEST(data_that_was_lost_is_found),
        TEST(holes_and_zeros_are_the_same),
        TEST(another_size_is_a_difference),
        TEST(a_missing_copy_is_no_mismatch),
        TEST(nothing_is_written),
        TEST(empty_and_tiny_files_are_compared),
        TEST(a_huge_hole_takes_no_time),
        TEST(progress_counts_what_is_read),
        TEST(a_limit_is_kept_and_a_stop_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
