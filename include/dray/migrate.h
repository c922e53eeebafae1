/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The use cases that take long: moving disks of a running VM, and the steps of
 * that one by one (replicate, snapshot, merge, clone, sync, copy, move). Each
 * runs as a job step by step, and is recovered. Knows the outside only through
 * ports.
 *
 * migration_step() is the engine: one bounded act on a worker. The job table
 * (migrate_jobs) lives on the owner loop, hands steps to workers, and answers
 * for jobs; scenario tests drive migration_step() themselves.
 */
#ifndef DRAY_MIGRATE_H
#define DRAY_MIGRATE_H

#include <dray/job.h>
#include <dray/ports/clock.h>
#include <dray/ports/copier.h>
#include <dray/ports/hold.h>
#include <dray/ports/hypervisor.h>
#include <dray/ports/journal.h>
#include <dray/ports/peer.h>
#include <dray/ports/storage.h>
#include <dray/ports/watch.h>
#include <dray/ports/xlease.h>
#include <dray/watermark.h>

struct work;

/* Jobs without a lease from whoever asked for them make one, */
enum migrate_leases {
    MIGRATE_LEASES_SHARED, /* where other hosts may be */
    MIGRATE_LEASES_ALWAYS,
    MIGRATE_LEASES_NEVER,
};

struct migrate_ports {
    struct storage_port storage;
    struct xlease_port xleases;
    struct hypervisor_port hypervisor;
    struct copier_port copier;
    struct journal_port journal;
    struct clock_port clock;
    struct watch_port watch; /* ops NULL: nobody watches */
    struct hold_port hold;   /* ops NULL: no jobs with leases */
    struct peer_port peer;   /* ops NULL: no other hosts */
    const char *host_name;   /* what they call us; for people */
    unsigned host_id;        /* this host's, in all lockspaces */
    enum migrate_leases leases;
    struct watermark_policy policy; /* chunk 0: the defaults. The extents are
                                       each domain's own */
    uint64_t buffer_bytes;     /* mirror's buf-size, unless it is to be fast */
    unsigned converge_limit_s; /* 0: wait for ever */
};

/* --- plan ------------------------------------------------------------- */

struct migrate_wish {
    char disk[JOB_PATH_SIZE]; /* target ("vda"), image UUID, or source path */
    /* Domain (name or UUID), or outside of all: an absolute path, or a URI in
     * the hypervisor's spelling. */
    char to[JOB_PATH_SIZE];
    bool convert; /* destination's base format is given: */
    bool base_cow;
};

struct migrate_request {
    char vm[256];           /* name or UUID */
    char job_id[UUID_SIZE]; /* empty: we make one */
    size_t n_wishes;
    struct migrate_wish wishes[JOB_DISKS_MAX];
    bool choose; /* the caller chooses the strategy: */
    enum job_strategy strategy;
    bool keep_source;
    bool verify;
    bool fast;
    uint64_t limit; /* bytes/s, 0: none */
};

enum {
    PLAN_OBSTACLES_MAX = 16
};

struct migrate_plan_disk {
    size_t chain_n;
    uint64_t bytes; /* to move: allocated, measured */
    uint64_t leaf_bytes;
    struct domain_stats src, dst; /* zeros: outside, and not known */
    uint64_t required;            /* space needed on the destination */
    uint64_t template_required;   /* VM.migrate: for its template, if it has to
                                     be made there */
    /* By a snapshot: the same, and what the source needs for the overlay. */
    uint64_t frozen_required, overlay_bytes;
    bool no_overlay;       /* over what is outside: there is no place for it */
    bool too_large;        /* ... and it cannot be above a part of a device */
    enum copy_mover mover; /* how frozen volumes would be copied */
};

struct migrate_plan {
    struct job job;     /* resolved; valid when no obstacle says so */
    size_t n_obstacles; /* 0: can be done */
    struct err obstacles[PLAN_OBSTACLES_MAX];
    struct migrate_plan_disk disks[JOB_DISKS_MAX];
    uint64_t bytes;     /* of all disks */
    int64_t expected_s; /* from the rate of late, or a guess of 200 MiB/s */
    char why[256];      /* this strategy */
};

/* Fails only when the request cannot be understood at all (unknown VM, disk,
 * domain: their codes); everything else that speaks against the move is an
 * obstacle. Touches nothing. Worker. */
int migrate_plan(const struct migrate_ports *ports,
                 const struct migrate_request *request, uint64_t rate_guess,
                 struct migrate_plan *ret_plan, struct err *err);

/* --- a VM's move to another host ---------------------------------------- */

