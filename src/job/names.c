/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words for states and kinds, as the journal stores them and clients read
 * them. They are part of the on-disk format: never rename one.
 */
#include <dray/job.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const state_names[JOB_STATE_COUNT] = {
    [JOB_PLANNED] = "planned",
    [JOB_PREPARING] = "preparing",
    [JOB_STARTING] = "starting",
    [JOB_SYNCING] = "syncing",
    [JOB_CONVERGING] = "converging",
    [JOB_PIVOTING] = "pivoting",
    [JOB_PIVOTED] = "pivoted",
    [JOB_RELEASING] = "releasing",
    [JOB_ABORTING] = "aborting",
    [JOB_REMOVING] = "removing",
    [JOB_DONE] = "done",
    [JOB_FAILED] = "failed",
    [JOB_CANCELLED] = "cancelled",
};

const char *job_state_name(enum job_state state)
{
    assert((unsigned)state < JOB_STATE_COUNT && state_names[state]);
    return state_names[state];
}

int job_state_parse(const char *name, enum job_state *ret_state)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (strcmp(state_names[i], name) == 0) {
            *ret_state = (enum job_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *job_kind_name(enum job_kind kind)
{
    assert(kind == JOB_DISK_MIGRATE);
    (void)kind;
    return "disk_migrate";
}
