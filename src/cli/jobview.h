/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job as Job.info tells it, and what is said about it. Pure.
 */
#ifndef DRAY_CLI_JOBVIEW_H
#define DRAY_CLI_JOBVIEW_H

#include "cli.h"
#include "progress.h"

enum {
    JOBVIEW_TEXT_SIZE = 512
};

/* Borrows from the answer it was read from. */
struct jobview {
    const char *id;
    const char *kind;
    const char *state;
    const char *vm;
    const char *outside; /* a source that is in no domain, else "" */
    const char *warning; /* "" when there is none */
    struct progress progress;
    double pause_ms;     /* -1: no pivot yet */
    int64_t duration_ms; /* -1: not ended */
    bool ended;
    bool keep_source;
};

struct jobview jobview_read(struct json_object *job);

/* "vda,vdb"; images where there is no VM. */
void jobview_disks(struct json_object *job, char ret_text[JOBVIEW_TEXT_SIZE]);

/* The guest's writes: "0.31 ms before, 0.52 ms during"; false: none known. */
bool jobview_latency(struct json_object *job, char ret_text[JOBVIEW_TEXT_SIZE]);

/* One line for the end: "moved 2.8 GiB in 14 s, ...". */
void jobview_summary(const struct jobview *view,
                     char ret_text[JOBVIEW_TEXT_SIZE]);

/* The exit code of an ended job. */
int jobview_exit(const struct jobview *view);

/* Why it failed; false when the answer holds no error. */
bool jobview_error(struct json_object *job, struct err *ret_err);

#endif
