/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words and options of a command.
 */
#include "../../../src/cli/args.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct parsed {
    struct args args;
    bool keep;
    const char *limit;
    struct err err;
    int rc;
};

static struct parsed parse(size_t min, size_t max, const char *const *argv)
{
    struct parsed p = { .err = ERR_INIT };
    const struct args_option options[] = {
        {"--keep",   &p.keep, NULL },
        { "--limit",      NULL, &p.limit },
        { 0},
    };
    p.rc = args_parse(argv, options, min, max, &p.args, &p.err);
    return p;
}

#define PARSE(min, max, ...)                                                   \
    parse((min), (max),                                                        \
          (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    struct parsed p = PARSE(2, 3, "--keep", "vm", "--limit", "5", "vda");
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.args.n, 2);
    assert_string_equal(p.args.words[0], "vm");
    assert_string_equal(p.args.words[1], "vda");
    assert_null(p.args.words[2]);
    assert_true(p.keep);
    assert_string_equal(p.limit, "5");
}

static void a_value_may_follow_an_equals_sign(void **state)
{
    (void)state;
    struct parsed p = PARSE(0, 0, "--limit=a=b");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.limit, "a=b");
    p = PARSE(0, 0, "--limit=");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.limit, "");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct parsed p = PARSE(2, 2, "--", "--keep", "--");
    assert_int_equal(p.rc, 0);
    assert_false(p.keep);
    assert_string_equal(p.args.words[0], "--keep");
    assert_string_equal(p.args.words[1], "--");
}

static void a_single_dash_is_a_word(void **state)
{
    (void)state;
    struct parsed p = PARSE(1, 1, "-");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.args.words[0], "-");
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct parsed p = PARSE(0, 1, "--kee");
    assert_int_equal(p.rc, -EINVAL);
    assert_non_null(strstr(p.err.message, "--kee: no such option"));
    p = PARSE(0, 1, "--keeper");
    assert_int_equal(p.rc, -EINVAL);
    p = PARSE(0, 1, "--limit");
    assert_non_null(strstr(p.err.message, "--limit: its value is missing"));
    p = PARSE(0, 1, "--keep=yes");
    assert_non_null(strstr(p.err.message, "--keep: takes no value"));
    p = PARSE(0, 1, "a", "b");
    assert_non_null(strstr(p.err.message, "b: one word too many"));
    p = PARSE(2, 2, "a");
    assert_int_equal(p.rc, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(a_value_may_follow_an_equals_sign),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_single_dash_is_a_word),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
