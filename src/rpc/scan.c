/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One state per place in JSON's grammar, one byte at a time.
 *
 * json-c can parse incrementally too, but not strictly enough for a stream from
 * strangers: it takes NaN, raw control characters and leading zeros, gives up
 * on a UTF-8 character that is cut by a packet's border, and tells no
 * repeated member from a single one. So this file decides where a value ends
 * and whether it is JSON, and json-c builds the tree of a value that is known
 * to be well-formed.
 */
#include "scan.h"

#include <dray/rpc/server.h>
#include <string.h>

/* What one byte did; more results than the caller sees. */
enum step {
    STEP_NEXT, /* consumed */
    STEP_BAD,
    STEP_DEEP,
    STEP_DONE,       /* consumed, and the value is complete */
    STEP_DONE_AHEAD, /* the value was complete before this byte */
    STEP_AGAIN,      /* look at the byte again in the new state */
};

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static enum step bad(struct scan *scan, const char *problem)
{
    scan->problem = problem;
    return STEP_BAD;
}

static enum step to(struct scan *scan, enum scan_state state)
{
    scan->state = state;
    return STEP_NEXT;
}

/* A value inside or at the top has ended. */
static enum step ended(struct scan *scan)
{
    if (scan->depth == 0) {
        scan->state = SCAN_START;
        return STEP_DONE;
    }
    return to(scan, SCAN_AFTER);
}

static enum step open_nested(struct scan *scan, bool object)
{
    if (scan->depth >= RPC_DEPTH_MAX) {
        scan->problem = "nested deeper than 32 levels";
        return STEP_DEEP;
    }
    uint32_t bit = UINT32_C(1) << scan->depth;
    scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
    scan->depth++;
    return to(scan, object ? SCAN_KEY_OR_END : SCAN_VALUE_OR_END);
}

static bool in_object(const struct scan *scan)
{
    return scan->depth > 0 && (scan->objects >> (scan->depth - 1) & 1);
}

static enum step close_nested(struct scan *scan)
{
    scan->depth--;
    return ended(scan);
}

static enum step open_string(struct scan *scan, bool key)
{
    scan->in_key = key;
    scan->members += key;
    return to(scan, SCAN_STRING);
}

static enum step open_literal(struct scan *scan, const char *rest)
{
    scan->literal = rest;
    return to(scan, SCAN_LITERAL);
}

static enum step step_value(struct scan *scan, unsigned char c)
{
    if (is_space(c))
        return STEP_NEXT;
    if (c >= '1' && c <= '9')
        return to(scan, SCAN_INTEGER);
    switch (c) {
    case '{':
        return open_nested(scan, true);
    case '[':
        return open_nested(scan, false);
    case '"':
        return open_string(scan, false);
    case '0':
        return to(scan, SCAN_ZERO);
    case '-':
        return to(scan, SCAN_MINUS);
    case 't':
        return open_literal(scan, "rue");
    case 'f':
        return open_literal(scan, "alse");
    case 'n':
        return open_literal(scan, "ull");
    default:
        return bad(scan, "a value was expected");
    }
}

static enum step step_value_or_end(struct scan *scan, unsigned char c)
{
    if (c == ']')
        return close_nested(scan);
    return step_value(scan, c);
}

static enum step step_key(struct scan *scan, unsigned char c)
{
    if (is_space(c))
        return STEP_NEXT;
    if (c == '"')
        return open_string(scan, true);
    if (c == '}' && scan->state == SCAN_KEY_OR_END)
        return close_nested(scan);
    return bad(scan, "a member name was expected");
}

static enum step step_colon(struct scan *scan, unsigned char c)
{
    if (is_space(c))
        return STEP_NEXT;
    return c == ':' ? to(scan, SCAN_VALUE)
                    : bad(scan, "':' was expected after a member name");
}

static enum step step_after(struct scan *scan, unsigned char c)
{
    if (is_space(c))
        return STEP_NEXT;
    bool object = in_object(scan);
    if (c == ',')
        return to(scan, object ? SCAN_KEY : SCAN_VALUE);
    if (c == (object ? '}' : ']'))
        return close_nested(scan);
    return bad(scan,
               object ? "',' or '}' was expected" : "',' or ']' was expected");
}

/* First byte of a multi-byte character: how many follow, and the bounds of the
 * second, which exclude overlong forms, surrogates and > U+10FFFF. */
static enum step open_utf8(struct scan *scan, unsigned char c)
{
    scan->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    scan->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        scan->left = 1;
    else if (c >= 0xe0 && c <= 0xef)
        scan->left = 2;
    else if (c >= 0xf0 && c <= 0xf4)
        scan->left = 3;
    else
        return bad(scan, "invalid UTF-8");
    return to(scan, SCAN_UTF8);
}

static enum step step_string(struct scan *scan, unsigned char c)
{
    if (c == '"' && scan->in_key)
        return to(scan, SCAN_COLON);
    if (c == '"')
        return ended(scan);
    if (c == '\\')
        return to(scan, SCAN_ESCAPE);
    if (c < 0x20)
        return bad(scan, "a control character in a string");
    return c < 0x80 ? STEP_NEXT : open_utf8(scan, c);
}

