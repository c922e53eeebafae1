/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of format with the real qemu-img, which also judges the result.
 */
#include "copying.h"
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QEMU_IMG "/usr/bin/qemu-img"

/* qemu-img in the test's directory; its stdout is the caller's. */
static char *tool(struct copying *t, const char *const *argv)
{
    struct exec_options options = { .cwd = t->dir };
    struct exec_result result = { 0 };
    struct err err = ERR_INIT;
    if (exec_check(argv, &options, &result, &err))
        fail_msg("%s", err.message);
    return result.out;
}

#define TOOL(t, ...)                                                           \
    free(tool(t, (const char *const[]){ QEMU_IMG, __VA_ARGS__, NULL }))

static bool info_has(struct copying *t, const char *name, const char *text)
{
    _cleanup_free_ char *out =
        tool(t, (const char *const[]){ QEMU_IMG, "info", "--output=json", name,
                                       NULL });
    return strstr(out, text) != NULL;
}

/* A raw file with data, zeros that are written, and holes. */
static void make_raw(const char *path, unsigned seed)
{
    make_file(path, 24 * MIB);
    put_data(path, MIB + 4096, 3 * MIB, seed);
    put_data(path, 12 * MIB - 512, 1024, seed + 1);
    put_data(path, 23 * MIB, MIB, seed + 2);
}

static void set_formats(struct copying *t, enum volume_format src,
                        enum volume_format dst)
{
    t->spec.src_format = src;
    t->spec.dst_format = dst;
}

static void raw_becomes_qcow2(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 1);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "24M");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    copy_all(t);
    TOOL(t, "compare", "-f", "raw", "-F", "qcow2", "src", "dst");
    TOOL(t, "check", "-f", "qcow2", "dst");
    assert_in_range(allocated_bytes(t->spec.dst_path), 4 * MIB, 5 * MIB);
}

static void qcow2_becomes_raw(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    str_format(path, sizeof(path), "%s/data", t->dir);
    make_raw(path, 2);
    TOOL(t, "convert", "-f", "raw", "-O", "qcow2", "data", "src");
    make_file(t->spec.dst_path, 24 * MIB);
    set_formats(t, VOLUME_COW, VOLUME_RAW);
    copy_all(t);
    assert_same_content(path, t->spec.dst_path);
    assert_in_range(allocated_bytes(t->spec.dst_path), 4 * MIB, 5 * MIB);
}

/* src over base, with data over data, zeros over data and holes. */
static void make_overlay(struct copying *t, const char *base_format)
{
    char path[PATH_MAX];
    str_format(path, sizeof(path), "%s/data", t->dir);
    make_raw(path, 3);
    TOOL(t, "convert", "-f", "raw", "-O", base_format, "data", "base");
    TOOL(t, "create", "-q", "-f", "qcow2", "-b", "base", "-F", base_format,
         "src");
    const char *io[] = { "/usr/bin/qemu-io",
                         "-f",
                         "qcow2",
                         "-c",
                         "write -P 7 2M 128k",
                         "-c",
                         "write -z 3M 256k",
                         "-c",
                         "write -P 9 20M 64k",
                         "src",
                         NULL };
    free(tool(t, io));
}

static void only_the_header_changes_with_the_parents_format(void **state)
{
    struct copying *t = *state;
    make_overlay(t, "raw");
    /* The destination's base is qcow2 under the same name, elsewhere. */
    char sub[PATH_MAX];
    str_format(sub, sizeof(sub), "%s/other", t->dir);
    free(tool(t, (const char *const[]){ "/bin/mkdir", sub, NULL }));
    TOOL(t, "convert", "-f", "raw", "-O", "qcow2", "base", "other/base");
    str_format(t->spec.dst_path, PATH_MAX, "%s/dst", sub);
    TOOL(t, "create", "-q", "-f", "qcow2", "-u", "-b", "base", "-F", "qcow2",
         "other/dst", "24M");
    set_formats(t, VOLUME_COW, VOLUME_COW);
    str_copy(t->spec.dst_backing, UUID_SIZE, "base");
    t->spec.src_backing_format = VOLUME_RAW;
    t->spec.dst_backing_format = VOLUME_COW;
    copy_all(t);
    assert_true(info_has(t, "other/dst", "\"backing-filename\": \"base\""));
    assert_true(
        info_has(t, "other/dst", "\"backing-filename-format\": \"qcow2\""));
    TOOL(t, "compare", "-f", "qcow2", "-F", "qcow2", "src", "other/dst");
    TOOL(t, "check", "-f", "qcow2", "other/dst");
    assert_true(allocated_bytes(t->spec.dst_path) <= MIB);
}

