/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Shared by the tests of copies. /var/tmp is used, as /tmp may be memory.
 */
#include "copying.h"
#include "../../../src/copy/extent.h"
#include <dray/base/util.h>
#include <dray/exec.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void copying_init(struct copying *t, const char *parent)
{
    struct err err = ERR_INIT;
    assert_true(
        str_format(t->dir, sizeof(t->dir), "%s/drayd-test-XXXXXX", parent));
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(copier_new("/usr/bin/qemu-img", t->dir, &t->copier, &err), 0);
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

void put_data(const char *path, uint64_t at, uint64_t len, unsigned seed)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    static char data[MIB];
    assert_true(fd >= 0);
    while (len > 0) {
        size_t n = len < MIB ? (size_t)len : MIB;
        fill(data, n, at, seed);
        assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
        at += n;
        len -= n;
    }
    assert_int_equal(fsync(fd), 0); /* real blocks, not delayed ones */
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
