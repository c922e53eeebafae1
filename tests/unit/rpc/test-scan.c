/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is JSON and where it ends, whole and cut at every byte.
 */
#include "../../../src/rpc/scan.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

static const char *const good[] = {
    "{}",
    "[]",
    "[ ]",
    "{ }",
    "null",
    "true",
    "false",
    "\"\"",
    "[0]",
    "[-0]",
    "[0.0]",
    "[-1.5e+10,1E-2,1e5,10]",
    "[1,2,3]",
    "{\"a\":1}",
    "{\"a\":{\"b\":[]},\"c\":null}",
    "{\"a\" : \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"}",
    "[\"\xc3\xa9\",\"\xe2\x82\xac\",\"\xf0\x9f\x98\x80\",\"\x7f\"]",
    "[\"\xed\x9f\xbf\",\"\xee\x80\x80\",\"\xf4\x8f\xbf\xbf\"]",
    "[\n  {\n    \"a\": [ 1 ,\t2 ]\r\n  }\n]",
};

/* The last byte is the one that must be refused. */
static const char *const bad[] = {
    "}",           "]",           ":",
    ",",           "a",           "'",
    "+",           ".",           "N",
    "I",           "-I",          "-a",
    "[,",          "[1,]",        "[1 2",
    "[1}",         "[1:",         "{,",
    "{1",          "{a",          "{\"a\",",
    "{\"a\"}",     "{\"a\":}",    "{\"a\":1,}",
    "{\"a\":1]",   "{\"a\":1 \"", "[01",
    "[-01",        "[1.]",        "[1.e",
    "[1e]",        "[1e+]",       "[1.5.",
    "[1e5e",       "[1e5.",       "[trup",
    "[nulL",       "[T",          "[\"\n",
    "[\"\t",       "[\"\x01",     "[\"\\x",
    "[\"\\u12g",   "[\"\x80",     "[\"\xc0",
    "[\"\xc1",     "[\"\xf5",     "[\"\xff",
    "[\"\xc3\"",   "[\"\xe0\x9f", "[\"\xed\xa0",
    "[\"\xf0\x8f", "[\"\xf4\x90", "[\"\xe2\x82\"",
    "[/",          "[#",
};

static void assert_done(const char *text, size_t at, size_t cut)
{
    struct scan scan;
    size_t used = 0, n = strlen(text);

    scan_reset(&scan);
    if (cut > 0) {
        assert_int_equal(scan_bytes(&scan, text, cut, &used), SCAN_MORE);
        assert_int_equal(used, cut);
    }
    assert_int_equal(scan_bytes(&scan, text + cut, n - cut, &used), SCAN_DONE);
    assert_int_equal(cut + used, at);
    assert_false(scan_is_inside(&scan));
}

static void accepts_json_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        for (size_t cut = 0; cut < strlen(good[i]); cut++)
            assert_done(good[i], strlen(good[i]), cut);
}

static void leaves_what_follows_a_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_free_ char *text = str_printf("%s{\"next\":1}", good[i]);
        assert_done(text, strlen(good[i]), 0);
    }
    assert_done("12 ", 2, 0);
    assert_done("12[", 2, 0);
    assert_done("0{", 1, 0);
    assert_done("1.5e3\"", 5, 0);
}

static void refuses_at_the_first_wrong_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct scan scan;
        size_t used = 0, n = strlen(bad[i]);
        const char *text = bad[i];
        scan_reset(&scan);
        if (scan_bytes(&scan, text, n, &used) != SCAN_BAD || used != n - 1)
            fail_msg("%s: not refused at its end but at %zu", text, used);
        assert_non_null(scan.problem);
    }
}

static void refuses_nul_everywhere(void **state)
{
    static const char *const before[] = { "",    "{",     "[",   "[1",
                                          "[\"", "[\"\\", "[tr", "[\"\\u0" };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        struct scan scan;
        size_t used = 0, n = strlen(before[i]);
        scan_reset(&scan);
        /* the terminator is the byte in question */
        assert_int_equal(scan_bytes(&scan, before[i], n + 1, &used), SCAN_BAD);
        assert_int_equal(used, n);
    }
}

static void limits_depth_exactly(void **state)
{
    struct scan scan;
    size_t used = 0;
    char text[100];

    (void)state;
    memset(text, '[', 33);
    memset(text + 32, ']', 32);
    text[64] = '\0';
    assert_done(text, 64, 0);
    memset(text, '[', 33);
    scan_reset(&scan);
    assert_int_equal(scan_bytes(&scan, text, 33, &used), SCAN_DEEP);
    assert_int_equal(used, 32);
}

static void remembers_kinds_of_brackets(void **state)
{
    const char *text = "[{\"a\":[{\"b\":{\"c\":[[],{}]}}]}]";
    (void)state;
    assert_done(text, strlen(text), 0);
}

static void ends_of_streams(void **state)
{
    static const struct {
        const char *text;
        enum scan_result end;
    } cases[] = {
        {"",        SCAN_MORE},
        { "  \n",   SCAN_MORE},
        { "12",     SCAN_DONE},
        { "-",      SCAN_BAD },
        { "1.",     SCAN_BAD },
        { "tru",    SCAN_BAD },
        { "{\"a\"", SCAN_BAD },
        { "\"abc",  SCAN_BAD },
        { "[1",     SCAN_BAD },
        { "\"\xc3", SCAN_BAD },
        { "1e5",    SCAN_DONE},
        { "0",      SCAN_DONE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scan scan;
        size_t used;
        scan_reset(&scan);
        (void)scan_bytes(&scan, cases[i].text, strlen(cases[i].text), &used);
        assert_int_equal(scan_end(&scan), cases[i].end);
    }
}

static void counts_members_and_sees_nul_in_names(void **state)
{
    struct scan scan;
    size_t used;
    const char *text = "{\"a\":{\"b\":1,\"b\":2},\"c\\u0001\":[{\"d\":1}]}";

    (void)state;
    scan_reset(&scan);
    (void)scan_bytes(&scan, text, strlen(text), &used);
    assert_int_equal(scan.members, 5);
    assert_false(scan.nul_in_key);
    scan_reset(&scan);
    (void)scan_bytes(&scan, "{\"a\\u0000\":", 11, &used);
    assert_true(scan.nul_in_key);
    scan_reset(&scan);
    (void)scan_bytes(&scan, "{\"a\":\"\\u0000\"}", 14, &used);
    assert_false(scan.nul_in_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json_cut_anywhere),
        cmocka_unit_test(leaves_what_follows_a_value),
        cmocka_unit_test(refuses_at_the_first_wrong_byte),
        cmocka_unit_test(refuses_nul_everywhere),
        cmocka_unit_test(limits_depth_exactly),
        cmocka_unit_test(remembers_kinds_of_brackets),
        cmocka_unit_test(ends_of_streams),
        cmocka_unit_test(counts_members_and_sees_nul_in_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
