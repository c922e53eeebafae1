/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a disk may go to: a domain (name or UUID), an absolute path, or a URI
 * that qemu opens, such as nbd+unix:///export?socket=/run/nbd.
 *
 * Names end up in qemu's command lines and monitor, where a string before a
 * colon chooses a driver ("json:{...}" even all of its options), so all that is
 * no plain path or well-formed URI of a network protocol is refused. A URI's
 * percent-encoding is looked through: what is harmless as written must also be
 * harmless as qemu reads it.
 */
#include "params.h"

#include <dray/job.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
    NAME_MAX_BYTES = 255
};

/* They open local files past all checks, or wrap another driver. */
static const char *const local_schemes[] = {
    "file",      "json",         "fat",  "vvfat", "blkdebug",
    "blkverify", "blklogwrites", "null", "raw",   "qcow2",
};

static bool is_word(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isascii(text[i]) || !isalnum((unsigned char)text[i]))
            return false;
    return n > 0;
}

static bool is_local(const char *scheme, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(local_schemes); i++)
        if (strlen(local_schemes[i]) == n &&
            strncasecmp(local_schemes[i], scheme, n) == 0)
            return true;
    return false;
}

/* scheme, or scheme+transport */
static const char *scheme_problem(const char *text, size_t n)
{
    const char *plus = memchr(text, '+', n);
    size_t scheme = plus ? (size_t)(plus - text) : n;

    if (!is_word(text, scheme) || isdigit((unsigned char)text[0]) ||
        (plus && !is_word(plus + 1, n - scheme - 1)))
        return "has no scheme of letters and digits";
    if (is_local(text, scheme))
        return "is no URI of a network protocol; give a file as a path";
    return NULL;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    if (!at)
        return -1;
    return at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* What separates components, in a path or in a query, becomes '/'. */
static bool decode(const char *text, char ret_plain[JOB_PATH_SIZE])
{
    size_t n = 0;

    for (; *text; text++) {
        char c = *text;
        if (c == '%') {
            if (hex(text[1]) < 0 || hex(text[2]) < 0)
                return false;
            c = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        }
        if (c == '\0')
            return false;
        ret_plain[n++] = (char)(strchr("?=&#;:", c) ? '/' : c);
    }
    ret_plain[n] = '\0';
    return true;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= 0x20 || *text > 0x7e)
            return false;
    return true;
}

static const char *uri_problem(const char *text, const char *rest)
{
    char plain[JOB_PATH_SIZE];
    const char *problem = scheme_problem(text, (size_t)(rest - text));

    if (problem)
        return problem;
    if (!is_printable(text))
        return "contains what is no printable ASCII";
    if (!rest[3])
        return "names nothing";
    if (!decode(text, plain))
        return "is not well encoded";
    for (const unsigned char *c = (const unsigned char *)plain; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            return "contains an encoded control character";
    return check_climbs(plain) ? "contains \"..\"" : NULL;
}

static const char *name_problem(const char *text)
{
    if (!*text || strlen(text) > NAME_MAX_BYTES)
        return "is no name: that has 1 to 255 bytes";
    if (strpbrk(text, "/:") || check_climbs(text) || str_equal(text, "."))
        return "is no domain, no absolute path and no scheme://...";
    return NULL;
}

const char *place_problem(const char *text)
{
    const char *rest = strstr(text, "://");

    if (strlen(text) >= JOB_PATH_SIZE)
        return "is longer than 1023 bytes";
    if (*text == '/')
        return check_climbs(text) ? "contains \"..\"" : NULL;
    return rest ? uri_problem(text, rest) : name_problem(text);
}

/* Their own parsers know no percent-encoding. */
static bool is_short(const char *text)
{
    return (str_starts_with(text, "rbd:") || str_starts_with(text, "nbd:")) &&
           !str_starts_with(text + 4, "//");
}

const char *place_url_problem(const char *text)
{
    if (strlen(text) >= JOB_PATH_SIZE)
        return "is longer than 1023 bytes";
    if (!is_short(text))
        return place_is_outside(text) ? place_problem(text)
                                      : "is no absolute path and no URI";
    if (!is_printable(text) || !text[4])
        return "contains what is no printable ASCII, or names nothing";
    return check_climbs(text) ? "contains \"..\"" : NULL;
}

bool place_is_outside(const char *text)
{
    return *text == '/' || strstr(text, "://");
}
