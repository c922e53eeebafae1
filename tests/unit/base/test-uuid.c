/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * UUIDs: one spelling only.
 */
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void accepts_one_spelling(void **state)
{
    (void)state;
    assert_true(uuid_is_valid("0123abcd-89ef-4567-8901-0123456789ab"));
    assert_true(uuid_is_valid(UUID_BLANK));
}

static void refuses_every_other(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0123abcd",
        "0123abcd-89ef-4567-8901-0123456789a",
        "0123abcd-89ef-4567-8901-0123456789abc",
        "0123ABCD-89ef-4567-8901-0123456789ab",
        "0123abcg-89ef-4567-8901-0123456789ab",
        "0123abcd089ef-4567-8901-0123456789ab",
        "0123abc-d89ef-4567-8901-0123456789ab",
        "0123abcd-89ef-4567-8901-0123456789/b",
        "../../../../../../../../../../../../",
        "{0123abcd-89ef-4567-8901-0123456789a}",
        " 0123abcd-89ef-4567-8901-0123456789a",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(uuid_is_valid(bad[i]));
}

static void refuses_a_wrong_byte_anywhere(void **state)
{
    (void)state;
    static const char good[] = "0123abcd-89ef-4567-8901-0123456789ab";
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        char bad[UUID_SIZE];
        memcpy(bad, good, sizeof(bad));
        bad[i] = '_';
        assert_false(uuid_is_valid(bad));
    }
}

static void makes_valid_ones_that_differ(void **state)
{
    (void)state;
    char a[UUID_SIZE];
    char b[UUID_SIZE];
    uuid_new(a);
    uuid_new(b);
    assert_true(uuid_is_valid(a));
    assert_true(uuid_is_valid(b));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_one_spelling),
        cmocka_unit_test(refuses_every_other),
        cmocka_unit_test(refuses_a_wrong_byte_anywhere),
        cmocka_unit_test(makes_valid_ones_that_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
