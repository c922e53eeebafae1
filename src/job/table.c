/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state tables as data, one per kind of job, and the questions that are
 * answered from them. Whoever adds a kind adds its table here: job_next(), the
 * predicates and the crash tests, which walk the tables, follow from it.
 *
 * The rule behind the columns: as long as the source is the right copy, failure
 * and cancel lead to the undo states; from JOB_PIVOTED on the destination is,
 * so nothing leads back. JOB_LANDED is the way over: an undo that finds qemu on
 * the destination must not go on.
 */
#include <dray/job.h>

#include <assert.h>
#include <string.h>

/* What follows on each outcome; JOB_AGAIN is always the state itself. A row
 * that is not there means that the kind has no such state. JOB_FAILED stands
 * for the end of an undo. */
struct job_row {
    bool there;
    enum job_state ok, fail, cancel, landed;
};

/* clang-format off */
#define ROW(ok, fail, cancel, landed) { true, ok, fail, cancel, landed }
#define FORWARD(state, ok) [state] = ROW(ok, state, state, state)
#define UNDOES(state, ok, undo) [state] = ROW(ok, undo, undo, state)
#define MIRRORS(state, ok, undo) [state] = ROW(ok, undo, undo, JOB_PIVOTED)
/* Of a job that was taken over, all may be done already. */
#define COPIES(state, ok) \
    [state] = ROW(ok, JOB_REMOVING, JOB_REMOVING, JOB_SETTLING)
/* Its one write may be done already, so nobody calls it back. */
#define SETTLES(ok, undo) \
    [JOB_SETTLING] = ROW(ok, undo, JOB_SETTLING, JOB_SETTLING)
#define GOES_BACK(state, ok) [state] = ROW(ok, state, state, JOB_PIVOTED)

