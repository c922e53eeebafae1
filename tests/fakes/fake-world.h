/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A little world for scenarios: one VM with one disk, a source domain, a
 * destination domain, a journal, and time that passes only when told. It
 * implements the ports of migrate/, lives on while the daemon is dead, and
 * notices when somebody breaks a rule (world->violation).
 *
 * The guest's data is a count of acknowledged writes; a copy of the leaf knows
 * how many of them it holds. A write to a copy that lacks an earlier one, or a
 * surviving copy that lacks the last one, is lost data.
 */
#ifndef DRAY_TESTS_FAKE_WORLD_H
#define DRAY_TESTS_FAKE_WORLD_H

#include <dray/migrate.h>

enum {
    LAYERS_MAX = 8
};

enum side {
    SRC,
    DST,
    SIDES
};

/* What happens to a chosen call of a port. */
enum fault {
    FAULT_NONE,
    FAULT_FAIL,        /* it fails and did nothing */
    FAULT_FAIL_AFTER,  /* it reports failure, but it was done */
    FAULT_KILL_BEFORE, /* the daemon dies before it */
    FAULT_KILL_HALF,   /* ... in the middle, where it has one */
    FAULT_KILL_AFTER,  /* ... before it hears the answer */
};

struct fake_volume {
    bool exists;
    struct volume_info info;
    bool fresh; /* nothing was written to it since it was made */
    bool whole; /* internal: holds all its data */
};

struct fake_domain {
    char sd[UUID_SIZE];
    char name[32];
    enum domain_status status;
    bool read_only;
    unsigned block_size;
    uint64_t free_bytes;
    bool unwritable;
    struct fake_volume volumes[LAYERS_MAX];
    bool prepared;
    uint64_t writes; /* how many of the guest's the leaf holds */
    bool deletes_fail;
    bool legality_fails;
    bool prepare_fails;
};

struct fake_mirror {
    bool active, ready, aborting, stuck;
    unsigned equal_ms;   /* nothing left, but not ready yet */
    uint64_t left;       /* KiB of old data still to be copied */
    uint64_t done;       /* KiB */
    uint64_t limit;      /* as last asked */
    int64_t pivot_at_us; /* -1: none under way */
    bool shallow;
    char format[8];
};

struct fake_world {
    struct migrate_ports ports;
    _Atomic int64_t now_us; /* the owner loop reads it while workers work */

    size_t layers;
    struct fake_domain domains[SIDES];

    /* the VM */
    bool defined;   /* libvirt knows it when it is off, too */
    bool forgotten; /* libvirt believes it is off, but qemu lives */
    bool alive;     /* qemu runs */
    bool paused;
    bool paused_by_other;
    enum side qemu_at, xml_at, persistent_at;
    bool other_spelling; /* qemu names the destination by another path */
    bool elsewhere;      /* qemu writes to some third file */
    bool other_user;     /* another VM has a layer of the source */
    struct vm_disk disk; /* what vm_disks() says beyond the path */
    uint64_t acknowledged;
    unsigned writes_per_ms;
    int64_t held_us; /* how long we kept it suspended, libvirtd answering */

    /* the mirror and the copier */
    struct fake_mirror mirror;
    unsigned mirror_per_ms;  /* KiB, and writes */
    unsigned ready_after_ms; /* equal is not ready */
    bool pivot_fails, pivot_hangs, pivot_forgets, pivot_leaves_xml;
    int pivot_refusals; /* how often it is "not ready" after all */
    bool start_fails;
    struct copy *copy;
    unsigned copy_per_ms;
    bool copies_fail;

    int64_t libvirt_back_us; /* away until then */

    /* the journal */
    struct job record;
    bool has_record;
    bool journal_fails;
    unsigned puts_while_held; /* records in the guest's pause */

    /* faults: the @fault_at'th call from now, 1 = the next; 0: none */
    enum fault fault;
    unsigned calls;
    unsigned fault_at;
    bool dead; /* the daemon was killed: nothing it does has an effect */
    enum job_state died_in;
    char faulted_call[32];

    /* Called at the beginning of each call of a living daemon. */
    void (*on_call)(void *arg);
    void *on_call_arg;

    char violation[320]; /* the first rule that was broken; empty: none */
};

/* A running VM with a chain of @layers COW volumes on the source. */
void world_init(struct fake_world *world, size_t layers);
void world_deinit(struct fake_world *world);
/* Gives layer @i of the source a format; the fake's paths stay. */
void world_set_format(struct fake_world *world, size_t i,
                      enum volume_format format);
/* A planned job that moves the disk; id and all. */
struct job world_job(const struct fake_world *world);
void world_pass(struct fake_world *world, int64_t ms);
/* The VM ends: by itself, by a kill, with the host. */
void world_shut_down(struct fake_world *world);
void world_pause_by_other(struct fake_world *world);
void world_break(struct fake_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool world_image_exists(const struct fake_world *world, enum side side);
void world_path(const struct fake_world *world, enum side side, size_t layer,
                char ret_path[PATH_MAX]);

/* --- among the fakes --- */

/* Enters a call: time passes, faults happen. Nonzero: return it. */
int world_enter(struct fake_world *world, const char *call, struct err *err);
/* Whether this call is cut off in the middle. */
bool world_half(struct fake_world *world);
/* Leaves it with @rc, or with the fault that was ordered. */
int world_leave(struct fake_world *world, int rc, struct err *err);
/* The durable record's state is one of what allows this; else a violation. */
void world_needs_state(struct fake_world *world, const char *deed,
                       enum job_state from, enum job_state to);
bool world_qemu_has(const struct fake_world *world, enum side side);
size_t world_leaf(const struct fake_world *world);

struct storage_port fake_storage(struct fake_world *world);
struct hypervisor_port fake_hypervisor(struct fake_world *world);
struct copier_port fake_copier(struct fake_world *world);
struct journal_port fake_journal(struct fake_world *world);
struct clock_port fake_clock(struct fake_world *world);
/* Lets the copier's copy go on for a millisecond. */
void fake_copier_pass(struct fake_world *world);

#endif
