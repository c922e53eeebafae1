/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is measured: how fast a layer fills, how long extensions take, how long
 * to wait after one that failed.
 */
#include <dray/watermark.h>

enum {
    HALF_LIFE_MS = 30 * 1000,
    SAMPLE_MS = 100, /* closer ones say nothing about a rate */
    FIRST_PAUSE_MS = 250,
    LAST_PAUSE_MS = 10 * 1000,
    HALVINGS_MAX = 63,
};

static void start_anew(struct watermark_rate *rate, uint64_t allocation_bytes,
                       int64_t now_ms)
{
    *rate = (struct watermark_rate){
        .known = true,
        .allocation_bytes = allocation_bytes,
        .at_ms = now_ms,
    };
}

/* Half after each half-life, and in a straight line between. */
static uint64_t decayed(uint64_t bytes_per_s, int64_t elapsed_ms)
{
    int64_t halvings = elapsed_ms / HALF_LIFE_MS;
    uint64_t rest_ms = (uint64_t)(elapsed_ms % HALF_LIFE_MS);
    if (halvings > HALVINGS_MAX)
        return 0;
    uint64_t rate = bytes_per_s >> halvings;
    return rate - (uint64_t)((__uint128_t)rate * rest_ms /
                             ((__uint128_t)2 * HALF_LIFE_MS));
}

void watermark_rate_add(struct watermark_rate *rate, uint64_t allocation_bytes,
                        int64_t now_ms)
{
    if (!rate->known || now_ms < rate->at_ms ||
        allocation_bytes < rate->allocation_bytes) {
        start_anew(rate, allocation_bytes, now_ms);
        return;
    }
    int64_t elapsed_ms = now_ms - rate->at_ms;
    if (elapsed_ms < SAMPLE_MS)
        return;
    __uint128_t seen =
        (__uint128_t)(allocation_bytes - rate->allocation_bytes) * 1000 /
        (uint64_t)elapsed_ms;
    uint64_t fell = decayed(rate->bytes_per_s, elapsed_ms);
    if (seen > UINT64_MAX)
        seen = UINT64_MAX;
    rate->bytes_per_s = seen > fell ? (uint64_t)seen : fell;
    rate->allocation_bytes = allocation_bytes;
    rate->at_ms = now_ms;
}

void watermark_times_add(struct watermark_times *times, int64_t ms)
{
    times->ms[times->next] = ms > 0 ? ms : 0;
    times->next = (times->next + 1) % WATERMARK_TIMES;
    if (times->n < WATERMARK_TIMES)
        times->n++;
}

int64_t watermark_times_longest(const struct watermark_times *times)
{
    int64_t longest = 0;
    for (unsigned i = 0; i < times->n; i++) {
        if (times->ms[i] > longest)
            longest = times->ms[i];
    }
    return longest;
}

void watermark_backoff_fail(struct watermark_backoff *backoff, int64_t now_ms)
{
    int64_t pause_ms = FIRST_PAUSE_MS;
    for (unsigned i = 0; i < backoff->failures && pause_ms < LAST_PAUSE_MS; i++)
        pause_ms *= 2;
    backoff->failures++;
    backoff->not_before_ms =
        now_ms + (pause_ms < LAST_PAUSE_MS ? pause_ms : LAST_PAUSE_MS);
}

void watermark_backoff_succeed(struct watermark_backoff *backoff)
{
    *backoff = (struct watermark_backoff){ .failures = 0 };
}

bool watermark_backoff_may_try(const struct watermark_backoff *backoff,
                               int64_t now_ms)
{
    return now_ms >= backoff->not_before_ms;
}
