/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A qcow2 image without a parent whose first table is empty has no data: it
 * reads zeros. Tables that are there (a preallocated image, one that a
 * conversion was cut off in) are not looked into.
 */
#include "fresh.h"
#include "side.h"
#include "zero.h"
#include <dray/format.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    L1_SIZE = 36, /* of the header: entries of 8 bytes */
    L1_OFFSET = 40,
    L1_MAX = 32 * 1024 * 1024, /* qemu's own limit */
};

static bool table_is_empty(int fd, uint64_t at, size_t len)
{
    _cleanup_free_ char *table = malloc(len);
    return len > 0 && table &&
           pread(fd, table, len, (off_t)at) == (ssize_t)len &&
           is_zero(table, len);
}

static bool qcow2_is_empty(int fd)
{
    struct format_qcow2 says;
    uint32_t entries = 0;
    uint64_t at = 0;
    _cleanup_free_ char *head = malloc(FORMAT_QCOW2_HEAD_SIZE);
    if (!head)
        return false;
    ssize_t n = pread(fd, head, FORMAT_QCOW2_HEAD_SIZE, 0);
    if (n <= 0 || format_qcow2_parse(head, (size_t)n, &says, NULL) < 0 ||
        says.backing[0] || says.backing_image[0])
        return false;
    memcpy(&entries, head + L1_SIZE, sizeof(entries));
    memcpy(&at, head + L1_OFFSET, sizeof(at));
    size_t len = (size_t)be32toh(entries) * sizeof(uint64_t);
    return len <= L1_MAX && table_is_empty(fd, be64toh(at), len);
}

bool fresh_make(const struct copy_spec *spec)
{
    bool raw = spec->dst_format == VOLUME_RAW;
    int flags = raw ? O_RDWR | O_NOFOLLOW : O_RDONLY; /* LVs have links */
    struct side side = { .path = spec->dst_path,
                         .fd = open(spec->dst_path,
                                    flags | O_CLOEXEC | O_NONBLOCK) };
    _cleanup_close_ int fd = side.fd;
    if (fd < 0 || fstat(fd, &side.st) < 0)
        return false;
    if (!raw)
        return !spec->dst_backing[0] && qcow2_is_empty(fd);
    if (!S_ISREG(side.st.st_mode))
        return false;
    side.size = (uint64_t)side.st.st_size;
    return side_empty(&side, side.size, NULL) == 0;
}