static void a_layer_with_the_same_parent_is_copied_as_it_is(void **state)
{
    struct copying *t = *state;
    make_overlay(t, "qcow2");
    make_file(t->spec.dst_path, 0);
    set_formats(t, VOLUME_COW, VOLUME_COW);
    str_copy(t->spec.dst_backing, UUID_SIZE, "base");
    t->spec.src_backing_format = VOLUME_COW;
    t->spec.dst_backing_format = VOLUME_COW;
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    TOOL(t, "compare", "-f", "qcow2", "-F", "qcow2", "src", "dst");
}

/* From a raw layer whose parent is somewhere else: only this layer's data. */
static void a_converted_layer_keeps_its_parent(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 4);
    TOOL(t, "create", "-q", "-f", "qcow2", "base", "24M");
    TOOL(t, "create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", "dst");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    str_copy(t->spec.dst_backing, UUID_SIZE, "base");
    t->spec.dst_backing_format = VOLUME_COW;
    copy_all(t);
    TOOL(t, "compare", "-f", "raw", "-F", "qcow2", "src", "dst");
    assert_true(info_has(t, "dst", "\"backing-filename\": \"base\""));
}

static void start_big(struct copying *t, uint64_t limit, struct copy **ret)
{
    make_file(t->spec.src_path, 96 * MIB);
    put_data(t->spec.src_path, 0, 96 * MIB, 5);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "96M");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    t->spec.bytes_per_s = limit;
    *ret = start_copy(t);
}

static void a_limit_is_kept_and_can_be_lifted(void **state)
{
    struct copying *t = *state;
    struct copy *copy = NULL;
    const uint64_t limit = 8 * MIB;
    start_big(t, limit, &copy);
    int64_t since_ms = time_now_ms();
    run_until(t, copy, since_ms, 3000);
    assert_false(look(t, copy).finished);
    uint64_t written = allocated_bytes(t->spec.dst_path);
    uint64_t due = limit * (uint64_t)(time_now_ms() - since_ms) / 1000;
    /* What is under way when it is stopped still arrives. */
    assert_in_range(written, due / 4, due + due / 5 + 8 * MIB);

    t->port.ops->limit(t->port.ctx, copy, 0);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, copy, &err), 0);
    TOOL(t, "compare", "-f", "raw", "-F", "qcow2", "src", "dst");
}

/* At this limit it is stopped (SIGSTOP) nearly all the time. */
static void close_ends_a_held_tool(void **state)
{
    struct copying *t = *state;
    struct copy *copy = NULL;
    start_big(t, 64 * KIB, &copy);
    while (allocated_bytes(t->spec.dst_path) < MIB)
        run_until(t, copy, time_now_ms(), 5);
    int64_t before_ms = time_now_ms();
    t->port.ops->close(t->port.ctx, copy);
    assert_in_range(time_now_ms() - before_ms, 0, 5000);
    uint64_t written = allocated_bytes(t->spec.dst_path);
    assert_in_range(written, MIB, 64 * MIB);
    /* Nobody holds the image any more: qemu-img gets its lock. */
    TOOL(t, "check", "-q", "-r", "all", "-f", "qcow2", "dst");
}

static void says_what_the_tool_says(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 6);
    make_file(t->spec.dst_path, MIB); /* no qcow2 */
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EIO);
    assert_non_null(strstr(err.message, t->spec.dst_path));
    assert_non_null(strstr(err.message, "not in qcow2 format"));
}

static void refuses_a_raw_volume_with_a_parent(void **state)
{
    struct copying *t = *state;
    str_copy(t->spec.dst_backing, UUID_SIZE, "base");
    struct copy *copy = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(t->port.ops->start(t->port.ctx, &t->spec, &copy, &err),
                     -EINVAL);
    assert_null(copy);
}

