/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies a file byte by byte and keeps its holes.
 *
 *   open both      direct I/O where the file system has it, so that a big copy
 *                  does not push the guests' data out of the page cache
 *   empty          the destination becomes one hole of the source's size; one
 *                  that was preallocated and never written stays as it is
 *   copy           each stretch of data, in chunks; stop and limit are looked
 *                  at before each
 *   settle         cut the padding of the last block, fdatasync
 *
 * Relies on the source being frozen: nobody writes to an internal volume. A
 * failure leaves a partial destination; the caller removes or resets it.
 */
#include "bucket.h"
#include "copy.h"
#include "extent.h"
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CHUNK_MAX = 4 * 1024 * 1024,
    BLOCK = 4096, /* satisfies every device's direct I/O */
    ZERO_UNIT = 64 * 1024,
};

struct pump {
    struct copy *copy;
    int src, dst;
    char *buffer;   /* CHUNK_MAX bytes, aligned */
    uint64_t size;  /* of the source */
    uint64_t total; /* bytes of data in it */
    uint64_t done;
    bool skip_zeros; /* the source's holes cannot be seen */
    bool buffered;   /* writes go through the page cache */
    struct bucket bucket;
    struct extent behind; /* buffered: written last, not yet waited for */
};

static int set_buffered(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
        return -errno;
    return 0;
}

static bool is_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT);
}

