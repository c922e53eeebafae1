/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A little world for scenarios: one VM with one or two disks, a source, a
 * destination (domains, or places outside of them), a journal, and time that
 * passes only when told. It implements the ports of migrate/, lives on while
 * the daemon is dead, and notices when somebody breaks a rule
 * (world->violation).
 *
 * What a guest's disk holds is a count of acknowledged writes. A volume holds
 * those after @from up to @to, and a chain what its volumes hold together. A
 * write to a chain that lacks an earlier one, or a surviving chain that lacks
 * the last one, is lost data. A commit or a mirror moves knowledge.
 */
#ifndef DRAY_TESTS_FAKE_WORLD_H
#define DRAY_TESTS_FAKE_WORLD_H

#include <dray/migrate.h>

enum {
    LAYERS_MAX = 8,
    DISKS_MAX = 2,
    CHAIN_MAX = LAYERS_MAX + 1,
    VOLUMES_MAX = 2 * DISKS_MAX * CHAIN_MAX + 8,
};

#define FAKE_EXTENT (1ULL << 20)
#define FAKE_CHUNK  (16ULL << 20)
#define FAKE_HEADER (256ULL << 10)

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
    enum side side;
    size_t disk;
    struct volume_info info;   /* its record; of an outside place, too */
    char backing[UUID_SIZE];   /* as its header has it; UUID_BLANK: none */
    struct fake_volume *below; /* that one */
    unsigned made;             /* how often its file was made */
    bool fresh;                /* nothing was written to it since */
    bool whole;        /* holds the data that was there before the job */
    uint64_t from, to; /* the guest's writes that it holds */
    bool flipped;      /* a bit of it rotted */
    bool kept;         /* outside: not ours to remove any more */
    uint64_t used;     /* bytes of its file or LV, with its tables */
    uint64_t waste;    /* beyond that, up to its end: clusters without data */
    bool active;       /* an LV that this host has */
    bool severed;      /* ... and whose I/O all fails */
};

struct fake_domain {
    char sd[UUID_SIZE];
    char name[32];
    enum domain_status status;
    bool read_only;
    unsigned block_size;
    uint64_t free_bytes;
    bool unwritable;
    bool outside;          /* of all domains: one file per disk */
    bool device;           /* ... a block device, or a URI */
    uint64_t device_bytes; /* ... a block device of that size, no URI */
    bool prepared[DISKS_MAX];
    bool deletes_fail;
    bool legality_fails;
    bool block;     /* a VG: free_bytes are its extents that nobody has */
    int64_t hangs;  /* since when (us) its volumes do not answer; 0: they do */
    unsigned grown; /* how often volumes were grown, by whomever */
};

/* The one block job of a disk. */
struct fake_job {
    enum vm_job_kind kind; /* VM_JOB_NONE: there is none */
    bool ready, aborting, stuck;
    bool shallow;
    unsigned equal_ms;          /* nothing left, but not ready yet */
    uint64_t left;              /* KiB of old data still to be copied */
    uint64_t done;              /* KiB */
    int64_t begins_us;          /* before, libvirt says 0 of 1 byte */
    uint64_t limit;             /* as last asked */
    int64_t pivot_at_us;        /* -1: none under way */
    struct fake_volume *target; /* gets the data */
    struct fake_volume *top;    /* of a commit */
    uint64_t floor;             /* target->to before */
    uint64_t used;              /* target->used before */
    bool same; /* the target held all that the disk did before */
};

struct fake_disk {
    char target[DISK_TARGET_SIZE];
    char img[UUID_SIZE];
    /* What qemu has open, leaf first; what it will have if it is off. */
    struct fake_volume *chain[CHAIN_MAX];
    size_t n;
    struct fake_volume *xml, *persistent; /* the leaf that they name */
    struct fake_job job;
    uint64_t acknowledged;
    bool watched;      /* the watch was told of its block job */
    char failure[64];  /* of its last block job */
    bool pivot_fails;  /* of this disk; world->pivot_fails: of all */
    bool return_fails; /* a mirror to the source is refused */
    /* libvirt goes on telling of a job that has ended. */
    int64_t lingers_until_us;
    enum vm_job_kind lingering;
};

