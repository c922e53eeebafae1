/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Strings: comparing, copying with a bound, numbers, UTF-8.
 */
#include "utf8.h"
#include <dray/base/util.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

bool str_equal(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool str_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
    size_t len = strlen(s);
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

bool path_is_within(const char *path, const char *top)
{
    size_t len = strlen(top);
    while (len > 1 && top[len - 1] == '/')
        len--;
    if (len == 0 || strncmp(path, top, len) != 0)
        return false;
    return path[len] == '\0' || path[len] == '/' || len == 1;
}

bool str_copy(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src);
    bool fits = len < size;
    if (size == 0)
        return false;
    if (!fits) {
        /* Not in the middle of a character: the copy may go into JSON. */
        len = size - 1;
        while (len > 0 && ((unsigned char)src[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(dst, src, len);
    dst[len] = '\0';
    return fits;
}

char *str_printf(const char *format, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&s, format, args);
    va_end(args);
    return n < 0 ? NULL : s;
}

bool str_format(char *dst, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(dst, size, format, args);
    va_end(args);
    return n >= 0 && (size_t)n < size;
}

int str_to_u64(const char *s, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (*s == '\0')
        return -EINVAL;
    for (const char *p = s; *p; p++) {
        if (*p < '0' || *p > '9')
            return -EINVAL;
    }
    for (const char *p = s; *p; p++) {
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (unsigned)(*p - '0'), &value))
            return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

bool str_is_utf8(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length(s + i, len - i);
        if (n == 0 || s[i] == '\0')
            return false;
        i += n;
    }
    return true;
}

void str_make_line(char *s)
{
    size_t len = strlen(s);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length(s + i, len - i);
        if (n == 0)
            s[i] = '?';
        else if (utf8_is_control(s + i, n))
            memset(s + i, ' ', n);
        i += n ? n : 1;
    }
    while (len > 0 && s[len - 1] == ' ')
        s[--len] = '\0';
}