static void a_missing_tool_is_named(void **state)
{
    struct copying *t = *state;
    copier_free(t->copier);
    struct err err = ERR_INIT;
    assert_int_equal(
        copier_new("/nonexistent/qemu-img", NULL, &t->copier, &err), 0);
    t->port = copier_port(t->copier);
    make_raw(t->spec.src_path, 6);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "24M");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    assert_true(finish_copy(t, start_copy(t), &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent/qemu-img"));
}

/* A qemu-img of the test's own in the place of the real one. */
static void use_script(struct copying *t, const char *text)
{
    char path[PATH_MAX];
    struct err err = ERR_INIT;
    str_format(path, sizeof(path), "%s/tool", t->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", text) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    copier_free(t->copier);
    assert_int_equal(copier_new(path, t->dir, &t->copier, &err), 0);
    t->port = copier_port(t->copier);
}

static unsigned runs(struct copying *t, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    str_format(path, sizeof(path), "%s/%s", t->dir, name);
    return stat(path, &st) < 0 ? 0 : (unsigned)st.st_size;
}

/* Each life of the tool leaves a letter in "lives"; the first two conversions
 * die in the middle, where much is written and little of it is linked. */
static void a_killed_tool_is_started_again(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 7);
    put_data(t->spec.src_path, 4 * MIB, 16 * MIB, 8);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "24M");
    use_script(t, "[ $1 = check ] && exec /usr/bin/qemu-img \"$@\"\n"
                  "printf x >>lives\n"
                  "[ $(wc -c <lives) = 3 ] && exec /usr/bin/qemu-img \"$@\"\n"
                  "/usr/bin/qemu-io -f qcow2 -c 'write -P 5 4M 8M' "
                  "-c 'sigraise 9' dst\n"
                  "kill -9 $$");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    copy_all(t);
    assert_int_equal(runs(t, "lives"), 3);
    TOOL(t, "compare", "-f", "raw", "-F", "qcow2", "src", "dst");
    TOOL(t, "check", "-f", "qcow2", "dst");
    assert_in_range(allocated_bytes(t->spec.dst_path), 16 * MIB, 22 * MIB);
}

static void a_raw_destination_is_emptied_before_another_try(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    str_format(path, sizeof(path), "%s/data", t->dir);
    make_raw(path, 9);
    TOOL(t, "convert", "-f", "raw", "-O", "qcow2", "data", "src");
    make_file(t->spec.dst_path, 24 * MIB);
    put_data(t->spec.dst_path, 0, 24 * MIB, 1);
    set_formats(t, VOLUME_COW, VOLUME_RAW);
    copy_all(t);
    assert_same_content(path, t->spec.dst_path);
    assert_in_range(allocated_bytes(t->spec.dst_path), 4 * MIB, 5 * MIB);
}

static void a_tool_that_is_always_killed_is_an_error(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 7);
    make_file(t->spec.dst_path, 24 * MIB);
    use_script(t, "[ $1 = check ] && exit 0\n"
                  "printf x >>lives\nkill -9 $$");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EIO);
    assert_int_equal(runs(t, "lives"), 3);
    assert_non_null(strstr(err.message, "killed"));
    assert_non_null(strstr(err.message, t->spec.dst_path));
}

static void a_tool_that_fails_is_not_started_again(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 7);
    make_file(t->spec.dst_path, 24 * MIB);
    use_script(t, "printf x >>lives\necho broken >&2\nexit 1");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EIO);
    assert_int_equal(runs(t, "lives"), 1);
    assert_non_null(strstr(err.message, "broken"));
}

static void a_terabyte_of_nothing_takes_no_time(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 1024 * 1024 * MIB);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "1T");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    int64_t since_ms = time_now_ms();
    copy_all(t);
    assert_in_range(time_now_ms() - since_ms, 0, 2000);
    assert_in_range(allocated_bytes(t->spec.dst_path), 1, MIB);
}

/* Its old data must not be taken for zeros. */
static void a_used_image_is_overwritten(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    str_format(path, sizeof(path), "%s/old", t->dir);
    make_file(path, 24 * MIB);
    put_data(path, 0, 24 * MIB, 3);
    TOOL(t, "convert", "-f", "raw", "-O", "qcow2", "old", "dst");
    make_raw(t->spec.src_path, 4);
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    copy_all(t);
    TOOL(t, "compare", "-f", "raw", "-F", "qcow2", "src", "dst");
}

/* --- comparing --- */

static void expect_equal(struct copying *t)
{
    t->spec.task = COPY_COMPARE;
    copy_all(t);
}

static void expect_difference(struct copying *t, const char *where)
{
    struct err err = ERR_INIT;
    t->spec.task = COPY_COMPARE;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EIO);
    assert_int_equal(err.code, ERR_IMAGE_VERIFICATION);
    assert_non_null(strstr(err.message, t->spec.dst_path));
    if (!strstr(err.message, where))
        fail_msg("'%s' does not say '%s'", err.message, where);
    assert_non_null(strstr(err.next, "source is unchanged"));
}

