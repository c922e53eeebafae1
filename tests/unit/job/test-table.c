/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state tables, written down a second time by hand as the way of each kind
 * of job, and the properties that any table must have: no way back once
 * pivoted, no dead end, no path that skips the undo.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dray/job.h>

enum {
    WAY_MAX = 20
};

/* One state on the way of a job, and where each outcome leads. JOB_FAILED: the
 * end of an undo. */
struct row {
    enum job_state state, ok, fail, cancel, landed;
};

struct way {
    const char *name;
    struct job job; /* what the table looks at */
    struct row rows[WAY_MAX];
};

#define JOB(k, ...)                                                            \
    {                                                                          \
        .kind = (k), ##__VA_ARGS__                                             \
    }
#define END JOB_FAILED
/* Before there is anything to be found: JOB_LANDED says nothing. */
#define EARLY(state, ok, undo)                                                 \
    {                                                                          \
        state, ok, undo, undo, state                                           \
    }
#define MIRRORED(state, ok, undo)                                              \
    {                                                                          \
        state, ok, undo, undo, JOB_PIVOTED                                     \
    }
#define FORWARD(state, ok)                                                     \
    {                                                                          \
        state, ok, state, state, state                                         \
    }

/* clang-format off */
static const struct way ways[] = {
    { "mirror", JOB(JOB_DISK_MIGRATE), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_SYNCING, JOB_REMOVING),
        EARLY(JOB_SYNCING, JOB_STARTING, JOB_REMOVING),
        MIRRORED(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORED(JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING),
        MIRRORED(JOB_PIVOTING, JOB_PIVOTED, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_RELEASING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        { JOB_ABORTING, JOB_REMOVING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        { JOB_REMOVING, END, JOB_REMOVING, JOB_REMOVING, JOB_PIVOTED },
    } },
    { "snapshot, two disks, verified",
      JOB(JOB_DISK_MIGRATE, .strategy = JOB_BY_SNAPSHOT, .n_disks = 2,
          .verify = true), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_FREEZING, JOB_REMOVING),
        EARLY(JOB_FREEZING, JOB_SYNCING, JOB_REMOVING),
        EARLY(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        EARLY(JOB_VERIFYING, JOB_STARTING, JOB_REMOVING),
        MIRRORED(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORED(JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING),
        MIRRORED(JOB_PIVOTING, JOB_PIVOTED, JOB_RETURNING),
        { JOB_RETURNING, JOB_ABORTING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        FORWARD(JOB_PIVOTED, JOB_COMMITTING),
        FORWARD(JOB_COMMITTING, JOB_FOLDING),
        { JOB_FOLDING, JOB_FOLDED, JOB_COMMITTING, JOB_FOLDING, JOB_FOLDING },
        FORWARD(JOB_FOLDED, JOB_RELEASING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        { JOB_ABORTING, JOB_REMOVING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        { JOB_REMOVING, JOB_COMMITTING, JOB_REMOVING, JOB_REMOVING,
          JOB_PIVOTED },
    } },
    { "snapshot, undone",
      JOB(JOB_DISK_MIGRATE, .strategy = JOB_BY_SNAPSHOT, .undo = true), {
        FORWARD(JOB_COMMITTING, JOB_FOLDING),
        { JOB_FOLDING, JOB_FOLDED, JOB_COMMITTING, JOB_FOLDING, JOB_FOLDING },
        { JOB_FOLDED, END, JOB_FOLDED, JOB_FOLDED, JOB_FOLDED },
    } },
    { "replicate", JOB(JOB_REPLICATE), {
        EARLY(JOB_PLANNED, JOB_STARTING, END),
        MIRRORED(JOB_STARTING, JOB_CONVERGING, JOB_ABORTING),
        MIRRORED(JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING),
        MIRRORED(JOB_PIVOTING, JOB_PIVOTED, JOB_ABORTING),
        FORWARD(JOB_PIVOTED, JOB_DONE),
        { JOB_ABORTING, END, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED },
    } },
    { "snapshot of an engine", JOB(JOB_SNAPSHOT), {
        EARLY(JOB_PLANNED, JOB_FREEZING, END),
        { JOB_FREEZING, JOB_DONE, END, JOB_FREEZING, JOB_DONE },
    } },
    { "merge", JOB(JOB_MERGE), {
        EARLY(JOB_PLANNED, JOB_COMMITTING, END),
        EARLY(JOB_COMMITTING, JOB_FOLDING, JOB_ABORTING),
        EARLY(JOB_FOLDING, JOB_FOLDED, JOB_ABORTING),
        FORWARD(JOB_FOLDED, JOB_DONE),
        { JOB_ABORTING, END, JOB_ABORTING, JOB_ABORTING, JOB_FOLDED },
    } },
    { "clone", JOB(JOB_CLONE), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_DONE, JOB_REMOVING),
        FORWARD(JOB_REMOVING, END),
    } },
    { "sync", JOB(JOB_SYNC), {
        EARLY(JOB_PLANNED, JOB_SYNCING, END),
        EARLY(JOB_SYNCING, JOB_DONE, END),
    } },
    { "copy", JOB(JOB_COPY), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_SYNCING, JOB_REMOVING),
        EARLY(JOB_SYNCING, JOB_DONE, JOB_REMOVING),
        FORWARD(JOB_REMOVING, END),
    } },
    { "verified copy", JOB(JOB_COPY, .verify = true), {
        EARLY(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        EARLY(JOB_VERIFYING, JOB_DONE, JOB_REMOVING),
    } },
    { "move", JOB(JOB_MOVE), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_SYNCING, JOB_REMOVING),
        EARLY(JOB_SYNCING, JOB_RELEASING, JOB_REMOVING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        FORWARD(JOB_REMOVING, END),
    } },
    { "verified move", JOB(JOB_MOVE, .verify = true), {
        EARLY(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        EARLY(JOB_VERIFYING, JOB_RELEASING, JOB_REMOVING),
    } },
    { "copy of data", JOB(JOB_COPY_DATA), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        { JOB_PREPARING, JOB_SYNCING, JOB_REMOVING, JOB_REMOVING,
          JOB_SETTLING },
        EARLY(JOB_SYNCING, JOB_SETTLING, JOB_REMOVING),
        { JOB_SETTLING, JOB_DONE, JOB_REMOVING, JOB_SETTLING, JOB_SETTLING },
        FORWARD(JOB_REMOVING, END),
    } },
    { "move of data", JOB(JOB_MOVE_DATA, .verify = true), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        { JOB_PREPARING, JOB_SYNCING, JOB_REMOVING, JOB_REMOVING,
          JOB_SETTLING },
        EARLY(JOB_SYNCING, JOB_VERIFYING, JOB_REMOVING),
        EARLY(JOB_VERIFYING, JOB_SETTLING, JOB_REMOVING),
        { JOB_SETTLING, JOB_RELEASING, JOB_REMOVING, JOB_SETTLING,
          JOB_SETTLING },
        FORWARD(JOB_RELEASING, JOB_DONE),
        FORWARD(JOB_REMOVING, END),
    } },
    { "update of a record", JOB(JOB_UPDATE), {
        EARLY(JOB_PLANNED, JOB_SETTLING, END),
        { JOB_SETTLING, JOB_DONE, END, JOB_SETTLING, JOB_SETTLING },
    } },
    { "VM migrate", JOB(JOB_VM_MIGRATE), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_STARTING, JOB_REMOVING),
        { JOB_STARTING, JOB_CONVERGING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        { JOB_CONVERGING, JOB_PIVOTED, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        FORWARD(JOB_PIVOTED, JOB_RELEASING),
        FORWARD(JOB_RELEASING, JOB_DONE),
        { JOB_ABORTING, JOB_REMOVING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        FORWARD(JOB_REMOVING, END),
    } },
    { "VM receive", JOB(JOB_VM_RECEIVE), {
        EARLY(JOB_PLANNED, JOB_PREPARING, END),
        EARLY(JOB_PREPARING, JOB_CONVERGING, JOB_REMOVING),
        { JOB_CONVERGING, JOB_PIVOTED, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        FORWARD(JOB_PIVOTED, JOB_DONE),
        { JOB_ABORTING, JOB_REMOVING, JOB_ABORTING, JOB_ABORTING,
          JOB_PIVOTED },
        FORWARD(JOB_REMOVING, END),
    } },
};
/* clang-format on */

static void expect(const struct way *way, const struct job *job,
                   enum job_outcome outcome, enum job_state next)
{
    enum job_state got = job_next(job, outcome);

    if (got != next)
        fail_msg("%s: outcome %d of %s leads to %s, not %s", way->name, outcome,
                 job_state_name(job->state), job_state_name(got),
                 job_state_name(next));
}

static void follows_the_tables(void **state)
{
    (void)state;
    for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
        const struct way *way = &ways[w];

        /* Rows of zeros come behind: JOB_PLANNED leads to JOB_PLANNED. */
        for (size_t i = 0; i < WAY_MAX && way->rows[i].fail; i++) {
            const struct row *row = &way->rows[i];
            struct job job = way->job;

            job.state = row->state;
            job.undo = job.undo || job_is_undo(row->state);
            expect(way, &job, JOB_OK, row->ok);
            expect(way, &job, JOB_AGAIN, row->state);
            expect(way, &job, JOB_FAIL, row->fail);
            expect(way, &job, JOB_CANCEL, row->cancel);
            expect(way, &job, JOB_LANDED, row->landed);
        }
    }
}

