/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole files, read and replaced. Replacing relies on rename() being atomic in
 * one directory; the fsync before it keeps the new name from pointing to an
 * empty file after a crash, the one of the directory makes the name durable.
 */
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    READ_CHUNK = 4096
};

static int open_regular(const char *path, int *ret_fd, struct err *err)
{
    /* O_NONBLOCK: a FIFO in the place of a file must not hold us. */
    _cleanup_close_ int fd =
        open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, -errno, "open %s: %m", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "stat %s: %m", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "%s is not a regular file", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t n = 0;
    do {
        n = read(fd, buffer, size);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Doubles the buffer while there is more, up to max + 1 bytes: the last one
 * tells "full" from "too large". The size that stat() says is not asked: it is
 * 0 in /proc, and old where somebody writes. */
static int read_all(int fd, size_t max, char **ret_text, size_t *ret_len)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    size_t len = 0;
    for (;;) {
        if (len == size) {
            size = size ? size * 2 : READ_CHUNK;
            char *larger = realloc(text, size + 1);
            if (!larger)
                return -ENOMEM;
            text = larger;
        }
        ssize_t n = read_some(fd, text + len, size - len);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return -EFBIG;
    }
    text[len] = '\0';
    *ret_text = TAKE(text);
    *ret_len = len;
    return 0;
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
              struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = open_regular(path, &fd, err);
    if (rc < 0)
        return rc;
    rc = read_all(fd, max, ret_text, ret_len);
    if (rc == -EFBIG)
        return err_set(err, rc, "%s is larger than %zu bytes", path, max);
    if (rc < 0) {
        errno = -rc;
        return err_set(err, rc, "read %s: %m", path);
    }
    return 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
    const char *next = data;
    while (len > 0) {
        ssize_t n = write(fd, next, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        next += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Fills the open file and makes its bytes durable. */
static int fill(int fd, const char *path, const void *data, size_t len,
                struct err *err)
{
    int rc = file_write_all(fd, data, len);
    if (rc < 0) {
        errno = -rc;
        return err_set(err, rc, "write %s: %m", path);
    }
    if (fsync(fd) < 0)
        return err_set(err, -errno, "fsync %s: %m", path);
    return 0;
}

static int write_new(const char *path, const void *data, size_t len,
                     mode_t mode, struct err *err)
{
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return err_set(err, -errno, "create %s: %m", path);
    int rc = 0;
    if (fchmod(fd, mode) < 0) /* whatever the umask says */
        rc = err_set(err, -errno, "chmod %s: %m", path);
    if (rc == 0)
        rc = fill(fd, path, data, len, err);
    if (rc < 0)
        (void)unlink(path); /* gives the space back; may fail like the rest */
    return rc;
}

/* The directory that holds @path: "" + "file" is ".". */
static int parent_of(const char *path, char *dst, size_t size)
{
    if (!str_copy(dst, size, path))
        return -ENAMETOOLONG;
    char *slash = strrchr(dst, '/');
    if (!slash)
        return str_copy(dst, size, ".") ? 0 : -ENAMETOOLONG;
    if (slash == dst)
        slash++; /* the root */
    *slash = '\0';
    return 0;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode,
                 struct err *err)
{
    char new_path[PATH_MAX];
    char dir[PATH_MAX];
    if (!str_format(new_path, sizeof(new_path), "%s.new", path) ||
        parent_of(path, dir, sizeof(dir)) < 0)
        return err_set(err, -ENAMETOOLONG, "path too long: %s", path);
    int rc = write_new(new_path, data, len, mode, err);
    if (rc < 0)
        return rc;
    if (rename(new_path, path) < 0) {
        rc = err_set(err, -errno, "rename %s to %s: %m", new_path, path);
        (void)unlink(new_path); /* same */
        return rc;
    }
    return file_sync_dir(dir, err);
}

int file_sync_dir(const char *path, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "open %s: %m", path);
    if (fsync(fd) < 0)
        return err_set(err, -errno, "fsync %s: %m", path);
    return 0;
}

/* Or what is written into the directory later, durably, is lost with it. */
static int sync_parent(const char *path, struct err *err)
{
    char dir[PATH_MAX];
    if (parent_of(path, dir, sizeof(dir)) < 0)
        return err_set(err, -ENAMETOOLONG, "path too long: %s", path);
    return file_sync_dir(dir, err);
}

int file_make_dir(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) < 0) /* whatever the umask says */
            return err_set(err, -errno, "chmod %s: %m", path);
        return sync_parent(path, err);
    }
    if (errno != EEXIST)
        return err_set(err, -errno, "mkdir %s: %m", path);
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(err, -errno, "stat %s: %m", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "%s is not a directory", path);
    return 0;
}

int file_remove(const char *path, struct err *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "remove %s: %m", path);
    return 0;
}
