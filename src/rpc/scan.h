/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Finds where one JSON value ends in a stream of bytes that comes in pieces of
 * any size, and refuses at the first byte that cannot be JSON (RFC 8259, to
 * the letter). Pure: keeps no bytes, allocates nothing.
 */
#ifndef DRAY_RPC_SCAN_H
#define DRAY_RPC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scan_state {
    SCAN_START, /* between values */
    SCAN_VALUE, /* a value must follow */
    SCAN_VALUE_OR_END,
    SCAN_KEY,
    SCAN_KEY_OR_END,
    SCAN_COLON,
    SCAN_AFTER, /* a member or element is complete */
    SCAN_STRING,
    SCAN_ESCAPE,
    SCAN_HEX,
    SCAN_UTF8,
    SCAN_LITERAL,
    SCAN_MINUS,
    SCAN_ZERO,
    SCAN_INTEGER,
    SCAN_POINT,
    SCAN_FRACTION,
    SCAN_EXPONENT,
    SCAN_EXPONENT_SIGN,
    SCAN_EXPONENT_DIGITS,
};

struct scan {
    enum scan_state state;
    unsigned depth;          /* open arrays and objects */
    uint32_t objects;        /* bit n: the nth open one is an object */
    const char *literal;     /* what is left of true, false, null */
    unsigned left;           /* hex digits or UTF-8 bytes still to come */
    unsigned hex;            /* value of the hex digits so far */
    unsigned char low, high; /* bounds of the next UTF-8 byte */
    bool in_key;
    size_t members;      /* members of all objects, repeated names too */
    bool nul_in_key;     /* a name holds an escaped NUL */
    const char *problem; /* why SCAN_BAD or SCAN_DEEP */
};

enum scan_result {
    SCAN_MORE, /* all bytes consumed, the value goes on */
    SCAN_DONE, /* the value ends before ret_used */
    SCAN_BAD,  /* the byte at ret_used cannot be part of JSON */
    SCAN_DEEP, /* the byte at ret_used nests deeper than RPC_DEPTH_MAX */
};

void scan_reset(struct scan *scan);

/* A value has begun and is not complete. */
bool scan_is_inside(const struct scan *scan);

enum scan_result scan_bytes(struct scan *scan, const char *bytes, size_t n,
                            size_t *ret_used);

/* The stream ended: SCAN_DONE when that completes a number, SCAN_MORE between
 * values, else SCAN_BAD. */
enum scan_result scan_end(struct scan *scan);

#endif
