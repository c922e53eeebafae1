/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies that are cut off and go on: how much is moved twice, and that only
 * a checkpoint of this very copy is believed.
 */
#include "../../../src/copy/checkpoint.h"
#include "copying.h"
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KEY "0a-1b"

enum {
    SAMPLES = 4 * 1024 * 1024, /* read to prove a checkpoint */
};

static void checkpoint_path(const struct copying *t, char ret[PATH_MAX])
{
    str_format(ret, PATH_MAX, "%s/copies/%s", t->dir, KEY);
}

static bool has_checkpoint(const struct copying *t)
{
    char path[PATH_MAX];
    checkpoint_path(t, path);
    return access(path, F_OK) == 0;
}

static bool is_resumable(struct copying *t)
{
    return t->port.ops->resumable(t->port.ctx, &t->spec);
}

static void make_source(struct copying *t, uint64_t size)
{
    make_file(t->spec.src_path, size + 8 * MIB + 5);
    put_data(t->spec.src_path, 4 * MIB, size, 1);
    put_data(t->spec.src_path, size + 8 * MIB, 5, 2);
    make_file(t->spec.dst_path, 0);
}

/* The copy runs to its end, and all of it is there. */
static void expect_whole(struct copying *t, struct copy *copy)
{
    struct err err = ERR_INIT;
    t->port.ops->limit(t->port.ctx, copy, 0);
    assert_int_equal(finish_copy(t, copy, &err), 0);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_false(has_checkpoint(t));
}

/* Nothing of the checkpoint is believed. */
static void expect_from_zero(struct copying *t)
{
    struct copy *copy = NULL;
    assert_false(is_resumable(t));
    assert_int_equal(start_held(t, &copy), 0);
    expect_whole(t, copy);
}

static void goes_on_after_a_stop(void **state)
{
    struct copying *t = *state;
    struct copy *copy = NULL;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    assert_true(is_resumable(t));
    uint64_t at = checkpoint_position(t);
    assert_in_range(at, 16 * MIB, 36 * MIB);
    assert_int_equal(start_held(t, &copy), at - 4 * MIB); /* the hole */
    expect_whole(t, copy);
}

/* Bytes that a process and its threads got from the storage. */
static uint64_t bytes_read(pid_t pid)
{
    char path[64];
    char text[4096] = "";
    str_format(path, sizeof(path), "/proc/%d/io", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    const char *line = strstr(text, "\nread_bytes: ");
    assert_non_null(line);
    return strtoull(line + strlen("\nread_bytes: "), NULL, 10);
}

static pid_t start_child(struct copying *t)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct copy *copy = start_copy(t);
        while (!look(t, copy).finished)
            (void)poll(NULL, 0, 5);
        _exit(0);
    }
    return pid;
}

static void await_allocated(const char *path, uint64_t bytes)
{
    while (allocated_bytes(path) < bytes)
        (void)poll(NULL, 0, 2);
}

/* kill -9 in the middle: over both lives at most 64 MiB are read twice. */
static void little_is_read_twice_after_a_kill(void **state)
{
    struct copying *t = *state;
    const uint64_t size = 160 * MIB;
    make_source(t, size);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, KEY);
    t->spec.bytes_per_s = 256 * MIB;
    pid_t pid = start_child(t);
    await_allocated(t->spec.dst_path, 110 * MIB);
    assert_int_equal(kill(pid, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    uint64_t before = bytes_read(pid);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    uint64_t had = allocated_bytes(t->spec.dst_path);

    struct copy *copy = NULL;
    uint64_t since = bytes_read(getpid());
    uint64_t spared = start_held(t, &copy);
    assert_in_range(spared, had - 64 * MIB, had);
    struct err err = ERR_INIT;
    t->port.ops->limit(t->port.ctx, copy, 0);
    assert_int_equal(finish_copy(t, copy, &err), 0);
    uint64_t after = bytes_read(getpid()) - since;
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    if (before >= 100 * MIB) /* else memory helped: no direct I/O here */
        assert_in_range(before + after, size, size + 64 * MIB + SAMPLES);
}

static void goes_on_again_and_again(void **state)
{
    struct copying *t = *state;
    make_source(t, 112 * MIB);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, KEY);
    t->spec.bytes_per_s = 128 * MIB;
    uint64_t last = 0;
    for (uint64_t goal = 30 * MIB; goal <= 90 * MIB; goal += 30 * MIB) {
        pid_t pid = start_child(t);
        await_allocated(t->spec.dst_path, goal);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        uint64_t at = checkpoint_position(t);
        assert_true(at >= last);
        last = at;
    }
    assert_true(last >= 26 * MIB); /* 90 - 64 */
    t->spec.bytes_per_s = 0;
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
}

