/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: copies one frozen volume, or compares one with its copy. Implemented by
 * copy/. start() returns at once; the work runs on a thread or process of its
 * own, dies with drayd, and is polled. Any worker.
 *
 * A copy with a resume_key leaves a checkpoint on this host's disk at least
 * every COPY_CHECKPOINT_BYTES: started again with the same key (by a later life
 * of the daemon), on the same two files, it goes on from there.
 */
#ifndef DRAY_PORTS_COPIER_H
#define DRAY_PORTS_COPIER_H

#include <dray/base/err.h>
#include <dray/ports/storage.h>
#include <stdbool.h>
#include <stdint.h>

struct copy; /* one running copy */

enum {
    COPY_CHECKPOINT_BYTES = 64 << 20, /* at most this much is copied twice */
    COPY_KEY_SIZE = 80,               /* two UUIDs and what joins them */
};

/* Cheapest first. */
enum copy_mover {
    COPY_BY_REFLINK, /* FICLONE: shares the blocks, moves no data */
    COPY_BY_SERVER,  /* copy_file_range: the NFS 4.2 server moves the data */
    COPY_BY_DIRECT,  /* direct I/O through this host, same format */
    COPY_BY_CONVERT, /* qemu-img convert, for another format */
};

enum copy_task {
    COPY_DATA,
    /* Reads both sides from the storage, not from a cache, and fails with
     * ERR_IMAGE_VERIFICATION at the first byte of the guest's that differs. */
    COPY_COMPARE,
};

struct copy_spec {
    char src_path[PATH_MAX];
    char dst_path[PATH_MAX]; /* exists, made for this copy; of a device all
                                that is to be written has room. Either may be a
                                URI, or what else qemu knows by a scheme */
    /* Of a raw source on a device that is larger than its contents: so much of
     * it. 0: all. Of a URI: what 100 % stands for. (Where a qcow2 ends, its
     * header tells.) */
    uint64_t src_bytes;
    /* The same format is converted as well: qcow2 takes no more than its data
     * and loses its bitmaps, a file keeps its size. What has no parent there is
     * read with all its own. */
    bool compact;
    bool is_zero; /* the destination reads zeros: those are not written */
    bool bitmaps; /* a conversion from qcow2 to qcow2 takes them along */
    enum volume_format src_format;
    enum volume_format dst_format;
    /* The destination's parent, empty if it has none. Same-format layers whose
     * headers agree are copied byte by byte, holes kept; else the data that
     * this one layer holds is converted. */
    char dst_backing[UUID_SIZE];
    enum volume_format src_backing_format;
    enum volume_format dst_backing_format;
    uint64_t bytes_per_s; /* 0: no limit */
    enum copy_task task;
    char resume_key[COPY_KEY_SIZE]; /* [0-9a-f-]; empty: no checkpoints */
};

struct copy_progress {
    bool finished; /* then result is valid */
    int result;    /* 0 or negative errno with *err of poll filled */
    uint64_t done; /* bytes, those that a checkpoint spared included */
    uint64_t total;
    enum copy_mover mover;
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
    /* Whether start() would go on from a checkpoint. Then the destination must
     * not be made anew before. */
    bool (*resumable)(void *ctx, const struct copy_spec *spec);
    /* Drops the checkpoint of @resume_key, if any. A copy that ended well did
     * so itself. */
    void (*forget)(void *ctx, const char *resume_key);
    /* The mover that a same-format copy of @src_path into directory @dst_dir
     * would have. Tries it on an unnamed file; leaves nothing. */
    int (*probe)(void *ctx, const char *src_path, const char *dst_dir,
                 enum copy_mover *ret_mover, struct err *err);
    /* Where what a volume holds ends: of qcow2 behind its last cluster in use,
     * of raw at the end of the file or device. That much is moved when the
     * format stays, and the destination must have room for it. */
    int (*measure)(void *ctx, const char *path, enum volume_format format,
                   uint64_t *ret_bytes, struct err *err);
};

struct copier_port {
    void *ctx;
    const struct copier_ops *ops;
};

const char *copy_mover_name(enum copy_mover mover); /* "reflink", ... */

#endif
