/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: leases on shared storage. Implemented by lease/ (sanlock). Calls block
 * and may be made from any worker.
 */
#ifndef DRAY_PORTS_LEASE_H
#define DRAY_PORTS_LEASE_H

#include <dray/base/err.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* A resource in a lockspace: name and place. */
struct lease_place {
    char lockspace[48];
    char resource[48];
    char path[PATH_MAX];
    uint64_t offset;     /* bytes */
    unsigned block_size; /* 512 or 4096 */
    unsigned alignment;  /* bytes, 1, 2, 4, 8 MiB */
};

struct lease_owner {
    uint64_t host_id; /* 0: free, or its owner is dead */
    uint64_t version; /* lver */
};

struct lease_held; /* one held lease; its own connection */

enum {
    LEASE_LVB_SIZE = 512,    /* bytes that are kept with a lease */
    LEASE_NOTE_SIZE = 16384, /* bytes beside those, with a NUL */
    LEASE_BUSY = 1,          /* someone live has it, and the deadline passed */
    LEASE_NONE = 2,          /* nothing readable there */
};

struct lease_ops {
    /* Formats the lockspace at offset 0 of @path. */
    int (*format_lockspace)(void *ctx, const struct lease_place *lockspace,
                            struct err *err);
    /* A lease that was there is lost with its LVB, held or not. */
    int (*format_resource)(void *ctx, const struct lease_place *place,
                           struct err *err);
    /* From now on there is LEASE_NONE. */
    int (*clear_resource)(void *ctx, const struct lease_place *place,
                          struct err *err);
    /* Blocks until the host id is ours (2 x io_timeout + 1 s); joined already
     * is 0. ERR_ACQUIRE_HOST_ID: names who has it. */
    int (*join)(void *ctx, const struct lease_place *lockspace,
                unsigned host_id, struct err *err);
    /* ERR_RELEASE_HOST_ID while leases are held; not joined is 0. */
    int (*leave)(void *ctx, const struct lease_place *lockspace,
                 unsigned host_id, struct err *err);
    /* 0, LEASE_BUSY, LEASE_NONE, negative errno. @deadline_ms: absolute
     * (time_now_ms()); retried with jitter until then. */
    int (*acquire)(void *ctx, const struct lease_place *place,
                   int64_t deadline_ms, struct lease_held **ret_held,
                   struct err *err);
    /* Whether it is ours still: sanlock may have died. Looks at our side only,
     * and never blocks. */
    bool (*is_held)(void *ctx, const struct lease_held *held);
    /* Consumes @held. */
    int (*release)(void *ctx, struct lease_held *held, struct err *err);
    /* acquire() for a release_lvb(); a release() leaves the LVB as it was.
     * ERR_UNSUPPORTED_STORAGE: areas of this geometry have none. */
    int (*acquire_lvb)(void *ctx, const struct lease_place *place,
                       int64_t deadline_ms, struct lease_held **ret_held,
                       struct err *err);
    /* Sets all of the LVB, releases, and reads back what is on the disk:
     * ERR_LVB when that is something else, or cannot be read. Consumes @held.
     */
    int (*release_lvb)(void *ctx, struct lease_held *held,
                       const char lvb[LEASE_LVB_SIZE], struct err *err);
    /* What is on the disk; never takes the lease. What its holder sets is there
     * when it has released. ERR_LVB when it cannot be read. */
    int (*read_lvb)(void *ctx, const struct lease_place *place,
                    char ret_lvb[LEASE_LVB_SIZE], struct err *err);
    /* The text that lease_write_note() left there, as far as it got; empty:
     * none. The caller frees it. Never takes the lease. */
    int (*read_note)(void *ctx, const struct lease_place *place,
                     char **ret_text, struct err *err);
    /* 0 or LEASE_NONE; never takes the lease. */
    int (*owner)(void *ctx, const struct lease_place *place,
                 struct lease_owner *ret_owner, struct err *err);
    /* Whether the host is there, or may be. Of a joined lockspace. */
    bool (*host_lives)(void *ctx, const struct lease_place *lockspace,
                       unsigned host_id);
    /* Whether other hosts than @host_id have ever joined, or may have. */
    bool (*has_others)(void *ctx, const struct lease_place *lockspace,
                       unsigned host_id);
};

struct lease_port {
    void *ctx;
    const struct lease_ops *ops;
};

#endif
