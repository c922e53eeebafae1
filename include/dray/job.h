/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job: what was asked, where it stands, and the table that says what may
 * follow. Pure: no I/O, no clock.
 *
 * The state names the act that is under way: it is durable in the journal
 * before the act begins, and every act may be repeated.
 */
#ifndef DRAY_JOB_H
#define DRAY_JOB_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOB_DISKS_MAX = 8,    /* of one job */
    JOB_PATH_SIZE = 1024, /* of a file or URI in a job */
};

enum job_kind {
    JOB_DISK_MIGRATE, /* Disk.migrate: the whole move of running disks */
    JOB_REPLICATE,    /* VM.diskReplicateStart .. Finish */
    JOB_SNAPSHOT,     /* VM.snapshot */
    JOB_MERGE,        /* VM.merge: a layer into the one below */
    JOB_CLONE,        /* Image.cloneStructure */
    JOB_SYNC,         /* Image.syncData */
    JOB_COPY,         /* Image.copy */
    JOB_MOVE,         /* Image.move */
    JOB_COPY_DATA,    /* SDM.copy_data: from anywhere to anywhere */
    JOB_MOVE_DATA,    /* SDM.move_data: the source is removed afterwards */
    JOB_UPDATE,       /* SDM.update_volume */
    JOB_VM_MIGRATE,   /* VM.migrate: a VM and its disks go to another host */
    JOB_VM_RECEIVE,   /* the other half of that, on the other host */
    JOB_KIND_COUNT,
};

/* Which copy is right. Moves: the source's up to and including JOB_PIVOTING and
 * JOB_RETURNING, unless qemu itself has the destination open; the destination's
 * from JOB_PIVOTED on. Folds (an overlay goes into the layer below): the
 * overlay's chain up to and including JOB_FOLDING, unless qemu itself has the
 * lower layer open; from JOB_FOLDED on the chain without the overlay.
 *
 * A VM that goes to another host is prepared there, sent (STARTING,
 * CONVERGING), and arrives standing still; PIVOTED says that it has stopped on
 * the source for good, and may run there. On the host that it comes to
 * CONVERGING is the waiting for it, and PIVOTED lets it run. */
enum job_state {
    JOB_PLANNED,    /* checked; nothing touched */
    JOB_PREPARING,  /* makes the structure: on the destination, the overlays */
    JOB_FREEZING,   /* the VM goes on writing to the overlays */
    JOB_SYNCING,    /* copies the frozen volumes */
    JOB_VERIFYING,  /* compares them with their copies */
    JOB_SETTLING,   /* one write says that a volume's data is there */
    JOB_STARTING,   /* starts the mirrors of what the VM writes to */
    JOB_CONVERGING, /* waits until the mirrors are ready */
    JOB_PIVOTING,   /* suspends the VM, pivots, reads back qemu's graph */
    JOB_RETURNING,  /* one disk of several failed: brings the others back */
    JOB_PIVOTED,    /* resumes the VM, settles definitions and metadata */
    JOB_COMMITTING, /* commits the overlays into the layers below */
    JOB_FOLDING,    /* suspends the VM, pivots to the layers below */
    JOB_FOLDED,     /* resumes the VM, settles, deletes the overlays */
    JOB_RELEASING,  /* deletes the source, or keeps it */
    JOB_ABORTING,   /* resumes the VM if we suspended it, ends block jobs */
    JOB_REMOVING,   /* deletes the destination */
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_STATE_COUNT,
};

/* What an act came to. */
enum job_outcome {
    JOB_OK,     /* on to the next state */
    JOB_AGAIN,  /* the same act again after a while */
    JOB_FAIL,   /* undo, if this state still can */
    JOB_CANCEL, /* like JOB_FAIL, because somebody asked */
    JOB_LANDED, /* qemu has the destination open already: forward from there */
    JOB_OUTCOME_COUNT,
};

enum job_strategy {
    JOB_MIRROR,     /* the leaf is mirrored */
    JOB_BY_SNAPSHOT /* the leaf is frozen and copied, its overlay mirrored */
};

