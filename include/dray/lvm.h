/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes and views of one volume group, through its dray-lvm: a process that
 * runs LVM inside itself and holds the lease of the VG while it changes
 * metadata, so that lease and writer end together. Requests of all threads wait
 * in one queue there: extensions go first, those that wait share one hold of
 * the lease.
 *
 * Every request names the state that is wanted, so it may be repeated: when
 * dray-lvm dies it is started again and gets what was not answered. All calls
 * block until @deadline_ms (time_now_ms()), from any thread; a request that
 * timed out may still be done.
 */
#ifndef DRAY_LVM_H
#define DRAY_LVM_H

#include <dray/base/err.h>
#include <dray/ports/lease.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LVM_NAME_SIZE = 128, /* LVM's own limit for names and tags' use here */
    LVM_TAG_MAX = 1024,
    LVM_UUID_SIZE = 39, /* xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx */
};

struct lvm; /* one VG */

struct lvm_options {
    const char *program; /* dray-lvm, absolute */
    const char *run_dir; /* LVM's settings for this VG are written below it */
    const char *vg;
    const char *const *devices; /* the VG's PVs: LVM sees nothing else */
    size_t n_devices;
    const struct lease_place *lease; /* held for each change; NULL: none,
                                      * a VG of this host alone */
    int command_ms; /* dray-lvm kills itself over a command that takes longer;
                     * 0: 30 s */
};

/* Copies the options. dray-lvm starts with the first request. */
int lvm_open(const struct lvm_options *options, struct lvm **ret_lvm,
             struct err *err);
/* No call may be under way. The process finishes its command and ends. */
void lvm_close(struct lvm *lvm);

/* The process that serves this VG, 0 when there is none. For tests and logs. */
pid_t lvm_pid(struct lvm *lvm);

/* Makes the LV at least @size_bytes long, in metadata and, where it is active
 * here, in the kernel. *ret_bytes: its size now. ERR_NO_SPACE when the VG has
 * not so much left. */
int lvm_extend(struct lvm *lvm, const char *lv, uint64_t size_bytes,
               int64_t deadline_ms, uint64_t *ret_bytes, struct err *err);

/* Makes it at most @size_bytes long, rounded up to extents. What was behind is
 * lost, whoever has it open. */
int lvm_reduce(struct lvm *lvm, const char *lv, uint64_t size_bytes,
               int64_t deadline_ms, uint64_t *ret_bytes, struct err *err);

struct lvm_create {
    const char *lv;
    uint64_t size_bytes;
    const char *const *tags;
    size_t n_tags;
    const char *device; /* place all of it there; NULL: anywhere */
};

/* Not active. An LV of this name, at least as long and with these tags, is a
 * success too; another one is ERR_VOLUME_EXISTS. Nothing is zeroed: the old
 * data of its extents is there. */
int lvm_create(struct lvm *lvm, const struct lvm_create *what,
               int64_t deadline_ms, struct err *err);

/* Each of these works on all LVs in one LVM command. */
struct lvm_names {
    const char *const *names;
    size_t n;
};

/* An LV that is not there is a success; one that is open here an error. */
int lvm_remove(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
               struct err *err);
int lvm_activate(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                 struct err *err);
int lvm_deactivate(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                   struct err *err);
/* The kernel's tables from the metadata: after another host's extension. */
int lvm_refresh(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                struct err *err);
/* One commit for all. No LVs: the VG's own tags. */
int lvm_tag(struct lvm *lvm, struct lvm_names lvs, struct lvm_names add,
            struct lvm_names remove, int64_t deadline_ms, struct err *err);

/* For a change of several steps: from now on dray-lvm keeps the lease between
 * this thread's requests, until lvm_let_go(). Other threads' holds wait;
 * extensions of anybody pass, in the same lease. One hold per thread. When
 * dray-lvm dies meanwhile the hold is lost, and what comes next under it fails
 * with -ESTALE, before anything is done: begin anew. */
int lvm_hold(struct lvm *lvm, int64_t deadline_ms, struct err *err);
void lvm_let_go(struct lvm *lvm);

/* A VG that nobody uses yet, by commands of their own: there is no lease. */
struct lvm_vg_create {
    const char *vg;
    const char *const *devices; /* the first gets the metadata */
    size_t n_devices;
    const char *const *tags;
    size_t n_tags;
    uint64_t extent_bytes;
    uint64_t mda_bytes; /* of each of the two metadata areas of a PV */
    bool force;         /* devices that hold something else lose it */
};

/* Each device gets two metadata areas, only those of the first are in use;
 * nothing is activated by itself. ERR_DOMAIN_CREATE. PVs of a creation that
 * broke off are taken again. */
int lvm_vg_create(const struct lvm_vg_create *what, int64_t deadline_ms,
                  struct err *err);

/* Removes VG, LVs and PVs; what is gone already is a success. No LV may be
 * open. Nobody may use the VG. */
int lvm_vg_remove(const char *vg, const char *const *devices, size_t n_devices,
                  int64_t deadline_ms, struct err *err);

enum lvm_what { /* of a report; or-ed */
    LVM_LVS = 1,
    LVM_VG = 2,
    LVM_PVS = 4,
};

struct lvm_lv {
    char name[LVM_NAME_SIZE];
    char uuid[LVM_UUID_SIZE];
    uint64_t size_bytes;
    bool writable;
    bool active;    /* on this host */
    bool suspended; /* on this host: something broke off half-way */
    bool open;      /* on this host */
    size_t n_tags;
    char **tags;
};

struct lvm_vg {
    char name[LVM_NAME_SIZE];
    char uuid[LVM_UUID_SIZE];
    uint64_t size_bytes;
    uint64_t free_bytes;
    uint64_t extent_bytes;
    uint64_t mda_bytes; /* the smallest metadata area, and what is free of it */
    uint64_t mda_free_bytes;
    uint64_t seqno;
    size_t n_tags;
    char **tags;
};

struct lvm_pv {
    char name[LVM_NAME_SIZE];
    char uuid[LVM_UUID_SIZE];
    uint64_t size_bytes;
    uint64_t free_bytes;
    uint64_t extents;
    uint64_t mdas_used;
    bool missing;
};

/* Zero-initialise; release with lvm_report_deinit(). */
struct lvm_report {
    struct lvm_vg vg;
    size_t n_lvs;
    struct lvm_lv *lvs;
    size_t n_pvs;
    struct lvm_pv *pvs;
};

/* The VG as its metadata is now, other hosts' changes included. */
int lvm_report(struct lvm *lvm, unsigned what, int64_t deadline_ms,
               struct lvm_report *ret_report, struct err *err);
void lvm_report_deinit(struct lvm_report *report);

/* NULL when there is none. */
const struct lvm_lv *lvm_report_lv(const struct lvm_report *report,
                                   const char *name);
bool lvm_lv_has_tag(const struct lvm_lv *lv, const char *tag);

#endif
