/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The line that shows how far a job is. Pure: text in, text out.
 */
#ifndef DRAY_CLI_PROGRESS_H
#define DRAY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROGRESS_LINE_SIZE = 256
};

struct progress {
    const char *phase; /* "mirroring" */
    uint64_t done;     /* bytes */
    uint64_t total;    /* bytes; 0: not known yet */
    uint64_t rate;     /* bytes/s; 0: not known */
    int64_t eta_s;     /* -1: not known */
};

/* Rounded down; a total of 0 is 100. */
unsigned progress_percent(const struct progress *progress);

/* A line of at most @width columns (ASCII): bar and numbers, leaving out from
 * the right, then the bar, what does not fit. Not padded. */
void progress_bar_line(const struct progress *progress, size_t width,
                       char ret_line[PROGRESS_LINE_SIZE]);

/* The same without a bar, for a pipe. */
void progress_plain_line(const struct progress *progress,
                         char ret_line[PROGRESS_LINE_SIZE]);

/* Whether a pipe gets another line: on a new phase, else every few seconds.
 * Zero-initialise. */
struct progress_pace {
    char phase[32];
    int64_t last_ms;
};
bool progress_is_due(struct progress_pace *pace, const char *phase,
                     int64_t now_ms);

#endif