static int open_file(const char *path, int flags, struct stat *ret_st,
                     int *ret_fd)
{
    flags |= O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    _cleanup_close_ int fd = open(path, flags | O_DIRECT);
    if (fd < 0 && errno == EINVAL)
        fd = open(path, flags);
    if (fd < 0 || fstat(fd, ret_st) < 0)
        return -errno;
    if (!S_ISREG(ret_st->st_mode))
        return -ENOTSUP;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* One pread or pwrite; a file system that took O_DIRECT at open and refuses
 * the request itself gets it through the page cache. */
static ssize_t transfer(int fd, bool out, char *buffer, size_t len, uint64_t at)
{
    for (;;) {
        ssize_t n = out ? pwrite(fd, buffer, len, (off_t)at)
                        : pread(fd, buffer, len, (off_t)at);
        if (n >= 0)
            return n;
        if (errno == EINVAL && is_direct(fd)) {
            int rc = set_buffered(fd);
            if (rc)
                return rc;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Fills the buffer with @len bytes; behind the end of the file come zeros. */
static int read_chunk(struct pump *pump, uint64_t at, size_t len,
                      struct err *err)
{
    const char *path = pump->copy->spec.src_path;
    size_t have = 0;
    while (have < len && at + have < pump->size) {
        ssize_t n = transfer(pump->src, false, pump->buffer + have, len - have,
                             at + have);
        if (n < 0)
            return copy_error(err, (int)n, "read", path);
        if (n == 0)
            break;
        have += (size_t)n;
    }
    if (at + have < pump->size && have < len)
        return err_set(err, -EIO, "read %s: it shrank while it was copied",
                       path);
    memset(pump->buffer + have, 0, len - have);
    return 0;
}

static int write_range(struct pump *pump, char *data, size_t len, uint64_t at,
                       struct err *err)
{
    while (len > 0) {
        ssize_t n = transfer(pump->dst, true, data, len, at);
        if (n == 0)
            n = -EIO;
        if (n < 0)
            return copy_error(err, (int)n, "write", pump->copy->spec.dst_path);
        data += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static bool is_zero(const char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* The destination is a hole there already. */
static int write_nonzero(struct pump *pump, size_t len, uint64_t at,
                         struct err *err)
{
    for (size_t i = 0; i < len; i += ZERO_UNIT) {
        size_t n = len - i < ZERO_UNIT ? len - i : ZERO_UNIT;
        if (is_zero(pump->buffer + i, n))
            continue;
        int rc = write_range(pump, pump->buffer + i, n, at + i, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Without direct I/O: keeps at most two chunks of dirty pages, and none of
 * the clean ones. Only a courtesy: the fdatasync at the end counts. */
static void write_behind(struct pump *pump, uint64_t at, size_t len)
{
    if (!pump->buffered && is_direct(pump->dst))
        return;
    pump->buffered = true;
    (void)sync_file_range(pump->dst, (off_t)at, (off_t)len,
                          SYNC_FILE_RANGE_WRITE);
    off_t start = (off_t)pump->behind.start;
    off_t n = (off_t)(pump->behind.end - pump->behind.start);
    if (n > 0) {
        (void)sync_file_range(pump->dst, start, n,
                              SYNC_FILE_RANGE_WAIT_BEFORE |
                                  SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(pump->dst, start, n, POSIX_FADV_DONTNEED);
    }
    pump->behind = (struct extent){ .start = at, .end = at + len };
}

/* Until the limit lets the next chunk go; its size in *ret_len. */
static int await_turn(struct pump *pump, size_t *ret_len)
{
    struct pollfd fds[1];
    for (;;) {
        if (copy_is_stopped(pump->copy))
            return -ECANCELED;
        uint64_t limit = copy_limit(pump->copy);
        int64_t wait_ms = bucket_wait_ms(&pump->bucket, time_now_ms(), limit);
        *ret_len = bucket_chunk(limit, CHUNK_MAX);
        if (wait_ms == 0)
            return 0;
        copy_wait(pump->copy, fds, 1, wait_ms);
    }
}

static int copy_chunk(struct pump *pump, uint64_t at, size_t len,
                      struct err *err)
{
    /* Direct I/O wants whole blocks; the padding is cut off at the end. */
    size_t padded = (len + BLOCK - 1) / BLOCK * BLOCK;
    size_t io_len = at + len == pump->size ? padded : len;
    int rc = read_chunk(pump, at, io_len, err);
    if (rc == 0)
        rc = pump->skip_zeros
                 ? write_nonzero(pump, io_len, at, err)
                 : write_range(pump, pump->buffer, io_len, at, err);
    if (rc)
        return rc;
    write_behind(pump, at, io_len);
    bucket_spend(&pump->bucket, len);
    pump->done += len;
    copy_report(pump->copy, pump->done, pump->total);
    return 0;
}

static int copy_extent(struct pump *pump, const struct extent *extent,
                       struct err *err)
{
    for (uint64_t at = extent->start; at < extent->end;) {
        size_t len = 0;
        int rc = await_turn(pump, &len);
        if (rc)
            return rc;
        if (extent->end - at < len)
            len = (size_t)(extent->end - at);
        rc = copy_chunk(pump, at, len, err);
        if (rc)
            return rc;
        at += len;
    }
    return 0;
}

static int copy_extents(struct pump *pump, struct err *err)
{
    struct extent extent = { 0 };
    int rc = 0;
    while ((rc = extent_next(pump->src, extent.end, pump->size, &extent)) ==
           0) {
        int copied = copy_extent(pump, &extent, err);
        if (copied)
            return copied;
    }
    if (rc < 0)
        return copy_error(err, rc, "map of", pump->copy->spec.src_path);
    return 0;
}

/* Space was set aside for all of it, and nothing was ever written there. */
static bool is_fresh_preallocated(int fd, const struct stat *st, uint64_t size)
{
    return st->st_size == (off_t)size && size > 0 &&
           (uint64_t)st->st_blocks * 512 >= size &&
           lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

static int empty_destination(const struct pump *pump, const struct stat *dst,
                             struct err *err)
{
    if (is_fresh_preallocated(pump->dst, dst, pump->size))
        return 0;
    if (ftruncate(pump->dst, 0) < 0 ||
        ftruncate(pump->dst, (off_t)pump->size) < 0)
        return copy_error(err, -errno, "resize", pump->copy->spec.dst_path);
    return 0;
}

static int pump_open(struct pump *pump, struct err *err)
{
    const struct copy_spec *spec = &pump->copy->spec;
    struct stat src = { 0 };
    struct stat dst = { 0 };
    int rc = open_file(spec->src_path, O_RDONLY, &src, &pump->src);
    if (rc)
        return copy_error(err, rc, "open", spec->src_path);
    rc = open_file(spec->dst_path, O_RDWR, &dst, &pump->dst);
    if (rc)
        return copy_error(err, rc, "open", spec->dst_path);
    if (src.st_dev == dst.st_dev && src.st_ino == dst.st_ino)
        return err_set(err, -EINVAL, "copy %s to %s: they are one file",
                       spec->src_path, spec->dst_path);
    pump->size = (uint64_t)src.st_size;
    rc = extent_sum(pump->src, pump->size, &pump->total);
    if (rc)
        return copy_error(err, rc, "map of", spec->src_path);
    /* More data than blocks: the file system shows no holes (NFS before 4.2),
     * or it compresses; either way zeros need not be written. */
    uint64_t allocated = (uint64_t)src.st_blocks * 512;
    pump->skip_zeros = pump->total > allocated + CHUNK_MAX;
    copy_report(pump->copy, 0, pump->total);
    return empty_destination(pump, &dst, err);
}

static int settle(const struct pump *pump, struct err *err)
{
    const char *path = pump->copy->spec.dst_path;
    if (ftruncate(pump->dst, (off_t)pump->size) < 0)
        return copy_error(err, -errno, "resize", path);
    if (fdatasync(pump->dst) < 0)
        return copy_error(err, -errno, "sync", path);
    return 0;
}

static void pump_deinit(struct pump *pump)
{
    util_closep(&pump->src);
    util_closep(&pump->dst);
    free(pump->buffer);
}

int bytes_copy(struct copy *copy, struct err *err)
{
    _cleanup_(pump_deinit) struct pump pump = {
        .copy = copy,
        .src = -1,
        .dst = -1,
        .buffer = aligned_alloc(BLOCK, CHUNK_MAX),
    };
    if (!pump.buffer)
        return err_set(err, -ENOMEM, "copy %s: out of memory",
                       copy->spec.src_path);
    int rc = pump_open(&pump, err);
    if (rc == 0)
        rc = copy_extents(&pump, err);
    if (rc == 0)
        rc = settle(&pump, err);
    return rc;
}