static void the_whole_hole_before_the_position_stays(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    copy_all(t);
    assert_in_range(allocated_bytes(t->spec.dst_path), 36 * MIB, 37 * MIB);
}

static void a_source_that_changed_is_copied_anew(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    put_data(t->spec.src_path, 5 * MIB, 4096, 77);
    expect_from_zero(t);
}

static void a_destination_made_anew_is_filled_from_zero(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    struct stat st;
    assert_int_equal(stat(t->spec.dst_path, &st), 0);
    assert_int_equal(unlink(t->spec.dst_path), 0);
    make_file(t->spec.dst_path, (uint64_t)st.st_size); /* the same inode */
    expect_from_zero(t);
}

static void another_source_is_copied_from_zero(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    str_format(t->spec.src_path, PATH_MAX, "%s/other", t->dir);
    make_file(t->spec.src_path, 44 * MIB + 5);
    put_data(t->spec.src_path, 0, 36 * MIB, 9);
    expect_from_zero(t);
}

static void another_format_is_copied_from_zero(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    t->spec.src_format = VOLUME_COW;
    t->spec.dst_format = VOLUME_COW;
    expect_from_zero(t);
}

static void another_key_is_another_copy(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, "ff");
    assert_false(is_resumable(t));
}

/* A destination that lost what the checkpoint says is there. */
static void a_checkpoint_must_prove_itself(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    flip_bit(t->spec.dst_path, checkpoint_position(t) - 1);
    expect_from_zero(t);
}

static void forge(struct copying *t, uint64_t at)
{
    _cleanup_(pair_close) struct pair pair = PAIR_INIT;
    _cleanup_(checkpoint_deinit) struct checkpoint checkpoint = CHECKPOINT_INIT;
    char dir[PATH_MAX];
    str_format(dir, sizeof(dir), "%s/copies", t->dir);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, KEY);
    assert_int_equal(checkpoint_init(&checkpoint, dir, KEY, NULL), 0);
    assert_int_equal(pair_open(&pair, &t->spec, O_RDONLY, NULL), 0);
    assert_int_equal(checkpoint_start(&checkpoint, &pair, &t->spec, NULL), 0);
    assert_int_equal(checkpoint_save(&checkpoint, at, NULL), 0);
}

static void a_forged_position_is_not_believed(void **state)
{
    struct copying *t = *state;
    make_source(t, 24 * MIB);
    assert_int_equal(truncate(t->spec.dst_path, 32 * MIB + 5), 0);
    forge(t, 20 * MIB); /* nothing is there */
    expect_from_zero(t);
    forge(t, 33 * MIB); /* behind the end */
    expect_from_zero(t);
    forge(t, UINT64_MAX);
    expect_from_zero(t);
}

static void overwrite(const char *path, off_t at, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
}

static void a_torn_record_leaves_the_one_before(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    struct copy *copy = NULL;
    checkpoint_path(t, path);
    make_source(t, 16 * MIB);
    copy_all(t);
    forge(t, 8 * MIB);
    {
        _cleanup_(pair_close) struct pair pair = PAIR_INIT;
        _cleanup_(checkpoint_deinit) struct checkpoint found = CHECKPOINT_INIT;
        uint64_t at = 0;
        str_copy(found.path, PATH_MAX, path);
        assert_int_equal(pair_open(&pair, &t->spec, O_RDONLY, NULL), 0);
        assert_true(checkpoint_find(&found, &pair, &t->spec, &at));
        assert_int_equal(at, 8 * MIB);
        assert_int_equal(checkpoint_save(&found, 12 * MIB, NULL), 0);
    }
    assert_int_equal(checkpoint_position(t), 12 * MIB);
    /* Records 1 and 3 share a place; 3 is torn. */
    overwrite(path, 4096 + 8, "torn");
    assert_int_equal(checkpoint_position(t), 8 * MIB);
    assert_int_equal(start_held(t, &copy), 4 * MIB);
    t->port.ops->close(t->port.ctx, copy);
    overwrite(path, 8, "torn");
    overwrite(path, 4096 + 8, "torn");
    expect_from_zero(t);
}

