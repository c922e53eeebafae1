/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fake world's time.
 */
#include "fake-world.h"

static int64_t clock_ms(void *ctx)
{
    const struct fake_world *world = ctx;

    return world->now_us / 1000;
}

static int64_t clock_us(void *ctx)
{
    const struct fake_world *world = ctx;

    return world->now_us;
}

struct clock_port fake_clock(struct fake_world *world)
{
    static const struct clock_ops ops = {
        .now_ms = clock_ms,
        .now_us = clock_us,
        .wall_ms = clock_ms,
    };

    return (struct clock_port){ .ctx = world, .ops = &ops };
}
