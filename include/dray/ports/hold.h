/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: jobs that hold a lease. Implemented by hold/: one process per job,
 * dray-job, holds the lease and does the copying, so that who loses the lease
 * is who writes. It outlives drayd, and is found again by the job's id. Calls
 * block and may be made from any worker.
 */
#ifndef DRAY_PORTS_HOLD_H
#define DRAY_PORTS_HOLD_H

#include <dray/ports/copier.h>
#include <dray/ports/lease.h>
#include <dray/ports/xlease.h>

struct hold_task {
    const char *job_id;
    const struct lease_place *lease;
    const struct lease_place *also; /* held as well; NULL: none */
    bool record;         /* the LVB is the job's record; else left alone */
    unsigned generation; /* that the record must have */
    bool fenced;         /* a record that is FENCED already is fine, too */
    const char *note;    /* left beside it; NULL: what is there stays */
};

enum {
    HOLD_BUSY = 1,  /* somebody live has the lease */
    HOLD_ENDED = 2, /* the record is not PENDING, or of another generation */
    HOLD_NONE = 3,  /* this host does not hold it (any more) */
};

struct hold_ops {
    /* Holds the lease from now on, if it did not before: 0. HOLD_BUSY;
     * HOLD_ENDED with *ret_record; ERR_UNSUPPORTED_STORAGE: the record is of
     * another job, or there is none. */
    int (*take)(void *ctx, const struct hold_task *task,
                struct xlease_job *ret_record, struct err *err);
    /* 0 or HOLD_NONE. */
    int (*look)(void *ctx, const char *job_id, struct err *err);
    /* As hold_task.note, anew. 0: durable; HOLD_NONE. */
    int (*note)(void *ctx, const char *job_id, const char *note,
                struct err *err);
    /* As the copier's, of the one copy that the job has at a time; HOLD_NONE:
     * nothing is written any more. A copy of the same two ends that is there is
     * gone on with. */
    int (*copy)(void *ctx, const char *job_id, const struct copy_spec *spec,
                struct err *err);
    bool (*resumable)(void *ctx, const char *job_id,
                      const struct copy_spec *spec);
    int (*poll)(void *ctx, const char *job_id, struct copy_progress *ret,
                struct err *err);
    void (*limit)(void *ctx, const char *job_id, uint64_t bytes_per_s);
    /* Nothing is written any more when it returns 0. */
    int (*stop)(void *ctx, const char *job_id, struct err *err);
    /* Stops; sets the record (SUCCEEDED and FENCED: the next generation),
     * releases, reads back. HOLD_NONE: it was not ours to set. ERR_LVB. */
    int (*release)(void *ctx, const char *job_id, enum xlease_job_status status,
                   struct err *err);
};

struct hold_port {
    void *ctx;
    const struct hold_ops *ops;
};

#endif
