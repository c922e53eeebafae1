/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device is longer than the qcow2 on it, and what lies behind is somebody's
 * old data. The reference counts tell which clusters are in use: qemu writes
 * them before anything refers to a cluster, so what is beyond the last one
 * that is not zero belongs to nothing.
 *
 * Read past the page cache, since qemu writes past it, on this host or another.
 */
#include "used.h"
#include "copy.h"
#include <dray/format.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_OFFSET = 48,   /* of the header */
    TABLE_CLUSTERS = 56, /* 4 bytes */
    ORDER = 96,          /* 4 bytes, from version 3 on */
    ORDER_BEFORE = 4,    /* 16 bits */
    ORDER_MAX = 6,
    TABLE_MAX = 8 * 1024 * 1024, /* qemu's own limit */
};

struct counts {
    const struct side *side;
    unsigned bits;  /* of a cluster's size */
    size_t cluster; /* bytes */
    unsigned order; /* a count has 1 << order bits */
    uint64_t table_at;
    size_t table_bytes;
};

static int damaged(const struct side *side, const char *what, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_CHAIN, "%s: %s", side->path, what);
}

/* Aligned for direct I/O; the caller frees. */
static int read_at(const struct side *side, uint64_t at, size_t len,
                   char **ret_data, struct err *err)
{
    size_t room = (len + SIDE_BLOCK - 1) / SIDE_BLOCK * SIDE_BLOCK;
    char *data = aligned_alloc(SIDE_BLOCK, room);
    if (!data)
        return err_set(err, -ENOMEM, "%s: out of memory", side->path);
    ssize_t n = side_read(side, data, room, at);
    if (n < 0 || (size_t)n < len) {
        free(data);
        return n < 0 ? copy_error(err, (int)n, "read", side->path)
                     : damaged(side, "its tables are cut off", err);
    }
    *ret_data = data;
    return 0;
}

static int read_header(struct counts *counts, struct err *err)
{
    const struct side *side = counts->side;
    struct format_qcow2 says;
    _cleanup_free_ char *head = NULL;
    size_t len = FORMAT_QCOW2_HEAD_SIZE;
    if (side->size < len)
        len = (size_t)side->size;
    int rc = read_at(side, 0, len, &head, err);
    if (rc == 0)
        rc = format_qcow2_parse(head, len, &says, err);
    if (rc || !head)
        return rc;
    uint64_t at = 0;
    uint32_t clusters = 0, order = htobe32(ORDER_BEFORE);
    memcpy(&at, head + TABLE_OFFSET, sizeof(at));
    memcpy(&clusters, head + TABLE_CLUSTERS, sizeof(clusters));
    if (says.version > 2)
        memcpy(&order, head + ORDER, sizeof(order));
    counts->bits = says.cluster_bits;
    counts->cluster = (size_t)1 << says.cluster_bits;
    counts->order = be32toh(order);
    counts->table_at = be64toh(at);
    counts->table_bytes = (size_t)be32toh(clusters) << says.cluster_bits;
    if (counts->order > ORDER_MAX || counts->table_bytes == 0 ||
        counts->table_bytes > TABLE_MAX ||
        counts->table_at % counts->cluster != 0)
        return damaged(side, "no valid table of reference counts", err);
    return 0;
}

/* Clusters of this block up to its last count that is not zero. Of several
 * counts in one byte all are taken as used. */
static uint64_t last_in_block(const struct counts *counts, const char *block)
{
    size_t n = counts->cluster;
    while (n > 0 && block[n - 1] == 0)
        n--;
    if (counts->order <= 3)
        return (uint64_t)n << (3 - counts->order);
    size_t bytes = (size_t)1 << (counts->order - 3);
    return (n + bytes - 1) / bytes;
}

/* Clusters in use, of the part of the table before entry @i; from its end. */
static int count(const struct counts *counts, const char *table, size_t i,
                 uint64_t *ret_clusters, struct err *err)
{
    uint64_t each = (uint64_t)counts->cluster * 8 >> counts->order;
    *ret_clusters = 0;
    while (*ret_clusters == 0 && i-- > 0) {
        uint64_t at = 0;
        _cleanup_free_ char *block = NULL;
        memcpy(&at, table + i * sizeof(at), sizeof(at));
        at = be64toh(at);
        if (at == 0)
            continue;
        if (at % counts->cluster != 0)
            return damaged(counts->side,
                           "a table of reference counts leads "
                           "nowhere",
                           err);
        int rc = read_at(counts->side, at, counts->cluster, &block, err);
        if (rc || !block)
            return rc;
        uint64_t n = last_in_block(counts, block);
        if (n > 0)
            *ret_clusters = i * each + n;
    }
    return 0;
}

int used_end(const struct side *side, uint64_t *ret_bytes, struct err *err)
{
    struct counts counts = { .side = side };
    _cleanup_free_ char *table = NULL;
    uint64_t clusters = 0;
    int rc = read_header(&counts, err);
    if (rc == 0)
        rc = read_at(side, counts.table_at, counts.table_bytes, &table, err);
    if (rc == 0 && table)
        rc = count(&counts, table, counts.table_bytes / sizeof(uint64_t),
                   &clusters, err);
    if (rc)
        return rc;
    if (clusters == 0)
        return damaged(side, "no cluster of it is in use", err);
    *ret_bytes = clusters > side->size >> counts.bits ? side->size
                                                      : clusters << counts.bits;
    return 0;
}
