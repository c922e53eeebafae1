/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shared by the tests of copies. /var/tmp is used, as /tmp may be memory.
 */
#include "copying.h"
#include "../../../src/copy/checkpoint.h"
#include "../../../src/copy/extent.h"
#include "../../../src/copy/side.h"
#include <dray/base/util.h>
#include <dray/exec.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

void copying_init(struct copying *t, const char *parent)
{
    struct err err = ERR_INIT;
    assert_true(
        str_format(t->dir, sizeof(t->dir), "%s/drayd-test-XXXXXX", parent));
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(copier_new("/usr/bin/qemu-img", t->dir, &t->copier, &err),
                     0);
    t->port = copier_port(t->copier);
    str_format(t->spec.src_path, PATH_MAX, "%s/src", t->dir);
    str_format(t->spec.dst_path, PATH_MAX, "%s/dst", t->dir);
    t->spec.src_format = VOLUME_RAW;
    t->spec.dst_format = VOLUME_RAW;
}

void copying_deinit(struct copying *t)
{
    struct err err = ERR_INIT;
    struct exec_result result = { 0 };
    const char *argv[] = { "/bin/rm", "-rf", t->dir, NULL };
    assert_int_equal(exec_check(argv, NULL, &result, &err), 0);
    exec_result_deinit(&result);
    copier_free(t->copier);
}

int copying_setup(void **state)
{
    struct copying *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    copying_init(t, "/var/tmp");
    *state = t;
    return 0;
}

int copying_teardown(void **state)
{
    copying_deinit(*state);
    free(*state);
    return 0;
}

void make_file(const char *path, uint64_t size)
{
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static void fill(char *data, size_t n, uint64_t at, unsigned seed)
{
    uint64_t x = at * 0x9e3779b97f4a7c15ULL + seed * 0xda942042e4dd58b5ULL + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        data[i] = (char)(x >> 56);
    }
}

/* @seed 0: zeros. */
static void put(const char *path, uint64_t at, uint64_t len, unsigned seed)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    static char data[MIB];
    assert_true(fd >= 0);
    memset(data, 0, sizeof(data));
    while (len > 0) {
        size_t n = len < MIB ? (size_t)len : MIB;
        if (seed)
            fill(data, n, at, seed);
        assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
        at += n;
        len -= n;
    }
    assert_int_equal(fsync(fd), 0); /* real blocks, not delayed ones */
}

void put_data(const char *path, uint64_t at, uint64_t len, unsigned seed)
{
    put(path, at, len, seed + 1);
}

void put_zeros(const char *path, uint64_t at, uint64_t len)
{
    put(path, at, len, 0);
}

uint64_t allocated_bytes(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void compare_range(int a, int b, const struct extent *range)
{
    static char x[MIB];
    static char y[MIB];
    for (uint64_t at = range->start; at < range->end;) {
        uint64_t left = range->end - at;
        size_t n = left < MIB ? (size_t)left : MIB;
        assert_int_equal(pread(a, x, n, (off_t)at), n);
        assert_int_equal(pread(b, y, n, (off_t)at), n);
        assert_memory_equal(x, y, n);
        at += n;
    }
}

static void compare_data_of(int a, int b, uint64_t size)
{
    struct extent extent = { 0 };
    int rc = 0;
    while ((rc = extent_next(a, extent.end, size, &extent)) == 0)
        compare_range(a, b, &extent);
    assert_int_equal(rc, EXTENT_END);
}

void assert_same_content(const char *a, const char *b)
{
    _cleanup_close_ int a_fd = open(a, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int b_fd = open(b, O_RDONLY | O_CLOEXEC);
    struct stat a_st, b_st;
    assert_int_equal(fstat(a_fd, &a_st), 0);
    assert_int_equal(fstat(b_fd, &b_st), 0);
    assert_int_equal(a_st.st_size, b_st.st_size);
    compare_data_of(a_fd, b_fd, (uint64_t)a_st.st_size);
    compare_data_of(b_fd, a_fd, (uint64_t)a_st.st_size);
}

struct copy *start_copy(struct copying *t)
{
    struct copy *copy = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(t->port.ops->start(t->port.ctx, &t->spec, &copy, &err), 0);
    return copy;
}

struct copy_progress look(struct copying *t, struct copy *copy)
{
    struct copy_progress progress = { 0 };
    struct err err = ERR_INIT;
    t->port.ops->poll(t->port.ctx, copy, &progress, &err);
    return progress;
}

int finish_copy(struct copying *t, struct copy *copy, struct err *err)
{
    struct copy_progress progress = { 0 };
    for (;;) {
        t->port.ops->poll(t->port.ctx, copy, &progress, err);
        if (progress.finished)
            break;
        (void)poll(NULL, 0, 2); /* the port has no event */
    }
    t->port.ops->close(t->port.ctx, copy);
    return progress.result;
}

void copy_all(struct copying *t)
{
    struct err err = ERR_INIT;
    int rc = finish_copy(t, start_copy(t), &err);
    if (rc)
        fail_msg("%s", err.message);
}

void run_until(struct copying *t, struct copy *copy, int64_t since_ms,
               int64_t ms)
{
    while (time_now_ms() - since_ms < ms && !look(t, copy).finished)
        (void)poll(NULL, 0, 5);
}

void in_a_child(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP_STATUS)
        skip(); /* the machine does not let us */
    assert_int_equal(status, 0);
}

uint64_t checkpoint_position(const struct copying *t)
{
    _cleanup_(pair_close) struct pair pair = PAIR_INIT;
    _cleanup_(checkpoint_deinit) struct checkpoint checkpoint = CHECKPOINT_INIT;
    char dir[PATH_MAX];
    uint64_t at = 0;
    str_format(dir, sizeof(dir), "%s/copies", t->dir);
    assert_int_equal(
        checkpoint_init(&checkpoint, dir, t->spec.resume_key, NULL), 0);
    if (pair_open(&pair, &t->spec, O_RDONLY, NULL) == 0 &&
        !checkpoint_find(&checkpoint, &pair, &t->spec, &at))
        return 0;
    return at;
}

void interrupt_copy(struct copying *t)
{
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, "0a-1b");
    t->spec.bytes_per_s = 48 * MIB;
    struct copy *copy = start_copy(t);
    t->spec.bytes_per_s = 0;
    while (look(t, copy).done < 18 * MIB && !look(t, copy).finished)
        (void)poll(NULL, 0, 2);
    t->port.ops->limit(t->port.ctx, copy, 1);
    while (checkpoint_position(t) == 0 && !look(t, copy).finished)
        (void)poll(NULL, 0, 2);
    assert_false(look(t, copy).finished);
    t->port.ops->close(t->port.ctx, copy);
}

uint64_t start_held(struct copying *t, struct copy **ret_copy)
{
    t->spec.bytes_per_s = 1;
    *ret_copy = start_copy(t);
    t->spec.bytes_per_s = 0;
    struct copy_progress progress = { 0 };
    while (progress.total == 0 && !progress.finished) {
        (void)poll(NULL, 0, 1);
        progress = look(t, *ret_copy);
    }
    return progress.done / MIB * MIB; /* the first piece may be done */
}

void flip_bit(const char *path, uint64_t at)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte = 0;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    assert_int_equal(fsync(fd), 0);
}
