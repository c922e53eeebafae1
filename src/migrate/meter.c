/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An exponential average: a reading after dt seconds weighs dt / (dt + 5), so
 * that unevenly spaced readings count by the time they stand for.
 */
#include "meter.h"

enum {
    SMOOTH_MS = 5000,
    READ_EVERY_MS = 100, /* closer readings are mostly noise */
};

void meter_begin(struct meter *meter)
{
    meter->last_ms = 0;
}

uint64_t meter_read(struct meter *meter, int64_t now_ms, uint64_t bytes)
{
    int64_t dt_ms = now_ms - meter->last_ms;

    if (meter->last_ms == 0 || bytes < meter->last_bytes) {
        meter->last_ms = now_ms;
        meter->last_bytes = bytes;
        return (uint64_t)meter->rate;
    }
    if (dt_ms < READ_EVERY_MS)
        return (uint64_t)meter->rate;

    double now = (double)(bytes - meter->last_bytes) * 1000.0 / (double)dt_ms;
    double weight = (double)dt_ms / (double)(dt_ms + SMOOTH_MS);

    if (meter->rate == 0)
        weight = 1; /* the first reading is the best guess there is */
    meter->rate += (now - meter->rate) * weight;
    meter->last_ms = now_ms;
    meter->last_bytes = bytes;
    return (uint64_t)meter->rate;
}

int64_t meter_eta_s(uint64_t rate, uint64_t left)
{
    if (rate == 0)
        return left == 0 ? 0 : -1;
    return (int64_t)(left / rate + (left % rate != 0));
}