static enum step step_escape(struct scan *scan, unsigned char c)
{
    if (c == 'u') {
        scan->left = 4;
        scan->hex = 0;
        return to(scan, SCAN_HEX);
    }
    if (c != '\0' && strchr("\"\\/bfnrt", c))
        return to(scan, SCAN_STRING);
    return bad(scan, "an unknown escape in a string");
}

static enum step step_hex(struct scan *scan, unsigned char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *digit = c == '\0' ? NULL : strchr(digits, c);

    if (!digit)
        return bad(scan, "a \\u escape without four hex digits");
    unsigned value = (unsigned)(digit - digits);
    scan->hex = scan->hex << 4 | (value < 16 ? value : value - 6);
    if (--scan->left > 0)
        return STEP_NEXT;
    scan->nul_in_key |= scan->in_key && scan->hex == 0;
    return to(scan, SCAN_STRING);
}

static enum step step_utf8(struct scan *scan, unsigned char c)
{
    if (c < scan->low || c > scan->high)
        return bad(scan, "invalid UTF-8");
    scan->low = 0x80;
    scan->high = 0xbf;
    return --scan->left > 0 ? STEP_NEXT : to(scan, SCAN_STRING);
}

static enum step step_literal(struct scan *scan, unsigned char c)
{
    if (c != (unsigned char)*scan->literal)
        return bad(scan, "an unknown word");
    scan->literal++;
    return *scan->literal ? STEP_NEXT : ended(scan);
}

/* The byte after a number's last digit belongs to what follows. */
static enum step number_ended(struct scan *scan)
{
    if (ended(scan) == STEP_DONE)
        return STEP_DONE_AHEAD;
    return STEP_AGAIN;
}

static enum step step_number(struct scan *scan, unsigned char c)
{
    enum scan_state state = scan->state;

    if (is_digit(c) && state != SCAN_ZERO)
        return STEP_NEXT;
    if (is_digit(c))
        return bad(scan, "a number with a leading zero");
    if (c == '.' && state != SCAN_FRACTION && state != SCAN_EXPONENT_DIGITS)
        return to(scan, SCAN_POINT);
    if ((c == 'e' || c == 'E') && state != SCAN_EXPONENT_DIGITS)
        return to(scan, SCAN_EXPONENT);
    return number_ended(scan);
}

/* A digit must follow. */
static enum step step_digit(struct scan *scan, unsigned char c)
{
    if (scan->state == SCAN_EXPONENT && (c == '+' || c == '-'))
        return to(scan, SCAN_EXPONENT_SIGN);
    if (!is_digit(c))
        return bad(scan, "a digit was expected");
    if (scan->state == SCAN_MINUS)
        return to(scan, c == '0' ? SCAN_ZERO : SCAN_INTEGER);
    return to(scan,
              scan->state == SCAN_POINT ? SCAN_FRACTION : SCAN_EXPONENT_DIGITS);
}

static enum step step_byte(struct scan *scan, unsigned char c)
{
    switch (scan->state) {
    case SCAN_START:
    case SCAN_VALUE:
        return step_value(scan, c);
    case SCAN_VALUE_OR_END:
        return step_value_or_end(scan, c);
    case SCAN_KEY:
    case SCAN_KEY_OR_END:
        return step_key(scan, c);
    case SCAN_COLON:
        return step_colon(scan, c);
    case SCAN_AFTER:
        return step_after(scan, c);
    case SCAN_STRING:
        return step_string(scan, c);
    case SCAN_ESCAPE:
        return step_escape(scan, c);
    case SCAN_HEX:
        return step_hex(scan, c);
    case SCAN_UTF8:
        return step_utf8(scan, c);
    case SCAN_LITERAL:
        return step_literal(scan, c);
    case SCAN_ZERO:
    case SCAN_INTEGER:
    case SCAN_FRACTION:
    case SCAN_EXPONENT_DIGITS:
        return step_number(scan, c);
    case SCAN_MINUS:
    case SCAN_POINT:
    case SCAN_EXPONENT:
    case SCAN_EXPONENT_SIGN:
        return step_digit(scan, c);
    }
    return bad(scan, "an impossible state");
}

void scan_reset(struct scan *scan)
{
    *scan = (struct scan){ .state = SCAN_START };
}

bool scan_is_inside(const struct scan *scan)
{
    return scan->state != SCAN_START;
}

enum scan_result scan_bytes(struct scan *scan, const char *bytes, size_t n,
                            size_t *ret_used)
{
    for (size_t i = 0; i < n; i++) {
        enum step step;
        do {
            step = step_byte(scan, (unsigned char)bytes[i]);
        } while (step == STEP_AGAIN);
        *ret_used = i;
        if (step == STEP_BAD)
            return SCAN_BAD;
        if (step == STEP_DEEP)
            return SCAN_DEEP;
        if (step == STEP_DONE_AHEAD)
            return SCAN_DONE;
        *ret_used = i + 1;
        if (step == STEP_DONE)
            return SCAN_DONE;
    }
    *ret_used = n;
    return SCAN_MORE;
}

enum scan_result scan_end(struct scan *scan)
{
    if (!scan_is_inside(scan))
        return SCAN_MORE;

    /* White space ends a number at the top and changes nothing else there. */
    size_t used;
    if (scan->depth == 0 && scan_bytes(scan, "\n", 1, &used) == SCAN_DONE)
        return SCAN_DONE;
    scan->problem = "the stream ended inside a value";
    return SCAN_BAD;
}
