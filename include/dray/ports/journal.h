/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: job records on this host's disk. Implemented by journal/. put()
 * returns when the record is durable. Any worker; one caller per job at a time.
 */
#ifndef DRAY_PORTS_JOURNAL_H
#define DRAY_PORTS_JOURNAL_H

#include <dray/base/err.h>
#include <dray/job.h>
#include <stddef.h>

struct journal_ops {
    int (*put)(void *ctx, const struct job *job, struct err *err);
    /* Not there: success. */
    int (*remove)(void *ctx, const char *job_id, struct err *err);
    /* All readable records; the caller frees *ret_jobs. A record that does not
     * parse is kept on disk, left out, and named in @err with 0 returned
     * (*ret_damaged counts them). */
    int (*load)(void *ctx, struct job **ret_jobs, size_t *ret_n,
                size_t *ret_damaged, struct err *err);
    /* A record as text, for elsewhere; the caller's. */
    int (*encode)(void *ctx, const struct job *job, char **ret_text,
                  struct err *err);
    /* -EBADMSG: cut off, or of another version. */
    int (*decode)(void *ctx, const char *text, struct job *ret_job,
                  struct err *err);
};

struct journal_port {
    void *ctx;
    const struct journal_ops *ops;
};

#endif
