/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: the VMs of this host. Implemented by virt/ (libvirt). Calls block and
 * may be made from any worker. While libvirtd is away every call fails with
 * -ENOTCONN (ERR_NOT_RESPONDING) and a reconnect is under way.
 *
 * Calls end in time, although a VM's qemu may hang (while a disk or a mirror's
 * destination does): those that watch (layer_stats() and below) after 2 s,
 * questions after 10 s, acts after 30 s (60 s with @quiesce), then with
 * ERR_NOT_RESPONDING and -ETIMEDOUT. What such a call asked for may still
 * happen. Until it has come back all further calls about that VM but vm_find()
 * fail so at once; those about other VMs do not.
 *
 * When a mirror's destination hangs, vm_suspend(), mirror_pivot() and
 * mirror_abort() can make its qemu hang, and the guest with it. mirror_info()
 * and the other questions are answered: done stands still.
 */
#ifndef DRAY_PORTS_HYPERVISOR_H
#define DRAY_PORTS_HYPERVISOR_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    VM_NAME_SIZE = 256,
    DISK_TARGET_SIZE = 32, /* "vda" */
    VM_SEND_DISKS_MAX = 16,
};

/* A "path" below is a place: an absolute path of a file or block device, or for
 * a network disk a URI in one spelling, whoever named it:
 *   nbd+unix:///EXPORT?socket=PATH   nbd://HOST:PORT/EXPORT
 *   PROTOCOL[+TRANSPORT]://HOST[:PORT]/NAME    (the others that qemu opens) */

enum vm_state {
    VM_SHUTOFF,
    VM_RUNNING,
    VM_PAUSED,
    VM_OTHER
};

struct vm_info {
    char uuid[UUID_SIZE];
    char name[VM_NAME_SIZE];
    enum vm_state state;
    bool persistent;
};

struct vm_mirror {
    bool present; /* a <mirror> of kind copy is in the live XML */
    bool ready;   /* ready='yes': the only proof of convergence */
    char path[PATH_MAX];
};

struct vm_disk {
    char target[DISK_TARGET_SIZE];
    char device[16];     /* "disk", "cdrom", ... */
    char type[16];       /* libvirt's source type: file, block, network, ... */
    char path[PATH_MAX]; /* source of the active layer; empty if none */
    char format[16];     /* driver type: raw, qcow2 */
    char serial[128];
    char alias[64];
    bool read_only;
    bool shareable;
    bool transient;
    size_t chain_n;    /* layers libvirt knows (0 when the VM is off) */
    uint64_t capacity; /* virtual size; 0 when unknown */
    bool job;          /* any block job runs on it */
    struct vm_mirror mirror;
};

struct vm_mirror_spec {
    char vm[UUID_SIZE];
    char target[DISK_TARGET_SIZE];
    char path[PATH_MAX]; /* existing, freshly made destination leaf; or place */
    char from[PATH_MAX]; /* the disk must be on this file; empty: on any */
    uint64_t capacity;   /* the disk's. Of a larger raw block device only that
                            much is used; 0: as large as it is */
    const char *format;  /* raw, qcow2 */
    bool shallow;        /* the destination has a backing chain; no URI */
    uint64_t bytes_per_s;  /* 0: no limit */
    uint64_t buffer_bytes; /* 0: qemu's default */
};

enum vm_job_kind {
    VM_JOB_NONE,
    VM_JOB_COPY,
    VM_JOB_COMMIT,        /* of an internal layer; ends by itself */
    VM_JOB_ACTIVE_COMMIT, /* of the leaf; ends with a pivot to the base */
    VM_JOB_OTHER,
};

/* Of the one block job that a disk can have. */
struct vm_mirror_info {
    bool job; /* a copy job runs: kind == VM_JOB_COPY */
    enum vm_job_kind kind;
    bool ready;
    uint64_t done;  /* bytes copied */
    uint64_t total; /* bytes to be copied; grows with the guest's writes */
    char disk_path[PATH_MAX]; /* XML source of the disk now */
    char mirror_path[PATH_MAX];
};

struct vm_disk_truth {
    enum vm_state state;
    char xml_path[PATH_MAX];        /* live XML */
    char qemu_path[PATH_MAX];       /* what qemu writes to, from query-block */
    char persistent_path[PATH_MAX]; /* inactive XML; empty: not persistent, or
                                       not asked for */
};

