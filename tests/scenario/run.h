/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs one job in the fake world to its end, through as many lives of the
 * daemon as it takes, and judges what is left by one set of rules.
 */
#ifndef DRAY_TESTS_RUN_H
#define DRAY_TESTS_RUN_H

#include <fake-world.h>

#define OVERLAY "88888888-8888-4888-8888-88888888888"

struct run {
    struct fake_world world;
    struct job wish;             /* what is asked for */
    struct migration *migration; /* NULL: the daemon is dead */
    struct migration_orders orders;
    unsigned steps;
    unsigned lives;
    int64_t absence_ms; /* how long the daemon is dead after a kill */
    bool ended;
    struct job job; /* at the end */

    /* Called before each step, with the state whose act comes. */
    void (*before_step)(struct run *run, enum job_state state);
    /* Called while the daemon is dead. */
    void (*while_dead)(struct run *run);
    unsigned at_step; /* for before_step() */
    enum job_state at_state;
    bool happened;

    /* What a kind of job leaves; NULL: a move's rules. */
    void (*judge)(const struct run *run, const char *where);
    /* What the end may look like. */
    bool may_leave_source; /* with a warning, after an event that excuses it */
    bool may_leave_destination;
    bool may_leave_overlay;
    bool may_leave_active; /* LVs that nobody uses */
    bool may_be_large;     /* LVs, for what they hold */
    bool may_be_mixed;     /* of two disks one on either side */
    bool stale_xml;
};

/* A move of the one disk by a mirror. */
void run_init(struct run *run, size_t layers);
/* ... by a snapshot. */
void run_by_snapshot(struct run *run);
/* ... of two disks (by snapshot). */
void run_two_disks(struct run *run);
/* To the end of the job. Fails the test when it does not end. */
void run_to_end(struct run *run);
/* One life more: the daemon starts, reads its journal. */
void run_start(struct run *run, const struct job *job);
/* Starts, and runs until @state is recorded, its act not begun. */
void run_until(struct run *run, enum job_state state);
/* The rules (A1 to A5) and the promises, on what is left. */
void run_judge(const struct run *run, const char *where);
void run_deinit(struct run *run);

/* run_to_end, run_judge, and the state it must have ended in
 * (JOB_STATE_COUNT: any). */
void run_all(struct run *run, enum job_state expected, const char *where);
/* The same with JOB_FAILED, in this state, for this reason. */
void run_to_failure(struct run *run, enum job_state in, const char *text);
/* The state of the run is @state, for the first time. */
bool run_is_now(struct run *run, enum job_state state);

/* --- for judges --- */

#define CHECK(run, where, condition)                                           \
    do {                                                                       \
        if (!(condition))                                                      \
            run_complain(run, where, #condition);                              \
    } while (0)

void run_complain(const struct run *run, const char *where, const char *what);
/* The volume @vol of a disk on @side; NULL: there is none. */
const struct fake_volume *run_volume(const struct run *run, enum side side,
                                     size_t disk, const char *vol);
/* The chain of @n layers of the disk on @side, and its overlay if @overlay, is
 * whole and has the right records; its top is in *ret_top. */
void run_judge_chain(const struct run *run, const char *where, enum side side,
                     size_t disk, bool overlay);
/* The guest's disk is the chain of that top, everywhere. */
void run_judge_disk(const struct run *run, const char *where, size_t disk,
                    const struct fake_volume *top);

#endif
