/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The data map of a file through SEEK_DATA and SEEK_HOLE. Preallocated space
 * that was never written counts as a hole.
 */
#include "extent.h"
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

static bool has_no_map(int errnum)
{
    return errnum == EINVAL || errnum == EOPNOTSUPP;
}

int extent_next(int fd, uint64_t from, uint64_t size, struct extent *ret_extent)
{
    if (from >= size)
        return EXTENT_END;
    off_t data = lseek(fd, (off_t)from, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return EXTENT_END;
    if (data < 0 && !has_no_map(errno))
        return -errno;
    off_t hole = data < 0 ? (off_t)size : lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
        return -errno;
    uint64_t start = data < 0 ? from : (uint64_t)data;
    if (start >= size)
        return EXTENT_END;
    uint64_t end = (uint64_t)hole < size ? (uint64_t)hole : size;
    *ret_extent = (struct extent){ .start = start, .end = end };
    return 0;
}

int extent_sum(int fd, uint64_t size, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    struct extent extent = { 0 };
    int rc = 0;
    while ((rc = extent_next(fd, extent.end, size, &extent)) == 0)
        bytes += extent.end - extent.start;
    if (rc < 0)
        return rc;
    *ret_bytes = bytes;
    return 0;
}
