/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The token bucket of a limited copy. Savings are capped at a tenth of a
 * second: a storage that stalls must not be followed by a flood that the limit
 * was to prevent.
 */
#include "bucket.h"

enum {
    CHUNK_UNIT = 64 * 1024,
    CHUNKS_PER_S = 8,
    SETTLE_MAX_MS = 10000, /* with rate_max: the product fits in 64 bits */
};

static const uint64_t rate_max = UINT64_C(1) << 40;

static void settle(struct bucket *bucket, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - bucket->last_ms;
    bucket->last_ms = now_ms;
    if (bucket->rate == 0) {
        bucket->debt = 0; /* what was moved without a limit is not owed */
        return;
    }
    if (elapsed_ms > SETTLE_MAX_MS)
        elapsed_ms = SETTLE_MAX_MS;
    int64_t rate = (int64_t)bucket->rate;
    bucket->debt -= elapsed_ms * rate / 1000;
    if (bucket->debt < -rate / 10)
        bucket->debt = -rate / 10;
}

int64_t bucket_wait_ms(struct bucket *bucket, int64_t now_ms, uint64_t rate)
{
    settle(bucket, now_ms);
    bucket->rate = rate > rate_max ? rate_max : rate;
    if (bucket->rate == 0 || bucket->debt <= 0)
        return 0;
    int64_t per_s = (int64_t)bucket->rate;
    int64_t whole_s = bucket->debt / per_s;
    int64_t rest = bucket->debt % per_s;
    return whole_s * 1000 + (rest * 1000 + per_s - 1) / per_s;
}

void bucket_spend(struct bucket *bucket, uint64_t bytes)
{
    bucket->debt += (int64_t)bytes;
}

size_t bucket_chunk(uint64_t rate, size_t max)
{
    if (rate == 0 || rate / CHUNKS_PER_S >= max)
        return max;
    size_t chunk = rate / CHUNKS_PER_S / CHUNK_UNIT * CHUNK_UNIT;
    return chunk ? chunk : CHUNK_UNIT;
}
