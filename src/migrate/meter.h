/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How fast bytes move, smoothed over about five seconds. Plain arithmetic; the
 * clock is an argument.
 */
#ifndef DRAY_MIGRATE_METER_H
#define DRAY_MIGRATE_METER_H

#include <stdint.h>

/* Zero-initialise. */
struct meter {
    int64_t last_ms; /* 0: no reading yet */
    uint64_t last_bytes;
    double rate; /* bytes/s */
};

/* The next reading is where the counter begins; the rate stays. */
void meter_begin(struct meter *meter);

/* Takes a reading of a growing counter. Returns bytes/s. */
uint64_t meter_read(struct meter *meter, int64_t now_ms, uint64_t bytes);

/* Seconds until @left bytes are through, -1 when nothing moves. */
int64_t meter_eta_s(uint64_t rate, uint64_t left);

#endif
