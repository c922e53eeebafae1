/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sizes of volumes: grown, measured, and what qemu-img says of them.
 */
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define IMAGES "storage/" SD "/images/"

static int extend(struct fixture *f, const char *vol, uint64_t bytes)
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->volume_extend(f->port.ctx, &id, bytes, FRESH(f));
}

static void make_raw(struct fixture *f, enum volume_allocation allocation)
{
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    spec.allocation = allocation;
    fixture_create(f, &spec);
}

static void expect_size(struct fixture *f, const char *vol, uint64_t size)
{
    struct volume_info info;
    fixture_info(f, IMG, vol, &info);
    assert_int_equal(info.capacity, size);
    assert_int_equal(info.apparent_bytes, size);
}

/* --- growing --- */

static void a_raw_volume_grows_in_blocks(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    make_raw(f, VOLUME_SPARSE);
    fixture_info(f, IMG, BASE, &info);
    uint64_t space = info.true_bytes;
    int fd = fixture_open_like_qemu(f, IMG, BASE); /* a VM does not mind */
    assert_int_equal(extend(f, BASE, 2 * MIB - 4095), 0);
    (void)close(fd);
    expect_size(f, BASE, 2 * MIB);
    assert_int_equal(extend(f, BASE, 2 * MIB), 0);
    expect_size(f, BASE, 2 * MIB);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.true_bytes, space);
    assert_error(f, extend(f, BASE, 2 * MIB - 4096), ERR_VOLUME_RESIZE, BASE);
    expect_size(f, BASE, 2 * MIB);
}

static void growing_keeps_what_was_there(void **state)
{
    struct fixture *f = *state;
    struct volume_info before;
    struct volume_info after;
    make_raw(f, VOLUME_SPARSE);
    fixture_info(f, IMG, BASE, &before);
    int fd = open(before.path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "guest", 5, MIB - 5), 5);
    assert_int_equal(extend(f, BASE, 3 * MIB), 0);
    char text[6] = "";
    assert_int_equal(pread(fd, text, 5, MIB - 5), 5);
    (void)close(fd);
    assert_string_equal(text, "guest");
    fixture_info(f, IMG, BASE, &after);
    assert_string_equal(after.description, before.description);
    assert_int_equal(after.ctime_s, before.ctime_s);
    assert_int_equal(after.role, before.role);
}

static void a_preallocated_volume_takes_its_space(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    make_raw(f, VOLUME_PREALLOCATED);
    assert_int_equal(extend(f, BASE, 8 * MIB), 0);
    expect_size(f, BASE, 8 * MIB);
    fixture_info(f, IMG, BASE, &info);
    assert_true(info.true_bytes >= 8 * MIB);
}

static void what_cannot_be_had_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct volume_info before;
    struct volume_info after;
    make_raw(f, VOLUME_PREALLOCATED);
    fixture_info(f, IMG, BASE, &before);
    _cleanup_free_ char *old = fixture_list(f);
    assert_error(f, extend(f, BASE, 1ULL << 62), ERR_VOLUME_EXTEND, BASE);
    fixture_info(f, IMG, BASE, &after);
    assert_int_equal(after.true_bytes, before.true_bytes);
    _cleanup_free_ char *now = fixture_list(f);
    assert_string_equal(old, now);
}

/* Cut off in between, or changed by hand. */
static void the_record_is_put_right(void **state)
{
    struct fixture *f = *state;
    make_raw(f, VOLUME_SPARSE);
    fixture_edit(f, IMG, BASE, "CAP=1048576", "CAP=524288");
    assert_int_equal(extend(f, BASE, MIB), 0);
    expect_size(f, BASE, MIB);
    fixture_edit(f, IMG, BASE, "CAP=1048576", "CAP=4194304");
    assert_int_equal(extend(f, BASE, 2 * MIB), 0);
    expect_size(f, BASE, 2 * MIB);
}

