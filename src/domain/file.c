/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files right in a directory. O_NONBLOCK at every opening: a FIFO or a device
 * planted under a volume's name must fail the check, not hold the worker.
 */
#include "dir.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int domain_file_open(const struct domain_dir *dir, const char *name, int flags,
                     int *ret_fd, struct err *err)
{
    _cleanup_close_ int fd =
        openat(dir->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return DOMAIN_NONE;
    if (fd < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "open", dir, name);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "stat", dir, name);
    if (!S_ISREG(st.st_mode))
        return err_set_code(err, ERR_VOLUME_ACCESS,
                            "%s/%s is not a regular file", dir->path, name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The umask and the export decide what a new file has; this is what it gets. */
static int set_owner(int fd, mode_t mode, const struct domain_owner *owner)
{
    struct stat st;
    if (fchmod(fd, mode) < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid == owner->uid && st.st_gid == owner->gid)
        return 0;
    return fchown(fd, owner->uid, owner->gid) < 0 ? -errno : 0;
}

int domain_file_make(const struct domain_dir *dir, const char *name,
                     mode_t mode, const struct domain_owner *owner, int *ret_fd,
                     struct err *err)
{
    _cleanup_close_ int fd =
        openat(dir->fd, name,
               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return domain_fail(err, ERR_VOLUME_CREATE, "make", dir, name);
    int rc = set_owner(fd, mode, owner);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_VOLUME_CREATE, "set owner and mode of", dir,
                           name);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static ssize_t read_fully(int fd, char *buffer, size_t size, off_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, buffer + done, size - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int domain_file_read(const struct domain_dir *dir, const char *name,
                     off_t offset, struct domain_buffer *buffer,
                     struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_file_open(dir, name, O_RDONLY, &fd, err);
    if (rc != 0)
        return rc;
    ssize_t n = read_fully(fd, buffer->data, buffer->size, offset);
    if (n < 0) {
        errno = (int)-n;
        return domain_fail(err, ERR_METADATA_READ, "read", dir, name);
    }
    buffer->size = (size_t)n;
    return 0;
}

int domain_file_write(const struct domain_dir *dir, const char *name,
                      const void *data, size_t size,
                      const struct domain_owner *owner, struct err *err)
{
    enum {
        MODE = 0644
    };
    _cleanup_close_ int fd = -1;
    int rc = domain_file_make(dir, name, MODE, owner, &fd, err);
    if (rc < 0)
        return rc;
    rc = file_write_all(fd, data, size);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_METADATA_WRITE, "write", dir, name);
    }
    return domain_file_sync(fd, dir, name, err);
}

int domain_file_stat(const struct domain_dir *dir, const char *name,
                     struct stat *ret_stat, struct err *err)
{
    struct stat st;
    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return DOMAIN_NONE;
        return domain_fail(err, ERR_VOLUME_ACCESS, "stat", dir, name);
    }
    *ret_stat = st;
    return 0;
}

int domain_file_remove(const struct domain_dir *dir, const char *name,
                       struct err *err)
{
    if (unlinkat(dir->fd, name, 0) < 0 && errno != ENOENT)
        return domain_fail(err, ERR_VOLUME_DELETE, "remove", dir, name);
    return 0;
}

int domain_file_rename(const struct domain_dir *dir, const char *from,
                       const char *to, struct err *err)
{
    if (renameat(dir->fd, from, dir->fd, to) < 0)
        return domain_fail(err, ERR_METADATA_WRITE, "rename", dir, from);
    return domain_dir_sync(dir, err);
}

int domain_file_sync(int fd, const struct domain_dir *dir, const char *name,
                     struct err *err)
{
    if (fsync(fd) < 0)
        return domain_fail(err, ERR_METADATA_WRITE, "sync", dir, name);
    return 0;
}