/* The file that a disk's next layer is in: a qcow2 made for it, whose backing
 * file is the leaf of now. */
struct vm_overlay {
    char target[DISK_TARGET_SIZE];
    char path[PATH_MAX];
};

struct vm_commit_spec {
    char vm[UUID_SIZE];
    char target[DISK_TARGET_SIZE];
    char base_path[PATH_MAX]; /* gets the data */
    char top_path[PATH_MAX];  /* down from here; the leaf: an active commit */
    uint64_t bytes_per_s;     /* 0: no limit */
};

/* What qemu counted since the VM started. */
struct vm_disk_io {
    uint64_t reads, writes;     /* requests that ended */
    uint64_t read_us, write_us; /* their times added up */
    uint64_t write_bytes;
};

/* Layers of a disk as qemu has them open, leaf first. The caller frees. */
struct vm_layers {
    enum vm_state state; /* of the VM; VM_SHUTOFF: it has none open */
    size_t n;
    char (*paths)[PATH_MAX];
};

static inline void vm_layers_deinit(struct vm_layers *layers)
{
    free(layers->paths);
    layers->paths = NULL;
    layers->n = 0;
}

/* A layer of a disk that qemu has open, or of what the disk is mirrored to, as
 * qemu's statistics say. */
struct vm_layer {
    char target[DISK_TARGET_SIZE]; /* the disk, "vda" */
    char node[DISK_TARGET_SIZE];   /* "vda[3]", for threshold_set(); good until
                                      the chain changes */
    bool replica;                  /* of the mirror's destination */
    bool block;                    /* a block device */
    size_t depth;                  /* 0: the leaf */
    char path[PATH_MAX];
    char format[16];     /* raw, qcow2 */
    uint64_t capacity;   /* virtual size */
    uint64_t allocation; /* highest offset written since qemu opened it, or
                            tried to; 0: nothing was */
    uint64_t physical;   /* size of the device, as qemu sees it; what a file
                            takes on its file system */
    uint64_t threshold;  /* as armed; 0: not, or it fired */
};

/* A VM that goes to another host with its disks. */
struct vm_send_disk {
    char target[DISK_TARGET_SIZE];
    char path[PATH_MAX]; /* there */
    const char *format;  /* there: raw, qcow2 */
    bool block;          /* there: a device, which may be larger, ... */
    uint64_t capacity;   /* ... than a raw disk is */
    bool stays;          /* is not copied: both hosts see it */
};

struct vm_send_spec {
    char vm[UUID_SIZE];
    const char *libvirt_uri; /* of the other libvirtd, as ours reaches it */
    const char *migrate_uri; /* "": the other's choice */
    size_t n_disks;
    struct vm_send_disk *disks; /* all of them */
    bool shallow;         /* only their top layers: what is below is there */
    uint64_t bytes_per_s; /* 0: no limit */
};

struct vm_send_progress {
    char target[DISK_TARGET_SIZE];
    uint64_t done, total; /* bytes; 0: not begun, or over */
};

struct vm_send_info {
    /* The caller says which disks it asks about. */
    size_t n_disks;
    struct vm_send_progress disks[VM_SEND_DISKS_MAX];
    enum vm_state state;            /* of the VM here; VM_SHUTOFF: none, too */
    bool active;                    /* the send has not come to an end */
    uint64_t disk_done, disk_total; /* bytes */
    uint64_t memory_done, memory_total; /* 0: not begun */
    char failure[ERR_MESSAGE_SIZE];     /* of the last one; empty: unknown */
};

/* How far a VM that comes from another host has got. */
enum vm_arrival {
    VM_ABSENT,    /* libvirt does not know it */
    VM_INCOMING,  /* its memory or disks are not complete */
    VM_ARRIVED,   /* complete, and stands still */
    VM_RUNS,      /* complete, and runs */
    VM_OFF_THERE, /* defined, so its disks are complete; does not run */
    VM_ARRIVAL_COUNT,
};

enum vm_alarm_kind {
    VM_ALARM_THRESHOLD, /* a write beyond a layer's threshold; it is disarmed */
    VM_ALARM_NO_SPACE,  /* a disk had no space: the VM is paused, or the block
                           job has failed */
    VM_ALARM_CHANGED,   /* block job, lifecycle, reconnect: look again */
};