struct fake_checkpoint {
    char key[COPY_KEY_SIZE]; /* empty: none */
    unsigned made;           /* of the destination */
    uint64_t done;
};

/* A job's lease, after fake_share(). */
enum {
    FAKE_NOBODY,
    FAKE_US,
    FAKE_OTHER,
};

struct fake_lease {
    bool there;
    struct xlease_id id;
    struct xlease_job record;
    unsigned owner;
    bool sure;       /* the daemon saw that it has it, ... */
    int64_t sure_us; /* ... or not, then */
    bool has_note;
    struct job note;
    unsigned records; /* how often its status was set */
};

struct fake_world {
    struct migrate_ports ports;
    _Atomic int64_t now_us; /* the owner loop reads it while workers work */

    size_t layers, n_disks;
    struct fake_domain domains[SIDES];
    struct fake_volume volumes[VOLUMES_MAX];
    size_t n_volumes;

    /* the VM */
    bool defined;   /* libvirt knows it when it is off, too */
    bool forgotten; /* libvirt believes it is off, but qemu lives */
    bool alive;     /* qemu runs */
    bool paused;
    bool paused_by_other;
    bool other_spelling; /* qemu names the destination by another path */
    bool elsewhere;      /* qemu writes to some third file */
    bool other_user;     /* another VM has a layer of the source */
    bool place_user;     /* ... the place outside that is the destination */
    struct vm_disk disk; /* what vm_disks() says beyond the names */
    struct fake_disk disks[DISKS_MAX];
    unsigned writes_per_ms; /* to each disk */
    unsigned write_us, mirrored_write_us;
    struct vm_disk_io io;
    int64_t held_us; /* how long we kept it suspended, libvirtd answering */

    /* block jobs and the copier */
    unsigned mirror_per_ms;  /* KiB, and writes */
    unsigned ready_after_ms; /* equal is not ready */
    bool pivot_fails, pivot_hangs, pivot_forgets, pivot_leaves_xml;
    int pivot_refusals; /* how often it is "not ready" after all */
    bool start_fails, snapshot_fails, commit_fails;
    bool cuts_calls; /* libvirtd dies in each snapshot and pivot: they happen,
                        but its definition, and its jobs, are as before */
    struct copy *copy;
    struct fake_checkpoint checkpoint;
    uint64_t copied; /* bytes, those that were copied twice counted twice */
    unsigned copy_per_ms;
    bool copies_fail;
    enum copy_mover mover;

    _Atomic int kept;    /* calls of domain_keep() that were not taken back */
    bool watch_fails;    /* it cannot extend */
    unsigned watch_held; /* it does not resume the VM */

    int64_t libvirt_back_us; /* away until then */

    /* the journal */
    struct job record;
    bool has_record;
    bool journal_fails;
    struct job encoded; /* as text, it would be */

    struct fake_lease lease;
    bool host_dead;           /* FAKE_US is known to be */
    unsigned puts_while_held; /* records in the guest's pause */