static void what_has_ended_stays(void **state)
{
    static const enum job_state ends[] = { JOB_DONE, JOB_FAILED,
                                           JOB_CANCELLED };

    (void)state;
    for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
            struct job job = JOB((enum job_kind)kind, .state = ends[i]);

            for (int o = 0; o < JOB_OUTCOME_COUNT; o++)
                assert_int_equal(job_next(&job, (enum job_outcome)o), ends[i]);
            assert_true(job_is_terminal(ends[i]));
            assert_false(job_can_cancel(&job));
        }
    }
}

/* Marks every state that can follow. */
static void mark_reachable(struct job job, bool seen[JOB_STATE_COUNT])
{
    if (seen[job.state])
        return;
    seen[job.state] = true;
    for (int o = 0; o < JOB_OUTCOME_COUNT; o++) {
        struct job next = job;

        next.state = job_next(&job, (enum job_outcome)o);
        mark_reachable(next, seen);
    }
}

static void nothing_leads_back_once_pivoted(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };
    struct job job = JOB(JOB_DISK_MIGRATE, .strategy = JOB_BY_SNAPSHOT,
                         .verify = true, .state = JOB_PIVOTED);

    (void)state;
    job.n_disks = 2;
    mark_reachable(job, seen);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(seen[i], (i >= JOB_PIVOTED && i <= JOB_RELEASING) ||
                                      i == JOB_DONE);
    memset(seen, 0, sizeof(seen));
    job.kind = JOB_MERGE;
    job.state = JOB_FOLDED;
    mark_reachable(job, seen);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(seen[i], i == JOB_FOLDED || i == JOB_DONE);
}

