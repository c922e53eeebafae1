/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Dying in the middle, and calls that fail.
 */
#include "cut.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* --- the calls; a linker option brings ours in their place --- */

long calls_left = -1;
bool only_fails;
int struck_errno = EIO;

/* Whether this call has to fail. */
static bool is_struck(void)
{
    if (calls_left <= 0 || --calls_left > 0)
        return false;
    if (!only_fails)
        _exit(CUT);
    errno = struck_errno;
    return true;
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return is_struck() ? -1 : __real_fallocate64(fd, mode, offset, len);
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
    return is_struck() ? -1 : __real_fchmod(fd, mode);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    /* No power is cut here. */
    return is_struck() ? -1 : calls_left < 0 ? 0 : __real_fsync(fd);
}

int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size)
{
    return is_struck() ? -1 : __real_ftruncate64(fd, size);
}

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags)
{
    return is_struck() ? -1 : __real_linkat(from_fd, from, to_fd, to, flags);
}

int __real_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
    return is_struck() ? -1 : __real_mkdirat(fd, name, mode);
}

int __real_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT && is_struck())
        return -1;
    return __real_openat64(fd, name, flags, mode);
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return is_struck() ? -1 : __real_pwrite64(fd, data, size, offset);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return is_struck() ? -1 : __real_rename(from, to);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return is_struck() ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                     unsigned flags)
{
    return is_struck() ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags)
{
    return is_struck() ? -1 : __real_unlinkat(fd, name, flags);
}

/* A write may end in its middle, too. */
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (calls_left == 1)
        (void)__real_write(fd, data, size / 2);
    return is_struck() ? -1 : __real_write(fd, data, size);
}

/* --- cutting --- */

int run_cut(struct fixture *f, change_fn *change, long n)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = ERR_INIT;
        calls_left = n;
        int rc = change(f, &err);
        if (rc < 0)
            (void)fprintf(stderr, "%s\n", err.message);
        _exit(rc < 0 ? FAILED : DONE);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void succeed(struct fixture *f, change_fn *change)
{
    struct err err = ERR_INIT;
    if (change(f, &err) < 0)
        fail_msg("%s", err.message);
}

void check_image_files(const struct fixture *f, const char *img)
{
    char path[PATH_MAX];
    size_t files = 0;
    size_t metas = 0;
    fixture_path(f, path, "storage/" SD "/images/%s", img);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        files++;
        metas += str_ends_with(entry->d_name, ".meta");
        if (str_ends_with(entry->d_name, ".new"))
            fail_msg("%s/%s is left", path, entry->d_name);
    }
    (void)closedir(dir);
    if (files != 3 * metas || metas == 0)
        fail_msg("%s: %zu files of %zu volumes", path, files, metas);
}

static void check_chain(struct fixture *f, const char *img)
{
    struct storage_chain chain = { 0 };
    struct err err = ERR_INIT;
    if (f->port.ops->image_chain(f->port.ctx, SD, img, NULL, &chain, &err) < 0)
        fail_msg("%s", err.message);
    struct uuid_list list = { 0 };
    assert_int_equal(
        f->port.ops->domain_volumes(f->port.ctx, SD, img, &list, NULL), 0);
    assert_int_equal(list.n, chain.n);
    for (size_t i = 0; i < chain.n; i++) {
        struct lease_state lease;
        assert_int_equal(f->port.ops->volume_lease(
                             f->port.ctx, &chain.volumes[i].id, &lease, NULL),
                         0);
        assert_true(lease.present);
        if (img[0] == IMG[0])
            assert_int_equal(chain.volumes[i].role,
                             i + 1 < chain.n ? VOLUME_INTERNAL : VOLUME_LEAF);
    }
    uuid_list_deinit(&list);
    storage_chain_deinit(&chain);
}

void check_domain(struct fixture *f)
{
    char path[PATH_MAX];
    assert_int_equal(fake_leases_held(f->leases), 0);
    fixture_path(f, path, "storage/" SD "/images");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        if (!uuid_is_valid(entry->d_name))
            fail_msg("%s/%s is left", path, entry->d_name);
        check_image_files(f, entry->d_name);
        check_chain(f, entry->d_name);
    }
    (void)closedir(dir);
}

/* As after a restart of the room: the domain is scanned. */
static void check_joined_again(struct fixture *f)
{
    fixture_restart(f);
    fixture_join(f);
    check_domain(f);
}

void cut_everywhere(struct fixture *f, change_fn *change, change_fn *back,
                    long at_least)
{
    int outcome = CUT;
    long n = 0;
    while (outcome == CUT) {
        n++;
        for (int scan = 0; scan < 2; scan++) {
            outcome = run_cut(f, change, n);
            if (outcome == FAILED)
                fail_msg("cut at call %ld: it failed instead of dying", n);
            if (scan)
                check_joined_again(f);
            succeed(f, change);
            check_domain(f);
            succeed(f, back);
            check_domain(f);
        }
    }
    assert_true(n > at_least); /* else the calls are not counted any more */
}

void fail_everywhere(struct fixture *f, change_fn *change, change_fn *back)
{
    only_fails = true;
    for (long n = 1;; n++) {
        struct err err = ERR_INIT;
        calls_left = n;
        int rc = change(f, &err);
        bool struck = calls_left == 0;
        calls_left = -1;
        assert_int_equal(fake_leases_held(f->leases), 0);
        if (rc < 0 && !struck)
            fail_msg("call %ld: %s", n, err.message);
        if (rc < 0 && !err.message[0])
            fail_msg("call %ld failed without a word", n);
        succeed(f, change);
        check_domain(f);
        if (!struck)
            break;
        succeed(f, back);
        check_domain(f);
    }
    only_fails = false;
}
