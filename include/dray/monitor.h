/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watermark monitor: a thread that sees to it that no thin disk on an LV
 * runs full. It arms thresholds on what VMs and mirrors write to, extends LVs
 * when they fire, polls in case an alarm was lost, and lets a VM run again that
 * was paused for want of space. It owns its thread and its workers, so that
 * neither a busy owner loop nor one dead storage delays an extension.
 */
#ifndef DRAY_MONITOR_H
#define DRAY_MONITOR_H

#include <dray/ports/clock.h>
#include <dray/ports/hypervisor.h>
#include <dray/ports/storage.h>
#include <dray/ports/watch.h>
#include <dray/watermark.h>

struct monitor;

enum monitor_event_kind {
    MONITOR_EXTENDED,
    MONITOR_FAILED,  /* an extension; the guest may be about to pause */
    MONITOR_PAUSED,  /* a guest, for want of space */
    MONITOR_RESUMED, /* by us, after the extension */
};

struct monitor_event {
    enum monitor_event_kind kind;
    char vm[UUID_SIZE];
    char target[DISK_TARGET_SIZE];
    struct volume_id volume;
    uint64_t size_bytes; /* of the LV, now */
    uint64_t wanted_bytes;
    uint64_t free_bytes; /* of the layer: until the guest pauses */
    int64_t took_ms;     /* from the alarm (or the poll that saw it) to usable
                            space */
    char text[256];      /* MONITOR_FAILED: why, and what to do */
};

/* On a thread of the monitor: only post it elsewhere. */
typedef void (*monitor_event_fn)(void *arg, const struct monitor_event *event);

struct monitor_options {
    struct watermark_policy policy;
    int poll_ms; /* 0: 2000 */
};

struct monitor_ports {
    struct storage_port storage;
    struct hypervisor_port hypervisor;
    struct clock_port clock;
};

int monitor_new(const struct monitor_options *options,
                const struct monitor_ports *ports, monitor_event_fn event,
                void *arg, struct monitor **ret_monitor, struct err *err);
void monitor_free(struct monitor *monitor);
struct watch_port monitor_port(struct monitor *monitor);

/* A watched layer, as the last look saw it. */
struct monitor_mark {
    char vm[UUID_SIZE];
    char target[DISK_TARGET_SIZE];
    enum watermark_target role; /* source, replica, base */
    struct volume_id volume;
    uint64_t size_bytes;
    uint64_t allocation_bytes;
    uint64_t threshold_bytes; /* as armed; 0: not */
    uint64_t max_bytes;       /* the full qcow2 */
    uint64_t bytes_per_s;     /* as it fills */
    char problem[256];        /* why it was not extended; empty: none */
};

/* @vm NULL: of all. The caller frees *ret_marks. */
int monitor_marks(struct monitor *monitor, const char *vm,
                  struct monitor_mark **ret_marks, size_t *ret_n,
                  struct err *err);

struct monitor_stats {
    uint64_t extensions, failures, pauses;
    uint64_t alarms, polled; /* extensions that began with ... */
    /* From the need to usable space, of the last 1000. */
    int64_t p50_ms, p99_ms, max_ms;
};
void monitor_stats(struct monitor *monitor, struct monitor_stats *ret_stats);

#endif
