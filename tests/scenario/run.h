/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs one migration in the fake world to its end, through as many lives of the
 * daemon as it takes, and judges what is left by one set of rules.
 */
#ifndef DRAY_TESTS_RUN_H
#define DRAY_TESTS_RUN_H

#include <fake-world.h>

struct run {
    struct fake_world world;
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

    /* What the end may look like. */
    bool may_leave_source; /* with a warning, after an event that excuses it */
    bool may_leave_destination;
    bool stale_xml;
};

void run_init(struct run *run, size_t layers);
/* To the end of the job. Fails the test when it does not end. */
void run_to_end(struct run *run);
/* One life more: the daemon starts, reads its journal. */
void run_start(struct run *run, const struct job *job);
/* The rules (A1 to A5) and the promises, on what is left. */
void run_judge(const struct run *run, const char *where);
void run_deinit(struct run *run);

/* run_init, run_to_end, run_judge, and the state it must have ended in. */
void run_all(struct run *run, enum job_state expected, const char *where);
/* The same with JOB_FAILED, in this state, for this reason. */
void run_to_failure(struct run *run, enum job_state in, const char *text);

#endif
