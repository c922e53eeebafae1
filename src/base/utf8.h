/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One character of UTF-8 at a time, for the checks and the escapes in base.
 */
#ifndef DRAY_BASE_UTF8_H
#define DRAY_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character that @s begins with (1..4), 0 when the
 * bytes are none: overlong, surrogate, over U+10FFFF, cut off. A NUL byte is a
 * character of one byte here. */
size_t utf8_length(const char *s, size_t len);

/* The character of @n bytes (as from utf8_length()) moves a terminal or ends a
 * line: C0, DEL, C1. */
bool utf8_is_control(const char *s, size_t n);

#endif
