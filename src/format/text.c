/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines and characters. VDSM splits a domain's metadata file with Python's
 * rules for str, under which eleven characters end a line, and a volume's
 * record with those for bytes, under which two do. A reader that splits
 * elsewhere computes another checksum, so both are followed to the letter.
 */
#include "text.h"
#include <dray/base/util.h>
#include <dray/format.h>
#include <string.h>

enum {
    NEXT_LINE = 0x85,
    LINE_SEPARATOR = 0x2028,
    PARAGRAPH_SEPARATOR = 0x2029,
};

uint32_t text_code_point(const char *s, size_t *ret_size)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) {
        *ret_size = 1;
        return p[0];
    }
    size_t more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
    uint32_t value = p[0] & (0x3fU >> more);
    for (size_t i = 1; i <= more; i++)
        value = value << 6 | (p[i] & 0x3fU);
    *ret_size = more + 1;
    return value;
}

static bool is_break(uint32_t c, enum text_breaks breaks)
{
    if (c == '\n' || c == '\r')
        return true;
    if (breaks == TEXT_BREAKS_BYTES)
        return false;
    return c == '\v' || c == '\f' || (c >= 0x1c && c <= 0x1e) ||
           c == NEXT_LINE || c == LINE_SEPARATOR || c == PARAGRAPH_SEPARATOR;
}

static void skip(struct text_span *span, size_t size)
{
    span->start += size;
    span->size -= size;
}

bool text_next_line(struct text_span *rest, enum text_breaks breaks,
                    struct text_span *ret_line)
{
    if (rest->size == 0)
        return false;
    struct text_span line = { .start = rest->start, .size = 0 };
    while (rest->size > 0) {
        size_t size = 0;
        uint32_t c = text_code_point(rest->start, &size);
        skip(rest, size);
        if (is_break(c, breaks)) {
            if (c == '\r' && rest->size > 0 && rest->start[0] == '\n')
                skip(rest, 1);
            break;
        }
        line.size += size;
    }
    *ret_line = line;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

struct text_span text_strip(struct text_span span)
{
    while (span.size > 0 && is_blank(span.start[0]))
        skip(&span, 1);
    while (span.size > 0 && is_blank(span.start[span.size - 1]))
        span.size--;
    return span;
}

bool text_split_pair(struct text_span line, struct text_span *ret_key,
                     struct text_span *ret_value)
{
    const char *equals =
        line.size > 0 ? memchr(line.start, '=', line.size) : NULL;
    if (!equals)
        return false;
    size_t key_size = (size_t)(equals - line.start);
    *ret_key =
        text_strip((struct text_span){ .start = line.start, .size = key_size });
    *ret_value = (struct text_span){ .start = equals + 1,
                                     .size = line.size - key_size - 1 };
    return true;
}

bool text_equals(struct text_span span, const char *s)
{
    return strlen(s) == span.size && memcmp(span.start, s, span.size) == 0;
}

int text_from_bytes(const void *data, size_t size, struct text_span *ret_text,
                    struct err *err)
{
    const char *start = data;
    while (size > 0 && start[size - 1] == '\0')
        size--;
    if (size > 0 && memchr(start, '\0', size))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "there is a NUL byte within the text");
    if (!str_is_utf8(start, size))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "the text is not valid UTF-8");
    *ret_text = (struct text_span){ .start = start, .size = size };
    return 0;
}

int text_index(const char *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(s, names[i]))
            return (int)i;
    }
    return -1;
}

bool format_text_is_line(const char *text)
{
    size_t len = strlen(text);
    if (!str_is_utf8(text, len))
        return false;
    for (size_t i = 0; i < len;) {
        size_t size = 0;
        if (is_break(text_code_point(text + i, &size), TEXT_BREAKS_UNICODE))
            return false;
        i += size;
    }
    return true;
}

uint32_t bytes_le32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

uint64_t bytes_le64(const unsigned char *p)
{
    return bytes_le32(p) | (uint64_t)bytes_le32(p + 4) << 32;
}

uint32_t bytes_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

uint64_t bytes_be64(const unsigned char *p)
{
    return (uint64_t)bytes_be32(p) << 32 | bytes_be32(p + 4);
}
