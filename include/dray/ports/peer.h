/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: the drayds of other hosts, for VMs that move there. Implemented by
 * peer/ (JSON-RPC over TLS). Calls block and may be made from any worker; each
 * ends in time. Who cannot be reached: -ENOTCONN, ERR_NOT_RESPONDING. What the
 * other drayd refuses comes with its code and text.
 *
 * All of it may be repeated: the job's id, the same on both hosts, says which
 * move is meant.
 */
#ifndef DRAY_PORTS_PEER_H
#define DRAY_PORTS_PEER_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <dray/ports/hypervisor.h>
#include <dray/ports/storage.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PEER_NAME_SIZE = 256,
    PEER_URI_SIZE = 512,
    PEER_DISKS_MAX = 8,
    PEER_OBSTACLES_MAX = 16,
    PEER_PATH_SIZE = 1024,
    PEER_PIECE = 4 * 1024 * 1024,
};

/* How this host's libvirtd reaches the other host's. */
struct peer_way {
    char libvirt_uri[PEER_URI_SIZE];
    char migrate_uri[PEER_URI_SIZE]; /* empty: the other libvirtd's choice */
};

/* A disk that is to be made there. */
struct peer_disk {
    char target[DISK_TARGET_SIZE];
    char domain[PEER_PATH_SIZE]; /* there: name or UUID */
    char from[UUID_SIZE];        /* the domain that it is in: it stays there if
                                    both are the same */
    char img[UUID_SIZE];
    char leaf[UUID_SIZE];
    bool cow;
    bool sparse; /* raw, and does not have its space: qcow2 does on an LV */
    char parent[UUID_SIZE];       /* the layer below it; empty: none */
    char template_img[UUID_SIZE]; /* at the bottom of the chain; empty: none */
    char template_vol[UUID_SIZE];
    uint64_t capacity;
    uint64_t required; /* bytes of space, measured, without the template */
    uint64_t template_required; /* when it is not there */
    /* For LVs: bytes of its leaf as a qcow2, measured; of the template, and of
     * the layers between, as they are copied; how many these are. */
    uint64_t data, template_size, below;
    size_t layers;
};

/* A layer below the one that goes with the VM: nobody writes to it any more. It
 * is copied byte by byte beforehand. */
struct peer_layer {
    char job_id[UUID_SIZE];
    struct volume_create spec; /* what it is there */
    bool is_template;
    bool block; /* it is on an LV there, so holes are zeroed */
    /* Of the other drayd, as layer() was told: what one life was given, perhaps
     * not to the disk, is nothing to the next. */
    char life[UUID_SIZE];
};

/* A VM that would come. */
struct peer_offer {
    char job_id[UUID_SIZE];
    char from[PEER_NAME_SIZE]; /* the host that it runs on */
    char vm[UUID_SIZE];
    char vm_name[VM_NAME_SIZE];
    const char *xml; /* its definition; borrowed */
    bool filled;     /* prepare(): the layers below are there, and compared */
    size_t n_disks;
    struct peer_disk disks[PEER_DISKS_MAX];
};

/* What the other host says to an offer. */
struct peer_verdict {
    size_t n_obstacles; /* 0: welcome */
    struct err obstacles[PEER_OBSTACLES_MAX];
    char sd[PEER_DISKS_MAX][UUID_SIZE]; /* empty: no such domain */
    bool block[PEER_DISKS_MAX];         /* it is on LVs */
    bool cow[PEER_DISKS_MAX];           /* the leaf becomes qcow2, or raw */
};

/* What one of its disks has been written there, and will be. */
struct peer_room {
    char target[DISK_TARGET_SIZE];
    uint64_t bytes;
};

enum peer_stage {
    PEER_PREPARING,
    PEER_FILLING, /* waits for the layers below */
    PEER_READY,   /* the volumes are there; waits for the VM */
    PEER_LANDING, /* told that the VM is its own now */
    PEER_DONE,    /* the VM and its disks have settled there */
    PEER_UNDOING,
    PEER_UNDONE, /* nothing is there, or what the warning says */
    PEER_STAGE_COUNT,
};

struct peer_status {
    enum peer_stage stage;
    enum vm_arrival vm;
    struct err error; /* why it was undone; rc 0: none */
    char warning[512];
    size_t n_disks;
    char paths[PEER_DISKS_MAX][PEER_PATH_SIZE]; /* from PEER_READY on */
};

struct peer_ops {
    /* Only looks into our configuration. ERR_VALUE: no such peer. */
    int (*way)(void *ctx, const char *host, struct peer_way *ret_way,
               struct err *err);
    /* All that speaks against it at once; touches nothing. */
    int (*check)(void *ctx, const char *host, const struct peer_offer *offer,
                 struct peer_verdict *ret_verdict, struct err *err);
    /* Makes the volumes; ask again until PEER_READY. Those that have layers
     * below only when the offer says that it is filled. */
    int (*prepare)(void *ctx, const char *host, const struct peer_offer *offer,
                   struct peer_status *ret_status, struct err *err);
    /* At PEER_FILLING, base first: makes the layer, unless it is there
     * (*ret_complete: with its data). ERR_NOT_READY: not at PEER_FILLING; or,
     * from the next two, another life: begin anew with layer(). */
    int (*layer)(void *ctx, const char *host, struct peer_layer *layer,
                 bool *ret_complete, struct err *err);
    /* piece->size: at most PEER_PIECE. The first call has offset 0. */
    int (*fill)(void *ctx, const char *host, const struct peer_layer *layer,
                const struct volume_piece *piece, struct err *err);
    /* It has @size bytes, and that is all of it. */
    int (*end)(void *ctx, const char *host, const struct peer_layer *layer,
               uint64_t size, struct err *err);
    /* As storage's volume_digest(), of the layer there. */
    int (*digest)(void *ctx, const char *host, const struct peer_layer *layer,
                  struct volume_digest *digest, struct err *err);
    /* ERR_NO_JOB: it knows nothing of this move. */
    int (*info)(void *ctx, const char *host, const char *job_id,
                struct peer_status *ret_status, struct err *err);
    /* While the VM comes: its thin disks there get what they will need, as far
     * as is known by now. ERR_NO_SPACE. */
    int (*room)(void *ctx, const char *host, const char *job_id,
                const struct peer_room *rooms, size_t n, struct err *err);
    /* The VM has stopped here for good: it may run there. Ask again until
     * PEER_DONE. */
    int (*finish)(void *ctx, const char *host, const char *job_id,
                  struct peer_status *ret_status, struct err *err);
    /* The VM stays here: all that was made there goes. Ask again until
     * PEER_UNDONE. ERR_NO_JOB as above. */
    int (*undo)(void *ctx, const char *host, const char *job_id,
                struct peer_status *ret_status, struct err *err);
};

/* The words for them between two drayds. */
extern const char *const peer_stage_names[PEER_STAGE_COUNT];
extern const char *const peer_arrival_names[VM_ARRIVAL_COUNT];

struct peer_port {
    void *ctx;
    const struct peer_ops *ops; /* NULL: no peers */
};

#endif
