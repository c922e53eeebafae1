/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies by sharing blocks: the destination's file gets the source's extents
 * (XFS, btrfs, an NFS 4.2 server on them). No data moves, so a limit means
 * nothing here. It goes in large steps, between which a stop is seen: a file
 * of a hundred thousand extents takes seconds.
 *
 * A preallocated destination gets back the reservation of what the source does
 * not hold; what is shared becomes its own when the source is removed.
 */
#include "mover.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static const uint64_t step = UINT64_C(1) << 30;

static bool is_unsupported(int errnum)
{
    switch (errnum) {
    case EOPNOTSUPP:
    case ENOTTY:
    case EXDEV:
    case EINVAL:
    case ENOSYS:
    case EPERM: /* immutable or append-only, or a swap file's neighbour */
    case EBADF: /* a file system that wants other open flags */
    case ETXTBSY:
    case EISDIR:
        return true;
    default:
        return false;
    }
}

/* @len 0: to the source's end, which need not be a block's. */
static int share(int src, int dst, uint64_t at, uint64_t len)
{
    struct file_clone_range range = {
        .src_fd = src,
        .src_offset = at,
        .src_length = len,
        .dest_offset = at,
    };
    return ioctl(dst, FICLONERANGE, &range) < 0 ? -errno : 0;
}

int reflink_try(int src, int dst)
{
    struct stat st;
    if (fstat(src, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return MOVER_UNSUPPORTED;
    uint64_t block = (uint64_t)st.st_blksize;
    int rc = share(src, dst, 0, (uint64_t)st.st_size > block ? block : 0);
    return rc < 0 && is_unsupported(-rc) ? MOVER_UNSUPPORTED : rc;
}

/* Shares all; *ret_at is how far it came. */
static int share_all(struct move *move, uint64_t *ret_at)
{
    const struct pair *pair = &move->pair;
    uint64_t size = pair->src.size;
    uint64_t at = 0;
    int rc = 0;
    do {
        if (copy_is_stopped(move->copy))
            return -ECANCELED;
        bool last = size - at <= step;
        rc = share(pair->src.fd, pair->dst.fd, at, last ? 0 : step);
        if (rc == 0)
            at = last ? size : at + step;
        *ret_at = at;
        copy_report(move->copy, at, size);
    } while (rc == 0 && at < size);
    return rc;
}

int reflink_move(struct move *move, struct err *err)
{
    const struct side *dst = &move->pair.dst;
    uint64_t size = move->pair.src.size;
    uint64_t at = 0;
    if (move->pair.src.is_block || dst->is_block)
        return MOVER_UNSUPPORTED;
    bool preallocated = side_is_fresh_preallocated(dst, size);
    /* The source's last block may be cut only where the destination ends. */
    if (dst->size > size && ftruncate(dst->fd, (off_t)size) < 0)
        return copy_error(err, -errno, "resize", dst->path);
    copy_set_mover(move->copy, COPY_BY_REFLINK);
    int rc = share_all(move, &at);
    if (at == 0 && rc < 0 && is_unsupported(-rc))
        return MOVER_UNSUPPORTED;
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0)
        return copy_error(err, rc, "share blocks with", dst->path);
    if (preallocated && fallocate(dst->fd, 0, 0, (off_t)size) < 0 &&
        errno != EOPNOTSUPP)
        return copy_error(err, -errno, "reserve space for", dst->path);
    return side_settle(dst, size, err);
}
