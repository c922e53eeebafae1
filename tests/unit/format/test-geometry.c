/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Block size, hosts and alignment, by the table of the format.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024
};

static unsigned alignment(unsigned block_size, unsigned max_hosts)
{
    unsigned value = 0;
    assert_int_equal(format_alignment(block_size, max_hosts, &value, NULL), 0);
    assert_true(format_geometry_is_valid(block_size, value));
    return value;
}

static void aligns_by_number_of_hosts(void **state)
{
    (void)state;
    assert_int_equal(alignment(512, 1), MIB);
    assert_int_equal(alignment(512, 2000), MIB);
    assert_int_equal(alignment(4096, 250), MIB);
    assert_int_equal(alignment(4096, 251), 2 * MIB);
    assert_int_equal(alignment(4096, 500), 2 * MIB);
    assert_int_equal(alignment(4096, 501), 4 * MIB);
    assert_int_equal(alignment(4096, 1000), 4 * MIB);
    assert_int_equal(alignment(4096, 1001), 8 * MIB);
    assert_int_equal(alignment(4096, 2000), 8 * MIB);
}

static void refuses_other_sizes(void **state)
{
    (void)state;
    static const unsigned bad[][2] = {
        {512,   0   },
        { 512,  2001},
        { 0,    1   },
        { 1024, 1   },
        { 4097, 1   }
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = ERR_INIT;
        unsigned value = 7;
        assert_true(format_alignment(bad[i][0], bad[i][1], &value, &err) < 0);
        assert_int_equal(err.code, ERR_VALUE);
        assert_int_equal(value, 7);
    }
}

static void knows_which_pairs_go_together(void **state)
{
    (void)state;
    assert_true(format_geometry_is_valid(512, MIB));
    assert_false(format_geometry_is_valid(512, 2 * MIB));
    assert_true(format_geometry_is_valid(4096, 8 * MIB));
    assert_false(format_geometry_is_valid(4096, 3 * MIB));
    assert_false(format_geometry_is_valid(4096, 16 * MIB));
    assert_false(format_geometry_is_valid(0, MIB));
}

static void knows_what_a_line_is(void **state)
{
    (void)state;
    static const char *const lines[] = { "", "plain",
                                         "Z\xc3\xbcrich \xe2\x82\xac", "a\tb",
                                         "\x1f" };
    static const char *const others[] = {
        "a\nb", "a\r",      "\v",           "\f",           "\x1c", "\x1d",
        "\x1e", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xff", "\xc3"
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_true(format_text_is_line(lines[i]));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(format_text_is_line(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns_by_number_of_hosts),
        cmocka_unit_test(refuses_other_sizes),
        cmocka_unit_test(knows_which_pairs_go_together),
        cmocka_unit_test(knows_what_a_line_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