static void another_format_is_compared_as_the_guest_sees_it(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 5);
    TOOL(t, "create", "-q", "-f", "qcow2", "dst", "24M");
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    copy_all(t);
    expect_equal(t);
    flip_bit(t->spec.src_path, 12 * MIB);
    expect_difference(t, "offset 125");
    flip_bit(t->spec.src_path, 12 * MIB);
    flip_bit(t->spec.src_path, 6 * MIB); /* a hole */
    expect_difference(t, "offset 6");
}

static void the_tools_own_failure_is_no_mismatch(void **state)
{
    struct copying *t = *state;
    make_raw(t->spec.src_path, 5);
    make_file(t->spec.dst_path, MIB); /* no qcow2 */
    set_formats(t, VOLUME_RAW, VOLUME_COW);
    t->spec.task = COPY_COMPARE;
    struct err err = ERR_INIT;
    assert_int_equal(finish_copy(t, start_copy(t), &err), -EIO);
    assert_int_equal(err.code, ERR_GENERAL);
}

/* src over a raw base, other/dst over a qcow2 one of the same name. */
static void make_rebased(struct copying *t)
{
    char sub[PATH_MAX];
    make_overlay(t, "raw");
    str_format(sub, sizeof(sub), "%s/other", t->dir);
    free(tool(t, (const char *const[]){ "/bin/mkdir", sub, NULL }));
    str_format(t->spec.dst_path, PATH_MAX, "%s/dst", sub);
    make_file(t->spec.dst_path, 0);
    set_formats(t, VOLUME_COW, VOLUME_COW);
    str_copy(t->spec.dst_backing, UUID_SIZE,
             "11111111-1111-4111-8111-111111111111");
    t->spec.src_backing_format = VOLUME_RAW;
    t->spec.dst_backing_format = VOLUME_COW;
    TOOL(t, "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b",
         t->spec.dst_backing, "src");
    copy_all(t);
}

static void a_rewritten_header_is_right_when_it_says_so(void **state)
{
    struct copying *t = *state;
    make_rebased(t);
    expect_equal(t);
    /* A flipped bit in a table (its second cluster) and in the data. */
    flip_bit(t->spec.dst_path, 65536 + 3);
    expect_difference(t, "offset 65539");
    flip_bit(t->spec.dst_path, 65536 + 3);
    flip_bit(t->spec.dst_path, 400000);
    expect_difference(t, "offset 400000");
    flip_bit(t->spec.dst_path, 400000);
    expect_equal(t);
}

static void a_wrong_header_is_found(void **state)
{
    struct copying *t = *state;
    /* Size, L1 table, refcount table, features, version. */
    const uint64_t places[] = { 27, 45, 53, 79, 7, 39, 23 };
    make_rebased(t);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        flip_bit(t->spec.dst_path, places[i]);
        expect_difference(t, "");
        flip_bit(t->spec.dst_path, places[i]);
    }
    t->spec.task = COPY_DATA;
    TOOL(t, "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b",
         t->spec.dst_backing, t->spec.dst_path);
    expect_difference(t, "header");
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, copying_setup, copying_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(raw_becomes_qcow2),
        TEST(qcow2_becomes_raw),
        TEST(only_the_header_changes_with_the_parents_format),
        TEST(a_layer_with_the_same_parent_is_copied_as_it_is),
        TEST(a_converted_layer_keeps_its_parent),
        TEST(a_limit_is_kept_and_can_be_lifted),
        TEST(close_ends_a_held_tool),
        TEST(says_what_the_tool_says),
        TEST(refuses_a_raw_volume_with_a_parent),
        TEST(a_missing_tool_is_named),
        TEST(a_killed_tool_is_started_again),
        TEST(a_raw_destination_is_emptied_before_another_try),
        TEST(a_tool_that_is_always_killed_is_an_error),
        TEST(a_tool_that_fails_is_not_started_again),
        TEST(a_terabyte_of_nothing_takes_no_time),
        TEST(a_used_image_is_overwritten),
        TEST(another_format_is_compared_as_the_guest_sees_it),
        TEST(the_tools_own_failure_is_no_mismatch),
        TEST(a_rewritten_header_is_right_when_it_says_so),
        TEST(a_wrong_header_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
