/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: copies one frozen volume. Implemented by copy/. start() returns at
 * once; the copy runs on a thread or process of its own, dies with drayd, and
 * is polled. Any worker.
 */
#ifndef DRAY_PORTS_COPIER_H
#define DRAY_PORTS_COPIER_H

#include <dray/base/err.h>
#include <dray/ports/storage.h>
#include <stdbool.h>
#include <stdint.h>

struct copy; /* one running copy */

struct copy_spec {
    char src_path[PATH_MAX];
    char dst_path[PATH_MAX]; /* exists, made for this copy */
    enum volume_format src_format;
    enum volume_format dst_format;
    /* The destination's parent, empty if it has none. Same-format layers whose
     * headers agree are copied byte by byte, holes kept; else the data that
     * this one layer holds is converted. */
    char dst_backing[UUID_SIZE];
    enum volume_format src_backing_format;
    enum volume_format dst_backing_format;
    uint64_t bytes_per_s; /* 0: no limit */
};

struct copy_progress {
    bool finished; /* then result is valid */
    int result;    /* 0 or negative errno with *err of poll filled */
    uint64_t done; /* bytes */
    uint64_t total;
};

struct copier_ops {
    int (*start)(void *ctx, const struct copy_spec *spec,
                 struct copy **ret_copy, struct err *err);
    /* Never blocks. A finished copy is durable (fsync done). */
    void (*poll)(void *ctx, struct copy *copy, struct copy_progress *ret,
                 struct err *err);
    void (*limit)(void *ctx, struct copy *copy, uint64_t bytes_per_s);
    /* Stops it if it runs, waits until nothing writes any more, frees. */
    void (*close)(void *ctx, struct copy *copy);
};

struct copier_port {
    void *ctx;
    const struct copier_ops *ops;
};

#endif