static void only_some_volumes_grow(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    fixture_make_chain(f);
    assert_int_equal(extend(f, BASE, 2 * MIB), 0); /* the base of a chain */
    _cleanup_free_ char *before = fixture_list(f);
    assert_int_equal(extend(f, LEAF, 2 * MIB), 0);
    assert_int_equal(extend(f, MID, 1), 0);
    assert_error(f, extend(f, SD, 2 * MIB), ERR_NO_VOLUME, SD);
    assert_error(f, extend(f, BASE, 0), ERR_VALUE, BASE);
    assert_error(f, extend(f, BASE, UINT64_MAX), ERR_VALUE, BASE);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.capacity, MIB);
    fixture_edit(f, IMG, BASE, "PUUID=" UUID_BLANK, "PUUID=" SD2);
    assert_error(f, extend(f, BASE, 4 * MIB), ERR_VOLUME_NOT_WRITABLE, BASE);
    fixture_edit(f, IMG, BASE, "PUUID=" SD2, "PUUID=" UUID_BLANK);
    fixture_edit(f, IMG, BASE, "VOLTYPE=INTERNAL", "VOLTYPE=SHARED");
    assert_error(f, extend(f, BASE, 4 * MIB), ERR_VOLUME_NOT_WRITABLE, BASE);
    fixture_edit(f, IMG, LEAF, "VOLTYPE=LEAF", "VOLTYPE=SHARED");
    assert_error(f, extend(f, LEAF, 4 * MIB), ERR_VOLUME_NOT_WRITABLE, LEAF);
}

/* --- measuring --- */

static int measure(struct fixture *f, const char *vol,
                   enum volume_format format, const char *base,
                   struct volume_measure *ret_measure)
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->volume_measure(f->port.ctx, &id, format, base,
                                       ret_measure, FRESH(f));
}

static uint64_t required(struct fixture *f, const char *vol, const char *base)
{
    struct volume_measure found = { 0 };
    if (measure(f, vol, VOLUME_COW, base, &found) < 0)
        fail_msg("%s", f->err.message);
    assert_true(found.required <= found.fully_allocated);
    return found.required;
}

/* One write of a VM. */
static void write_cluster(struct fixture *f, const char *vol, unsigned n)
{
    char offset[32];
    (void)str_format(offset, sizeof(offset), "%u", n * 65536);
    const char *args[] = { "bench", "-q",   "-w", "-c",   "1", "-f", "qcow2",
                           "-s",    "4096", "-o", offset, "@", NULL };
    fixture_qemu_img(f, vol, args);
}

static void each_layer_has_its_own_measure(void **state)
{
    enum {
        CLUSTER = 65536
    };
    struct fixture *f = *state;
    fixture_make_chain(f);
    uint64_t empty = required(f, LEAF, "");
    write_cluster(f, MID, 1);
    write_cluster(f, LEAF, 3);
    write_cluster(f, LEAF, 4);
    assert_int_equal(required(f, LEAF, ""), empty + 2 * CLUSTER);
    assert_int_equal(required(f, MID, ""), empty + CLUSTER);
    assert_int_equal(required(f, LEAF, MID), empty + 3 * CLUSTER);
    /* The raw base has its first block. */
    assert_int_equal(required(f, LEAF, NULL), empty + 4 * CLUSTER);
    assert_int_equal(required(f, MID, BASE), empty + 2 * CLUSTER);
    assert_error(f, measure(f, LEAF, VOLUME_COW, BASE, NULL),
                 ERR_UNSUPPORTED_STORAGE, BASE);
    assert_error(f, measure(f, BASE, VOLUME_COW, UUID_BLANK, NULL),
                 ERR_UNSUPPORTED_STORAGE, BASE);
    assert_error(f, measure(f, SD, VOLUME_COW, NULL, NULL), ERR_NO_VOLUME, SD);
}

