/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Direct I/O needs aligned memory and whole blocks; here they are.
 */
#include "lv.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMORY_ALIGNMENT = 4096
};

void block_lv_path(const struct domain_info *info, const char *lv,
                   char ret_path[PATH_MAX])
{
    (void)str_format(ret_path, PATH_MAX, "%.*s/%s/%s",
                     PATH_MAX - 2 * UUID_SIZE - 2, info->path, info->sd, lv);
}

static int fail(const struct domain_info *info, const char *lv,
                const char *verb, struct err *err)
{
    return err_set_code(err, ERR_STORAGE, "%s %s/%s/%s: %m", verb, info->path,
                        info->sd, lv);
}

static int open_lv(const struct domain_info *info, const char *lv, int flags,
                   int *ret_fd, struct err *err)
{
    char path[PATH_MAX];
    block_lv_path(info, lv, path);
    int fd = open(path, flags | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return fail(info, lv, "open", err);
    *ret_fd = fd;
    return 0;
}

/* Zeroed, of whole blocks. */
static int new_buffer(const struct domain_info *info, size_t size,
                      void **ret_buffer, size_t *ret_size, struct err *err)
{
    size_t block = info->block_size;
    size_t whole = (size + block - 1) / block * block;
    void *buffer = NULL;
    if (posix_memalign(&buffer, MEMORY_ALIGNMENT, whole) != 0)
        return err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
    memset(buffer, 0, whole);
    *ret_buffer = buffer;
    *ret_size = whole;
    return 0;
}

/* One call: a device takes all, or the LV ends there. */
static bool is_whole(ssize_t n, size_t size)
{
    if (n < 0)
        return false;
    errno = ENOSPC;
    return (size_t)n == size;
}

int block_lv_read(const struct domain_info *info, const char *lv,
                  uint64_t offset, void *ret_data, size_t size, struct err *err)
{
    _cleanup_close_ int fd = -1;
    _cleanup_free_ void *buffer = NULL;
    size_t whole = 0;
    int rc = open_lv(info, lv, O_RDONLY, &fd, err);
    if (rc == 0)
        rc = new_buffer(info, size, &buffer, &whole, err);
    if (rc < 0 || !buffer)
        return rc;
    if (!is_whole(pread(fd, buffer, whole, (off_t)offset), whole))
        return fail(info, lv, "read", err);
    memcpy(ret_data, buffer, size);
    return 0;
}

int block_lv_write(const struct domain_info *info, const char *lv,
                   uint64_t offset, const void *data, size_t size,
                   struct err *err)
{
    _cleanup_close_ int fd = -1;
    _cleanup_free_ void *buffer = NULL;
    size_t whole = 0;
    int rc = open_lv(info, lv, O_WRONLY | O_DSYNC, &fd, err);
    if (rc == 0)
        rc = new_buffer(info, size, &buffer, &whole, err);
    if (rc < 0 || !buffer)
        return rc;
    memcpy(buffer, data, size);
    if (!is_whole(pwrite(fd, buffer, whole, (off_t)offset), whole))
        return fail(info, lv, "write", err);
    return 0;
}

int block_lv_zero(const struct domain_info *info, const char *lv,
                  uint64_t offset, uint64_t size, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = open_lv(info, lv, O_WRONLY, &fd, err);
    if (rc < 0)
        return rc;
    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)offset, (off_t)size) < 0 ||
        fdatasync(fd) < 0)
        return fail(info, lv, "zero", err);
    return 0;
}
