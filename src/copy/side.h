/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The two sides of a copy: files or block devices, open for direct I/O where
 * there is such a thing, so that a big copy does not push the guests' data out
 * of the page cache.
 */
#ifndef DRAY_COPY_SIDE_H
#define DRAY_COPY_SIDE_H

#include "extent.h"
#include <dray/base/err.h>
#include <dray/base/util.h>
#include <dray/ports/copier.h>
#include <stdbool.h>
#include <sys/stat.h>

enum {
    SIDE_BLOCK = 4096, /* satisfies every device's direct I/O */
    SIDE_SECTOR = 512, /* devices have sizes of these */
};

struct side {
    const char *path; /* the spec's */
    int fd;
    uint64_t size; /* of the file or device */
    struct stat st;
    bool is_block;
};

struct pair {
    struct side src; /* read only */
    struct side dst;
};

#define PAIR_INIT                                                              \
    {                                                                          \
        .src.fd = -1, .dst.fd = -1                                             \
    }

/* The caller closes its fd. */
int side_open_to_read(struct side *side, const char *path, struct err *err);

/* Refuses one file on both sides, and a device that is too small for the
 * source. @dst_flags: O_RDONLY or O_RDWR; a device that is mounted or in use
 * by another one cannot be opened O_RDWR. The size of a source on a device is
 * that of its contents. */
int pair_open(struct pair *pair, const struct copy_spec *spec, int dst_flags,
              struct err *err);
void pair_close(struct pair *pair);

bool side_is_direct(int fd);
/* From now on through the page cache. 0 or negative errno. */
int side_set_buffered(int fd);

/* Reads up to @len bytes into an aligned buffer, fewer only at the end of the
 * file. Bytes or negative errno. */
ssize_t side_read(const struct side *side, void *buffer, size_t len,
                  uint64_t at);

/* Reserves the space for all of it, and nothing was ever written there: it
 * reads zeros, and stays as it is. */
bool side_is_fresh_preallocated(const struct side *side, uint64_t size);

/* Makes a file one hole of @size bytes, unless it is preallocated and fresh.
 * A device is left as it is. */
int side_empty(struct side *side, uint64_t size, struct err *err);

/* Makes @range of a device read zeros, cheaply where it can be. */
int side_zero(const struct side *side, const struct extent *range);

/* Cuts a file to @size, and makes all that was written durable. */
int side_settle(const struct side *side, uint64_t size, struct err *err);

#endif
