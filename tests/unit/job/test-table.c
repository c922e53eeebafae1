/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state table, written down a second time by hand, and the properties that
 * any table must have: no way back once pivoted, no dead end, no path that
 * skips the undo.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dray/job.h>

struct row {
    enum job_state state, ok, fail, cancel, landed;
    bool terminal, can_cancel;
    const char *vdsm;
};

/* clang-format off */
static const struct row expected[] = {
    { JOB_PLANNED, JOB_PREPARING, JOB_FAILED, JOB_CANCELLED, JOB_PLANNED,
      false, true, "pending" },
    { JOB_PREPARING, JOB_STARTING, JOB_REMOVING, JOB_REMOVING, JOB_PREPARING,
      false, true, "running" },
    { JOB_STARTING, JOB_SYNCING, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED,
      false, true, "running" },
    { JOB_SYNCING, JOB_CONVERGING, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED,
      false, true, "running" },
    { JOB_CONVERGING, JOB_PIVOTING, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED,
      false, true, "running" },
    { JOB_PIVOTING, JOB_PIVOTED, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED,
      false, true, "running" },
    { JOB_PIVOTED, JOB_RELEASING, JOB_PIVOTED, JOB_PIVOTED, JOB_PIVOTED,
      false, false, "running" },
    { JOB_RELEASING, JOB_DONE, JOB_RELEASING, JOB_RELEASING, JOB_RELEASING,
      false, false, "running" },
    { JOB_ABORTING, JOB_REMOVING, JOB_ABORTING, JOB_ABORTING, JOB_PIVOTED,
      false, true, "aborting" },
    { JOB_REMOVING, JOB_FAILED, JOB_REMOVING, JOB_REMOVING, JOB_PIVOTED,
      false, true, "aborting" },
    { JOB_DONE, JOB_DONE, JOB_DONE, JOB_DONE, JOB_DONE,
      true, false, "done" },
    { JOB_FAILED, JOB_FAILED, JOB_FAILED, JOB_FAILED, JOB_FAILED,
      true, false, "failed" },
    { JOB_CANCELLED, JOB_CANCELLED, JOB_CANCELLED, JOB_CANCELLED,
      JOB_CANCELLED, true, false, "aborted" },
};
/* clang-format on */

static void follows_the_table(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_SIZE(expected), JOB_STATE_COUNT);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const struct row *row = &expected[i];

        assert_int_equal(row->state, i);
        assert_int_equal(job_next(row->state, JOB_OK), row->ok);
        assert_int_equal(job_next(row->state, JOB_AGAIN), row->state);
        assert_int_equal(job_next(row->state, JOB_FAIL), row->fail);
        assert_int_equal(job_next(row->state, JOB_CANCEL), row->cancel);
        assert_int_equal(job_next(row->state, JOB_LANDED), row->landed);
    }
}

static void answers_for_every_state(void **state)
{
    struct job job = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const struct row *row = &expected[i];

        job.state = row->state;
        assert_int_equal(job_is_terminal(row->state), row->terminal);
        assert_int_equal(job_can_cancel(row->state), row->can_cancel);
        assert_string_equal(job_vdsm_status(&job), row->vdsm);
    }
}

/* Marks every state that can follow @from. */
static void mark_reachable(enum job_state from, bool seen[JOB_STATE_COUNT])
{
    if (seen[from])
        return;
    seen[from] = true;
    for (int o = 0; o < JOB_OUTCOME_COUNT; o++)
        mark_reachable(job_next(from, (enum job_outcome)o), seen);
}

static void nothing_leads_back_once_pivoted(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    mark_reachable(JOB_PIVOTED, seen);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(seen[i], i == JOB_PIVOTED || i == JOB_RELEASING ||
                                      i == JOB_DONE);
}

static void every_state_is_reached_and_ends(void **state)
{
    bool seen[JOB_STATE_COUNT] = { false };

    (void)state;
    mark_reachable(JOB_PLANNED, seen);
    seen[JOB_CANCELLED] = true; /* also through job_end_of_undo() */
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        enum job_state at = (enum job_state)i;

        assert_true(seen[i]);
        for (int n = 0; n < JOB_STATE_COUNT; n++)
            at = job_next(at, JOB_OK);
        assert_true(job_is_terminal(at));
    }
}

