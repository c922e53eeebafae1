/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch as a state machine: what was seen and done goes in, acts come out.
 * It calls nobody and has no thread, and the time is an argument; monitor.c
 * gives it both.
 *
 *   alarm, poll -> look at the VM -> judge its layers -> grow -> look again
 *
 * A look is the only thing that decides: alarms are hints. What a look finds is
 * judged by watermark/. All acts may be done at once; each kind's result comes
 * back by the function beside it.
 */
#ifndef DRAY_MONITOR_CORE_H
#define DRAY_MONITOR_CORE_H

#include <dray/base/list.h>
#include <dray/monitor.h>

enum {
    TALLY_MAX = 1000
};

enum act_kind {
    ACT_LIST,   /* core_listed() */
    ACT_LOOK,   /* core_seen() */
    ACT_LOCATE, /* core_located() */
    ACT_GROW,   /* core_grown() */
    ACT_ARM,    /* core_armed() */
    ACT_RESUME, /* core_resumed(); if it is still paused for want of space */
    ACT_EVENT,
    ACT_ANSWER, /* of core_begin() */
};

struct act {
    struct list link;
    enum act_kind kind;
    char vm[UUID_SIZE];
    uint64_t layer; /* GROW, ARM: its number */
    char node[DISK_TARGET_SIZE];
    char *path; /* LOCATE */
    struct volume_id volume;
    uint64_t bytes;       /* GROW, ARM */
    uint64_t least_bytes; /* GROW: when there is no space for @bytes; 0: none */
    struct monitor_event event;
    void *tag; /* ANSWER */
    struct err err;
};

/* --- what is known --- */

/* Whose a path is. Asked once, and again unless it was ours. */
enum place_state {
    PLACE_ASKED,
    PLACE_OURS,
    PLACE_FOREIGN,
    PLACE_UNKNOWN, /* that could not be told */
};

struct place {
    struct list link;
    char *path;
    enum place_state state;
    bool asking;
    struct volume_id volume;
    bool block;
    uint64_t extent_bytes;
    int64_t asked_ms, used_ms;
};

/* A block domain: how long extensions take there, how many are under way. */
struct lane {
    struct list link;
    char sd[UUID_SIZE];
    struct watermark_times times;
    unsigned running;
    bool sick; /* one timed out, and none succeeded since */
};

enum layer_state {
    LAYER_IDLE,
    LAYER_WAITING, /* for its turn to grow */
    LAYER_GROWING,
};

/* What something writes to: leaf, mirror's destination, base of a commit. */
struct layer {
    struct list link;
    uint64_t id;
    char *path;
    char target[DISK_TARGET_SIZE];
    char node[DISK_TARGET_SIZE];
    bool replica;
    bool leaf;
    bool cow;
    bool seen; /* in this look */

    bool asked;   /* whose it is */
    bool unknown; /* whose it is could not be told */
    bool watched;
    enum watermark_target role;
    size_t rank; /* 0: grows before the others of its disk */
    bool replicating;
    struct volume_id volume;
    uint64_t extent_bytes;

    struct watermark_layer is;
    uint64_t overshoot_bytes; /* qemu counts a write that failed */
    uint64_t floor_bytes;     /* taken for written, though nobody saw it */
    struct watermark_rate rate;
    bool rose;
    enum watermark_verdict verdict;
    uint64_t wanted_bytes;
    unsigned implausible; /* looks, one after the other */

    uint64_t threshold_bytes; /* as qemu has it */
    uint64_t right_bytes;     /* as it should be */
    uint64_t set_bytes;       /* as we set it, at set_ms */
    int64_t set_ms;
    bool setting;

    enum layer_state state;
    bool alarmed, needed, by_alarm;
    int64_t alarm_ms, need_ms, tried_ms;
    uint64_t grown_bytes; /* what its storage says that it has */
    struct watermark_backoff backoff;
    char problem[256];
    int64_t told_ms;
    bool told;
};

/* A block job that somebody announced. */
struct watch_job {
    struct list link;
    char target[DISK_TARGET_SIZE];
    char *base; /* NULL: a copy */
    bool replica_seen;
};

