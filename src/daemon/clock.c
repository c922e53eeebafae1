/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine's clocks behind the clock port.
 */
#include "daemon.h"

#include <time.h>

#include <dray/base/util.h>

static int64_t real_now_ms(void *ctx)
{
    (void)ctx;
    return time_now_ms();
}

static int64_t real_now_us(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    if (clock_gettime(CLOCK_MONOTONIC, &ts) < 0)
        return 0; /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t real_wall_ms(void *ctx)
{
    (void)ctx;
    return time_wall_ms();
}

struct clock_port clock_real(void)
{
    static const struct clock_ops ops = {
        .now_ms = real_now_ms,
        .now_us = real_now_us,
        .wall_ms = real_wall_ms,
    };

    return (struct clock_port){ .ops = &ops };
}
