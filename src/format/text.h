/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parsers of this room share: lines, blanks, UTF-8 code points,
 * numbers in bytes.
 */
#ifndef DRAY_FORMAT_TEXT_H
#define DRAY_FORMAT_TEXT_H

#include <dray/base/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of somebody's buffer. */
struct text_span {
    const char *start;
    size_t size;
};

/* Which characters end a line: those of bytes (LF, CR, CR LF) or, in a
 * domain's metadata, everything that Unicode knows. */
enum text_breaks {
    TEXT_BREAKS_BYTES,
    TEXT_BREAKS_UNICODE
};

/* Cuts the next line off @rest, without its end. False at the end. */
bool text_next_line(struct text_span *rest, enum text_breaks breaks,
                    struct text_span *ret_line);

/* Without blanks and tabs at both ends. */
struct text_span text_strip(struct text_span span);

/* "KEY=VALUE" -> its halves; false without a "=". */
bool text_split_pair(struct text_span line, struct text_span *ret_key,
                     struct text_span *ret_value);

bool text_equals(struct text_span span, const char *s);

/* The code point at @s, which is valid UTF-8, and its length in bytes. */
uint32_t text_code_point(const char *s, size_t *ret_size);

/* @data without the NULs at its end; an error when there is a NUL before or
 * bytes that are no UTF-8. */
int text_from_bytes(const void *data, size_t size, struct text_span *ret_text,
                    struct err *err);

/* The position of @s in @names, -1 when it is not there. */
int text_index(const char *s, const char *const *names, size_t n);

uint32_t bytes_le32(const unsigned char *p);
uint64_t bytes_le64(const unsigned char *p);
uint32_t bytes_be32(const unsigned char *p);
uint64_t bytes_be64(const unsigned char *p);

#endif
