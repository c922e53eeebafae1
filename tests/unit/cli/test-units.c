/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sizes, rates and times, both ways.
 */
#include "../../../src/cli/units.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static uint64_t size_of(const char *text)
{
    uint64_t bytes = 0;
    struct err err = ERR_INIT;
    if (units_parse_size(text, &bytes, &err)) {
        assert_int_equal(bytes, 0); /* output only on success */
        assert_non_null(strstr(err.message, "size '"));
        return 0;
    }
    return bytes;
}

static void reads_sizes(void **state)
{
    (void)state;
    assert_int_equal(size_of("4096"), 4096);
    assert_int_equal(size_of("512B"), 512);
    assert_int_equal(size_of("3K"), 3 * KIB);
    assert_int_equal(size_of("512M"), 512 * MIB);
    assert_int_equal(size_of("20g"), 20 * GIB);
    assert_int_equal(size_of("20GiB"), 20 * GIB);
    assert_int_equal(size_of("20GB"), 20 * GIB);
    assert_int_equal(size_of("8T"), 8192 * GIB);
}

static void refuses_what_is_no_size(void **state)
{
    (void)state;
    const char *const wrong[] = { "",
                                  "G",
                                  "-1G",
                                  " 1G",
                                  "1 G",
                                  "1.5G",
                                  "1X",
                                  "1GG",
                                  "1Gx",
                                  "0",
                                  "0G",
                                  "0x10",
                                  "1\n",
                                  "+1",
                                  "99999999999999999999",
                                  "9223372036854775808",
                                  "8388608T",
                                  "111111111111111111111111111111G" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(size_of(wrong[i]), 0);
    assert_int_equal(size_of("8388607T"), 8388607ULL << 40);
}

static void reads_limits(void **state)
{
    (void)state;
    uint64_t rate = 77;
    struct err err = ERR_INIT;
    assert_int_equal(units_parse_rate("0", &rate, &err), 0);
    assert_int_equal(rate, 0);
    assert_int_equal(units_parse_rate("200", &rate, &err), 0);
    assert_int_equal(rate, 200 * MIB);
    assert_int_equal(units_parse_rate("0.5", &rate, &err), 0);
    assert_int_equal(rate, MIB / 2);
    assert_int_equal(units_parse_rate("0.00000001", &rate, &err), 0);
    assert_int_equal(rate, 1); /* small is not unlimited */
    const char *const wrong[] = { "",      "-1",   "fast", "1e3",
                                  "inf",   "nan",  " 1",   "1 ",
                                  "1.2.3", "0x10", ".",    "99999999999" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err_clear(&err);
        rate = 5;
        assert_int_equal(units_parse_rate(wrong[i], &rate, &err), -EINVAL);
        assert_int_equal(rate, 5);
        assert_non_null(strstr(err.message, "MiB/s"));
    }
}

static void writes_sizes(void **state)
{
    (void)state;
    char text[UNITS_TEXT_SIZE];
    assert_string_equal(units_size(0, text), "0 B");
    assert_string_equal(units_size(999, text), "999 B");
    assert_string_equal(units_size(1024, text), "1.0 KiB");
    assert_string_equal(units_size(17 * MIB, text), "17 MiB");
    assert_string_equal(units_size(1000 * MIB, text), "1.0 GiB");
    assert_string_equal(units_size(10 * GIB - 1, text), "10 GiB");
    assert_string_equal(units_size(3 * GIB / 2, text), "1.5 GiB");
    assert_string_equal(units_size(UINT64_MAX, text), "16384 PiB");
    assert_string_equal(units_part(6 * GIB / 5, 14 * GIB / 5, text),
                        "1.2/2.8 GiB");
    assert_string_equal(units_part(5 * GIB, 100 * GIB, text), "5/100 GiB");
    assert_string_equal(units_part(0, 20 * MIB, text), "0/20 MiB");
}

static void writes_times(void **state)
{
    (void)state;
    char text[UNITS_TEXT_SIZE];
    assert_string_equal(units_time(0, text), "0 s");
    assert_string_equal(units_time(59, text), "59 s");
    assert_string_equal(units_time(60, text), "1 min 0 s");
    assert_string_equal(units_time(3599, text), "59 min 59 s");
    assert_string_equal(units_time(12000, text), "3 h 20 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(refuses_what_is_no_size),
        cmocka_unit_test(reads_limits),
        cmocka_unit_test(writes_sizes),
        cmocka_unit_test(writes_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
