/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/lease/status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reads_what_sanlock_3_8_5_prints(void **state)
{
    struct leases_status status;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(status_parse("daemon my host\n"
                                  "    our_host_name=my host\n"
                                  "    use_watchdog=0\n"
                                  "    high_priority=0\n"
                                  "p -1 helper\n"
                                  "    ci=0\n",
                                  &status, &err),
                     0);
    assert_string_equal(status.host_name, "my host");
    assert_false(status.use_watchdog);
    assert_int_equal(status_parse("daemon h\n"
                                  "    use_watchdog=1\n"
                                  "    our_host_name=h\n",
                                  &status, &err),
                     0);
    assert_true(status.use_watchdog);
}

static void settings_of_other_blocks_do_not_count(void **state)
{
    struct leases_status status;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(status_parse("daemon h\n"
                                  "    our_host_name=h\n"
                                  "p 12 client\n"
                                  "    use_watchdog=1\n",
                                  &status, &err),
                     -EBADMSG);
}

static void a_longer_key_is_another_key(void **state)
{
    struct leases_status status;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(status_parse("daemon h\n"
                                  "    our_host_name=h\n"
                                  "    use_watchdog_file=1\n",
                                  &status, &err),
                     -EBADMSG);
}

static void other_text_is_an_error(void **state)
{
    const char *const texts[] = {
        "",
        "\n",
        "daemon",
        "daemon \n",
        "usage: sanlock\n",
        "daemon h\n    use_watchdog=1",
        "daemon h\n    our_host_name=h\n    use_watchdog=",
    };
    struct leases_status status;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(status_parse(texts[i], &status, &err), -EBADMSG);
        assert_true(err.message[0] != '\0');
    }
}

static void overlong_name_is_cut_not_overrun(void **state)
{
    char text[400] = "daemon h\n    our_host_name=";
    size_t len = strlen(text);
    struct leases_status status;
    struct err err = ERR_INIT;

    (void)state;
    memset(text + len, 'x', 200);
    strcpy(text + len + 200, "\n    use_watchdog=1\n");
    assert_int_equal(status_parse(text, &status, &err), 0);
    assert_int_equal(strlen(status.host_name), sizeof(status.host_name) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_sanlock_3_8_5_prints),
        cmocka_unit_test(settings_of_other_blocks_do_not_count),
        cmocka_unit_test(a_longer_key_is_another_key),
        cmocka_unit_test(other_text_is_an_error),
        cmocka_unit_test(overlong_name_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
