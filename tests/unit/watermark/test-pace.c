/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Measured rates and times, back-off, and which layers are watched.
 */
#include <dray/watermark.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB (1024ULL * 1024)

static void a_rate_rises_at_once_and_falls_slowly(void **state)
{
    (void)state;
    struct watermark_rate rate = { .known = false };
    watermark_rate_add(&rate, 1000 * MIB, 5000);
    assert_int_equal(rate.bytes_per_s, 0); /* one sample is no rate */
    watermark_rate_add(&rate, 1100 * MIB, 6000);
    assert_int_equal(rate.bytes_per_s, 100 * MIB);
    watermark_rate_add(&rate, 1500 * MIB, 8000);
    assert_int_equal(rate.bytes_per_s, 200 * MIB);
    watermark_rate_add(&rate, 1500 * MIB, 8000 + 15000);
    assert_int_equal(rate.bytes_per_s, 150 * MIB);
    watermark_rate_add(&rate, 1500 * MIB, 23000 + 30000);
    assert_int_equal(rate.bytes_per_s, 75 * MIB);
    watermark_rate_add(&rate, 1500 * MIB, 53000 + 100 * 30000);
    assert_int_equal(rate.bytes_per_s, 0);
}

static void samples_that_say_nothing_change_nothing(void **state)
{
    (void)state;
    struct watermark_rate rate = { .known = false };
    watermark_rate_add(&rate, 0, 0);
    watermark_rate_add(&rate, 100 * MIB, 1000);
    watermark_rate_add(&rate, 200 * MIB, 1001); /* too close */
    assert_int_equal(rate.bytes_per_s, 100 * MIB);
    assert_int_equal(rate.allocation_bytes, 100 * MIB);
    watermark_rate_add(&rate, 5 * MIB, 2000); /* a fresh layer */
    assert_int_equal(rate.bytes_per_s, 0);
    watermark_rate_add(&rate, 6 * MIB, 1500); /* a clock that jumped */
    assert_int_equal(rate.bytes_per_s, 0);
    watermark_rate_add(&rate, UINT64_MAX, 1600);
    assert_true(rate.bytes_per_s == UINT64_MAX);
}

static void the_longest_of_the_last_extensions_counts(void **state)
{
    (void)state;
    struct watermark_times times = { .n = 0 };
    assert_int_equal(watermark_times_longest(&times), 0);
    watermark_times_add(&times, 700);
    watermark_times_add(&times, -5); /* a clock that jumped */
    for (int i = 0; i < WATERMARK_TIMES - 2; i++)
        watermark_times_add(&times, 10 + i);
    assert_int_equal(watermark_times_longest(&times), 700);
    watermark_times_add(&times, 3); /* pushes the first one out */
    assert_int_equal(watermark_times_longest(&times), 10 + WATERMARK_TIMES - 3);
}

static void failures_are_retried_later_and_later(void **state)
{
    (void)state;
    static const int64_t pauses[] = { 250,  500,  1000,  2000,
                                      4000, 8000, 10000, 10000 };
    struct watermark_backoff backoff = { .failures = 0 };
    int64_t now_ms = 1000;
    assert_true(watermark_backoff_may_try(&backoff, now_ms));
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        watermark_backoff_fail(&backoff, now_ms);
        assert_false(
            watermark_backoff_may_try(&backoff, now_ms + pauses[i] - 1));
        now_ms += pauses[i];
        assert_true(watermark_backoff_may_try(&backoff, now_ms));
    }
    watermark_backoff_succeed(&backoff);
    watermark_backoff_fail(&backoff, now_ms);
    assert_true(watermark_backoff_may_try(&backoff, now_ms + 250));
}

static void targets_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct watermark_disk thin = { .block = true, .cow = true };
    static const struct watermark_disk raw_lv = { .block = true };
    static const struct watermark_disk file = { .cow = true };
    static const struct {
        const struct watermark_disk *source, *replica, *base;
        size_t n;
        enum watermark_target targets[3];
    } rows[] = {
        {&file,    NULL,    NULL,    0, { 0 }                                  },
        { &file,   &file,   NULL,    0, { 0 }                                  },
        { &raw_lv, &raw_lv, NULL,    0, { 0 }                                  },
        { &thin,   NULL,    NULL,    1, { WATERMARK_SOURCE }                   },
        { &thin,   &file,   NULL,    1, { WATERMARK_SOURCE }                   },
        { &thin,   &thin,   NULL,    2, { WATERMARK_REPLICA, WATERMARK_SOURCE }},
        { &file,   &thin,   NULL,    1, { WATERMARK_REPLICA }                  },
        { &raw_lv, &thin,   NULL,    1, { WATERMARK_REPLICA }                  },
        { &thin,   NULL,    &thin,   2, { WATERMARK_SOURCE, WATERMARK_BASE }   },
        { &file,   NULL,    &thin,   1, { WATERMARK_BASE }                     },
        { &thin,   NULL,    &raw_lv, 1, { WATERMARK_SOURCE }                   },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum watermark_target targets[3];
        assert_int_equal(watermark_targets(rows[i].source, rows[i].replica,
                                           rows[i].base, targets),
                         rows[i].n);
        for (size_t k = 0; k < rows[i].n; k++)
            assert_int_equal(targets[k], rows[i].targets[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_rises_at_once_and_falls_slowly),
        cmocka_unit_test(samples_that_say_nothing_change_nothing),
        cmocka_unit_test(the_longest_of_the_last_extensions_counts),
        cmocka_unit_test(failures_are_retried_later_and_later),
        cmocka_unit_test(targets_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