static const struct job_row tables[JOB_KIND_COUNT][JOB_STATE_COUNT] = {
    [JOB_DISK_MIGRATE] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_FREEZING, JOB_REMOVING),
        UNDOES(JOB_FREEZING, JOB_SYNCING, JOB_REMOVING),
        UNDOES(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        UNDOES(JOB_VERIFYING, JOB_STARTING, JOB_REMOVING),
        MIRRORS(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORS(JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING),
        MIRRORS(JOB_PIVOTING, JOB_PIVOTED, JOB_RETURNING),
        MIRRORS(JOB_RETURNING, JOB_ABORTING, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_COMMITTING),
        FORWARD(JOB_COMMITTING, JOB_FOLDING),
        [JOB_FOLDING] = ROW(JOB_FOLDED, JOB_COMMITTING, JOB_FOLDING,
                            JOB_FOLDING), /* a fold that failed: once more */
        FORWARD(JOB_FOLDED, JOB_RELEASING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        GOES_BACK(JOB_ABORTING, JOB_REMOVING),
        GOES_BACK(JOB_REMOVING, JOB_COMMITTING),
    },
    [JOB_REPLICATE] = {
        UNDOES(JOB_PLANNED, JOB_STARTING, JOB_FAILED),
        MIRRORS(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORS(JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING),
        MIRRORS(JOB_PIVOTING, JOB_PIVOTED, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_DONE),
        GOES_BACK(JOB_ABORTING, JOB_FAILED),
    },
    [JOB_SNAPSHOT] = {
        UNDOES(JOB_PLANNED, JOB_FREEZING, JOB_FAILED),
        [JOB_FREEZING] = ROW(JOB_DONE, JOB_FAILED, JOB_FREEZING, JOB_DONE),
    },
    [JOB_MERGE] = {
        UNDOES(JOB_PLANNED, JOB_COMMITTING, JOB_FAILED),
        UNDOES(JOB_COMMITTING, JOB_FOLDING, JOB_ABORTING),
        UNDOES(JOB_FOLDING, JOB_FOLDED, JOB_ABORTING),
        FORWARD(JOB_FOLDED, JOB_DONE),
        [JOB_ABORTING] = ROW(JOB_FAILED, JOB_ABORTING, JOB_ABORTING,
                             JOB_FOLDED),
    },
    [JOB_CLONE] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_DONE, JOB_REMOVING),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_SYNC] = {
        UNDOES(JOB_PLANNED, JOB_SYNCING, JOB_FAILED),
        UNDOES(JOB_SYNCING, JOB_DONE, JOB_FAILED),
    },
    [JOB_COPY] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_SYNCING, JOB_REMOVING),
        UNDOES(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        UNDOES(JOB_VERIFYING, JOB_DONE, JOB_REMOVING),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_MOVE] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_SYNCING, JOB_REMOVING),
        UNDOES(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        UNDOES(JOB_VERIFYING, JOB_RELEASING, JOB_REMOVING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_COPY_DATA] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        COPIES(JOB_PREPARING, JOB_SYNCING),
        UNDOES(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        UNDOES(JOB_VERIFYING, JOB_SETTLING, JOB_REMOVING),
        SETTLES(JOB_DONE, JOB_REMOVING),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_MOVE_DATA] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        COPIES(JOB_PREPARING, JOB_SYNCING),
        UNDOES(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        UNDOES(JOB_VERIFYING, JOB_SETTLING, JOB_REMOVING),
        SETTLES(JOB_RELEASING, JOB_REMOVING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_UPDATE] = {
        UNDOES(JOB_PLANNED, JOB_SETTLING, JOB_FAILED),
        SETTLES(JOB_DONE, JOB_FAILED),
    },
    [JOB_VM_MIGRATE] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_STARTING, JOB_REMOVING),
        MIRRORS(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORS(JOB_CONVERGING, JOB_PIVOTED, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_RELEASING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        GOES_BACK(JOB_ABORTING, JOB_REMOVING),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
    [JOB_VM_RECEIVE] = {
        UNDOES(JOB_PLANNED, JOB_PREPARING, JOB_FAILED),
        UNDOES(JOB_PREPARING, JOB_CONVERGING, JOB_REMOVING),
        MIRRORS(JOB_CONVERGING, JOB_PIVOTED, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_DONE),
        GOES_BACK(JOB_ABORTING, JOB_REMOVING),
        FORWARD(JOB_REMOVING, JOB_FAILED),
    },
};

/* Of a dead host's job that knew a VM, or images as a whole: what it made is
 * removed, if that is certain to be right. */
static const struct job_row taken_over[JOB_STATE_COUNT] = {
    UNDOES(JOB_PLANNED, JOB_REMOVING, JOB_REMOVING),
    FORWARD(JOB_REMOVING, JOB_FAILED),
};
/* Of one that is another host's by now, and whose VM is gone: nothing is left
 * to be done here. */
static const struct job_row lost = ROW(JOB_FAILED, JOB_FAILED, JOB_FAILED,
                                       JOB_FAILED);
/* clang-format on */

static const struct job_row *row_of(const struct job *job)
{
    assert((unsigned)job->kind < JOB_KIND_COUNT);
    assert((unsigned)job->state < JOB_STATE_COUNT);
    if (job->data.lost && !job_is_terminal(job->state))
        return &lost;
    if (job->data.taken_over && !job_is_data(job))
        return &taken_over[job->state];
    return &tables[job->kind][job->state];
}

void job_init(struct job *ret_job, const char *id, enum job_kind kind,
              int64_t wall_ms)
{
    memset(ret_job, 0, sizeof(*ret_job));
    (void)str_copy(ret_job->id, sizeof(ret_job->id), id); /* UUIDs fit */
    ret_job->kind = kind;
    ret_job->state = JOB_PLANNED;
    ret_job->data.legality = -1;
    ret_job->data.generation = -1;
    ret_job->progress.eta_s = -1;
    ret_job->progress.pause_us = -1;
    ret_job->progress.quiet_write_us = -1;
    ret_job->progress.write_us = -1;
    ret_job->created_ms = wall_ms;
    ret_job->modified_ms = wall_ms;
}

bool job_is_terminal(enum job_state state)
{
    return state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELLED;
}

bool job_is_undo(enum job_state state)
{
    return state == JOB_RETURNING || state == JOB_ABORTING ||
           state == JOB_REMOVING;
}

static bool has_use_for(const struct job *job, enum job_state state)
{
    bool overlays =
        job->kind != JOB_DISK_MIGRATE || job->strategy == JOB_BY_SNAPSHOT;

    switch (state) {
    case JOB_FREEZING:
    case JOB_COMMITTING:
    case JOB_FOLDING:
    case JOB_FOLDED:
        return overlays;
    case JOB_VERIFYING:
        return job->verify;
    case JOB_RETURNING:
        return job->n_disks > 1;
    default:
        return true;
    }
}

static enum job_state follow(const struct job *job, const struct job_row *row,
                             enum job_outcome outcome)
{
    switch (outcome) {
    case JOB_OK:
        return job->undo && job->state == JOB_FOLDED ? JOB_FAILED : row->ok;
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
    return job->state;
}

static enum job_state end_of_undo(const struct job *job)
{
    if (job->cancel_requested && job->error.rc == 0)
        return JOB_CANCELLED;
    return JOB_FAILED;
}

enum job_state job_next(const struct job *job, enum job_outcome outcome)
{
    const struct job_row *row = row_of(job);

    if (!row->there)
        return job->state; /* it has ended */

    struct job at = *job;
    enum job_state next = follow(&at, row, outcome);

    while (!has_use_for(job, next)) {
        at.state = next;
        next = follow(&at, &tables[job->kind][next], JOB_OK);
    }
    return next == JOB_FAILED ? end_of_undo(job) : next;
}

bool job_can_cancel(const struct job *job)
{
    const struct job_row *row = row_of(job);

    return row->there &&
           (job->undo || job_is_undo(job->state) || row->cancel != job->state);
}

const char *job_vdsm_status(const struct job *job)
{
    switch (job->state) {
    case JOB_PLANNED:
        return "pending";
    case JOB_DONE:
        return "done";
    case JOB_FAILED:
        return "failed";
    case JOB_CANCELLED:
        return "aborted";
    default:
        return job->undo || job_is_undo(job->state) ? "aborting" : "running";
    }
}

/* Moves find out themselves where a disk is and which volume is its leaf. */
static bool same_move(const struct job_disk *a, const struct job_disk *b)
{
    bool same_format =
        a->convert == b->convert && (!a->convert || a->base_cow == b->base_cow);

    return (a->dst_sd[0] || strcmp(a->dst_path, b->dst_path) == 0) &&
           same_format;
}

/* An engine names the volumes, or leaves the leaf to us. */
static bool same_step(const struct job_disk *a, const struct job_disk *b)
{
    bool same_leaf =
        !a->leaf[0] || !b->leaf[0] || strcmp(a->leaf, b->leaf) == 0;

    return same_leaf && strcmp(a->src_sd, b->src_sd) == 0 &&
           strcmp(a->overlay, b->overlay) == 0;
}

static bool same_place(const char *a_sd, const char *a_path, const char *b_path)
{
    return a_sd[0] || strcmp(a_path, b_path) == 0;
}

static bool same_lease(const struct job_end *a, const struct job_end *b)
{
    return strcmp(a->lease_sd, b->lease_sd) == 0 &&
           strcmp(a->lease, b->lease) == 0;
}

static bool same_end(const struct job_end *a, const struct job_end *b)
{
    bool same_generation = a->checked == b->checked &&
                           (!a->checked || a->generation == b->generation);

    return same_generation && a->cow == b->cow && a->prepared == b->prepared;
}

/* A lease that a job made itself is no part of what was asked for. */
static bool same_leases(const struct job_data *a, const struct job_data *b)
{
    return same_lease(&a->src, &b->src) &&
           (a->lease_made || b->lease_made || same_lease(&a->dst, &b->dst));
}

/* What an update found out about the volume is no part of the request. */
static bool same_data(const struct job *a, const struct job *b)
{
    const struct job_disk *x = &a->disks[0], *y = &b->disks[0];
    const struct job_data *p = &a->data, *q = &b->data;

    return same_place(x->src_sd, x->src_path, y->src_path) &&
           same_place(x->dst_sd, x->dst_path, y->dst_path) &&
           strcmp(x->dst_img, y->dst_img) == 0 &&
           strcmp(x->dst_vol, y->dst_vol) == 0 && same_end(&p->src, &q->src) &&
           same_end(&p->dst, &q->dst) && same_leases(p, q) &&
           p->make == q->make && p->is_zero == q->is_zero &&
           p->bitmaps == q->bitmaps && p->legality == q->legality &&
           p->generation == q->generation && p->share == q->share &&
           p->describe == q->describe &&
           strcmp(p->description, q->description) == 0;
}

static bool same_disk(enum job_kind kind, const struct job_disk *a,
                      const struct job_disk *b)
{
    if (strcmp(a->img, b->img) != 0 || strcmp(a->dst_sd, b->dst_sd) != 0)
        return false;
    return kind == JOB_DISK_MIGRATE ? same_move(a, b) : same_step(a, b);
}

bool job_same_request(const struct job *a, const struct job *b)
{
    bool same = a->kind == b->kind && strcmp(a->id, b->id) == 0 &&
                strcmp(a->vm, b->vm) == 0 && strcmp(a->peer, b->peer) == 0 &&
                a->n_disks == b->n_disks && a->keep_source == b->keep_source &&
                a->verify == b->verify && a->scope == b->scope &&
                a->quiesce == b->quiesce && a->delete_top == b->delete_top;

    for (size_t i = 0; same && i < a->n_disks; i++)
        same = same_disk(a->kind, &a->disks[i], &b->disks[i]);
    return same && (!job_is_data(a) || same_data(a, b));
}

bool job_is_in_doubt(const struct job *job)
{
    for (size_t i = 0; i < job->n_disks; i++) {
        if (job->disks[i].in_doubt)
            return true;
    }
    return false;
}

const struct job_disk *job_disk_of_image(const struct job *job, const char *img)
{
    for (size_t i = 0; i < job->n_disks; i++) {
        const struct job_disk *disk = &job->disks[i];

        if (img[0] &&
            (strcmp(disk->img, img) == 0 || strcmp(disk->dst_img, img) == 0))
            return disk;
    }
    return NULL;
}
