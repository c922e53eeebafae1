/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening and sizing of files and block devices, and what is done to a
 * destination before the first byte and after the last one.
 *
 * A link is followed only to a block device: the names of logical volumes are
 * links. A link in the place of a volume's file is refused, as it could lead
 * out of the domain.
 */
#include "side.h"
#include "copy.h"
#include "used.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

bool side_is_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT);
}

int side_set_buffered(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
        return -errno;
    return 0;
}

static int open_direct(const char *path, int flags)
{
    int fd = open(path, flags | O_DIRECT | O_CLOEXEC);
    if (fd < 0 && errno == EINVAL)
        fd = open(path, flags | O_CLOEXEC);
    return fd;
}

static bool names_device(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int measure(struct side *side)
{
    if (fstat(side->fd, &side->st) < 0)
        return -errno;
    side->is_block = S_ISBLK(side->st.st_mode);
    if (side->is_block)
        return ioctl(side->fd, BLKGETSIZE64, &side->size) < 0 ? -errno : 0;
    if (!S_ISREG(side->st.st_mode))
        return -ENOTSUP;
    side->size = (uint64_t)side->st.st_size;
    return 0;
}

static int side_open(struct side *side, const char *path, int flags,
                     struct err *err)
{
    flags |= O_NONBLOCK; /* a FIFO in the place of a file must not hold us */
    bool device = names_device(path);
    if (!device)
        flags |= O_NOFOLLOW;
    else if ((flags & O_ACCMODE) != O_RDONLY)
        flags |= O_EXCL; /* on a device: refuse it while it is mounted */
    side->path = path;
    side->fd = open_direct(path, flags);
    int rc = side->fd < 0 ? -errno : measure(side);
    if (rc == 0 && device != side->is_block)
        rc = -ELOOP; /* it was replaced between */
    return rc ? copy_error(err, rc, "open", path) : 0;
}

static bool is_same(const struct side *a, const struct side *b)
{
    if (a->is_block && b->is_block)
        return a->st.st_rdev == b->st.st_rdev;
    return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

int side_open_to_read(struct side *side, const char *path, struct err *err)
{
    return side_open(side, path, O_RDONLY, err);
}

/* What lies on a device behind the contents is not ours to read. */
static int find_end(struct side *src, const struct copy_spec *spec,
                    struct err *err)
{
    if (!src->is_block)
        return 0;
    if (spec->src_format == VOLUME_COW)
        return used_end(src, &src->size, err);
    if (spec->src_bytes && spec->src_bytes < src->size)
        src->size = spec->src_bytes;
    return 0;
}

int pair_open(struct pair *pair, const struct copy_spec *spec, int dst_flags,
              struct err *err)
{
    const struct side *src = &pair->src;
    const struct side *dst = &pair->dst;
    int rc = side_open(&pair->src, spec->src_path, O_RDONLY, err);
    if (rc == 0)
        rc = find_end(&pair->src, spec, err);
    if (rc == 0)
        rc = side_open(&pair->dst, spec->dst_path, dst_flags, err);
    if (rc)
        return rc;
    if (is_same(src, dst))
        return err_set(err, -EINVAL, "copy %s to %s: they are one file",
                       src->path, dst->path);
    if (!dst->is_block || dst->size >= src->size)
        return 0;
    (void)err_set_code(err, ERR_NO_SPACE,
                       "copy %s to %s: the device has %llu bytes, %llu are "
                       "needed",
                       src->path, dst->path, (unsigned long long)dst->size,
                       (unsigned long long)src->size);
    return err_next(err, "extend the device, or choose another one");
}

void pair_close(struct pair *pair)
{
    util_closep(&pair->src.fd);
    util_closep(&pair->dst.fd);
}

ssize_t side_read(const struct side *side, void *buffer, size_t len,
                  uint64_t at)
{
    size_t have = 0;
    while (have < len) {
        ssize_t n = pread(side->fd, (char *)buffer + have, len - have,
                          (off_t)(at + have));
        if (n == 0)
            break;
        if (n > 0) {
            have += (size_t)n;
            continue;
        }
        int rc = -errno;
        if (rc == -EINVAL && side_is_direct(side->fd))
            rc = side_set_buffered(side->fd);
        else if (rc == -EINTR)
            rc = 0;
        if (rc)
            return rc;
    }
    return (ssize_t)have;
}

bool side_is_fresh_preallocated(const struct side *side, uint64_t size)
{
    return !side->is_block && side->size == size && size > 0 &&
           (uint64_t)side->st.st_blocks * 512 >= size &&
           lseek(side->fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

int side_empty(struct side *side, uint64_t size, struct err *err)
{
    if (side->is_block || side_is_fresh_preallocated(side, size))
        return 0;
    if (ftruncate(side->fd, 0) < 0 || ftruncate(side->fd, (off_t)size) < 0)
        return copy_error(err, -errno, "resize", side->path);
    side->size = size;
    return 0;
}

/* Punching works only where the device promises zeros afterwards; the kernel
 * writes them itself for BLKZEROOUT. */
int side_zero(const struct side *side, const struct extent *range)
{
    uint64_t span[2] = { range->start, range->end - range->start };
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(side->fd, mode, (off_t)span[0], (off_t)span[1]) == 0)
        return 0;
    return ioctl(side->fd, BLKZEROOUT, span) < 0 ? -errno : 0;
}

int side_settle(const struct side *side, uint64_t size, struct err *err)
{
    if (!side->is_block && ftruncate(side->fd, (off_t)size) < 0)
        return copy_error(err, -errno, "resize", side->path);
    if (fdatasync(side->fd) < 0)
        return copy_error(err, -errno, "sync", side->path);
    return 0;
}