enum job_scope { /* of JOB_SYNC: VDSM's ALL, INTERNAL, LEAF */
    JOB_ALL,
    JOB_INTERNAL,
    JOB_LEAF
};

/* One disk: an image that goes from one place to another. A place is a domain
 * (its UUID), or outside of all domains: then the UUID is empty and the path
 * says all. */
struct job_disk {
    char target[32]; /* "vda"; empty: no VM */
    char src_sd[UUID_SIZE];
    char dst_sd[UUID_SIZE];
    char img[UUID_SIZE]; /* where it is in a domain, on both sides */
    char leaf[UUID_SIZE];
    char overlay[UUID_SIZE]; /* layer above the leaf; empty: none */
    /* Of SDM's jobs: the volume there, which is called as it is. Else empty: it
     * is called as the source's. */
    char dst_img[UUID_SIZE];
    char dst_vol[UUID_SIZE];
    /* Of a VM's move: the layer right below the leaf; empty: none. And the
     * template at the bottom of the chain, its image and its volume. */
    char parent[UUID_SIZE];
    char template_img[UUID_SIZE];
    char template_vol[UUID_SIZE];
    bool template_absent; /* JOB_VM_RECEIVE: when it was planned */
    bool template_made; /* ... and this job has made it: it is its to delete */
    bool convert;       /* base_cow says the destination's base format */
    bool base_cow;      /* true: COW, false: RAW */
    bool dst_made;      /* a file outside that is ours to delete */
    bool fold_begun;    /* the pivot to the leaf may have been asked for */
    bool overlay_stays; /* it could not be folded; the warning says so */
    /* The side outside, when it has an overlay: */
    bool src_cow;               /* the source's format */
    char beside[JOB_PATH_SIZE]; /* the overlay's file */
    bool in_doubt;     /* left on both sides, and nobody could find out which
                          of them the VM uses */
    uint64_t capacity; /* bytes */
    uint64_t done;     /* of a VM's move, bytes; not in the journal */
    uint64_t total;    /* 0: not known */
    char src_path[JOB_PATH_SIZE]; /* the leaf, as the VM had it */
    char dst_path[JOB_PATH_SIZE]; /* the leaf there; set in JOB_PREPARING */
};

/* What SDM's jobs know of one end. */
struct job_end {
    bool cow;            /* outside: its format */
    bool prepared;       /* it is active, and stays so: the caller saw to it */
    bool checked;        /* the caller named the generation */
    unsigned generation; /* of the volume, when the job was asked for */
    char lease_sd[UUID_SIZE], lease[UUID_SIZE]; /* held meanwhile; empty: none
                                                 */
};

/* What SDM's jobs know besides the disk. */
struct job_data {
    struct job_end src, dst;
    bool make;    /* outside: the destination is made, not found */
    bool is_zero; /* the destination reads zeros all over */
    bool bitmaps; /* qcow2's are copied too */
    /* JOB_UPDATE: what becomes of the volume at the source. */
    int legality;   /* enum volume_legality; -1: it stays */
    int generation; /* -1: the next one */
    bool share;     /* it becomes a template's */
    bool describe;
    char description[211]; /* as much as a record takes */
    /* The destination's lease, if it has one, else the source's: */
    bool record;               /* has the job's record in its LVB */
    unsigned lease_generation; /* of that, when the job was asked for */
    bool owned;                /* was ours: there may be something to undo */
    bool taken_over;           /* the job was a dead host's */
    bool fenced;               /* ... and its record says so already */
    enum job_state left_in;    /* ... and was doing that, or had begun to */
    bool lost;        /* ... as this one is: another host may have gone on */
    bool lease_made;  /* by the job itself: removed when it is forgotten */
    unsigned host_id; /* ... on this host; 0: there is no such lease */
};

struct job_progress {
    uint64_t done;    /* bytes */
    uint64_t total;   /* bytes; 0: not known yet */
    uint64_t rate;    /* bytes/s, smoothed */
    int64_t eta_s;    /* -1: not known */
    int64_t pause_us; /* the guest's pause at the pivot; -1: none yet */
    /* What a write of the guest took on average, as qemu counts, before and
     * during the job; -1: it wrote nothing, or there is no VM. */
    int64_t quiet_write_us;
    int64_t write_us;
    /* Of a VM's move, and part of done and total; not in the journal. */
    uint64_t memory_done;
    uint64_t memory_total; /* 0: not begun */
};

