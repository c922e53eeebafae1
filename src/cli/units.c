/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sizes, rates and times. Units are powers of 1024 throughout, as disks of VMs
 * are; one decimal below ten, none above, as more is noise on a moving line.
 */
#include "units.h"
#include <dray/base/util.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };

/* K, KB, KiB -> 1; "" and B -> 0; anything else -> -1 */
static int power_of(const char *suffix)
{
    static const char letters[] = "KMGT";
    if (str_equal(suffix, "") || str_equal(suffix, "B"))
        return 0;
    char letter = suffix[0];
    if (letter >= 'a' && letter <= 'z')
        letter = (char)(letter - 'a' + 'A');
    const char *found = strchr(letters, letter);
    const char *rest = suffix + 1;
    if (!found ||
        !(str_equal(rest, "") || str_equal(rest, "B") || str_equal(rest, "iB")))
        return -1;
    return (int)(found - letters) + 1;
}

int units_parse_size(const char *text, uint64_t *ret_bytes, struct err *err)
{
    char number[24];
    size_t digits = strspn(text, "0123456789");
    int power = digits > 0 ? power_of(text + digits) : -1;
    uint64_t value = 0;
    if (power < 0 || digits >= sizeof(number))
        return err_set(err, -EINVAL,
                       "size '%s': a number and K, M, G or T is wanted, like "
                       "20G",
                       text);
    (void)str_format(number, sizeof(number), "%.*s", (int)digits, text);
    if (str_to_u64(number, &value) || value == 0 ||
        value > ((uint64_t)INT64_MAX >> (10 * power)))
        return err_set(err, -EINVAL, "size '%s': out of range", text);
    *ret_bytes = value << (10 * power);
    return 0;
}

int units_parse_rate(const char *text, uint64_t *ret_bytes_per_s,
                     struct err *err)
{
    const uint64_t mib = UINT64_C(1) << 20;
    char *end = NULL;
    /* Digits and one point: no signs, blanks, exponents or names. */
    bool sane = text[0] && strspn(text, "0123456789.") == strlen(text);
    double value = sane ? strtod(text, &end) : -1;
    if (!sane || *end || value > 1024.0 * 1024)
        return err_set(err, -EINVAL, "limit '%s': MiB/s are wanted, 0 for none",
                       text);
    uint64_t bytes = (uint64_t)(value * (double)mib);
    if (bytes == 0 && value > 0)
        bytes = 1; /* not "no limit" */
    *ret_bytes_per_s = bytes;
    return 0;
}

static size_t unit_of(uint64_t bytes)
{
    size_t unit = 0;
    while (unit + 1 < ARRAY_SIZE(units) && bytes >= 1000) {
        bytes >>= 10;
        unit++;
    }
    return unit;
}

static double in_unit(uint64_t bytes, size_t unit)
{
    return (double)bytes / (double)(UINT64_C(1) << (10 * unit));
}

/* 9.96 would print as "10.0" */
static int decimals(double value, size_t unit)
{
    return unit > 0 && value < 9.95 ? 1 : 0;
}

const char *units_size(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
    size_t unit = unit_of(bytes);
    double value = in_unit(bytes, unit);
    (void)str_format(text, UNITS_TEXT_SIZE, "%.*f %s", decimals(value, unit),
                     value, units[unit]);
    return text;
}

const char *units_part(uint64_t bytes, uint64_t of, char text[UNITS_TEXT_SIZE])
{
    size_t unit = unit_of(of);
    double a = in_unit(bytes, unit);
    double b = in_unit(of, unit);
    (void)str_format(text, UNITS_TEXT_SIZE, "%.*f/%.*f %s", decimals(b, unit),
                     a, decimals(b, unit), b, units[unit]);
    return text;
}

const char *units_time(int64_t seconds, char text[UNITS_TEXT_SIZE])
{
    enum {
        MINUTE = 60,
        HOUR = 60 * MINUTE
    };
    if (seconds < MINUTE)
        (void)str_format(text, UNITS_TEXT_SIZE, "%" PRId64 " s", seconds);
    else if (seconds < HOUR)
        (void)str_format(text, UNITS_TEXT_SIZE, "%" PRId64 " min %" PRId64 " s",
                         seconds / MINUTE, seconds % MINUTE);
    else
        (void)str_format(text, UNITS_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min",
                         seconds / HOUR, seconds % HOUR / MINUTE);
    return text;
}
