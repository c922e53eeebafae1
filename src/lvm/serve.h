/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: dray-lvm's work, whatever runs LVM and holds the lease.
 */
#ifndef DRAY_LVM_SERVE_H
#define DRAY_LVM_SERVE_H

#include <dray/base/err.h>
#include <stdint.h>

/* Runs LVM and takes the lease. Called by one thread. */
struct serve_backend {
    void *ctx;
    uint64_t extent_bytes; /* of the VG */
    /* One LVM command. *ret_out (the caller's; NULL when nothing) is what it
     * printed; its own words are in @err when it failed. */
    int (*run)(void *ctx, const char *command, char **ret_out, struct err *err);
    /* 0, LEASE_BUSY (positive) after @deadline_ms, or an error. */
    int (*acquire)(void *ctx, int64_t deadline_ms, struct err *err);
    int (*release)(void *ctx, struct err *err);
};

/* Serves requests from @fd (a stream socket) until its end. 0, or what made it
 * impossible to go on: the process must end then, which frees the lease. */
int serve(int fd, const char *vg, const struct serve_backend *backend,
          struct err *err);

#endif
