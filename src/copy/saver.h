/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keeps a checkpoint up to date while data is pumped, without stopping it.
 */
#ifndef DRAY_COPY_SAVER_H
#define DRAY_COPY_SAVER_H

#include "checkpoint.h"
#include "ring.h"

/* A position in the source, and the bytes of data before it. */
struct point {
    uint64_t at;
    uint64_t bytes;
};

struct saver {
    struct checkpoint *checkpoint; /* without a file: nothing is saved */
    struct ring *ring;
    int dst_fd;
    struct ring_op sync;  /* of the destination */
    struct ring_op write; /* of the checkpoint */
    bool is_syncing, is_writing;
    struct point syncing, writing; /* what these two are about */
    struct point synced;           /* durable on the destination */
    uint64_t saved;                /* bytes; what the checkpoint says */
};

/* All before @low was written. Starts what is due. */
void saver_advance(struct saver *saver, const struct point *low);

/* One of the saver's operations ended with @rc. A negative errno: the
 * destination could not be made durable. */
int saver_settle(struct saver *saver, const struct ring_op *op, int rc);

/* Whether @bytes in all may be under way: after a crash what the checkpoint
 * does not know is copied again. */
bool saver_allows(const struct saver *saver, uint64_t bytes);

#endif