struct migrate_send_request {
    char vm[256];           /* name or UUID */
    char job_id[UUID_SIZE]; /* empty: we make one */
    char peer[256];         /* the host */
    char to[JOB_PATH_SIZE]; /* a domain there, for all disks that no wish is
                               about; may be empty */
    size_t n_wishes;
    struct migrate_wish wishes[JOB_DISKS_MAX]; /* disk: target */
    bool keep_source;
    uint64_t limit; /* bytes/s, 0: none */
    int64_t wait_s; /* 0: for ever */
};

/* As migrate_plan(): the other host's obstacles are in it. */
int migrate_send_plan(const struct migrate_ports *ports,
                      const struct migrate_send_request *request,
                      struct migrate_plan *ret_plan, struct err *err);

/* The other side of it: what speaks against @offer here, and the job that
 * receives the VM. Fails when that cannot be found out. */
int migrate_receive_plan(const struct migrate_ports *ports,
                         const struct peer_offer *offer,
                         struct migrate_plan *ret_plan, struct err *err);

/* What the other host hears of a JOB_VM_RECEIVE. */
enum peer_stage migrate_receive_stage(const struct job *job);

/* --- the engine's verbs ------------------------------------------------ */

/* What an engine asks for when it moves disks itself, step by step. */
struct migrate_ask_disk {
    /* Whose verb has a VM: the drive and its active volume (JOB_SNAPSHOT: the
     * volume below the new one). Else: the image, without a volume. */
    struct volume_id at;
    struct volume_id to;  /* JOB_REPLICATE; else of it the domain only */
    char base[UUID_SIZE]; /* JOB_MERGE */
    char top[UUID_SIZE];  /* JOB_MERGE; JOB_SNAPSHOT: the new volume */
    /* SDM's jobs: where no volume is named. */
    char src_path[JOB_PATH_SIZE], dst_path[JOB_PATH_SIZE];
};

struct migrate_ask {
    enum job_kind kind;     /* anything but JOB_DISK_MIGRATE */
    char job_id[UUID_SIZE]; /* never empty */
    char vm[256];           /* name or UUID; empty: the kind has none */
    size_t n_disks;
    struct migrate_ask_disk disks[JOB_DISKS_MAX];
    enum job_scope scope; /* JOB_SYNC */
    bool quiesce;         /* JOB_SNAPSHOT */
    bool delete_top;      /* JOB_MERGE */
    bool verify;          /* JOB_COPY, JOB_MOVE, JOB_..._DATA */
    struct job_data data; /* SDM's jobs: as asked for */
    bool fast;            /* JOB_REPLICATE */
    uint64_t limit;       /* bytes/s, 0: none */
};

/* Checks it and makes a job of it, in JOB_PLANNED. Errors have VDSM's numbers
 * for the verb. Touches nothing but that JOB_REPLICATE prepares the destination
 * image. Worker. */
int migrate_ask(const struct migrate_ports *ports,
                const struct migrate_ask *ask, struct job *ret_job,
                struct err *err);
/* A job of this host out of that of a dead one, whose id it has; to be started.
 * ERR_NO_JOB; ERR_ACQUIRE_LOCK: its host lives; ERR_JOB_NOT_ACTIVE: it ended.
 * Touches nothing. Worker. */
int migrate_takeover(const struct migrate_ports *ports, const char *job_id,
                     struct job *ret_job, struct err *err);
/* Whether @job came from this request, whatever became of it since. */
bool migrate_ask_is(const struct migrate_ask *ask, const struct job *job);
/* VDSM's number for a verb that cannot do its work now. */
enum err_code migrate_ask_code(enum job_kind kind);

/* The running VM, and the disk of it that writes to @volume. ERR_NO_VM,
 * ERR_NO_DISK. Worker. */
int migrate_find_drive(const struct migrate_ports *ports, const char *vm,
                       const struct volume_id *volume, struct vm_info *ret_vm,
                       struct vm_disk *ret_drive, struct err *err);

/* What speaks against the pivot of a replica now: its mirror has not converged
 * (ERR_NOT_READY), a volume below the leaf lacks its data (ERR_VOLUME_ILLEGAL).
 * Worker. */
int migrate_check_finish(const struct migrate_ports *ports,
                         const struct job *job, struct err *err);

/* VMs that have volumes of an image. uuid empty: none. */
struct migrate_users {
    struct vm_info writer; /* runs, and writes to ... */
    char written[UUID_SIZE];
    struct vm_info mirror; /* runs, and mirrors a disk to ... */
    char mirrored[UUID_SIZE];
    struct vm_info owner; /* does not run, but is defined with one */
};

/* Worker. */
int migrate_find_users(const struct migrate_ports *ports, const char *sd,
                       const char *img, struct migrate_users *ret_users,
                       struct err *err);

/* --- one migration ---------------------------------------------------- */

struct migration; /* job record, open copy, rate meter */

int migration_new(const struct migrate_ports *ports, const struct job *job,
                  struct migration **ret_migration);
void migration_free(struct migration *migration);
const struct job *migration_job(const struct migration *migration);