struct job {
    char id[UUID_SIZE];
    enum job_kind kind;
    enum job_state state;
    enum job_strategy strategy;
    char vm[UUID_SIZE]; /* empty: none */
    char vm_name[256];
    char peer[256]; /* the other host of a VM's move; else empty */
    int64_t wait_s; /* JOB_VM_MIGRATE: sending may take so long; 0: for ever */
    size_t n_disks;
    struct job_disk disks[JOB_DISKS_MAX];
    bool keep_source;
    bool verify;     /* compare before the pivot, or before a deletion */
    bool fast;       /* the guest's latency counts less than our speed */
    bool quiesce;    /* JOB_SNAPSHOT: with the guest's file systems frozen */
    bool delete_top; /* JOB_MERGE */
    enum job_scope scope;
    struct job_data data;
    uint64_t limit; /* bytes/s, 0: none */
    bool cancel_requested;
    bool finish_requested; /* JOB_REPLICATE: may pivot */
    bool undo;             /* on the way back */
    bool suspended;        /* we are about to suspend, or have suspended */
    struct job_progress progress;
    enum job_state failed_in; /* phase of the error; valid with error.rc */
    struct err error;         /* why it fails or failed; rc 0: no error */
    char warning[512];        /* done, but look at this; may be empty */
    int64_t created_ms;       /* wall clock */
    int64_t modified_ms;
    int64_t ended_ms; /* 0: not yet */
};

/* A new record in JOB_PLANNED, without disks. */
void job_init(struct job *ret_job, const char *id, enum job_kind kind,
              int64_t wall_ms);

/* The table: what follows when the act of @job's state came to @outcome. States
 * that this job has no use for are passed over. JOB_FAIL and JOB_CANCEL give
 * the undo path where the state has one; from JOB_PIVOTED on both mean "again"
 * (the destination is the only right copy: forward only), and for JOB_FOLDING
 * that it is committed once more. */
enum job_state job_next(const struct job *job, enum job_outcome outcome);

bool job_is_terminal(enum job_state state);
/* Whether the state is on the way back only. */
bool job_is_undo(enum job_state state);
/* A cancel now leaves the VM on the source (true while it is being undone
 * already: a repeated cancel is no error). */
bool job_can_cancel(const struct job *job);
/* Same intent: a repeated request with this record is the same job. Compares
 * what was asked (VM, images, destinations, format, fate of the source), not
 * what it was resolved to: after the move the source's path is another one. */
bool job_same_request(const struct job *a, const struct job *b);
/* It ended, and a disk of it may be the VM's on either side: until somebody
 * deletes the job, neither is deleted. */
bool job_is_in_doubt(const struct job *job);
/* The disk of @job that is @img on either side, NULL if none. */
const struct job_disk *job_disk_of_image(const struct job *job,
                                         const char *img);

/* A job of SDM's verbs, which has one disk and no VM. */
static inline bool job_is_data(const struct job *job)
{
    return job->kind == JOB_COPY_DATA || job->kind == JOB_MOVE_DATA ||
           job->kind == JOB_UPDATE;
}

/* The destination or the source is one file, whatever chain the other has. */
static inline bool job_disk_is_flat(const struct job_disk *disk)
{
    return !disk->src_sd[0] || !disk->dst_sd[0];
}

const char *job_state_name(enum job_state state); /* "preparing", ... */
/* 0 or -EINVAL. */
int job_state_parse(const char *name, enum job_state *ret_state);
const char *job_kind_name(enum job_kind kind); /* "disk_migrate", ... */
int job_kind_parse(const char *name, enum job_kind *ret_kind);
const char *job_strategy_name(enum job_strategy strategy);
const char *job_scope_name(enum job_scope scope); /* ALL, INTERNAL, LEAF */
/* VDSM's word for Host.getJobs: pending, running, aborting, aborted, done,
 * failed. */
const char *job_vdsm_status(const struct job *job);

#endif
