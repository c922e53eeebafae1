/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Walks: one run per call of a port, or per step, with something happening just
 * there. What a run is, its setup says.
 */
#ifndef DRAY_TESTS_WALK_H
#define DRAY_TESTS_WALK_H

#include "run.h"

struct walk {
    const char *name;
    size_t layers;
    unsigned stride; /* not each call, for runs that ask again and again */
    unsigned lvs;    /* bits: the sides that are VGs */
    void (*setup)(struct run *run); /* after run_init(); may be NULL */
    void (*before_step)(struct run *run, enum job_state state);
    void (*while_dead)(struct run *run);
};

enum {
    ALL_LVS = 1 << SIDES, /* one more than all of them */
};

/* The beginning of each of its runs. */
void walk_set_up(struct run *run, const struct walk *walk);
/* The daemon is killed before, in and after each call. Marks in @seen (may be
 * NULL) the states in which it died. */
void walk_kills(const struct walk *walk, bool seen[JOB_STATE_COUNT]);
/* ... and the job ends in this state all the same. */
void walk_kills_to(const struct walk *walk, enum job_state expected);
/* Each call fails, with and without having done its work. */
void walk_failures(const struct walk *walk);
/* @what happens at each call; the job ends in @expected (JOB_STATE_COUNT: any).
 */
void walk_event(const struct walk *walk, void (*what)(struct run *run),
                enum job_state expected);
/* A cancel before each step. */
void walk_cancels(const struct walk *walk);
/* @what happens at the first call in each state that the job has. Returns how
 * many there are. */
unsigned walk_states(const struct walk *walk, void (*what)(struct run *run));

/* --- what happens --- */

void event_vm_ends(struct run *run); /* a copy may be left then */
/* The VM with it, and the LVs that were active. */
void event_host_restarts(struct run *run);
void event_libvirtd_goes(struct run *run);
void event_other_pauses(struct run *run);
void event_cancel(struct run *run);
/* Every block job ends. */
void event_mirrors_die(struct run *run);

/* --- what disturbs --- */

void disturb_copies(struct run *run, enum job_state state);
void disturb_pivots(struct run *run, enum job_state state);
void disturb_second_pivot(struct run *run, enum job_state state);
void disturb_by_cancel_in_converging(struct run *run, enum job_state state);
void disturb_by_cancel_in_pivoting(struct run *run, enum job_state state);

#endif
