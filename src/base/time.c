/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The clocks. Deadlines count the time a host sleeps, as the lease of a
 * sleeping host runs out too: CLOCK_BOOTTIME. Conditions cannot wait on that
 * one; for the short waits that they are, CLOCK_MONOTONIC does.
 */
#include <assert.h>
#include <dray/base/util.h>
#include <time.h>

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now = { 0 };
    int rc = clock_gettime(clock, &now);
    assert(rc == 0); /* both clocks exist since Linux 2.6.39 */
    (void)rc;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t time_now_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

int64_t time_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

struct timespec time_after_ms(int wait_ms)
{
    struct timespec time = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* cannot fail */
    time.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    time.tv_sec += wait_ms / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}
