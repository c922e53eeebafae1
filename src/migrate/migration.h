/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the acts of a migration share: the running migration, the helpers that
 * turn errors into outcomes, and the one look at the truth. Inside migrate/
 * only.
 */
#ifndef DRAY_MIGRATE_MIGRATION_H
#define DRAY_MIGRATE_MIGRATION_H

#include <dray/migrate.h>

#include "meter.h"

/* PORT(ports, storage, volume_info, &id, &info, err) */
#define PORT(ports, port, op, ...)                                             \
    ((ports)->port.ops->op((ports)->port.ctx, ##__VA_ARGS__))

enum {
    POLL_MS = 200,             /* while bytes move */
    POLL_STILL_MS = 2,         /* while the guest waits for us */
    AWAY_MS = 500,             /* libvirtd does not answer */
    HOLD_MAX_MS = 5000,        /* longest we keep a guest suspended */
    QUERY_PATIENCE_MS = 10000, /* how long a question may fail */
    UNDO_PATIENCE_MS = 60000,  /* how long what must be done may fail */
    TIDY_PATIENCE_MS = 8000,   /* how long tidying up may fail */
    STORAGE_LOOK_MS = 2000, /* from one look at the destination to the next */
    STORAGE_PATIENCE_MS = 5000, /* how long a domain in use may be away */
    ADOPT_PATIENCE_MS = 30000,  /* storage may come back after a restart */
    PROBE_PATIENCE_MS = 2000,   /* how long storage may take to answer */
    HANG_MS = 15000,      /* silent for so long, and nothing moves: it hangs */
    GROW_MS = 60000,      /* for an extension that nobody waits for */
    HELD_BYTES_PER_S = 1, /* a block job that may not run yet */
};

struct migration;

/* What one side of a disk is on. */
struct place {
    bool known;
    bool block; /* LVs; false outside of domains */
    uint64_t extent_bytes;
    bool active;  /* this life activated the chain there */
    bool touched; /* ... or tried to */
};

/* One disk of the job, and what this life of the daemon knows of it. */
struct disk {
    struct migration *m;
    struct job_disk *of; /* in m->job */

    /* The source's, base .. leaf, without the overlay; read when first needed.
     * Of a source outside of all domains: the one volume that it becomes. */
    struct storage_chain chain;
    size_t layer;      /* next one to copy or to compare */
    struct copy *copy; /* of chain.volumes[layer] */
    bool held_copy;    /* instead: in the process that holds the job's lease */
    bool copy_seen;    /* its progress was read */
    uint64_t copied;   /* bytes of it */
    bool fresh;        /* this life made the destination; nobody wrote to it */
    bool limit_applied;
    unsigned haste; /* how often its limit was doubled, see mirror_hurry() */
    uint64_t least_left; /* bytes of its job, since this state was entered */
    int64_t least_ms;    /* when that was; 0: not seen yet */
    int64_t looked_ms;   /* when we last saw that the destination is there */
    struct vm_mirror_info mirror; /* as last seen */
    bool there; /* on the destination, when the pivot last looked around */
    bool pivot_asked;
    struct err pivot_error; /* what the call said */
    bool committing;        /* this life started its commit */
    bool commits_there;     /* ... on the destination */
    bool commit_missed;     /* the last look did not find it */
    unsigned folds;         /* how often the pivot back failed */
    bool folded;            /* JOB_FOLDING saw that qemu has no overlay */
    bool folded_there;      /* ... on the destination */

    /* Of a VM's move: layers below the leaf on their way (send-layers.c). */
    struct peer_layer *sent; /* of chain.volumes[layer]; NULL: not begun */
    bool compared;           /* it is there, and was not copied now */
    uint64_t below;          /* bytes of all of them */

    struct place src, dst;
    bool watched;      /* the watch has seen to its block job */
    bool told;         /* ... or knows of it, at least */
    bool grown;        /* a job of it had no space once, and has more now */
    int64_t silent_ms; /* since when the destination does not answer; 0: it
                          does */
    uint64_t moved;    /* bytes, when it fell silent */
    bool severed;
};

struct migration {
    struct migrate_ports ports;
    struct job job;
    struct disk disks[JOB_DISKS_MAX];
    size_t at;          /* the disk that an act is about, one after another */
    bool durable;       /* the journal holds job as it stands */
    unsigned unsaid;    /* bits: states that the log does not know yet */
    bool record_failed; /* said so already */
    bool keeps;         /* leases between its changes: domain_keep() */
    bool adopted;       /* began in an earlier life of this daemon */
    bool resume_first;  /* ... which may have left the guest suspended */
    int64_t wait_ms;    /* set by an act that comes to JOB_AGAIN */
    int64_t entered_ms; /* when this state's act was first tried */
    int64_t trouble_ms; /* since when it fails; -1: it does not */
    bool troubled;      /* it did just now */
    int64_t looked_ms;  /* when we last saw that the VM is there */
    struct meter meter;
    struct vm_disk_io io;      /* of all disks, when we began to watch */
    bool lease_ended;          /* its record says how the job ended */
    bool came_back;            /* it was asked for since this life began */
    bool guarded;              /* its lease was ours, ... */
    enum job_state guarded_in; /* ... in this state */
    int64_t guarded_ms;        /* ... and then */
    int64_t ending_ms; /* since when the record cannot be set; 0: it can */

    /* Of a VM's move. */
    bool filling;       /* the other host waits for layers */
    bool filled;        /* it has all of them; here: all are here */
    uint64_t below;     /* bytes of them */
    uint64_t visits;    /* as ordered */
    int64_t visited_ms; /* when that was last more than before */

    bool watch_holds; /* the watch leaves the VM alone */
    bool still;       /* the guest cannot write: we may pivot */
    int64_t held_us;  /* since when it is still; -1: it is not */
};

/* A name that is declared cannot stand in parentheses:
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define for_each_disk(d, migration)                                            \
    for (struct disk *d = (migration)->disks;                                  \
         d < (migration)->disks + (migration)->job.n_disks; d++)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Puts the job as it stands into the journal (engine.c). */
bool migration_record(struct migration *m);

/* --- outcome.c: outcomes --- */

/* Keeps the first error as the job's. */
enum job_outcome migration_fail(struct migration *m, const struct err *err);
enum job_outcome migration_fail_text(struct migration *m, enum err_code code,
                                     const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* JOB_AGAIN after @wait_ms. */
enum job_outcome migration_again(struct migration *m, int64_t wait_ms);
/* Something failed that may go better next time: JOB_AGAIN with a growing wait,
 * JOB_FAIL (nothing recorded) once it fails for longer than @patience_ms.
 * While libvirtd is away nothing is decided: JOB_AGAIN for ever. */
enum job_outcome migration_trouble(struct migration *m, const struct err *err,
                                   int64_t patience_ms);
/* The same, and the error becomes the job's when patience is over. */
enum job_outcome migration_doubt(struct migration *m, const struct err *err,
                                 int64_t patience_ms);
bool migration_libvirt_is_away(const struct migration *m,
                               const struct err *err);
/* A storage call failed before the pivot: undo, unless we just started and the
 * storage may still be on its way. */
enum job_outcome migration_storage_failed(struct migration *m,
                                          const struct err *err);
/* A storage that went away fails whatever was being done there, in many words:
 * then @err becomes the one that names the domain. */
void migration_name_cause(const struct migration *m, struct err *err);
/* Adds to the job's warning. */
void migration_warn(struct migration *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t migration_now_ms(const struct migration *m);

/* --- outcome.c: names of things --- */

/* The image on that side. */
const char *disk_image(const struct disk *d, bool on_destination);
struct volume_id disk_source(const struct disk *d, const char *vol);
struct volume_id disk_target(const struct disk *d, const char *vol);
/* A move to, or from, a place outside of domains. */
bool disk_is_outside(const struct disk *d, bool on_destination);
/* The format of a layer, on either side, as qemu calls it. */
int disk_ask_format(const struct disk *d, bool on_destination, const char *vol,
                    const char **ret_format, struct err *err);
/* The layer that the VM writes to while the disk moves: overlay or leaf. */
const char *disk_top(const struct disk *d);
/* Path of a layer beside the leaf, on either side. */
void disk_source_path(const struct disk *d, const char *vol,
                      char ret_path[PATH_MAX]);
void disk_target_path(const struct disk *d, const char *vol,
                      char ret_path[PATH_MAX]);
/* The directory @path is in; @ret_dir may be @path. */
void migration_directory(const char *path, char ret_dir[PATH_MAX]);
/* The destination's format of layer @i of the loaded chain. */
enum volume_format disk_format(const struct disk *d, size_t i);
/* ... of the layer that is mirrored, as qemu calls it. */
const char *disk_top_format(const struct disk *d);
/* Reads the source's chain unless it is there already. */
int disk_load_chain(struct disk *d, struct err *err);
/* Milliseconds to the next poll: few at first, for what may be over at once. */
int64_t migration_poll_ms(const struct migration *m);

/* --- sight.c: the truth --- */

enum where {
    VM_GONE, /* shut off, or unknown to libvirt */
    ON_SOURCE,
    ON_DESTINATION,
    ON_ELSEWHERE, /* qemu writes to something else, or has no such disk */
};

struct sight {
    enum where where; /* what qemu has open for writing */
    enum vm_state state;
    bool xml_on_destination;
    /* The persistent definition's path; empty: none, or the VM runs and it was
     * not asked for. */
    char persistent[PATH_MAX];
};

/* What qemu says, not what was intended. */
int disk_look(const struct disk *d, struct sight *ret_sight, struct err *err);
/* The same and sight.persistent, for two more questions to libvirt. */
int disk_look_well(const struct disk *d, struct sight *ret_sight,
                   struct err *err);
bool disk_on_destination(const struct disk *d, const char *path);
/* Whether @path is layer @vol, on the side (source or destination) given. */
bool disk_is_layer(const struct disk *d, const char *path, const char *vol,
                   bool on_destination);
/* 1: the destination's top is LEGAL, 0: it is not. LEGAL is set from
 * JOB_PIVOTED on only. */
int disk_settled(const struct disk *d, struct err *err);
/* Whether the destination can still be reached by its path. Who has files of
 * it open would write on for hours after it was unmounted. */
enum job_outcome disk_see_destination(struct disk *d);
/* The VM still runs, and its disks are where they were; or, of an image that is
 * copied as a whole, no VM writes to it. Asks now and then. */
enum job_outcome migration_see_vm(struct migration *m);

/* --- place.c: LVs --- */

/* Finds out what both sides are on, once in a life. */
int disk_learn_places(struct disk *d, struct err *err);
/* A chain on LVs is active and its links are there, up to @vol; else nothing is
 * done. */
int disk_activate(struct disk *d, bool on_destination, const char *vol,
                  struct err *err);
/* Deactivates an image on LVs that no VM has. What cannot be done becomes a
 * warning. */
void disk_let_go(struct disk *d, bool on_destination);
/* One of the next acts changes the domain on that side, if there is one. */
void disk_changes_soon(const struct disk *d, bool on_destination);
/* A VM that has a layer of the disk, on the side given; empty if none. */
int disk_find_user(const struct disk *d, bool on_destination,
                   struct vm_info *ret_user, struct err *err);
/* No VM, whether it runs or not, names this place outside of domains.
 * ERR_VOLUME_BUSY. (users.c) */
int users_check_place(const struct migrate_ports *ports, const char *place,
                      struct err *err);

/* --- thin.c: how much room qcow2 has on LVs --- */

struct watermark_policy thin_policy(const struct migrate_ports *ports,
                                    uint64_t extent_bytes);
/* Bytes that this layer alone, as a qcow2 of its own, needs. */
int thin_measure(const struct migrate_ports *ports,
                 const struct volume_info *volume, uint64_t *ret_bytes,
                 struct err *err);
/* A raw LV: all of it. */
uint64_t thin_raw(const struct watermark_policy *policy,
                  uint64_t capacity_bytes);
/* The first size of the LV for a layer with so much data that is copied once;
 * @leaf: and then written on. */
uint64_t thin_copied(const struct watermark_policy *policy,
                     uint64_t capacity_bytes, uint64_t data_bytes, bool leaf);
/* ... that is mirrored to, or written on while the disk moves. */
uint64_t thin_mirrored(const struct watermark_policy *policy,
                       uint64_t capacity_bytes, uint64_t data_bytes);

/* The mirror of @d to @top may begin: it has room for what the guest has
 * written. */
int thin_grow_mirror(struct disk *d, const struct volume_info *top,
                     struct err *err);
/* The mirror to @top had no space: so much more than it has. 1: it has all it
 * could ever need. */
int thin_grow_full(struct disk *d, const struct volume_info *top,
                   struct err *err);
/* Layer @from can be copied to @to, whose size follows. *ret_compact: not byte
 * by byte. */
int thin_grow_copy(struct disk *d, const struct volume_info *from,
                   struct volume_info *to, bool *ret_compact, struct err *err);
/* Whether @from was copied to @to byte by byte; of two qcow2. */
int thin_is_compact(struct disk *d, const struct volume_info *from,
                    const struct volume_info *to, bool *ret_compact,
                    struct err *err);
/* The overlay can be committed into the leaf, on the side given. */
int thin_grow_base(struct disk *d, bool on_destination, bool active,
                   struct err *err);
/* The volume keeps what it needs; a leaf one chunk more. Only where it is safe;
 * else it stays as it is. */
void thin_shrink(struct disk *d, bool on_destination, const char *vol);

/* --- overlay.c: overlays outside of domains --- */

int overlay_make(const struct disk *d, bool on_destination, struct err *err);
/* Its data goes into the leaf below; for a VM that does not run. One that is
 * gone was done. On any side. */
int overlay_commit(const struct disk *d, bool on_destination, struct err *err);
int overlay_remove(const struct disk *d, bool on_destination, struct err *err);

/* --- hang.c: a destination that does not answer --- */

/* JOB_OK: it answers, or has not been silent for long while something moved.
 */
enum job_outcome hang_watch(struct disk *d);
/* Nothing waits for the destination any more: it answers, or was cut off.
 * JOB_AGAIN: neither; ending a block job now would stop the VM. */
enum job_outcome hang_free(struct disk *d);
/* All volumes of the destination answer, or were cut off. */
int hang_free_all(struct disk *d, struct err *err);

/* --- watch.c: the monitor of thin disks --- */

/* Whether the block job of @d is one that has to be watched, and hence begins
 * at a crawl. */
bool watch_is_needed(const struct disk *d);
/* The job was begun, or found: it may run when this is 0. @base: see
 * ports/watch.h. */
int watch_begin(struct disk *d, const char *base, struct err *err);
/* No disk has a block job any more. */
void watch_end(struct migration *m);
/* The watch does not resume the VM from here to there, whatever it stands for.
 */
int watch_hold(struct migration *m, struct err *err);
void watch_release(struct migration *m);

/* --- guest.c --- */

/* Resumes the VM if we suspended it; measures the pause. */
int guest_resume(struct migration *m, struct err *err);
/* The same, for a while; then it is said that the VM is paused (release.c). */
enum job_outcome guest_let_run(struct migration *m);
/* Suspends it; the intent is durable before. */
enum job_outcome guest_hold(struct migration *m);
bool guest_held_too_long(const struct migration *m);
/* latency.c: how long the guest's writes took, before and during the job */
void guest_watch_quiet(struct migration *m);
void guest_watch_begin(struct migration *m);
void guest_watch(struct migration *m);

/* --- mirror.c, sync.c, pivot.c --- */

/* JOB_OK while our mirror lives (d->mirror is valid), else what follows from
 * its absence. */
enum job_outcome mirror_watch(struct disk *d);
bool mirror_is_ours(const struct disk *d, const struct vm_mirror_info *info);
/* Not yet: what libvirt says of its progress (d->mirror) is nothing real. */
bool mirror_has_begun(const struct disk *d);
/* Applies a limit that changed. */
void mirror_apply_limit(struct disk *d);
/* The block job of @d (d->mirror) must end, whatever its limit. */
void mirror_hurry(struct disk *d);
/* From here on the guest would wait for it: no limit. */
void mirror_lift_limit(struct disk *d);
/* The share of @d in the job's limit. */
uint64_t mirror_share(const struct disk *d);
/* Tells the watch of it, once in a life; then it has its limit. */
enum job_outcome mirror_let_run(struct disk *d);
/* -EAGAIN: one in a process of its own could not be reached. */
int sync_close_copies(struct migration *m);
/* How far d->copy is; applies a limit that changed. @err: why it failed. */
struct copy_progress copy_look(struct disk *d, struct err *err);
/* Drops the checkpoints of copies that will not be gone on with. */
void sync_forget(struct disk *d);
/* Takes the mark of being finished from what JOB_SYNC copies (renew.c). */
enum job_outcome sync_renew(struct disk *d);
/* The volumes that JOB_SYNC copies, of a chain of @n. */
void scope_range(enum job_scope scope, size_t n, size_t *ret_first,
                 size_t *ret_end);
void migration_report(struct migration *m);
/* Asks for the pivot of @d's block job when nothing is left to be copied.
 * Always JOB_AGAIN, or a failure. */
enum job_outcome pivot_ask(struct disk *d, enum vm_job_kind kind);
/* Waits for the pivot that was asked for. JOB_OK: look at the truth. */
enum job_outcome pivot_wait(struct disk *d, enum vm_job_kind kind);
/* The move's last words on a disk that is on the destination (release.c). */
enum job_outcome disk_settle(struct disk *d);
/* A pivot that qemu did not survive may have changed the persistent definition
 * already: makes it name the copy that stays (undo.c). */
int disk_mend_definition(const struct disk *d, const struct sight *sight,
                         struct err *err);
/* Marks the disks that are on the destination there, before the guest goes on
 * with disks on either side (undo.c). */
int undo_leave_facts(struct migration *m, struct err *err);
/* Says in the storage's records which layers the chains have (folded.c). */
enum job_outcome fold_settle_records(struct migration *m);

/* --- the acts, one per state that has one --- */

enum job_outcome act_plan(struct migration *m);     /* prepare.c */
enum job_outcome act_prepare(struct migration *m);  /* prepare.c */
enum job_outcome act_freeze(struct migration *m);   /* freeze.c */
enum job_outcome act_sync(struct migration *m);     /* sync.c */
enum job_outcome act_verify(struct migration *m);   /* sync.c */
enum job_outcome act_start(struct migration *m);    /* mirror.c */
enum job_outcome act_converge(struct migration *m); /* mirror.c */
enum job_outcome act_pivot(struct migration *m);    /* pivot.c */
enum job_outcome act_return(struct migration *m);   /* return.c */
enum job_outcome act_settle(struct migration *m);   /* release.c */
enum job_outcome act_commit(struct migration *m);   /* fold.c */
enum job_outcome act_fold(struct migration *m);     /* fold.c */
enum job_outcome act_folded(struct migration *m);   /* folded.c */
enum job_outcome act_release(struct migration *m);  /* release.c */
enum job_outcome act_abort(struct migration *m);    /* undo.c */
enum job_outcome act_remove(struct migration *m);   /* remove.c */

#endif
