/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The error buffer. It is filled on the worst paths there are (out of memory,
 * a broken disk), so it never allocates; and since its text goes into JSON, on
 * terminals and into logs, it is one line of UTF-8 whatever went in: names of
 * files and the last words of tools may be anything.
 */
#include "utf8.h"
#include <dray/base/err.h>
#include <dray/base/util.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* In place: control characters become blanks, other bytes '?'. A character
 * that the end of the buffer cut in two goes away the same way. */
static void make_one_line(char *s)
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
}

static void format_line(char *dst, size_t size, const char *format,
                        va_list args)
{
    if (vsnprintf(dst, size, format, args) < 0)
        (void)str_copy(dst, size, format); /* better than nothing */
    make_one_line(dst);
}

static int fill(struct err *err, int rc, enum err_code code, const char *format,
                va_list args)
{
    if (!err || err->rc)
        return rc; /* the first one wins */
    format_line(err->message, sizeof(err->message), format, args);
    err->rc = rc;
    err->code = code;
    return rc;
}

int err_set(struct err *err, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rc = fill(err, rc, ERR_GENERAL, format, args);
    va_end(args);
    return rc;
}

int err_set_code(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = fill(err, err_code_errno(code), code, format, args);
    va_end(args);
    return rc;
}

/* These run on a failing path, and their result is what the caller returns: it
 * must not turn into success because nobody filled the buffer in. */
static int result(struct err *err)
{
    if (!err)
        return -EIO;
    if (!err->rc)
        err->rc = -EIO;
    return err->rc;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (!err)
        return result(err);
    char inner[ERR_MESSAGE_SIZE];
    (void)str_copy(inner, sizeof(inner), err->message);
    va_list args;
    va_start(args, format);
    format_line(err->message, sizeof(err->message), format, args);
    va_end(args);
    if (inner[0]) {
        size_t used = strlen(err->message);
        (void)str_format(err->message + used, sizeof(err->message) - used,
                         ": %s", inner);
        make_one_line(err->message);
    }
    return result(err);
}

int err_default_code(struct err *err, enum err_code code)
{
    if (err && err->code == ERR_GENERAL)
        err->code = code;
    return result(err);
}

int err_next(struct err *err, const char *format, ...)
{
    if (err && !err->next[0]) {
        va_list args;
        va_start(args, format);
        format_line(err->next, sizeof(err->next), format, args);
        va_end(args);
    }
    return result(err);
}

void err_clear(struct err *err)
{
    if (err)
        *err = (struct err)ERR_INIT;
}

const char *err_code_name(enum err_code code)
{
    switch (code) {
#define ERR_CODE_NAME(symbol, number, name, errnum)                            \
    case symbol:                                                               \
        return (name);
        ERR_CODES(ERR_CODE_NAME)
#undef ERR_CODE_NAME
    }
    return err_code_name(ERR_GENERAL);
}

int err_code_errno(enum err_code code)
{
    switch (code) {
#define ERR_CODE_ERRNO(symbol, number, name, errnum)                           \
    case symbol:                                                               \
        return -(errnum);
        ERR_CODES(ERR_CODE_ERRNO)
#undef ERR_CODE_ERRNO
    }
    return err_code_errno(ERR_GENERAL);
}
