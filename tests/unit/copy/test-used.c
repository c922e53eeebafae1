/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a qcow2 ends when what it is on does not end there.
 */
#include "copying.h"
#include <dray/base/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void shell(const char *format, const struct copying *t)
{
    char command[512];
    assert_true(str_format(command, sizeof(command), "cd %s && (%s) >/dev/null",
                           t->dir, format));
    /* A test may: the words are its own. */
    assert_int_equal(system(command), 0); /* NOLINT(concurrency-mt-unsafe) */
}

static uint64_t size_of(const struct copying *t)
{
    struct stat st;
    assert_int_equal(stat(t->spec.src_path, &st), 0);
    return (uint64_t)st.st_size;
}

static int measure(const struct copying *t, enum volume_format format,
                   uint64_t *ret_bytes, struct err *err)
{
    return t->port.ops->measure(t->port.ctx, t->spec.src_path, format,
                                ret_bytes, err);
}

static uint64_t ends_at(const struct copying *t, enum volume_format format)
{
    uint64_t bytes = 0;
    struct err err = ERR_INIT;
    if (measure(t, format, &bytes, &err))
        fail_msg("%s", err.message);
    return bytes;
}

/* Whatever lies behind: the file grows by an old life's data. (What is in a
 * file may end within the last cluster.) */
static void check_end_stays(const struct copying *t)
{
    uint64_t end = ends_at(t, VOLUME_COW);
    uint64_t size = size_of(t);
    assert_int_equal(end, size);
    assert_int_equal(truncate(t->spec.src_path, (off_t)(size + 64 * MIB)), 0);
    put_data(t->spec.src_path, size, 3 * MIB, 7);
    assert_in_range(ends_at(t, VOLUME_COW), end, end + 64 * KIB - 1);
}

static void finds_the_end_of_an_empty_one(void **state)
{
    shell("qemu-img create -f qcow2 src 1G", *state);
    check_end_stays(*state);
}

static void finds_the_end_of_data(void **state)
{
    shell("qemu-img create -f qcow2 src 1G && qemu-io -f qcow2 -c "
          "'write 0 5M' -c 'write 900M 64k' src",
          *state);
    check_end_stays(*state);
}

/* One block of counts speaks of 2 GiB at 64 KiB, of 16 KiB at 512 bytes. */
static void finds_the_end_behind_many_blocks_of_counts(void **state)
{
    shell("qemu-img create -f qcow2 -o cluster_size=512 src 64M && qemu-io -f "
          "qcow2 -c 'write 1M 8M' src",
          *state);
    check_end_stays(*state);
}

static void knows_all_sizes_of_counts(void **state)
{
    shell("qemu-img create -f qcow2 -o refcount_bits=64,cluster_size=4k src "
          "256M && qemu-io -f qcow2 -c 'write 7M 9M' src",
          *state);
    check_end_stays(*state);
    shell("rm src; qemu-img create -f qcow2 -o compat=0.10 src 256M && qemu-io "
          "-f qcow2 -c 'write 7M 9M' src",
          *state);
    check_end_stays(*state);
}

/* Eight counts to a byte: up to seven clusters too many. */
static void errs_on_the_safe_side_with_counts_of_a_bit(void **state)
{
    const struct copying *t = *state;
    uint64_t end, size;
    shell("qemu-img create -f qcow2 -o refcount_bits=1 src 256M && qemu-io -f "
          "qcow2 -c 'write 7M 9M' src",
          t);
    size = size_of(t);
    assert_int_equal(truncate(t->spec.src_path, (off_t)(size + 64 * MIB)), 0);
    end = ends_at(t, VOLUME_COW);
    assert_in_range(end, size, size + 7 * 64 * KIB);
}

/* What was discarded at the end does not count; holes before do. */
static void forgets_what_was_freed(void **state)
{
    const struct copying *t = *state;
    uint64_t before;
    shell("qemu-img create -f qcow2 src 1G && qemu-io -f qcow2 -c "
          "'write 0 5M' -c 'write 8M 5M' src",
          t);
    before = ends_at(t, VOLUME_COW);
    shell("qemu-io -f qcow2 -c 'discard 0 5M' src", t);
    assert_int_equal(ends_at(t, VOLUME_COW), before);
    shell("qemu-io -f qcow2 -c 'discard 8M 5M' src", t);
    assert_true(ends_at(t, VOLUME_COW) < before - 9 * MIB);
}

static void raw_is_all_of_it(void **state)
{
    const struct copying *t = *state;
    make_file(t->spec.src_path, 3 * MIB + 512);
    assert_int_equal(ends_at(t, VOLUME_RAW), 3 * MIB + 512);
}

static void says_what_is_no_qcow2(void **state)
{
    const struct copying *t = *state;
    uint64_t bytes = 42;
    struct err err = ERR_INIT;
    make_file(t->spec.src_path, 3 * MIB);
    assert_true(measure(t, VOLUME_COW, &bytes, &err) < 0);
    assert_int_equal(bytes, 42);
    shell("rm src; qemu-img create -f qcow2 src 1G && truncate -s 70000 src",
          t);
    err_clear(&err);
    assert_true(measure(t, VOLUME_COW, &bytes, &err) < 0);
    assert_non_null(strstr(err.message, "cut off"));
}

/* A compact copy drops what is allocated and empty. */
static void a_compact_copy_takes_only_its_data(void **state)
{
    struct copying *t = *state;
    shell("qemu-img create -f qcow2 -o preallocation=metadata src 256M && "
          "qemu-io -f qcow2 -c 'write 7M 2M' src && "
          "qemu-img create -f qcow2 dst 256M",
          t);
    t->spec.src_format = t->spec.dst_format = VOLUME_COW;
    t->spec.compact = true;
    assert_true(ends_at(t, VOLUME_COW) > 256 * MIB);
    copy_all(t);
    shell("qemu-img compare -f qcow2 -F qcow2 src dst", t);
    (void)str_copy(t->spec.src_path, sizeof(t->spec.src_path),
                   t->spec.dst_path);
    assert_true(ends_at(t, VOLUME_COW) < 4 * MIB);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, copying_setup, copying_teardown)
    const struct CMUnitTest tests[] = {
        TEST(finds_the_end_of_an_empty_one),
        TEST(finds_the_end_of_data),
        TEST(finds_the_end_behind_many_blocks_of_counts),
        TEST(knows_all_sizes_of_counts),
        TEST(errs_on_the_safe_side_with_counts_of_a_bit),
        TEST(forgets_what_was_freed),
        TEST(raw_is_all_of_it),
        TEST(says_what_is_no_qcow2),
        TEST(a_compact_copy_takes_only_its_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
