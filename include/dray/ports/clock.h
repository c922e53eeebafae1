/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: time, so that scenarios run on a simulated clock.
 */
#ifndef DRAY_PORTS_CLOCK_H
#define DRAY_PORTS_CLOCK_H

#include <stdint.h>

struct clock_ops {
    int64_t (*now_ms)(void *ctx);  /* monotonic */
    int64_t (*now_us)(void *ctx);  /* monotonic, for the pause at the pivot */
    int64_t (*wall_ms)(void *ctx); /* since the epoch, for records */
};

struct clock_port {
    void *ctx;
    const struct clock_ops *ops;
};

#endif
