/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Data files, raw and qcow2.
 */
#include "data.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>

enum {
    BLOCK = 4096,
    ZEROS_SIZE = 64 * 1024,
    DATA_MODE = 0660,
};

/* qemu finds out the alignment of direct I/O by reading, which tells nothing
 * where nothing is allocated; so the first block always is. */
static int write_first_block(int fd, uint64_t capacity)
{
    static const char zeros[BLOCK];
    size_t size = capacity < BLOCK ? (size_t)capacity : BLOCK;
    ssize_t n = pwrite(fd, zeros, size, 0);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -ENOSPC;
}

static int write_zeros(int fd, uint64_t offset, uint64_t end)
{
    static const char zeros[ZEROS_SIZE];
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
        return -errno;
    while (offset < end) {
        uint64_t rest = end - offset;
        size_t size = rest < ZEROS_SIZE ? (size_t)rest : ZEROS_SIZE;
        int rc = file_write_all(fd, zeros, size);
        if (rc < 0)
            return rc;
        offset += size;
    }
    return 0;
}

int domain_data_take_space(int fd, uint64_t from, uint64_t to)
{
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) ==
        0)
        return 0;
    return errno == EOPNOTSUPP ? write_zeros(fd, from, to) : -errno;
}

/* Beyond what is in the file already. */
static int preallocate(int fd, uint64_t offset, uint64_t end)
{
    if (offset >= end)
        return 0;
    if (fallocate(fd, 0, (off_t)offset, (off_t)(end - offset)) == 0)
        return 0;
    return errno == EOPNOTSUPP ? write_zeros(fd, offset, end) : -errno;
}

static int fill_raw(int fd, const struct domain_data *data)
{
    if (ftruncate(fd, (off_t)data->capacity) < 0)
        return -errno;
    int rc = write_first_block(fd, data->capacity);
    if (rc == 0 && data->allocation == FORMAT_PREALLOCATED)
        rc = preallocate(fd, 0, data->capacity);
    return rc;
}

static const char *qemu_name(enum format_kind kind)
{
    return kind == FORMAT_COW ? "qcow2" : "raw";
}

/* The parent is only written down: nothing of it is opened. */
int domain_data_build(const struct domain_data *data, char **ret_image,
                      size_t *ret_size, struct err *err)
{
    const struct format_qcow2_empty empty = {
        .capacity = data->capacity,
        .backing = data->parent,
        .backing_format = qemu_name(data->parent_kind),
    };
    int rc = format_qcow2_build(&empty, ret_image, ret_size, err);
    if (rc < 0)
        return err_wrap(err, "%s/%s", data->image->path, data->vol);
    return 0;
}

static int write_qcow2(int fd, const struct domain_data *data, struct err *err)
{
    _cleanup_free_ char *image = NULL;
    size_t size = 0;
    int rc = domain_data_build(data, &image, &size, err);
    if (rc < 0)
        return rc;
    if (lseek(fd, 0, SEEK_SET) < 0)
        rc = -errno;
    if (rc == 0)
        rc = file_write_all(fd, image, size);
    if (rc == 0)
        return 0;
    errno = -rc;
    return domain_fail(err, ERR_VOLUME_CREATE, "write", data->image, data->vol);
}

static int preallocate_cow(int fd, const struct domain_data *data)
{
    struct stat st;
    if (data->allocation != FORMAT_PREALLOCATED)
        return 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    uint64_t end = ((uint64_t)st.st_size + BLOCK - 1) / BLOCK * BLOCK;
    return preallocate(fd, end, data->capacity);
}

int domain_data_fill(int fd, const struct domain_data *data, struct err *err)
{
    int rc = 0;
    if (data->kind == FORMAT_COW) {
        rc = write_qcow2(fd, data, err);
        if (rc < 0)
            return err_default_code(err, ERR_VOLUME_CREATE);
        rc = preallocate_cow(fd, data);
    } else {
        rc = fill_raw(fd, data);
    }
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_VOLUME_CREATE, "write", data->image,
                           data->vol);
    }
    return domain_file_sync(fd, data->image, data->vol, err);
}

int domain_data_make(const struct domains *domains,
                     const struct domain_data *data, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_file_make(data->image, data->vol, DATA_MODE,
                              &domains->owner, &fd, err);
    return rc < 0 ? rc : domain_data_fill(fd, data, err);
}

int domain_data_reset(const struct domains *domains,
                      const struct domain_data *data, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_file_open(data->image, data->vol, O_RDWR, &fd, err);
    if (rc == DOMAIN_NONE)
        return domain_data_make(domains, data, err);
    if (rc < 0)
        return rc;
    if (ftruncate(fd, 0) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "empty", data->image,
                           data->vol);
    return domain_data_fill(fd, data, err);
}

static ssize_t read_head(int fd, char *head)
{
    ssize_t done = 0;
    ssize_t n = 1;
    while (n > 0 && done < FORMAT_QCOW2_HEAD_SIZE) {
        n = pread(fd, head + done, FORMAT_QCOW2_HEAD_SIZE - (size_t)done, done);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? n : 0;
        n = n < 0 ? 1 : n;
    }
    return done;
}

int domain_data_read_header(int fd, struct format_qcow2 *ret_header,
                            struct err *err)
{
    void *head = NULL;
    if (posix_memalign(&head, BLOCK, FORMAT_QCOW2_HEAD_SIZE) != 0)
        return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = read_head(fd, head);
    int rc = n < 0 ? err_set_code(err, ERR_METADATA_READ, "read: %m")
                   : format_qcow2_parse(head, (size_t)n, ret_header, err);
    free(head);
    return rc;
}
