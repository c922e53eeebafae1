/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rate and time left.
 */
#include "../../../src/migrate/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_first_reading_says_nothing(void **state)
{
    struct meter meter = { 0 };

    (void)state;
    assert_int_equal(meter_read(&meter, 1000, 5000), 0);
}

static void a_steady_flow_has_its_rate(void **state)
{
    struct meter meter = { 0 };
    uint64_t rate = 0;

    (void)state;
    for (int i = 1; i <= 10; i++)
        rate = meter_read(&meter, i * 200, (uint64_t)i * 2000);
    assert_int_equal(rate, 10000);
}

static void a_change_is_followed_in_seconds(void **state)
{
    struct meter meter = { 0 };
    uint64_t bytes = 0, rate = 0;
    int64_t ms = 0;

    (void)state;
    for (int i = 0; i < 50; i++)
        rate = meter_read(&meter, ms += 200, bytes += 2000);
    for (int i = 0; i < 25; i++)
        rate = meter_read(&meter, ms += 200, bytes += 20000);
    assert_in_range(rate, 50000, 80000); /* after 5 s most of the way */
    for (int i = 0; i < 100; i++)
        rate = meter_read(&meter, ms += 200, bytes += 20000);
    assert_in_range(rate, 95000, 100000);
}

static void readings_that_are_close_count_once(void **state)
{
    struct meter meter = { 0 };

    (void)state;
    (void)meter_read(&meter, 1000, 0);
    (void)meter_read(&meter, 2000, 1000);
    assert_int_equal(meter_read(&meter, 2001, 900000), 1000);
}

/* A new mirror counts from zero. */
static void a_counter_that_falls_is_no_rate(void **state)
{
    struct meter meter = { 0 };

    (void)state;
    (void)meter_read(&meter, 1000, 0);
    (void)meter_read(&meter, 2000, 1000);
    assert_int_equal(meter_read(&meter, 3000, 10), 1000);
    assert_in_range(meter_read(&meter, 4000, 1010), 990, 1010);
}

static void time_left_is_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(meter_eta_s(100, 1000), 10);
    assert_int_equal(meter_eta_s(100, 1001), 11);
    assert_int_equal(meter_eta_s(100, 0), 0);
    assert_int_equal(meter_eta_s(0, 0), 0);
    assert_int_equal(meter_eta_s(0, 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reading_says_nothing),
        cmocka_unit_test(a_steady_flow_has_its_rate),
        cmocka_unit_test(a_change_is_followed_in_seconds),
        cmocka_unit_test(readings_that_are_close_count_once),
        cmocka_unit_test(a_counter_that_falls_is_no_rate),
        cmocka_unit_test(time_left_is_rounded_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
