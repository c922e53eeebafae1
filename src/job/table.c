/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state table of a disk migration as data, and the questions that are
 * answered from it. Whoever adds a state adds its row here: job_next(), the
 * predicates and the crash tests, which walk the table, follow from it.
 *
 * The rule behind the columns: up to and including JOB_PIVOTING the source is
 * the right copy, so failure and cancel lead to the undo states; from
 * JOB_PIVOTED on the destination is, so nothing leads back. JOB_LANDED is the
 * way over: an undo that finds qemu on the destination must not go on.
 */
#include <dray/job.h>

#include <assert.h>
#include <string.h>

/* What follows on each outcome; JOB_AGAIN is always the state itself. */
struct job_row {
    enum job_state ok, fail, cancel, landed;
    bool can_cancel;
    const char *vdsm_status;
};

/* clang-format off */
static const struct job_row rows[JOB_STATE_COUNT] = {
    /* state:           ok, fail, cancel,
                         landed, can cancel, VDSM's word */
    [JOB_PLANNED] =    { JOB_PREPARING, JOB_FAILED, JOB_CANCELLED,
                         JOB_PLANNED, true, "pending" },
    [JOB_PREPARING] =  { JOB_STARTING, JOB_REMOVING, JOB_REMOVING,
                         JOB_PREPARING, true, "running" },
    [JOB_STARTING] =   { JOB_SYNCING, JOB_ABORTING, JOB_ABORTING,
                         JOB_PIVOTED, true, "running" },
    [JOB_SYNCING] =    { JOB_CONVERGING, JOB_ABORTING, JOB_ABORTING,
                         JOB_PIVOTED, true, "running" },
    [JOB_CONVERGING] = { JOB_PIVOTING, JOB_ABORTING, JOB_ABORTING,
                         JOB_PIVOTED, true, "running" },
    [JOB_PIVOTING] =   { JOB_PIVOTED, JOB_ABORTING, JOB_ABORTING,
                         JOB_PIVOTED, true, "running" },
    [JOB_PIVOTED] =    { JOB_RELEASING, JOB_PIVOTED, JOB_PIVOTED,
                         JOB_PIVOTED, false, "running" },
    [JOB_RELEASING] =  { JOB_DONE, JOB_RELEASING, JOB_RELEASING,
                         JOB_RELEASING, false, "running" },
    [JOB_ABORTING] =   { JOB_REMOVING, JOB_ABORTING, JOB_ABORTING,
                         JOB_PIVOTED, true, "aborting" },
    [JOB_REMOVING] =   { JOB_FAILED, JOB_REMOVING, JOB_REMOVING,
                         JOB_PIVOTED, true, "aborting" },
    [JOB_DONE] =       { JOB_DONE, JOB_DONE, JOB_DONE,
                         JOB_DONE, false, "done" },
    [JOB_FAILED] =     { JOB_FAILED, JOB_FAILED, JOB_FAILED,
                         JOB_FAILED, false, "failed" },
    [JOB_CANCELLED] =  { JOB_CANCELLED, JOB_CANCELLED, JOB_CANCELLED,
                         JOB_CANCELLED, false, "aborted" },
};
/* clang-format on */

static const struct job_row *row_of(enum job_state state)
{
    assert((unsigned)state < JOB_STATE_COUNT);
    return &rows[state];
}

void job_init(struct job *ret_job, const char *id,
              const struct job_disk_move *move, uint64_t limit, int64_t wall_ms)
{
    memset(ret_job, 0, sizeof(*ret_job));
    (void)str_copy(ret_job->id, sizeof(ret_job->id), id); /* UUIDs fit */
    ret_job->kind = JOB_DISK_MIGRATE;
    ret_job->state = JOB_PLANNED;
    ret_job->move = *move;
    ret_job->limit = limit;
    ret_job->progress.eta_s = -1;
    ret_job->progress.pause_us = -1;
    ret_job->created_ms = wall_ms;
    ret_job->modified_ms = wall_ms;
}

enum job_state job_next(enum job_state state, enum job_outcome outcome)
{
    const struct job_row *row = row_of(state);

    switch (outcome) {
    case JOB_OK:
        return row->ok;
    case JOB_FAIL:
        return row->fail;
    case JOB_CANCEL:
        return row->cancel;
    case JOB_LANDED:
        return row->landed;
    case JOB_AGAIN:
    case JOB_OUTCOME_COUNT:
        break;
    }
    return state;
}

enum job_state job_end_of_undo(const struct job *job)
{
    if (job->cancel_requested && job->error.rc == 0)
        return JOB_CANCELLED;
    return JOB_FAILED;
}

bool job_is_terminal(enum job_state state)
{
    return row_of(state)->ok == state;
}

bool job_can_cancel(enum job_state state)
{
    return row_of(state)->can_cancel;
}

const char *job_vdsm_status(const struct job *job)
{
    return row_of(job->state)->vdsm_status;
}

static bool same_format(const struct job_disk_move *a,
                        const struct job_disk_move *b)
{
    return a->convert == b->convert &&
           (!a->convert || a->base_cow == b->base_cow);
}

bool job_same_request(const struct job *a, const struct job *b)
{
    const struct job_disk_move *x = &a->move;
    const struct job_disk_move *y = &b->move;

    return a->kind == b->kind && strcmp(a->id, b->id) == 0 &&
           strcmp(x->vm, y->vm) == 0 && strcmp(x->img, y->img) == 0 &&
           strcmp(x->dst_sd, y->dst_sd) == 0 && same_format(x, y) &&
           x->keep_source == y->keep_source;
}
