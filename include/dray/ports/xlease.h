/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: the external leases of a storage domain, which are kept in its xleases
 * volume, and the job records in their LVBs. Implemented by domain/. Every call
 * blocks and may be made from any worker. The domain must be joined. Changes
 * happen under its SDM lease, inside the call; reading takes no lease.
 */
#ifndef DRAY_PORTS_XLEASE_H
#define DRAY_PORTS_XLEASE_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <dray/ports/lease.h>
#include <limits.h>
#include <stdbool.h>

struct xlease_id {
    char sd[UUID_SIZE];
    char lease[UUID_SIZE];
};

enum xlease_job_status {
    XLEASE_PENDING,
    XLEASE_SUCCEEDED,
    XLEASE_FAILED,
    XLEASE_FENCED,
};

/* A job, as all hosts see it. */
struct xlease_job {
    char job_id[UUID_SIZE];
    enum xlease_job_status status;
    unsigned generation; /* 0..999 */
    /* Who wrote it last, and when; filled in by the writer. */
    char host_hardware_id[64];
    uint64_t created_s, modified_s;
};

struct xlease_place {
    char path[PATH_MAX];
    uint64_t offset;
};

struct xlease_status {
    uint64_t owner_host; /* 0: free, or its owner is dead */
    uint64_t version;    /* sanlock's lver */
    bool has_job;        /* never while it is held */
    struct xlease_job job;
};

/* One lease of a list. */
struct xlease_item {
    char lease[UUID_SIZE];
    uint64_t offset;
    struct xlease_status status;
    char problem[256]; /* why there is no status; empty: there is */
};

/* A job, found by its record. */
struct xlease_found {
    struct xlease_id id;
    struct xlease_status status;
    struct xlease_job job; /* what it was when the lease was taken, if it is */
};

/* What a rebuild did. */
struct xlease_rebuilt {
    size_t kept;     /* leases that were right */
    size_t restored; /* records made from the lease at their place */
    size_t made;     /* leases made anew (without data) for their record */
    size_t freed;    /* records behind which nothing was */
    size_t cleared;  /* leases that no record spoke of */
};

struct xlease_ops {
    /* With @job NULL without a record. A lease that is there is fine, unless
     * it has the record of another job (ERR_UNSUPPORTED_STORAGE). */
    int (*create)(void *ctx, const struct xlease_id *id,
                  const struct xlease_job *job, struct err *err);
    /* None there: 0. ERR_ACQUIRE_LOCK: a live host holds it. */
    int (*remove)(void *ctx, const struct xlease_id *id, struct err *err);
    /* ERR_NO_SUCH_LEASE, as all below. */
    int (*info)(void *ctx, const struct xlease_id *id,
                struct xlease_place *ret_place, struct err *err);
    /* The same for who takes the lease. Of a domain that can be written to:
     * ERR_DOMAIN_ATTACHED. */
    int (*place)(void *ctx, const struct xlease_id *id,
                 struct lease_place *ret_place, struct err *err);
    /* What its holder left beside the record: lease_ops.read_note. */
    int (*note)(void *ctx, const struct xlease_id *id, char **ret_text,
                struct err *err);
    int (*status)(void *ctx, const struct xlease_id *id,
                  struct xlease_status *ret_status, struct err *err);
    /* FENCED, with the next generation. ERR_ACQUIRE_LOCK: a live host holds it;
     * ERR_UNSUPPORTED_STORAGE: no job, or another; ERR_JOB_STATUS,
     * ERR_GENERATION: not as @expected says; ERR_LVB. */
    int (*fence)(void *ctx, const struct xlease_id *id,
                 const struct xlease_job *expected, struct err *err);
    /* The caller frees *ret_items. */
    int (*list)(void *ctx, const char *sd, struct xlease_item **ret_items,
                size_t *ret_n, struct err *err);
    /* The lease in a joined domain that has the record of job @job_id.
     * ERR_NO_JOB when there is none; when a domain cannot be read, its error:
     * the job may be there. */
    int (*find_job)(void *ctx, const char *job_id,
                    struct xlease_found *ret_found, struct err *err);
    /* Whether other hosts can be asked for the jobs of this domain: it lies on
     * storage for several, or one has been here. No for a domain that is not
     * joined or cannot be written to. */
    bool (*is_shared)(void *ctx, const char *sd);
    /* Whether a host of the domain is there, or may be. */
    bool (*host_lives)(void *ctx, const char *sd, unsigned host_id);
    /* The index becomes what it says, where it is readable, and what the leases
     * on the disk say, where it is not. */
    int (*rebuild)(void *ctx, const char *sd,
                   struct xlease_rebuilt *ret_rebuilt, struct err *err);
};

struct xlease_port {
    void *ctx;
    const struct xlease_ops *ops;
};

const char *xlease_job_status_name(enum xlease_job_status status);
/* -EINVAL: no such status. */
int xlease_job_status_parse(const char *name,
                            enum xlease_job_status *ret_status);

#endif
