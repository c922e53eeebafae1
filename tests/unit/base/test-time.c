/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The clocks.
 */
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t monotonic_ns(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void a_wait_ends_as_late_as_asked(void **state)
{
    static const int waits_ms[] = { 0, 1, 999, 1000, 1001, 61500 };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
        int64_t wait_ns = (int64_t)waits_ms[i] * 1000000;
        int64_t before = monotonic_ns();
        struct timespec end = time_after_ms(waits_ms[i]);
        int64_t after = monotonic_ns();
        int64_t end_ns = (int64_t)end.tv_sec * 1000000000 + end.tv_nsec;
        assert_in_range(end.tv_nsec, 0, 999999999);
        assert_true(end_ns >= before + wait_ns && end_ns <= after + wait_ns);
    }
}

static void deadlines_count_from_the_boot(void **state)
{
    struct timespec now;
    (void)state;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    int64_t boot_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    assert_in_range(time_now_ms() - boot_ms, 0, 1000);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    assert_in_range(time_wall_ms() / 1000 - now.tv_sec, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_as_late_as_asked),
        cmocka_unit_test(deadlines_count_from_the_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