/* What others may change while it runs; read at the start of each step. */
struct migration_orders {
    bool cancel;
    bool finish; /* JOB_REPLICATE */
    uint64_t limit;
    uint64_t visits; /* so many began */
    bool filled;     /* and nobody will come any more */
    unsigned made;   /* bits: disks whose template this job has made */
};

/* Journals the state if it is new, does its act (bounded: seconds), moves on.
 * Returns the milliseconds to wait before the next step (0: at once), or -1
 * when the job is terminal and journaled. */
int64_t migration_step(struct migration *migration,
                       const struct migration_orders *orders);

/* A template that a job makes is called so until all of its data is there: on
 * shared storage others see whose it is, and two that make the same one at the
 * same time know which of them does. */
void migrate_maker(const char *job_id, char ret[VOLUME_DESCRIPTION_SIZE]);
bool migrate_is_maker(const char *job_id, const struct volume_info *info);

/* --- the job table (owner loop) --------------------------------------- */

struct migrate_jobs;

/* Called on the owner loop whenever a job's state changed or it ended, and with
 * @state_changed false when its progress did. */
typedef void (*migrate_job_fn)(void *arg, const struct job *job,
                               bool state_changed);

int migrate_jobs_new(struct work *work, const struct migrate_ports *ports,
                     migrate_job_fn changed, void *arg,
                     struct migrate_jobs **ret_jobs, struct err *err);
/* After work_free(): until then workers may be in its steps. Running mirrors
 * go on. */
void migrate_jobs_free(struct migrate_jobs *jobs);

/* Takes over records of the journal and goes on with the unfinished ones (those
 * that may have a VM suspended first). May be called several times. */
int migrate_jobs_adopt(struct migrate_jobs *jobs, const struct job *records,
                       size_t n, struct err *err);

/* Starts @job (JOB_PLANNED), or finds the same one running or ended. Another
 * request under the same id: ERR_JOB_EXISTS; disk or image taken by another
 * job: ERR_DISK_BUSY. *ret_job is valid until the next call. */
int migrate_jobs_start(struct migrate_jobs *jobs, const struct job *job,
                       const struct job **ret_job, struct err *err);
/* ERR_NO_JOB */
int migrate_jobs_get(struct migrate_jobs *jobs, const char *id,
                     const struct job **ret_job, struct err *err);
size_t migrate_jobs_count(const struct migrate_jobs *jobs);
const struct job *migrate_jobs_at(const struct migrate_jobs *jobs, size_t i);
/* ERR_JOB_NOT_ACTIVE when ended, ERR_UNSUPPORTED once pivoted. Repeatable. A
 * cancel that meets a pivot under way may come too late: the job is done then,
 * with a warning. */
int migrate_jobs_cancel(struct migrate_jobs *jobs, const char *id,
                        struct err *err);
int migrate_jobs_limit(struct migrate_jobs *jobs, const char *id,
                       uint64_t bytes_per_s, struct err *err);
/* JOB_REPLICATE: pivot when it is ready. Repeatable. ERR_NOT_READY while a
 * JOB_SYNC fills the same image. */
int migrate_jobs_finish(struct migrate_jobs *jobs, const char *id,
                        struct err *err);
/* A job in JOB_PREPARING (else ERR_NOT_READY) has somebody else work on its
 * destination: until migrate_jobs_leave() it takes no further step, so nothing
 * is removed under his hands. *ret_life: a UUID of this table. */
int migrate_jobs_visit(struct migrate_jobs *jobs, const char *id,
                       const char **ret_life, struct err *err);
/* @made: the image of a template that the job has made (migrate_is_maker()),
 * and deletes when the VM does not come; NULL: none. */
void migrate_jobs_leave(struct migrate_jobs *jobs, const char *id,
                        const char *made);
/* All that the visits were for is there. Not kept: to be said again. */
void migrate_jobs_filled(struct migrate_jobs *jobs, const char *id);
/* Whether the journal has the job and all that was ordered so far (or the order
 * came too late for it), so that a crash does not forget it. True for ended and
 * unknown jobs. When it becomes true, changed() is called. */
bool migrate_jobs_recorded(const struct migrate_jobs *jobs, const char *id);
/* Forgets an ended job. ERR_JOB_NOT_DONE. */
int migrate_jobs_delete(struct migrate_jobs *jobs, const char *id,
                        struct err *err);
/* The unfinished job that works on this image, NULL if none. */
const struct job *migrate_jobs_of_image(const struct migrate_jobs *jobs,
                                        const char *img);
/* A hint from the hypervisor: look again now. @vm NULL: all. */
void migrate_jobs_hint(struct migrate_jobs *jobs, const char *vm);
/* Bytes per second of what was copied lately, 0 when nothing was. */
uint64_t migrate_jobs_rate(const struct migrate_jobs *jobs);

#endif