static void every_state_leads_to_an_end(void **state)
{
    (void)state;
    for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
        for (int outcome = JOB_OK; outcome <= JOB_FAIL; outcome++) {
            struct job job = JOB((enum job_kind)kind);

            if (outcome == JOB_AGAIN)
                continue;
            job.state = job_next(&job, (enum job_outcome)outcome);
            job.undo = outcome == JOB_FAIL;
            for (int n = 0; n < 2 * JOB_STATE_COUNT; n++)
                job.state = job_next(&job, JOB_OK);
            assert_true(job_is_terminal(job.state));
        }
    }
}

static void undo_ends_cancelled_only_without_an_error(void **state)
{
    struct job job = JOB(JOB_DISK_MIGRATE, .state = JOB_REMOVING, .undo = true);

    (void)state;
    assert_int_equal(job_next(&job, JOB_OK), JOB_FAILED);
    job.cancel_requested = true;
    assert_int_equal(job_next(&job, JOB_OK), JOB_CANCELLED);
    job.error.rc = -5;
    assert_int_equal(job_next(&job, JOB_OK), JOB_FAILED);
    job.cancel_requested = false;
    assert_int_equal(job_next(&job, JOB_OK), JOB_FAILED);
}

static void can_be_cancelled_while_the_source_is_right(void **state)
{
    struct job job = JOB(JOB_DISK_MIGRATE, .strategy = JOB_BY_SNAPSHOT);

    (void)state;
    job.n_disks = 2;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        bool undo = i == JOB_ABORTING || i == JOB_REMOVING;

        job.state = (enum job_state)i;
        if (i == JOB_SETTLING)
            continue; /* it has no use for that */
        assert_int_equal(job_can_cancel(&job), i < JOB_PIVOTED || undo);
        assert_int_equal(job_is_undo(job.state), undo || i == JOB_RETURNING);
    }
    job.state = JOB_COMMITTING;
    assert_false(job_can_cancel(&job));
    job.undo = true; /* it is being undone: a repeated cancel is no error */
    assert_true(job_can_cancel(&job));
    job = (struct job)JOB(JOB_SNAPSHOT, .state = JOB_FREEZING);
    assert_false(job_can_cancel(&job)); /* an instant */
}