struct hold {
    struct list link;
    char who[UUID_SIZE];
};

/* Somebody waits for room and thresholds. */
struct begin {
    struct list link;
    char target[DISK_TARGET_SIZE];
    struct act *answer;
    int64_t since_ms;
    bool looked; /* a look began after it was asked for */
    bool hold;   /* of core_hold() */
};

struct watched_vm {
    struct list link;
    char uuid[UUID_SIZE];
    struct list layers, jobs, begins;
    struct list holds; /* it is not to be resumed */
    bool active;       /* in the last list */
    bool seen;         /* its layers are all that it had at the last look */
    bool dirty;        /* to be looked at */
    bool urgent;       /* before others */
    bool calm;         /* ... but not yet: since calm_ms */
    int64_t calm_ms;
    bool looking;
    int64_t look_ms; /* when it began */
    unsigned skipped;

    bool space_alarmed;
    int64_t space_alarm_ms;
    bool paused;   /* for want of space, in a layer of ours */
    bool relieved; /* it has got space since */
    bool resuming;
    bool resumed; /* during the look that is under way */
    char paused_target[DISK_TARGET_SIZE];
    int64_t paused_ms;
};

struct core {
    struct watermark_policy policy;
    int poll_ms;
    struct list vms, places, lanes, acts;
    uint64_t last_layer;
    bool listing;
    bool list_again;
    int64_t list_ms; /* when the next is due */

    uint64_t extensions, failures, pauses, alarms, polled;
    int64_t took_ms[TALLY_MAX]; /* a ring */
    size_t n_took;
};

/* --- core.c --- */

void core_init(struct core *core, const struct monitor_options *options,
               int64_t now_ms);
void core_deinit(struct core *core);

/* The next thing to do; the caller frees it with act_free(). NULL: none. */
struct act *core_next_act(struct core *core);
void act_free(struct act *act);
/* When core_tick() is due. */
int64_t core_next_ms(const struct core *core, int64_t now_ms);
void core_tick(struct core *core, int64_t now_ms);

void core_alarm(struct core *core, const struct vm_alarm *alarm,
                int64_t now_ms);
/* Not @ok: libvirtd is away. What is known stays: it may still hold. */
void core_listed(struct core *core, bool ok, const struct vm_info *vms,
                 size_t n, int64_t now_ms);

/* --- place.c --- */

/* @found: its state, and when it is ours volume, block, extent_bytes. */
void core_located(struct core *core, const char *path,
                  const struct place *found, int64_t now_ms);

/* --- sight.c --- */

/* What one look found. */
struct sight {
    int rc; /* negative: nothing; err says why */
    struct err err;
    struct vm_layer *layers;
    size_t n;
    bool paused;
    char paused_target[DISK_TARGET_SIZE];
};

void core_seen(struct core *core, const char *uuid, const struct sight *sight,
               int64_t now_ms);
/* --- grow.c --- */

struct growth {
    uint64_t layer;
    char vm[UUID_SIZE];
    char sd[UUID_SIZE];
    int rc;
    uint64_t bytes; /* its size now */
    bool least;     /* no more than least_bytes; err says why */
    struct err err;
};

void core_grown(struct core *core, const struct growth *growth, int64_t now_ms);

/* --- pause.c --- */

/* @did: it was resumed; else it was not paused any more, or failed. */
void core_resumed(struct core *core, const char *uuid, bool did,
                  const struct err *err, int64_t now_ms);

/* --- arm.c --- */

void core_armed(struct core *core, const char *uuid, uint64_t id,
                const struct err *err, int64_t now_ms);

/* --- jobs.c --- */

/* Answered by ACT_ANSWER with @tag, or -ENOMEM. */
int core_begin(struct core *core, const char *uuid, const char *target,
               const char *base, void *tag, int64_t now_ms);
void core_end(struct core *core, const char *uuid, const char *target,
              int64_t now_ms);
/* The VM is resumed no more until @who lets it go; answered, as core_begin(),
 * when nothing is under way. */
