/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two things go on at once: the destination is synced up to the newest point,
 * and the point that was synced before is written into the checkpoint. Each
 * takes a storage some ten milliseconds; in a row they would hold up a fast
 * copy, which may be only so far ahead of its checkpoint.
 *
 * A checkpoint that cannot be written is no reason to fail a copy: the one
 * before stands, and no new ones are made.
 */
#include "saver.h"

enum {
    STEP = 16 * 1024 * 1024, /* a sync is due */
};

static bool is_on(const struct saver *saver)
{
    return saver->checkpoint->fd >= 0;
}

static void start_sync(struct saver *saver, const struct point *low)
{
    saver->is_syncing = true;
    saver->syncing = *low;
    saver->sync = (struct ring_op){ .owner = saver,
                                    .kind = RING_SYNC,
                                    .fd = saver->dst_fd };
    ring_start(saver->ring, &saver->sync);
}

static void start_write(struct saver *saver)
{
    saver->is_writing = true;
    saver->writing = saver->synced;
    checkpoint_prepare(saver->checkpoint, saver->writing.at, &saver->write);
    saver->write.owner = saver;
    ring_start(saver->ring, &saver->write);
}

void saver_advance(struct saver *saver, const struct point *low)
{
    if (!is_on(saver))
        return;
    if (!saver->is_syncing && low->bytes - saver->synced.bytes >= STEP)
        start_sync(saver, low);
    if (!saver->is_writing && saver->synced.bytes > saver->saved)
        start_write(saver);
}

int saver_settle(struct saver *saver, const struct ring_op *op, int rc)
{
    if (op == &saver->sync) {
        saver->is_syncing = false;
        if (rc == 0)
            saver->synced = saver->syncing;
        return rc;
    }
    saver->is_writing = false;
    if (rc == 0)
        saver->saved = saver->writing.bytes;
    else
        checkpoint_deinit(saver->checkpoint);
    return 0;
}

bool saver_allows(const struct saver *saver, uint64_t bytes)
{
    return !is_on(saver) || bytes - saver->saved <= COPY_CHECKPOINT_BYTES;
}
