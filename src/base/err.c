/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The error buffer. It is filled on the worst paths there are (out of memory,
 * a broken disk), so it never allocates; and since its text goes into JSON, on
 * terminals and into logs, it is one line of UTF-8 whatever went in: names of
 * files and the last words of tools may be anything.
 */
#include <dray/base/err.h>
#include <dray/base/util.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void format_line(
    char *dst, size_t size, const char *format, va_list args)
{
    if (vsnprintf(dst, size, format, args) < 0)
        (void)str_copy(dst, size, format); /* better than nothing */
    str_make_line(dst);
}

__attribute__((format(printf, 4, 0))) static int fill(struct err *err, int rc,
                                                      enum err_code code,
                                                      const char *format,
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
        str_make_line(err->message);
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

struct code {
    enum err_code code;
    int errnum;
    const char *name;
};

static const struct code *code_find(enum err_code code)
{
    static const struct code codes[] = {
#define ERR_CODE_ROW(symbol, number, name, errnum) { symbol, errnum, name },
        ERR_CODES(ERR_CODE_ROW)
#undef ERR_CODE_ROW
    };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (codes[i].code == code)
            return &codes[i];
    }
    return NULL;
}

const char *err_code_name(enum err_code code)
{
    const struct code *row = code_find(code);
    return row ? row->name : err_code_name(ERR_GENERAL);
}

int err_code_errno(enum err_code code)
{
    const struct code *row = code_find(code);
    return row ? -row->errnum : err_code_errno(ERR_GENERAL);
}
