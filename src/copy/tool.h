/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One qemu-img on behalf of a copy: progress, limit, stop.
 */
#ifndef DRAY_COPY_TOOL_H
#define DRAY_COPY_TOOL_H

#include "copy.h"
#include <stddef.h>

enum {
    TOOL_ARGS_MAX = 32,
    TOOL_TEXT_SIZE = 256,
};

struct tool_args {
    size_t n;
    const char *v[TOOL_ARGS_MAX]; /* borrowed */
};

struct tool_result {
    int status;                /* exit status; 128 + signal */
    char text[TOOL_TEXT_SIZE]; /* the end of stdout behind the progress */
    char error[512];           /* the end of stderr, one line */
};

enum tool_measure {
    TOOL_WRITES, /* the limit is on what it writes */
    TOOL_READS,
};

/* Runs it in the directory of the destination, where relative names of parents
 * are looked up. @total: bytes that 100 % of its progress stands for. 0 it
 * ended: see status; negative errno, -ECANCELED after a stop. */
int tool_run(struct copy *copy, const struct tool_args *args, uint64_t total,
             enum tool_measure measure, struct tool_result *ret,
             struct err *err);

/* Killed from outside: by an operator, by a lack of memory. */
bool tool_was_killed(const struct tool_result *result);

void tool_add(struct tool_args *args, const char *const *words, size_t n);
#define TOOL_ADD(args, ...)                                                    \
    tool_add(args, (const char *const[]){ __VA_ARGS__ },                       \
             ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

/* The best cache mode for a file: "none", or @buffered where the file system
 * has no direct I/O (tmpfs) and qemu-img would refuse. */
const char *tool_cache(const char *path, const char *buffered);
const char *tool_format(enum volume_format format);

#endif
