/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Empty qcow2 images: the reader takes them, and every cluster is counted.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PARENT "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

enum {
    CLUSTER = 65536
};

static const uint64_t GIB = UINT64_C(1) << 30;

static uint64_t number(const char *p, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

static char *build(const struct format_qcow2_empty *empty, size_t *ret_size)
{
    struct err err = ERR_INIT;
    char *image = NULL;
    assert_int_equal(format_qcow2_build(empty, &image, ret_size, &err), 0);
    return image;
}

static void a_child_names_its_parent(void **state)
{
    (void)state;
    const struct format_qcow2_empty empty = { 10 * GIB, PARENT, "raw" };
    struct format_qcow2 header;
    struct err err = ERR_INIT;
    size_t size = 0;
    char *image = build(&empty, &size);
    assert_int_equal(format_qcow2_parse(image, CLUSTER, &header, &err), 0);
    assert_int_equal(header.version, 3);
    assert_int_equal(header.cluster_bits, 16);
    assert_int_equal(header.virtual_size, 10 * GIB);
    assert_string_equal(header.backing, PARENT);
    assert_string_equal(header.backing_format, "raw");
    assert_false(header.dirty);
    assert_int_equal(size, 4 * CLUSTER);
    free(image);
}

static void one_alone_has_no_parent(void **state)
{
    (void)state;
    const struct format_qcow2_empty empty = { .capacity = 512 };
    struct format_qcow2 header;
    struct err err = ERR_INIT;
    size_t size = 0;
    char *image = build(&empty, &size);
    assert_int_equal(format_qcow2_parse(image, CLUSTER, &header, &err), 0);
    assert_string_equal(header.backing, "");
    assert_string_equal(header.backing_format, "");
    assert_int_equal(number(image + 36, 4), 1); /* L1 entries */
    free(image);
}

/* Header, table, block, L1: nothing overlaps, all is counted, the rest zero. */
static void check_layout(uint64_t capacity, size_t l1_clusters)
{
    const struct format_qcow2_empty empty = { .capacity = capacity };
    size_t size = 0;
    char *image = build(&empty, &size);
    size_t clusters = 3 + l1_clusters;
    assert_int_equal(size, clusters * CLUSTER);
    assert_int_equal(number(image + 48, 8), 1 * CLUSTER);
    assert_int_equal(number(image + 56, 4), 1);
    assert_int_equal(number(image + CLUSTER, 8), 2 * CLUSTER);
    assert_int_equal(number(image + 40, 8), 3 * CLUSTER);
    assert_true(number(image + 36, 4) * 8 <= l1_clusters * CLUSTER);
    const char *counts = image + (size_t)2 * CLUSTER;
    for (size_t i = 0; i < CLUSTER / 2; i++)
        assert_int_equal(number(counts + 2 * i, 2), i < clusters);
    for (size_t i = (size_t)3 * CLUSTER; i < size; i++)
        assert_int_equal(image[i], 0);
    free(image);
}

static void every_cluster_is_counted(void **state)
{
    (void)state;
    check_layout(0, 0);
    check_layout(4096 * GIB, 1); /* 8192 entries of 8 bytes */
    check_layout(4096 * GIB + 512, 2);
    check_layout(2048 * 1024 * GIB, 512);
}

static void nothing_beyond_qcow2(void **state)
{
    (void)state;
    struct format_qcow2_empty empty = { .capacity = 2048 * 1024 * GIB + 512 };
    struct err err = ERR_INIT;
    char long_name[1025];
    char *image = NULL;
    size_t size = 0;
    assert_true(format_qcow2_build(&empty, &image, &size, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    empty = (struct format_qcow2_empty){ GIB, long_name, "qcow2" };
    err_clear(&err);
    assert_true(format_qcow2_build(&empty, &image, &size, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    assert_null(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_names_its_parent),
        cmocka_unit_test(one_alone_has_no_parent),
        cmocka_unit_test(every_cluster_is_counted),
        cmocka_unit_test(nothing_beyond_qcow2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
