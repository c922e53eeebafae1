/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The token bucket on a simulated clock.
 */
#include "../../../src/copy/bucket.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

/* Moves chunks as a copy does, waiting when told to; bytes in @ms. */
static uint64_t moved_in(struct bucket *bucket, int64_t *now_ms, int64_t ms,
                         uint64_t rate)
{
    uint64_t moved = 0;
    int64_t end_ms = *now_ms + ms;
    while (*now_ms < end_ms) {
        int64_t wait_ms = bucket_wait_ms(bucket, *now_ms, rate);
        if (wait_ms > 0) {
            *now_ms += wait_ms;
            continue;
        }
        size_t chunk = bucket_chunk(rate, 4 * MIB);
        bucket_spend(bucket, chunk);
        moved += chunk;
        *now_ms += 1; /* the chunk's own time */
    }
    return moved;
}

static void assert_near(uint64_t value, uint64_t wanted)
{
    assert_in_range(value, wanted - wanted / 20, wanted + wanted / 20);
}

static void keeps_the_rate(void **state)
{
    (void)state;
    const uint64_t rates[] = { 700 * KIB, MIB, 33 * MIB, 200 * MIB };
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bucket bucket = { 0 };
        int64_t now_ms = 5000000;
        assert_near(moved_in(&bucket, &now_ms, 20000, rates[i]), 20 * rates[i]);
    }
}

static void a_new_rate_counts_at_once(void **state)
{
    (void)state;
    struct bucket bucket = { 0 };
    assert_int_equal(bucket_wait_ms(&bucket, 1000, 1000), 0);
    bucket_spend(&bucket, 10000);
    assert_int_equal(bucket_wait_ms(&bucket, 1000, 1000), 10000);
    assert_int_equal(bucket_wait_ms(&bucket, 2000, 1000), 9000);
    assert_int_equal(bucket_wait_ms(&bucket, 2000, 9000), 1000);
    assert_int_equal(bucket_wait_ms(&bucket, 2000, 10), 900000);
    assert_int_equal(bucket_wait_ms(&bucket, 2000, 0), 0);
}

static void no_limit_owes_nothing_later(void **state)
{
    (void)state;
    struct bucket bucket = { 0 };
    assert_int_equal(bucket_wait_ms(&bucket, 1000, 0), 0);
    bucket_spend(&bucket, UINT64_C(1) << 40);
    assert_int_equal(bucket_wait_ms(&bucket, 1001, 0), 0);
    assert_int_equal(bucket_wait_ms(&bucket, 1002, 1000), 0);
}

static void a_stall_is_not_followed_by_a_flood(void **state)
{
    (void)state;
    struct bucket bucket = { 0 };
    assert_int_equal(bucket_wait_ms(&bucket, 0, 10 * MIB), 0);
    int64_t now_ms = 60000;
    uint64_t moved = moved_in(&bucket, &now_ms, 1000, 10 * MIB);
    assert_in_range(moved, 9 * MIB, 13 * MIB);
}

static void absurd_values_do_not_overflow(void **state)
{
    (void)state;
    struct bucket bucket = { 0 };
    assert_int_equal(bucket_wait_ms(&bucket, 0, UINT64_MAX), 0);
    bucket_spend(&bucket, UINT64_C(1) << 50);
    assert_int_equal(bucket_wait_ms(&bucket, INT64_MAX / 2, UINT64_MAX),
                     (1024 - 10) * 1000);
}

static void chunks_follow_the_rate(void **state)
{
    (void)state;
    assert_int_equal(bucket_chunk(0, 4 * MIB), 4 * MIB);
    assert_int_equal(bucket_chunk(1, 4 * MIB), 64 * KIB);
    assert_int_equal(bucket_chunk(8 * MIB, 4 * MIB), MIB);
    assert_int_equal(bucket_chunk(8 * MIB + 7, 4 * MIB), MIB);
    assert_int_equal(bucket_chunk(32 * MIB, 4 * MIB), 4 * MIB);
    assert_int_equal(bucket_chunk(UINT64_MAX, 4 * MIB), 4 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_rate),
        cmocka_unit_test(a_new_rate_counts_at_once),
        cmocka_unit_test(no_limit_owes_nothing_later),
        cmocka_unit_test(a_stall_is_not_followed_by_a_flood),
        cmocka_unit_test(absurd_values_do_not_overflow),
        cmocka_unit_test(chunks_follow_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
