/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes of one client -> JSON values. Knows no sockets: fed in pieces of any
 * size.
 */
#ifndef DRAY_RPC_FRAME_H
#define DRAY_RPC_FRAME_H

#include "scan.h"

#include <dray/base/err.h>
#include <stdbool.h>
#include <stddef.h>

struct json_object;

struct frame {
    struct scan scan;
    char *value; /* what came of the value so far */
    size_t len, size;
    char last;     /* the byte before the next one */
    bool skipping; /* to the next line break, after an error */
    size_t skipped;
};

enum frame_result {
    FRAME_MORE,  /* all bytes used */
    FRAME_VALUE, /* *ret_value is the caller's; NULL stands for null */
    FRAME_ERROR, /* *err is the answer; feed the rest */
    FRAME_FATAL, /* *err is the answer, the connection must end */
};

void frame_init(struct frame *frame);
void frame_deinit(struct frame *frame);

/* Consumes bytes up to the end of one value or up to an error. */
enum frame_result frame_feed(struct frame *frame, const char *bytes, size_t n,
                             size_t *ret_used, struct json_object **ret_value,
                             struct err *err);

/* No more bytes will come: a number may be complete now, and an unfinished
 * value is an error. FRAME_MORE when nothing was left. */
enum frame_result frame_end(struct frame *frame, struct json_object **ret_value,
                            struct err *err);

#endif