struct vm_alarm {
    enum vm_alarm_kind kind;
    char vm[UUID_SIZE];          /* empty after a reconnect: any */
    char node[DISK_TARGET_SIZE]; /* "vda[3]", "vda"; empty: the VM */
    uint64_t excess;             /* VM_ALARM_THRESHOLD: bytes beyond it */
};

/* On libvirt's event thread: only post it elsewhere. A hint, never a proof: any
 * may be lost. */
typedef void (*hypervisor_alarm_fn)(void *arg, const struct vm_alarm *alarm);

/* Something about this VM changed (a hint, never a proof). Called on libvirt's
 * event thread: only post it elsewhere. @vm is NULL after a reconnect. */
typedef void (*hypervisor_hint_fn)(void *arg, const char *vm);

struct hypervisor_ops {
    /* All VMs, running or not. The caller frees *ret_vms. */
    int (*vm_list)(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err);
    /* By name or UUID. ERR_NO_VM. */
    int (*vm_find)(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                   struct err *err);
    /* What the VM's definition says of its disks: nothing of its qemu or its
     * storage is needed, and capacity and job are not known. */
    int (*vm_disk_names)(void *ctx, const char *vm, struct vm_disk **ret_disks,
                         size_t *ret_n, struct err *err);
    /* The caller frees *ret_disks. */
    int (*vm_disks)(void *ctx, const char *vm, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err);
    /* *ret_was_paused: it was already, and nothing was done. */
    int (*vm_suspend)(void *ctx, const char *vm, bool *ret_was_paused,
                      struct err *err);
    int (*vm_resume)(void *ctx, const char *vm, struct err *err);
    /* A VM (running or defined) one of whose disks' layers is @path or a file
     * in the directory @path. *ret_vm empty when none. Of a storage that does
     * not answer the names decide. */
    int (*path_user)(void *ctx, const char *path, struct vm_info *ret_vm,
                     struct err *err);

    /* ERR_CHANGE_DISK when the disk is on another file than it has to be. */
    int (*mirror_start)(void *ctx, const struct vm_mirror_spec *spec,
                        struct err *err);
    /* Of whatever block job the disk has; so are limit, abort, pivot, failure:
     * a copy and a commit end alike. */
    int (*mirror_info)(void *ctx, const char *vm, const char *target,
                       struct vm_mirror_info *ret_info, struct err *err);
    int (*mirror_limit)(void *ctx, const char *vm, const char *target,
                        uint64_t bytes_per_s, struct err *err);
    /* Asks for the end of the mirror; mirror_info() tells when it is gone.
     * No mirror is 0. */
    int (*mirror_abort)(void *ctx, const char *vm, const char *target,
                        struct err *err);
    /* Asks for the pivot; mirror_info() and disk_truth() tell when it is
     * done. Not ready: ERR_NOT_READY. */
    int (*mirror_pivot)(void *ctx, const char *vm, const char *target,
                        struct err *err);
    /* Why the disk's last block job failed, as qemu said it; empty if
     * unknown. */
    void (*mirror_failure)(void *ctx, const char *vm, const char *target,
                           char *ret_text, size_t size);
    /* A VM that is off has xml_path and qemu_path empty. @persistent: ask for
     * persistent_path, too (of a VM that is off it is always there). One that
     * runs although libvirt forgot it: ERR_NOT_RESPONDING, here and wherever
     * "off" would be the answer; touch nothing then. */
    int (*disk_truth)(void *ctx, const char *vm, const char *target,
                      bool persistent, struct vm_disk_truth *ret_truth,
                      struct err *err);
    /* persistent_path alone: nothing that runs is asked. */
    int (*disk_persistent)(void *ctx, const char *vm, const char *target,
                           char ret_path[PATH_MAX], struct err *err);
    /* Makes the persistent definition name @path, @format for the disk; 0 when
     * it does not have the disk, or the VM is not persistent. */
    int (*disk_set_persistent)(void *ctx, const char *vm, const char *target,
                               const char *path, const char *format,
                               struct err *err);
    /* From then on hints go to fn(arg). */
    void (*set_hint)(void *ctx, hypervisor_hint_fn fn, void *arg);
    /* 0 or -ENOTCONN. Never blocks. */
    int (*connected)(void *ctx);

