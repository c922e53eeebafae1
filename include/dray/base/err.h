/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How a failure travels: a fixed buffer that the one who knows most fills in
 * and that callers complete with context. Never allocates.
 *
 * A function returns 0 (done), a negative errno (unexpected: forward it), or a
 * positive outcome named in its own header (handle it there).
 */
#ifndef DRAY_BASE_ERR_H
#define DRAY_BASE_ERR_H

#include <dray/base/codes.h>

enum {
    ERR_MESSAGE_SIZE = 640,
    ERR_NEXT_SIZE = 256,
};

struct err {
    int rc;                         /* negative errno; 0 = no error yet */
    enum err_code code;             /* number a client sees, codes.h */
    char message[ERR_MESSAGE_SIZE]; /* what failed and why, one line, UTF-8 */
    char next[ERR_NEXT_SIZE];       /* what to do about it; may be empty */
};

#define ERR_INIT                                                               \
    {                                                                          \
        .code = ERR_GENERAL                                                    \
    }

/* Fills @err (unless it holds an error already: the first one wins) with rc, a
 * negative errno, and a message; the code stays ERR_GENERAL. Returns rc.
 * @err may be NULL. "%m" works. */
int err_set(struct err *err, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the number that clients see. Returns err_code_errno(code). */
int err_set_code(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the message. Returns err->rc; this and the next two
 * turn a buffer nobody filled in (or NULL) into -EIO, never into success. */
int err_wrap(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Gives the number for clients to an error that still has ERR_GENERAL.
 * Returns err->rc. */
int err_default_code(struct err *err, enum err_code code);

/* Says what the reader can do now ("join the domain first: drayctl ...").
 * Keeps the first hint. Returns err->rc. */
int err_next(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);

#endif