static void what_is_no_checkpoint_is_replaced(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    checkpoint_path(t, path);
    make_source(t, 24 * MIB);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, KEY);
    make_file(path, 0);
    expect_from_zero(t);
    make_file(path, 8192);
    expect_from_zero(t);
    make_file(path, 100 * MIB);
    expect_from_zero(t);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_from_zero(t);
    assert_int_equal(symlink(t->spec.src_path, path), 0);
    expect_from_zero(t);
    assert_int_equal(allocated_bytes(t->spec.src_path) > 24 * MIB, 1);
}

static void a_failed_copy_keeps_its_checkpoint(void **state)
{
    struct copying *t = *state;
    struct rlimit before, low;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    uint64_t at = checkpoint_position(t);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    struct err err = ERR_INIT;
    int rc = finish_copy(t, start_copy(t), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, -EFBIG);
    assert_true(checkpoint_position(t) >= at);
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
}

static void forget_drops_it(void **state)
{
    struct copying *t = *state;
    make_source(t, 36 * MIB);
    interrupt_copy(t);
    assert_true(has_checkpoint(t));
    t->port.ops->forget(t->port.ctx, KEY);
    assert_false(has_checkpoint(t));
    t->port.ops->forget(t->port.ctx, KEY);
    t->port.ops->forget(t->port.ctx, "");
    t->port.ops->forget(t->port.ctx, "../src");
    assert_int_equal(access(t->spec.src_path, F_OK), 0);
    expect_from_zero(t);
}

static void without_a_key_nothing_is_kept(void **state)
{
    struct copying *t = *state;
    char path[PATH_MAX];
    make_source(t, 24 * MIB);
    t->spec.bytes_per_s = 32 * MIB;
    struct copy *copy = start_copy(t);
    run_until(t, copy, time_now_ms(), 300);
    t->port.ops->close(t->port.ctx, copy);
    str_format(path, sizeof(path), "%s/copies", t->dir);
    assert_int_equal(rmdir(path), 0); /* it is empty */
    assert_false(is_resumable(t));
}

static void without_a_state_directory_nothing_is_kept(void **state)
{
    struct copying *t = *state;
    struct err err = ERR_INIT;
    copier_free(t->copier);
    assert_int_equal(copier_new("/usr/bin/qemu-img", "", &t->copier, &err), 0);
    t->port = copier_port(t->copier);
    make_source(t, 24 * MIB);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, KEY);
    copy_all(t);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_false(is_resumable(t));
}

static void refuses_a_key_that_leads_elsewhere(void **state)
{
    struct copying *t = *state;
    const char *keys[] = { "../src", "a/b", "A", "g", ".", "a.new" };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct copy *copy = NULL;
        struct err err = ERR_INIT;
        str_copy(t->spec.resume_key, COPY_KEY_SIZE, keys[i]);
        assert_int_equal(t->port.ops->start(t->port.ctx, &t->spec, &copy, &err),
                         -EINVAL);
        assert_null(copy);
    }
    memset(t->spec.resume_key, 'a', COPY_KEY_SIZE); /* no end */
    assert_false(checkpoint_key_is_valid(t->spec.resume_key));
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, copying_setup, copying_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(goes_on_after_a_stop),
        TEST(little_is_read_twice_after_a_kill),
        TEST(goes_on_again_and_again),
        TEST(the_whole_hole_before_the_position_stays),
        TEST(a_source_that_changed_is_copied_anew),
        TEST(a_destination_made_anew_is_filled_from_zero),
        TEST(another_source_is_copied_from_zero),
        TEST(another_format_is_copied_from_zero),
        TEST(another_key_is_another_copy),
        TEST(a_checkpoint_must_prove_itself),
        TEST(a_forged_position_is_not_believed),
        TEST(a_torn_record_leaves_the_one_before),
        TEST(what_is_no_checkpoint_is_replaced),
        TEST(a_failed_copy_keeps_its_checkpoint),
        TEST(forget_drops_it),
        TEST(without_a_key_nothing_is_kept),
        TEST(without_a_state_directory_nothing_is_kept),
        TEST(refuses_a_key_that_leads_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