static void undo_ends_cancelled_only_without_an_error(void **state)
{
    struct job job = { 0 };

    (void)state;
    assert_int_equal(job_end_of_undo(&job), JOB_FAILED);
    job.cancel_requested = true;
    assert_int_equal(job_end_of_undo(&job), JOB_CANCELLED);
    job.error.rc = -5;
    assert_int_equal(job_end_of_undo(&job), JOB_FAILED);
    job.cancel_requested = false;
    assert_int_equal(job_end_of_undo(&job), JOB_FAILED);
}

static struct job a_job(void)
{
    const struct job_disk_move move = {
        .vm = "11111111-1111-4111-8111-111111111111",
        .vm_name = "web1",
        .target = "vda",
        .src_sd = "22222222-2222-4222-8222-222222222222",
        .dst_sd = "33333333-3333-4333-8333-333333333333",
        .img = "44444444-4444-4444-8444-444444444444",
        .leaf = "55555555-5555-4555-8555-555555555555",
        .src_path = "/a/leaf",
    };
    struct job job;

    job_init(&job, "66666666-6666-4666-8666-666666666666", &move, 7, 1234);
    return job;
}

static void init_makes_a_planned_record(void **state)
{
    const struct job job = a_job();

    (void)state;
    assert_string_equal(job.id, "66666666-6666-4666-8666-666666666666");
    assert_int_equal(job.state, JOB_PLANNED);
    assert_string_equal(job.move.target, "vda");
    assert_int_equal(job.limit, 7);
    assert_int_equal(job.created_ms, 1234);
    assert_int_equal(job.modified_ms, 1234);
    assert_int_equal(job.ended_ms, 0);
    assert_int_equal(job.progress.eta_s, -1);
    assert_int_equal(job.progress.pause_us, -1);
    assert_false(job.suspended || job.cancel_requested);
    assert_int_equal(job.error.rc, 0);
}

static void what_was_asked_makes_the_same_request(void **state)
{
    const struct job a = a_job();
    struct job b = a_job();

    (void)state;
    assert_true(job_same_request(&a, &b));
    b.limit = 99;
    b.state = JOB_DONE;
    b.move.base_cow = true; /* says nothing without convert */
    (void)str_copy(b.move.src_sd, UUID_SIZE, b.move.dst_sd);
    (void)str_copy(b.move.src_path, sizeof(b.move.src_path), "/b/leaf");
    (void)str_copy(b.move.dst_path, sizeof(b.move.dst_path), "/b/leaf");
    assert_true(job_same_request(&a, &b));
}

static void any_other_wish_is_another_request(void **state)
{
    const struct job a = a_job();
    struct job b;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        b = a_job();
        char *const id[] = { b.id, b.move.vm, b.move.img, b.move.dst_sd };

        id[i][0] ^= 1;
        assert_false(job_same_request(&a, &b));
        assert_false(job_same_request(&b, &a));
    }
    b = a_job();
    b.move.keep_source = true;
    assert_false(job_same_request(&a, &b));
    b = a_job();
    b.move.convert = true;
    assert_false(job_same_request(&a, &b));
}

static void base_format_counts_when_conversion_is_asked(void **state)
{
    struct job a = a_job();
    struct job b = a_job();

    (void)state;
    a.move.convert = b.move.convert = true;
    assert_true(job_same_request(&a, &b));
    b.move.base_cow = true;
    assert_false(job_same_request(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_table),
        cmocka_unit_test(answers_for_every_state),
        cmocka_unit_test(nothing_leads_back_once_pivoted),
        cmocka_unit_test(every_state_is_reached_and_ends),
        cmocka_unit_test(undo_ends_cancelled_only_without_an_error),
        cmocka_unit_test(init_makes_a_planned_record),
        cmocka_unit_test(what_was_asked_makes_the_same_request),
        cmocka_unit_test(any_other_wish_is_another_request),
        cmocka_unit_test(base_format_counts_when_conversion_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
