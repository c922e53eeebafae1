/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What well-formed UTF-8 is (Unicode, table 3-7), decided byte by byte so that
 * nothing is read behind the end.
 */
#include "utf8.h"

static bool in_range(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

/* The lead byte narrows the second one: that is what keeps overlong forms,
 * surrogates and numbers over U+10FFFF out. */
static bool second_is_valid(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0:
        return in_range(second, 0xa0, 0xbf);
    case 0xed:
        return in_range(second, 0x80, 0x9f);
    case 0xf0:
        return in_range(second, 0x90, 0xbf);
    case 0xf4:
        return in_range(second, 0x80, 0x8f);
    default:
        return in_range(second, 0x80, 0xbf);
    }
}

static size_t length_by_lead(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (in_range(lead, 0xc2, 0xdf))
        return 2;
    if (in_range(lead, 0xe0, 0xef))
        return 3;
    if (in_range(lead, 0xf0, 0xf4))
        return 4;
    return 0;
}

size_t utf8_length(const char *s, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)s;
    size_t n = len ? length_by_lead(bytes[0]) : 0;
    if (n > len)
        return 0;
    if (n > 1 && !second_is_valid(bytes[0], bytes[1]))
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (!in_range(bytes[i], 0x80, 0xbf))
            return 0;
    }
    return n;
}

bool utf8_is_control(const char *s, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)s;
    if (n == 1)
        return bytes[0] < 0x20 || bytes[0] == 0x7f;
    return n == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}
