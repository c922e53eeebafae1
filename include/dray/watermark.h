/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The arithmetic of thin disks on LVs: which layers are watched, when one must
 * grow, how far. Pure: statistics and the clock are arguments.
 *
 * free = size of the LV - highest offset ever written. When free falls below
 * the limit, the LV grows by the chunk; both are doubled while the disk is
 * replicated, and follow what was measured when the guest writes faster than
 * the defaults allow for. An LV never grows beyond what the qcow2 can need.
 */
#ifndef DRAY_WATERMARK_H
#define DRAY_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- sizes --- */

struct watermark_policy {
    uint64_t chunk_bytes;
    unsigned utilization_percent; /* of the chunk, when to grow */
    unsigned replicate_factor;
    unsigned safety_factor; /* over measured rate x measured time */
    uint64_t extent_bytes;  /* of the VG */
};

/* VDSM's numbers: 2560 MiB, 20 %, doubled, extents of 128 MiB. */
struct watermark_policy watermark_defaults(void);

/* The size of a qcow2 without snapshots in which every guest cluster is
 * allocated. @cluster_bytes: a power of 2 of 512 to 2 MiB. */
uint64_t watermark_qcow2_bytes(uint64_t capacity_bytes, unsigned cluster_bytes);

/* What is known of a layer and of how fast things go. */
struct watermark_layer {
    uint64_t size_bytes;       /* of the LV, as qemu sees it */
    uint64_t allocation_bytes; /* highest offset written */
    uint64_t capacity_bytes;   /* virtual size */
    unsigned cluster_bytes;    /* 0: 64 KiB */
    uint64_t extra_bytes;      /* what else the qcow2 holds: bitmaps */
};

struct watermark_pace {
    uint64_t bytes_per_s; /* 0: nothing measured yet */
    int64_t extension_ms;
    bool replicating;
};

/* The largest useful size of the LV: the full qcow2 in whole extents. */
uint64_t watermark_max(const struct watermark_policy *policy,
                       const struct watermark_layer *layer);

/* Below so much free space the layer must grow. */
uint64_t watermark_limit(const struct watermark_policy *policy,
                         const struct watermark_pace *pace);

enum watermark_verdict {
    WATERMARK_ENOUGH,
    WATERMARK_GROW,        /* to *ret_bytes */
    WATERMARK_FULL_GROWN,  /* nothing to watch any more */
    WATERMARK_IMPLAUSIBLE, /* the statistics cannot be true: do nothing */
};

/* @paused: the guest stands still for want of space in this layer; then it
 * grows in any case that is plausible, beyond watermark_max() in extents. */
enum watermark_verdict watermark_judge(const struct watermark_policy *policy,
                                       const struct watermark_layer *layer,
                                       const struct watermark_pace *pace,
                                       bool paused, uint64_t *ret_bytes);

/* What to give to virDomainSetBlockThreshold(): at least 1; 0 (disarm) when
 * the layer is fully grown. */
uint64_t watermark_threshold(const struct watermark_policy *policy,
                             const struct watermark_layer *layer,
                             const struct watermark_pace *pace);

/* The size of a mirror's destination before the mirror starts: the source
 * layer's data, at least @data_bytes, and room for the first seconds. */
uint64_t watermark_first(const struct watermark_policy *policy,
                         const struct watermark_layer *destination,
                         uint64_t data_bytes,
                         const struct watermark_pace *pace);

/* The size that a layer shall shrink to when the job is over: its data, and
 * one chunk when it is written on. Never more than it has. */
uint64_t watermark_settled(const struct watermark_policy *policy,
                           const struct watermark_layer *layer, bool leaf);

/* --- which layers --- */

struct watermark_disk {
    bool block; /* on an LV */
    bool cow;   /* qcow2 */
};

enum watermark_target {
    WATERMARK_REPLICA,
    WATERMARK_SOURCE,
    WATERMARK_BASE,
};

/* Into @ret_targets, in the order in which they are extended: the destination
 * first (a mirror that fails cannot be resumed, a guest that pauses can), then
 * what the guest writes, then the base of a commit. @replica and @base: NULL
 * when there is none. How many. */
size_t watermark_targets(const struct watermark_disk *source,
                         const struct watermark_disk *replica,
                         const struct watermark_disk *base,
                         enum watermark_target ret_targets[3]);

/* --- measuring --- */

/* How fast a layer fills. Zero-initialise. */
struct watermark_rate {
    bool known;
    uint64_t allocation_bytes;
    int64_t at_ms;
    uint64_t bytes_per_s; /* rises at once, falls by half in 30 s */
};

/* A sample; one that goes backwards in time, or whose allocation shrank (a new
 * layer), starts anew. */
void watermark_rate_add(struct watermark_rate *rate, uint64_t allocation_bytes,
                        int64_t now_ms);

enum {
    WATERMARK_TIMES = 16
};

/* How long extensions take, from the need to usable space. Zero-initialise. */
struct watermark_times {
    int64_t ms[WATERMARK_TIMES]; /* the last ones, a ring */
    unsigned n;
    unsigned next;
};

void watermark_times_add(struct watermark_times *times, int64_t ms);
/* The longest of the last; 0 when there is none. */
int64_t watermark_times_longest(const struct watermark_times *times);

/* When to try a failed extension again. Zero-initialise. */
struct watermark_backoff {
    unsigned failures;
    int64_t not_before_ms;
};

/* 250 ms, doubled up to 10 s. */
void watermark_backoff_fail(struct watermark_backoff *backoff, int64_t now_ms);
void watermark_backoff_succeed(struct watermark_backoff *backoff);
bool watermark_backoff_may_try(const struct watermark_backoff *backoff,
                               int64_t now_ms);

#endif