static void has_vdsms_word_for_every_state(void **state)
{
    struct job job = JOB(JOB_DISK_MIGRATE);

    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        const char *word = "running";

        job.state = (enum job_state)i;
        if (i == JOB_PLANNED)
            word = "pending";
        else if (job_is_undo(job.state))
            word = "aborting";
        else if (job_is_terminal(job.state))
            word = i == JOB_DONE     ? "done"
                   : i == JOB_FAILED ? "failed"
                                     : "aborted";
        assert_string_equal(job_vdsm_status(&job), word);
    }
    job.state = JOB_FOLDING;
    job.undo = true;
    assert_string_equal(job_vdsm_status(&job), "aborting");
}

static void another_hosts_job_is_only_tidied_up_after(void **state)
{
    struct job job;

    (void)state;
    for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
        job_init(&job, "66666666-6666-4666-8666-666666666666",
                 (enum job_kind)kind, 0);
        job.data.taken_over = true;
        if (job_is_data(&job))
            continue;
        assert_int_equal(job_next(&job, JOB_FAIL), JOB_REMOVING);
        job.state = JOB_REMOVING;
        assert_int_equal(job_next(&job, JOB_FAIL), JOB_REMOVING);
        assert_int_equal(job_next(&job, JOB_OK), JOB_FAILED);
    }
}

static void a_job_that_was_lost_ends_in_any_state(void **state)
{
    (void)state;
    for (int at = 0; at < JOB_STATE_COUNT; at++) {
        struct job job;

        job_init(&job, "66666666-6666-4666-8666-666666666666", JOB_DISK_MIGRATE,
                 0);
        job.state = (enum job_state)at;
        job.data.lost = true;
        assert_int_equal(job_next(&job, JOB_FAIL),
                         job_is_terminal(job.state) ? job.state : JOB_FAILED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_tables),
        cmocka_unit_test(what_has_ended_stays),
        cmocka_unit_test(nothing_leads_back_once_pivoted),
        cmocka_unit_test(every_state_leads_to_an_end),
        cmocka_unit_test(undo_ends_cancelled_only_without_an_error),
        cmocka_unit_test(can_be_cancelled_while_the_source_is_right),
        cmocka_unit_test(has_vdsms_word_for_every_state),
        cmocka_unit_test(another_hosts_job_is_only_tidied_up_after),
        cmocka_unit_test(a_job_that_was_lost_ends_in_any_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