static void measuring_needs_no_locks(void **state)
{
    struct fixture *f = *state;
    struct volume_measure found = { 0 };
    fixture_make_chain(f);
    int fd = fixture_open_like_qemu(f, IMG, LEAF);
    assert_int_equal(measure(f, LEAF, VOLUME_RAW, NULL, &found), 0);
    (void)close(fd);
    assert_int_equal(found.required, MIB);
    assert_int_equal(found.fully_allocated, MIB);
    assert_int_equal(found.bitmaps, 0);
}

/* A guest wrote it. */
static void no_tool_sees_a_bad_header(void **state)
{
    struct fixture *f = *state;
    const char *out[] = { "rebase", "-u", "-f",          "qcow2", "-F",
                          "raw",    "-b", "/etc/passwd", "@",     NULL };
    const struct volume_id id = fixture_id(IMG, LEAF);
    struct volume_qemu_info info;
    fixture_make_chain(f);
    fixture_qemu_img(f, LEAF, out);
    assert_error(f, measure(f, LEAF, VOLUME_COW, NULL, NULL), ERR_IMAGE_CHAIN,
                 LEAF);
    assert_error(f, measure(f, LEAF, VOLUME_COW, "", NULL), ERR_IMAGE_CHAIN,
                 LEAF);
    assert_error(
        f, f->port.ops->volume_qemu_info(f->port.ctx, &id, &info, FRESH(f)),
        ERR_IMAGE_CHAIN, LEAF);
}

/* Of a raw volume whatever the guest wrote is data. */
static void a_raw_volume_is_not_probed(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    const char *make[] = { "create", "-q", "-f", "qcow2", "@", "5M", NULL };
    struct volume_qemu_info info;
    struct volume_info before;
    make_raw(f, VOLUME_SPARSE);
    fixture_qemu_img(f, BASE, make);
    fixture_info(f, IMG, BASE, &before);
    assert_int_equal(
        f->port.ops->volume_qemu_info(f->port.ctx, &id, &info, FRESH(f)), 0);
    assert_int_equal(info.format, VOLUME_RAW);
    assert_int_equal(info.virtual_size,
                     (before.apparent_bytes + 511) / 512 * 512);
    assert_int_equal(info.cluster_size, 0);
    assert_string_equal(info.compat, "");
    assert_string_equal(info.backing_file, "");
}

static void qemus_view_of_a_volume(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    const char *first[] = { "bitmap", "--add", "@", "one", NULL };
    const char *second[] = { "bitmap", "--add", "@", "t\xc3\xb6o", NULL };
    struct volume_qemu_info info;
    fixture_make_chain(f);
    fixture_qemu_img(f, LEAF, first);
    fixture_qemu_img(f, LEAF, second);
    int fd = fixture_open_like_qemu(f, IMG, LEAF);
    assert_int_equal(
        f->port.ops->volume_qemu_info(f->port.ctx, &id, &info, FRESH(f)), 0);
    (void)close(fd);
    assert_int_equal(info.format, VOLUME_COW);
    assert_int_equal(info.virtual_size, MIB);
    assert_int_equal(info.cluster_size, 65536);
    assert_string_equal(info.backing_file, MID);
    assert_string_equal(info.compat, "1.1");
    assert_int_equal(info.n_bitmaps, 2);
    assert_string_equal(info.bitmaps[0], "one");
    assert_string_equal(info.bitmaps[1], "t\xc3\xb6o");
    free(info.bitmaps);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_raw_volume_grows_in_blocks),
        TEST(growing_keeps_what_was_there),
        TEST(a_preallocated_volume_takes_its_space),
        TEST(what_cannot_be_had_changes_nothing),
        TEST(the_record_is_put_right),
        TEST(only_some_volumes_grow),
        TEST(each_layer_has_its_own_measure),
        TEST(measuring_needs_no_locks),
        TEST(no_tool_sees_a_bad_header),
        TEST(a_raw_volume_is_not_probed),
        TEST(qemus_view_of_a_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
