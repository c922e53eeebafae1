/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a file has data and where holes, as its file system says.
 */
#ifndef DRAY_COPY_EXTENT_H
#define DRAY_COPY_EXTENT_H

#include <stdint.h>

struct extent {
    uint64_t start;
    uint64_t end; /* first byte behind it */
};

enum {
    EXTENT_END = 1
};

/* The first stretch of data at or behind @from in a file of @size bytes. A
 * file system without a map has one stretch: the rest of the file. 0,
 * EXTENT_END when only a hole follows, negative errno. */
int extent_next(int fd, uint64_t from, uint64_t size,
                struct extent *ret_extent);

/* Bytes of data in the first @size bytes. */
int extent_sum(int fd, uint64_t size, uint64_t *ret_bytes);

#endif
