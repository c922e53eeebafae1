/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A token bucket that lends: what was moved is spent afterwards, and the next
 * piece waits until the debt is paid off. The debt is kept in bytes, not in
 * time, so that a new rate counts at once. Pure: "now" comes as a parameter.
 */
#ifndef DRAY_COPY_BUCKET_H
#define DRAY_COPY_BUCKET_H

#include <stddef.h>
#include <stdint.h>

struct bucket {
    int64_t debt;    /* bytes; negative: saved up */
    int64_t last_ms; /* the debt is as of then */
    uint64_t rate;   /* bytes/s since then; 0: no limit */
};

/* Settles up to @now_ms at the rate that was valid until now; @rate is valid
 * from now on. Returns the milliseconds until the debt is paid, 0: go. */
int64_t bucket_wait_ms(struct bucket *bucket, int64_t now_ms, uint64_t rate);

void bucket_spend(struct bucket *bucket, uint64_t bytes);

/* A good size of one piece at this rate: an eighth of a second's worth, a
 * multiple of 64 KiB, at most @max. */
size_t bucket_chunk(uint64_t rate, size_t max);

#endif