int core_hold(struct core *core, const char *uuid, const char *who, void *tag);
void core_release(struct core *core, const char *uuid, const char *who,
                  int64_t now_ms);

/* --- tally.c --- */

void core_took(struct core *core, int64_t ms);
void core_stats(const struct core *core, struct monitor_stats *ret_stats);
int core_marks(const struct core *core, const char *vm,
               struct monitor_mark **ret_marks, size_t *ret_n, struct err *err);

/* --- between them --- */

struct act *act_new(struct core *core, enum act_kind kind, const char *vm);
struct watched_vm *vm_find(const struct core *core, const char *uuid);
/* NULL only when out of memory. */
struct watched_vm *vm_get(struct core *core, const char *uuid);
void vm_look(struct watched_vm *vm, bool urgent);

/* --- calm.c --- */

/* Something happened that may be of no interest. */
void vm_hint(struct watched_vm *vm, bool urgent, int64_t now_ms);
bool vm_is_calm(const struct watched_vm *vm, int64_t now_ms);
bool vm_is_quiet(const struct watched_vm *vm);
void vm_forget(struct watched_vm *vm);
struct layer *layer_find(const struct watched_vm *vm, uint64_t id);
void layer_free(struct layer *layer);
/* What the guest writes to on this disk. NULL: not watched. */
struct layer *layer_source(const struct watched_vm *vm, const char *target);
struct watch_job *job_of(const struct watched_vm *vm, const char *target);
void job_free(struct watch_job *job);
struct lane *lane_of(struct core *core, const char *sd);
struct place *place_of(struct core *core, const char *path, int64_t now_ms);
void place_free(struct place *place);
void place_forget(struct core *core, const char *path);
/* Starts what may start. */
void core_pump(struct core *core, int64_t now_ms);

/* judge.c: numbers of one layer. */
struct watermark_policy layer_policy(const struct core *core,
                                     const struct layer *layer);
struct watermark_pace layer_pace(struct core *core, const struct layer *layer);
void layer_sample(struct core *core, struct layer *layer,
                  const struct vm_layer *seen, int64_t now_ms);
/* A guest stands still since it has no space. */
void layer_stopped(const struct core *core, struct layer *layer);
uint64_t layer_left(const struct layer *layer);
void layer_judge(struct core *core, struct layer *layer, bool paused);
/* A mirror's destination becomes as large as the source will be. */
void layer_keep_up(const struct core *core, struct layer *layer,
                   const struct layer *source);

/* grow.c */
void layer_need(struct core *core, struct watched_vm *vm, struct layer *layer,
                bool paused, int64_t now_ms);
void layers_grow(struct core *core, struct watched_vm *vm, int64_t now_ms);
/* An event, unless there was one a short while ago. */
void layer_tell_problem(struct core *core, struct watched_vm *vm,
                        struct layer *layer, const char *text, int64_t now_ms);
struct monitor_event *layer_event(struct core *core,
                                  enum monitor_event_kind kind,
                                  const struct watched_vm *vm,
                                  const struct layer *layer);

/* pause.c */
/* The layer that has no space for a guest that stands still; NULL: none. */
struct layer *vm_paused_layer(struct core *core, struct watched_vm *vm,
                              const struct sight *sight, int64_t now_ms);
void vm_resume_if_relieved(struct core *core, struct watched_vm *vm);

/* arm.c */
void layers_arm(struct core *core, struct watched_vm *vm, int64_t now_ms);
bool layer_is_armed(struct core *core, const struct layer *layer,
                    int64_t now_ms);

/* jobs.c */
/* Asks for looks where one did not tell, gives up in the end. */
void begins_tick(struct core *core, struct watched_vm *vm, int64_t now_ms);
void begins_check(struct core *core, struct watched_vm *vm, int64_t now_ms);
/* @target NULL: of all disks. */
void begins_fail(struct core *core, struct watched_vm *vm, const char *target,
                 const struct err *err);
void holds_answer(struct core *core, struct watched_vm *vm);

#endif
