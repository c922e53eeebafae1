/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job table on a real loop with real workers; the outside is the fake
 * world, hurried so that a job takes some tenths of a second.
 */
#ifndef TESTS_MIGRATE_TABLE_H
#define TESTS_MIGRATE_TABLE_H

#include "../../fakes/fake-world.h"

#include <dray/work.h>

#include <systemd/sd-event.h>

#define OTHER_UUID "77777777-7777-4777-8777-777777777777"

struct fixture {
    struct fake_world world;
    sd_event *loop;
    struct work *work;
    struct migrate_jobs *jobs;
    unsigned changes; /* changed() calls */
    unsigned state_changes;
    bool done; /* a job ended */
    int64_t wall_ms;
    struct job wish;
};

void start_with(struct fixture *fixture, unsigned threads);
void open_table(struct fixture *fixture);
/* Both, with four workers. */
void start(struct fixture *fixture);
void stop(struct fixture *fixture);
/* Runs the loop until *@flag, at most some seconds. */
void run_until(struct fixture *fixture, const bool *flag);
/* Until the job's copy is in @state or beyond. */
void run_until_state(struct fixture *fixture, const struct job *job,
                     enum job_state state);
const struct job *start_job(struct fixture *fixture, const struct job *wish);
enum err_code start_error(struct fixture *fixture, const struct job *wish);

#endif