    /* faults: the @fault_at'th call from now, 1 = the next; 0: none */
    enum fault fault;
    _Atomic unsigned calls; /* the tests of the job table look at it */
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
/* One more disk like the first. */
void world_add_disk(struct fake_world *world);
/* The source, or the destination, is a file outside of all domains (@device:
 * something that is there already and is not ours to delete). */
void world_set_outside(struct fake_world *world, enum side side, bool device);
/* The source, or the destination, is a VG; and there is a watch over it. */
void world_set_block(struct fake_world *world, enum side side);
void world_put_on_lv(struct fake_world *world, struct fake_volume *volume);
/* All that is there. */
void world_activate(struct fake_world *world, enum side side);
/* The host starts anew: no VM, no active LV. */
void world_reboot(struct fake_world *world);
/* Gives layer @i of the source a format; the fake's paths stay. */
void world_set_format(struct fake_world *world, size_t i,
                      enum volume_format format);
/* A planned job that moves all disks; id and all. */
struct job world_job(const struct fake_world *world);
void world_pass(struct fake_world *world, int64_t ms);
/* The VM ends: by itself, by a kill, with the host. */
void world_shut_down(struct fake_world *world);
void world_pause_by_other(struct fake_world *world);
void world_break(struct fake_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether anything of a disk is there; of all disks. */
bool world_image_exists(const struct fake_world *world, enum side side);
/* Layer @i of a disk's chain, base 0; whether it exists or not. */
struct fake_volume *world_volume(struct fake_world *world, enum side side,
                                 size_t disk, size_t i);
/* What qemu writes to: of the first disk, of any. */
enum side world_at(const struct fake_world *world);
/* A volume like those of the jobs: whole, empty of the guest's writes. */
struct fake_volume *world_make(struct fake_world *world, enum side side,
                               size_t disk, const char *vol,
                               const char *parent);
/* Ends a disk's block job as if it had never been. */
void world_end_job(struct fake_disk *disk);

/* --- among the fakes --- */

/* Enters a call: time passes, faults happen. Nonzero: return it. */
int world_enter(struct fake_world *world, const char *call, struct err *err);
/* Whether this call is cut off in the middle. */
bool world_half(struct fake_world *world);
/* Leaves it with @rc, or with the fault that was ordered. */
int world_leave(struct fake_world *world, int rc, struct err *err);
/* The durable record's state is one of these bits; else a violation. */
#define IN(state) (1u << (state))
void world_needs(struct fake_world *world, const char *deed, unsigned states);

struct fake_volume *world_find(struct fake_world *world,
                               const struct volume_id *id);
/* By its path, any spelling. */
struct fake_volume *world_find_path(struct fake_world *world, const char *path);
struct fake_disk *world_find_disk(struct fake_world *world, const char *target);
/* A slot for a new volume; the one that it had, if it had one. */
struct fake_volume *world_slot(struct fake_world *world,
                               const struct volume_id *id);
/* Writes @vol, of the same image, into @volume's header; UUID_BLANK: none. */
void world_set_backing(struct fake_world *world, struct fake_volume *volume,
                       const char *vol);
/* What the chain of @top holds of the guest's writes. */
uint64_t world_knows(const struct fake_volume *top);
/* Whether all layers below @top and itself are there, and whole. */
bool world_is_whole(const struct fake_volume *top);
/* qemu has it open, as a layer or as the target of a job. */
bool world_has_open(const struct fake_world *world,
                    const struct fake_volume *volume);
/* ... or live XML or definition name it. */
bool world_is_named(const struct fake_world *world,
                    const struct fake_volume *volume);
/* qemu opens the chain of @top. */
void world_open_chain(struct fake_disk *disk, struct fake_volume *top);
void world_empty(struct fake_volume *volume);

/* Bytes of the LV; makes it so, in whole extents. ERR_NO_SPACE. */
int world_resize(struct fake_world *world, struct fake_volume *volume,
                 uint64_t bytes, struct err *err);
/* Only a qcow2 on an LV can run full. */
bool world_is_thin(const struct fake_volume *volume);
/* Nothing comes back from it. */
bool world_hangs(const struct fake_world *world,
                 const struct fake_volume *volume);
/* ... for so long that a look right before would have shown it. */
bool world_hung_before(const struct fake_world *world,
                       const struct fake_volume *volume);
/* It is used: then it is active. */
void world_uses(struct fake_world *world, const struct fake_volume *volume,
                const char *deed);
/* What was written has room, or gets it from the watch if that knows. */
bool world_has_room(struct fake_world *world, struct fake_volume *volume,
                    bool watched);

struct storage_port fake_storage(struct fake_world *world);
struct hypervisor_port fake_hypervisor(struct fake_world *world);
struct copier_port fake_copier(struct fake_world *world);
struct journal_port fake_journal(struct fake_world *world);
struct clock_port fake_clock(struct fake_world *world);
struct watch_port fake_watch(struct fake_world *world);
/* Lets the copier's copy go on for a millisecond. */
void fake_copier_pass(struct fake_world *world);
/* The domains are other hosts', too. Before it is run. */
void fake_share(struct fake_world *world);
/* A shared world changes only under the job's lease. */
void world_needs_lease(struct fake_world *world, const char *deed);

#endif
