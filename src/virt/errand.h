/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One operation on a VM as a request with a deadline: what it needs, and what
 * it finds, in a place of its own. It outlives an asker who gave up.
 */
#ifndef DRAY_VIRT_ERRAND_H
#define DRAY_VIRT_ERRAND_H

#include "bounded.h"
#include <dray/base/util.h>
#include <dray/ports/hypervisor.h>

struct virt;

enum {
    WATCH_MS = 2000, /* who watches all VMs must not wait for one */
    QUERY_MS = 10000,
    ACT_MS = 30000,     /* libvirt's own patience with a VM that is busy */
    QUIESCE_MS = 60000, /* the guest writes what it has first */
};

struct errand {
    struct request request; /* its key is the VM */
    struct virt *virt;
    int (*operate)(struct errand *errand);
    /* what it needs */
    char target[DISK_TARGET_SIZE]; /* or node */
    uint64_t value;
    bool flag;
    char path[PATH_MAX];
    char format[16];
    struct vm_mirror_spec mirror;
    struct vm_commit_spec commit;
    struct vm_overlay *overlays; /* value of them */
    /* what it finds */
    union {
        struct vm_mirror_info info;
        struct vm_disk_truth truth;
        struct vm_disk_io io;
        struct vm_layers layers; /* its paths are in items */
        struct vm_info vm;
        char target[DISK_TARGET_SIZE];
    } found;
    void *items;
    size_t n;
    int rc;
    struct err err;
};

#define _cleanup_errand_ _cleanup_(errand_freep)

/* NULL: out of memory. @vm may be the empty string, @target NULL. */
struct errand *errand_new(struct virt *virt, const char *vm, const char *target,
                          int (*operate)(struct errand *errand));
void errand_freep(struct errand **errand);

/* Into a field of it; errand_run() fails when it does not fit. */
void errand_copy(struct errand *errand, char *field, size_t size,
                 const char *text);

/* What the operation gave; or ERR_NOT_RESPONDING in time, and *errand is NULL.
 * *errand may be NULL: -ENOMEM. */
int errand_run(struct errand **errand, int patience_ms, struct err *err);

#endif
