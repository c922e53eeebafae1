/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Strings: bounds, numbers, UTF-8.
 */
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void compares(void **state)
{
    (void)state;
    assert_true(str_equal("a", "a"));
    assert_false(str_equal("a", "b"));
    assert_true(str_equal(NULL, NULL));
    assert_false(str_equal("", NULL));
    assert_false(str_equal(NULL, ""));
    assert_true(str_starts_with("abc", "ab"));
    assert_true(str_starts_with("abc", ""));
    assert_false(str_starts_with("a", "ab"));
    assert_true(str_ends_with("abc", "bc"));
    assert_true(str_ends_with("abc", "abc"));
    assert_true(str_ends_with("abc", ""));
    assert_false(str_ends_with("bc", "abc"));
    assert_false(str_ends_with("abc", "ab"));
}

static void copies_within_bounds(void **state)
{
    (void)state;
    char dst[5] = "xxxx";
    assert_true(str_copy(dst, sizeof(dst), "abcd"));
    assert_string_equal(dst, "abcd");
    assert_false(str_copy(dst, sizeof(dst), "efghi"));
    assert_string_equal(dst, "efgh");
    assert_false(str_copy(dst, 1, "a"));
    assert_string_equal(dst, "");
    assert_true(str_copy(dst, 1, ""));
    dst[0] = 'x';
    assert_false(str_copy(dst, 0, "a"));
    assert_int_equal(dst[0], 'x');
}

static void cuts_no_character_in_two(void **state)
{
    (void)state;
    char dst[5];
    assert_false(str_copy(dst, sizeof(dst), "abc\xc3\xa4"));
    assert_string_equal(dst, "abc");
    assert_false(str_copy(dst, sizeof(dst), "a\xf0\x9f\x98\x80"));
    assert_string_equal(dst, "a");
    assert_false(str_copy(dst, sizeof(dst), "ab\xc3\xa4z"));
    assert_string_equal(dst, "ab\xc3\xa4");
}

static void formats(void **state)
{
    (void)state;
    char dst[4];
    assert_true(str_format(dst, sizeof(dst), "%d", 123));
    assert_string_equal(dst, "123");
    assert_false(str_format(dst, sizeof(dst), "%d", 1234));
    assert_string_equal(dst, "123");
    _cleanup_free_ char *text = str_printf("%s-%d", "a", 1);
    assert_string_equal(text, "a-1");
}

static void reads_whole_numbers_only(void **state)
{
    (void)state;
    static const char *const broken[] = { "",   " ",  "1 ",  " 1", "+1",
                                          "-1", "1x", "0x1", "1.", "1,0" };
    uint64_t value = 99;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        assert_int_equal(str_to_u64(broken[i], &value), -EINVAL);
    assert_int_equal(str_to_u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(str_to_u64("99999999999999999999", &value), -ERANGE);
    assert_true(value == 99);
    assert_int_equal(str_to_u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(str_to_u64("0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(str_to_u64("007", &value), 0);
    assert_true(value == 7);
}

static void knows_well_formed_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "a\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
    };
    static const char *const bad[] = {
        "\x80",             /* no lead */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xc2",             /* cut off */
        "\xc2g",            /* no continuation */
        "\xe0\x9f\xbf",     /* overlong */
        "\xe1\x80",         /* cut off */
        "\xe1\x80g",        /* no continuation */
        "\xed\xa0\x80",     /* surrogate */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xf1\x80\x80",     /* cut off */
        "\xf1\x80\x80g",    /* no continuation */
        "\xf4\x90\x80\x80", /* over U+10FFFF */
        "\xf5\x80\x80\x80", /* the same */
        "\xff",
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(str_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(str_is_utf8(bad[i], strlen(bad[i])));
    assert_false(str_is_utf8("a\0b", 3));
}

static void makes_one_line(void **state)
{
    (void)state;
    char text[] = "a\r\nb\x7f\xc2\x85"
                  "c\xe2\x82\xac\xff \n\n";
    str_make_line(text);
    assert_string_equal(text, "a  b   c\xe2\x82\xac?");
    char blank[] = "\n";
    str_make_line(blank);
    assert_string_equal(blank, "");
}

static void hands_over(void **state)
{
    (void)state;
    _cleanup_free_ char *mine = str_printf("x");
    char *theirs = TAKE(mine);
    assert_null(mine);
    assert_string_equal(theirs, "x");
    free(theirs);
    int fd = 7;
    assert_int_equal(TAKE_FD(fd), 7);
    assert_int_equal(fd, -1);
}

static void clocks_go_forward(void **state)
{
    (void)state;
    int64_t before = time_now_ms();
    assert_true(before > 0);
    assert_true(time_now_ms() >= before);
    assert_true(time_wall_ms() > 1600000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(copies_within_bounds),
        cmocka_unit_test(cuts_no_character_in_two),
        cmocka_unit_test(formats),
        cmocka_unit_test(reads_whole_numbers_only),
        cmocka_unit_test(knows_well_formed_utf8),
        cmocka_unit_test(makes_one_line),
        cmocka_unit_test(hands_over),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
