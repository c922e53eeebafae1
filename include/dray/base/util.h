/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Small things that every room uses: automatic cleanup, checked allocation
 * helpers, strings, UUIDs. No state.
 */
#ifndef DRAY_BASE_UTIL_H
#define DRAY_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define _cleanup_(f)    __attribute__((cleanup(f)))
#define _cleanup_free_  _cleanup_(util_freep)
#define _cleanup_close_ _cleanup_(util_closep)
#define _cleanup_file_  _cleanup_(util_fclosep)

/* Hands over what a cleanup variable holds: return TAKE(p). */
#define TAKE(p)                                                                \
    ({                                                                         \
        __typeof__(p) p_ = (p);                                                \
        (p) = NULL;                                                            \
        p_;                                                                    \
    })
#define TAKE_FD(fd)                                                            \
    ({                                                                         \
        int fd_ = (fd);                                                        \
        (fd) = -1;                                                             \
        fd_;                                                                   \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
    UUID_SIZE = 37
}; /* 36 characters and the NUL */

/* The all-zero UUID: "no parent" in V5 metadata, "no pool" in VDSM's verbs. */
#define UUID_BLANK "00000000-0000-0000-0000-000000000000"

static inline void util_freep(void *p)
{
    free(*(void **)p);
}

static inline void util_closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* read only, or synced before */
}

static inline void util_fclosep(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* same */
}

/* strcmp() == 0, and NULL equals only NULL. */
bool str_equal(const char *a, const char *b);
bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

/* @path is @top, or below the directory @top; by their names. */
bool path_is_within(const char *path, const char *top);

/* Copies with truncation, always terminated. False when truncated. */
bool str_copy(char *dst, size_t size, const char *src);

/* printf into a fresh string; NULL only when out of memory. */
char *str_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* printf into a fixed buffer; false when it did not fit. */
bool str_format(char *dst, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whole string as a decimal number, no sign, no blanks. 0 or -EINVAL,
 * -ERANGE. */
int str_to_u64(const char *s, uint64_t *ret_value);

/* Well-formed UTF-8 without NUL (overlong forms and surrogates refused). */
bool str_is_utf8(const char *s, size_t len);

/* Makes one line of UTF-8 of anything, in place: control characters become
 * blanks, other bytes '?', blanks at the end go. */
void str_make_line(char *s);

/* Exactly 36 characters, lower case hex and dashes in their places. */
bool uuid_is_valid(const char *s);
void uuid_new(char ret_uuid[UUID_SIZE]);

/* Milliseconds of CLOCK_BOOTTIME: for deadlines. */
int64_t time_now_ms(void);
/* Milliseconds since the epoch: for people and records only. */
int64_t time_wall_ms(void);
/* @wait_ms from now on CLOCK_MONOTONIC: for conditions on that clock. */
struct timespec time_after_ms(int wait_ms);

#endif
