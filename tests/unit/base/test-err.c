/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Errors: the first one wins, texts stay one line, codes have names.
 */
#include <dray/base/err.h>
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void sets_message_and_result(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, -EIO, "read %s: %d", "a", 7), -EIO);
    assert_int_equal(err.rc, -EIO);
    assert_int_equal(err.code, ERR_GENERAL);
    assert_string_equal(err.message, "read a: 7");
    assert_string_equal(err.next, "");
}

static void understands_percent_m(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    errno = ENOSPC;
    (void)err_set(&err, -errno, "write: %m");
    assert_string_equal(err.message, "write: No space left on device");
    assert_int_equal(err.rc, -ENOSPC);
}

static void keeps_the_first_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set_code(&err, ERR_NO_SPACE, "first");
    assert_int_equal(err_set(&err, -EIO, "second"), -EIO);
    assert_int_equal(err_set_code(&err, ERR_NO_VM, "third"), -ENOENT);
    assert_int_equal(err.rc, -ENOSPC);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_string_equal(err.message, "first");
}

static void wraps_outward(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set(&err, -EIO, "cause");
    assert_int_equal(err_wrap(&err, "volume %d", 1), -EIO);
    assert_int_equal(err_wrap(&err, "domain"), -EIO);
    assert_string_equal(err.message, "domain: volume 1: cause");
}

static void never_turns_into_success(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_wrap(&err, "context"), -EIO);
    assert_int_equal(err.rc, -EIO);
    assert_string_equal(err.message, "context");
    err_clear(&err);
    assert_int_equal(err_next(&err, "do"), -EIO);
    assert_int_equal(err_default_code(NULL, ERR_NO_VM), -EIO);
    assert_int_equal(err_wrap(NULL, "context"), -EIO);
    assert_int_equal(err_next(NULL, "do"), -EIO);
}

static void works_without_a_buffer(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_set_code(NULL, ERR_NO_VM, "x"), -ENOENT);
    err_clear(NULL);
}

static void gives_a_code_only_to_general_errors(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set(&err, -EIO, "x");
    assert_int_equal(err_default_code(&err, ERR_REPLICA), -EIO);
    assert_int_equal(err.code, ERR_REPLICA);
    (void)err_default_code(&err, ERR_NO_VM);
    assert_int_equal(err.code, ERR_REPLICA);
}

static void keeps_the_first_hint(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set(&err, -EIO, "x");
    assert_int_equal(err_next(&err, "join %s", "it"), -EIO);
    (void)err_next(&err, "another");
    assert_string_equal(err.next, "join it");
}

static void stays_one_line_of_utf8(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set(&err, -EIO, "a\nb\tc\x1b[2J \xff \xc3\xa4 \xc2\x9b\r\n");
    assert_string_equal(err.message, "a b c [2J ? \xc3\xa4");
    (void)err_next(&err, "x\ny");
    assert_string_equal(err.next, "x y");
    (void)err_wrap(&err, "p\nq");
    assert_string_equal(err.message, "p q: a b c [2J ? \xc3\xa4");
}

static void cuts_between_characters(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char text[ERR_MESSAGE_SIZE + 3];
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = i % 2 ? '\xa4' : '\xc3';
    text[sizeof(text) - 1] = '\0';
    (void)err_set(&err, -EIO, "x%s", text);
    assert_true(strlen(err.message) < ERR_MESSAGE_SIZE);
    assert_true(str_is_utf8(err.message, strlen(err.message)));
    (void)err_wrap(&err, "%s", text);
    (void)err_next(&err, "%s", text);
    assert_true(strlen(err.message) < ERR_MESSAGE_SIZE);
    assert_true(str_is_utf8(err.message, strlen(err.message)));
    assert_true(str_is_utf8(err.next, strlen(err.next)));
}

static void clears(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set_code(&err, ERR_NO_VM, "x");
    (void)err_next(&err, "y");
    err_clear(&err);
    assert_int_equal(err.rc, 0);
    assert_int_equal(err.code, ERR_GENERAL);
    assert_string_equal(err.message, "");
    assert_string_equal(err.next, "");
}

static void knows_the_codes(void **state)
{
    (void)state;
    assert_string_equal(err_code_name(ERR_PARSE), "ParseError");
    assert_string_equal(err_code_name(ERR_NO_VM), "noVM");
    assert_string_equal(err_code_name(ERR_UNSUPPORTED_STORAGE),
                        "UnsupportedOperation");
    assert_string_equal(err_code_name((enum err_code)12345),
                        "GeneralException");
    assert_int_equal(err_code_errno(ERR_NO_SPACE), -ENOSPC);
    assert_int_equal(err_code_errno(ERR_PARAMS), -EINVAL);
    assert_int_equal(err_code_errno((enum err_code)12345), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_message_and_result),
        cmocka_unit_test(understands_percent_m),
        cmocka_unit_test(keeps_the_first_error),
        cmocka_unit_test(wraps_outward),
        cmocka_unit_test(never_turns_into_success),
        cmocka_unit_test(works_without_a_buffer),
        cmocka_unit_test(gives_a_code_only_to_general_errors),
        cmocka_unit_test(keeps_the_first_hint),
        cmocka_unit_test(stays_one_line_of_utf8),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(clears),
        cmocka_unit_test(knows_the_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
