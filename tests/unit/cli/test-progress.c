/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The progress line at all widths.
 */
#include "../../../src/cli/progress.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static const struct progress half = {
    .phase = "mirroring",
    .done = 6 * GIB / 5,
    .total = 14 * GIB / 5,
    .rate = 210 * MIB,
    .eta_s = 8,
};

static void assert_line(const struct progress *progress, size_t width,
                        const char *wanted)
{
    char line[PROGRESS_LINE_SIZE];
    progress_bar_line(progress, width, line);
    assert_string_equal(line, wanted);
}

static void shows_bar_and_numbers(void **state)
{
    (void)state;
    assert_line(&half, 80,
                "mirroring   [##########---------------]   42 %  1.2/2.8 GiB  "
                "210 MiB/s  ETA 8 s");
}

static void the_bar_gives_way_first_then_the_right_end(void **state)
{
    (void)state;
    assert_line(&half, 60,
                "mirroring    42 %  1.2/2.8 GiB  210 MiB/s  ETA 8 s");
    assert_line(&half, 45, "mirroring    42 %  1.2/2.8 GiB  210 MiB/s");
    assert_line(&half, 33, "mirroring    42 %  1.2/2.8 GiB");
    assert_line(&half, 20, "mirroring    42 %");
    assert_line(&half, 9, "mirroring");
    assert_line(&half, 4, "mirr");
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    struct progress progress = half;
    char line[PROGRESS_LINE_SIZE];
    for (size_t width = 1; width < 500; width++) {
        progress.done = progress.total / 500 * width;
        progress.eta_s = (int64_t)(width * width);
        progress_bar_line(&progress, width, line);
        assert_in_range(strlen(line), 1, width);
    }
    assert_in_range(strlen(line), 60, 120); /* nor is the bar endless */
}

static void columns_do_not_jump(void **state)
{
    (void)state;
    char a[PROGRESS_LINE_SIZE];
    char b[PROGRESS_LINE_SIZE];
    struct progress progress = half;
    progress.done = 0;
    progress_bar_line(&progress, 80, a);
    progress.done = progress.total;
    progress_bar_line(&progress, 80, b);
    assert_int_equal(strlen(a), strlen(b));
    assert_int_equal(strchr(a, '%') - a, strchr(b, '%') - b);
    assert_non_null(strstr(a, "  0 %"));
    assert_non_null(strstr(a, "[-----"));
    assert_non_null(strstr(b, "100 %"));
    assert_non_null(strstr(b, "#####]"));
}

static void the_bar_keeps_its_end(void **state)
{
    (void)state;
    char a[PROGRESS_LINE_SIZE];
    char b[PROGRESS_LINE_SIZE];
    struct progress progress = half;
    progress.rate = 3 * MIB;
    progress.eta_s = 50;
    progress_bar_line(&progress, 80, a);
    progress.rate = 333 * MIB;
    progress.eta_s = 5;
    progress_bar_line(&progress, 80, b);
    assert_int_equal(strchr(a, ']') - a, strchr(b, ']') - b);
    progress.rate = 0;
    progress.eta_s = -1;
    progress_bar_line(&progress, 80, b);
    assert_int_equal(strchr(a, ']') - a, strchr(b, ']') - b);
}

static void all_but_done_is_not_a_hundred(void **state)
{
    (void)state;
    struct progress progress = half;
    progress.done = progress.total - 1;
    assert_int_equal(progress_percent(&progress), 99);
    progress.done = progress.total;
    assert_int_equal(progress_percent(&progress), 100);
    progress.done = progress.total + 1; /* a guest's writes, just counted */
    assert_int_equal(progress_percent(&progress), 100);
}

static void says_only_what_is_known(void **state)
{
    (void)state;
    struct progress progress = { .phase = "preparing", .eta_s = -1 };
    assert_line(&progress, 80, "preparing");
    progress.phase = "waiting for drayd";
    assert_line(&progress, 80, "waiting for drayd");
    progress = half;
    progress.rate = 0;
    progress.eta_s = -1;
    assert_line(&progress, 34, "mirroring    42 %  1.2/2.8 GiB");
    char line[PROGRESS_LINE_SIZE];
    progress_plain_line(&progress, line);
    assert_string_equal(line, "mirroring   42 %  1.2/2.8 GiB");
    progress_plain_line(&half, line);
    assert_string_equal(line,
                        "mirroring   42 %  1.2/2.8 GiB  210 MiB/s  ETA 8 s");
}

static void a_pipe_gets_a_line_per_phase_and_every_few_seconds(void **state)
{
    (void)state;
    struct progress_pace pace = { 0 };
    assert_true(progress_is_due(&pace, "a", 1000));
    assert_false(progress_is_due(&pace, "a", 1001));
    assert_false(progress_is_due(&pace, "a", 5999));
    assert_true(progress_is_due(&pace, "a", 6000));
    assert_true(progress_is_due(&pace, "b", 6001));
    assert_false(progress_is_due(&pace, "b", 6002));
    assert_true(progress_is_due(&pace, "a", 6003));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_bar_and_numbers),
        cmocka_unit_test(the_bar_gives_way_first_then_the_right_end),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(columns_do_not_jump),
        cmocka_unit_test(the_bar_keeps_its_end),
        cmocka_unit_test(all_but_done_is_not_a_hundred),
        cmocka_unit_test(says_only_what_is_known),
        cmocka_unit_test(a_pipe_gets_a_line_per_phase_and_every_few_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
