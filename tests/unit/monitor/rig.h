/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch's core over a small world of VMs, LVs and VGs, in one thread and on
 * a simulated clock: acts are done at once, extensions take their time.
 */
#ifndef MONITOR_RIG_H
#define MONITOR_RIG_H

#include "../../../src/monitor/core.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum {
    RIG_LAYERS = 80,
    RIG_LOG = 400,
    RIG_VGS = 3,
    RIG_GROWTHS = 100,
};

/* One layer of a VM's disk, and the file or LV that it is in. */
struct rig_layer {
    unsigned vm; /* 1.. */
    char target[8];
    bool replica;
    size_t depth;
    char format[8];
    unsigned vg; /* 1..; 0: a file */
    bool foreign;
    uint64_t capacity, size, allocation, threshold;
    bool gone;
    unsigned sets; /* how often its threshold was set */
};

struct rig_vg {
    uint64_t free_bytes;
    int64_t grow_ms;
    bool hangs; /* until its deadline */
    bool deaf;  /* grows, but the VM does not see it */
    unsigned running, most_running;
};

struct rig_growth {
    bool busy;
    int64_t due_ms;
    struct growth result;
    struct rig_layer *layer;
    uint64_t bytes, least_bytes;
};

struct rig {
    struct core core;
    int64_t now_ms;
    struct rig_layer layers[RIG_LAYERS];
    size_t n_layers;
    struct rig_vg vgs[RIG_VGS + 1];
    struct rig_growth growths[RIG_GROWTHS];

    bool away;         /* libvirtd */
    bool lost;         /* alarms */
    bool no_locate;    /* storage does not say whose a path is */
    bool hold_locates; /* it takes its time to say so */
    char held[8][64];
    size_t n_held;
    bool paused[16]; /* VMs; of want of space if: */
    char full_target[16][8];
    unsigned resumed[16];
    int resume_rc, arm_rc;

    /* what happened */
    unsigned looks, lists, locates;
    char order[RIG_LOG * 8]; /* "vda:replica " of each extension asked for */
    struct monitor_event events[RIG_LOG];
    size_t n_events;
    struct err answer;
    unsigned answers;
};

void rig_init(struct rig *rig);
void rig_deinit(struct rig *rig);

/* A thin LV of VG @vg (0: a file), with @size. The first look comes with
 * rig_run(). */
struct rig_layer *rig_add(struct rig *rig, unsigned vm, const char *target,
                          unsigned vg, uint64_t size);
void rig_path(const struct rig *rig, const struct rig_layer *layer,
              char ret_path[64]);
void rig_vm(unsigned vm, char ret_uuid[UUID_SIZE]);

/* The guest (or a job) writes up to here; alarms go off. Beyond the end: the VM
 * stops. */
void rig_write(struct rig *rig, struct rig_layer *layer, uint64_t allocation);
void rig_alarm(struct rig *rig, enum vm_alarm_kind kind,
               const struct rig_layer *layer);

/* Storage says whose the paths are that it was asked for. */
void rig_locate_held(struct rig *rig);

/* Time passes. */
void rig_run(struct rig *rig, int64_t ms);

size_t rig_count(const struct rig *rig, enum monitor_event_kind kind);
const struct monitor_event *rig_last(const struct rig *rig,
                                     enum monitor_event_kind kind);
/* The mark of a layer; zero when it is not watched. */
struct monitor_mark rig_mark(struct rig *rig, const struct rig_layer *layer);

#endif
