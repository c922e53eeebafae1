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

enum job_kind {
    JOB_DISK_MIGRATE
};

/* Disk.migrate, strategy mirror. Authoritative copy: the source up to and
 * including JOB_PIVOTING unless qemu itself has the destination open; the
 * destination from JOB_PIVOTED on. */
enum job_state {
    JOB_PLANNED,    /* checked; nothing touched */
    JOB_PREPARING,  /* makes the image's structure on the destination */
    JOB_STARTING,   /* starts the mirror of the leaf */
    JOB_SYNCING,    /* copies the internal volumes while the mirror runs */
    JOB_CONVERGING, /* waits until the mirror is ready */
    JOB_PIVOTING,   /* suspends the VM, pivots, reads back qemu's graph */
    JOB_PIVOTED,    /* resumes the VM, settles definitions and metadata */
    JOB_RELEASING,  /* deletes the source, or keeps it */
    JOB_ABORTING,   /* resumes the VM if we suspended it, ends the mirror */
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

struct job_disk_move {
    char vm[UUID_SIZE];
    char vm_name[256];
    char target[32]; /* "vda" */
    char src_sd[UUID_SIZE];
    char dst_sd[UUID_SIZE];
    char img[UUID_SIZE];
    char leaf[UUID_SIZE];
    bool convert;  /* base_cow says the destination's base format */
    bool base_cow; /* true: COW, false: RAW */
    bool keep_source;
    char src_path[4096]; /* leaf as the VM had it */
    char dst_path[4096]; /* leaf on the destination; set in JOB_PREPARING */
};

struct job_progress {
    uint64_t done;    /* bytes */
    uint64_t total;   /* bytes; 0: not known yet */
    uint64_t rate;    /* bytes/s, smoothed */
    int64_t eta_s;    /* -1: not known */
    int64_t pause_us; /* the guest's pause at the pivot; -1: none yet */
};

struct job {
    char id[UUID_SIZE];
    enum job_kind kind;
    enum job_state state;
    struct job_disk_move move;
    uint64_t limit; /* bytes/s, 0: none */
    bool cancel_requested;
    bool suspended; /* we are about to suspend, or have suspended */
    struct job_progress progress;
    enum job_state failed_in; /* phase of the error; valid with error.rc */
    struct err error;         /* why it fails or failed; rc 0: no error */
    char warning[512];        /* done, but look at this; may be empty */
    int64_t created_ms;       /* wall clock */
    int64_t modified_ms;
    int64_t ended_ms; /* 0: not yet */
};

/* A new record in JOB_PLANNED. */
void job_init(struct job *ret_job, const char *id,
              const struct job_disk_move *move, uint64_t limit,
              int64_t wall_ms);

/* The table: what follows when @state's act came to @outcome. JOB_FAIL and
 * JOB_CANCEL give the undo path where the state has one; from JOB_PIVOTED on
 * both mean "again" (the destination is the only right copy: forward only).
 * JOB_REMOVING with JOB_OK gives JOB_FAILED: see job_end_of_undo(). */
enum job_state job_next(enum job_state state, enum job_outcome outcome);

/* The state in which a job that JOB_REMOVING finished undoing ends: cancelled
 * when nothing but the request to cancel ended it. */
enum job_state job_end_of_undo(const struct job *job);

bool job_is_terminal(enum job_state state);
/* A cancel in this state leaves the VM on the source (true while it is being
 * undone already: a repeated cancel is no error). */
bool job_can_cancel(enum job_state state);
/* Same intent: a repeated request with this record is the same job. Compares
 * what was asked (VM, image, destination, format, fate of the source), not what
 * it was resolved to: after the move the source's path is another one. */
bool job_same_request(const struct job *a, const struct job *b);

const char *job_state_name(enum job_state state); /* "preparing", ... */
/* 0 or -EINVAL. */
int job_state_parse(const char *name, enum job_state *ret_state);
const char *job_kind_name(enum job_kind kind); /* "disk_migrate" */
/* VDSM's word for Host.getJobs: pending, running, aborting, aborted, done,
 * failed. */
const char *job_vdsm_status(const struct job *job);

#endif
