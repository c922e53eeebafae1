/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: the lease that a job holds while it works, whether an engine
 * made it for the job or the job itself did (guard.c).
 */
#ifndef DRAY_MIGRATE_OWN_H
#define DRAY_MIGRATE_OWN_H

#include "migration.h"

/* --- lease.c --- */

bool lease_is_there(const struct job *job);
struct xlease_id lease_name(const struct job_end *end);
/* As hold_ops.take, of one that is held already, too. */
int lease_try(const struct migration *m, struct xlease_job *ret_record,
              struct err *err);
/* What lease_try() came to: JOB_OK: it is ours now; JOB_AGAIN, JOB_FAIL:
 * something is wrong, and nothing may be changed. */
enum job_outcome lease_judge(struct migration *m, int rc,
                             const struct xlease_job *record,
                             const struct err *err);
/* Both; JOB_OK also when there is none. */
enum job_outcome lease_own(struct migration *m);
/* There may be something of ours to undo. */
bool lease_owns(const struct migration *m);
/* The job's last word: its record is set, and the lease free. */
enum job_outcome lease_disown(struct migration *m, bool well);
/* The job has ended so: is that what the record says? */
bool lease_says(const struct job *job, bool well,
                const struct xlease_job *record);
enum xlease_job_status lease_status(const struct job *job, bool well);
/* The job is forgotten: so is a lease that it made. */
int lease_forget(const struct migrate_ports *ports, const struct job *job,
                 struct err *err);
/* For work_submit(): that waits for storage, unless there is no such lease. */
const char *lease_forget_key(const struct job *job);

/* --- guard.c --- */

/* A new job on storage that others have, too, gets a lease: its name is in the
 * first record. */
void guard_choose(struct migration *m);
/* Whether the act of the job's state may be done. False: *ret_outcome is what
 * the act came to instead. */
bool guard_allows(struct migration *m, enum job_outcome *ret_outcome);
/* Says in the job's record how it ended. False: once more, after m->wait_ms. */
bool guard_end(struct migration *m, bool well);

/* --- takeover.c --- */

/* The acts of a dead host's job that is not one of SDM's. */
enum job_outcome takeover_act(struct migration *m);

#endif