    /* From one instant on each of these disks of the VM is written to its
     * overlay, and its leaf of before is frozen; all of them or none. With
     * @quiesce the guest's file systems are frozen meanwhile (its agent must
     * answer). ERR_SNAPSHOT. */
    int (*snapshot)(void *ctx, const char *vm,
                    const struct vm_overlay *overlays, size_t n, bool quiesce,
                    struct err *err);
    /* Starts to commit; mirror_info() tells how it stands. ERR_MERGE;
     * ERR_DISK_BUSY when the disk has a job. */
    int (*commit_start)(void *ctx, const struct vm_commit_spec *spec,
                        struct err *err);
    /* From qemu's own graph. */
    int (*disk_layers)(void *ctx, const char *vm, const char *target,
                       struct vm_layers *ret_layers, struct err *err);
    int (*disk_io)(void *ctx, const char *vm, const char *target,
                   struct vm_disk_io *ret_io, struct err *err);
    /* The one spelling of a place: a path as it is, a URI as above (or in
     * qemu's old way, "nbd:unix:PATH:exportname=NAME"). Only looks at @text.
     * ERR_PARAMETER. */
    int (*place)(void *ctx, const char *text, char ret_place[PATH_MAX],
                 struct err *err);

    /* Layers of all disks of a running VM, replicas included. The caller frees
     * *ret_layers. A VM that is off has none, and one without any layer on a
     * block device neither: its qemu is not asked. What is not known is 0: of
     * the layers below a replica's leaf all but the path, qemu opens them at
     * the pivot. ERR_NOT_RESPONDING when another call to its qemu hangs. */
    int (*layer_stats)(void *ctx, const char *vm, struct vm_layer **ret_layers,
                       size_t *ret_n, struct err *err);
    /* One alarm when a write ends beyond @bytes; 0 disarms. A later call
     * replaces it. ERR_NO_DISK: no such node any more. */
    int (*threshold_set)(void *ctx, const char *vm, const char *node,
                         uint64_t bytes, struct err *err);
    /* Whether the VM is paused since a disk has no space; which one, when that
     * is known (else empty). Another reason: 0 and false. */
    int (*paused_for_space)(void *ctx, const char *vm, bool *ret_paused,
                            char ret_target[DISK_TARGET_SIZE], struct err *err);
    /* --- to another host --- */

    /* Its definition, as another libvirt wants it. The caller frees *ret_xml.
     */
    int (*vm_definition)(void *ctx, const char *vm, char **ret_xml,
                         struct err *err);
    /* What of this host speaks against running the VM @xml: its name and UUID
     * taken, emulator, machine, CPU, memory, networks. At most @max; fails only
     * when nothing could be asked. */
    int (*vm_fits)(void *ctx, const char *xml, struct err *ret_obstacles,
                   size_t max, size_t *ret_n, struct err *err);
    /* Begins to send it: it arrives standing still. vm_send_info() tells when
     * it has ended; the VM is off here when it is there. */
    int (*vm_send)(void *ctx, const struct vm_send_spec *spec, struct err *err);
    int (*vm_send_info)(void *ctx, const char *vm,
                        struct vm_send_info *ret_info, struct err *err);
    int (*vm_send_limit)(void *ctx, const char *vm, uint64_t bytes_per_s,
                         struct err *err);
    /* Asks for its end; none is 0. */
    int (*vm_send_abort)(void *ctx, const char *vm, struct err *err);
    int (*vm_arrival)(void *ctx, const char *vm, enum vm_arrival *ret_arrival,
                      struct err *err);
    /* Makes libvirt forget the VM; @stop: one that is paused or still comes is
     * ended before. A running one: ERR_VALUE. None: 0. */
    int (*vm_drop)(void *ctx, const char *vm, bool stop, struct err *err);

    /* From then on alarms go to fn(arg); NULL: no more, and none is under way
     * when it returns. */
    void (*set_alarm)(void *ctx, hypervisor_alarm_fn fn, void *arg);
};

struct hypervisor_port {
    void *ctx;
    const struct hypervisor_ops *ops;
};

const char *vm_state_name(enum vm_state state); /* running, shutoff, ... */

#endif
