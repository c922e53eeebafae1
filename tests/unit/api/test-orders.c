/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Orders (cancel, limit) are answered when the journal has them.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define JOB_ID "\"jobID\":\"" WORLD_JOB "\""
#define MOVE                                                                   \
    "{\"vmID\":\"web1\",\"disk\":\"vda\",\"domain\":\"new\"," JOB_ID "}"

static void stop_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 0;
}

static void run_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 4;
}

static void break_journal(struct fake_world *world)
{
    world->journal_fails = true;
}

static void mend_journal(struct fake_world *world)
{
    world->journal_fails = false;
}

static void hang_pivot(struct fake_world *world)
{
    world->pivot_hangs = true;
}

static void end_pivot(struct fake_world *world)
{
    world->pivot_hangs = false;
}

static void nothing(struct fake_world *world)
{
    (void)world;
}

static void start_slowly(struct harness *h)
{
    harness_change(h, stop_mirror);
    harness_expect(h, "Disk.migrate", MOVE, "result.id", WORLD_JOB);
}

static void wait_end(struct harness *h, const char *state)
{
    harness_expect(h, "Job.wait", "{" JOB_ID ",\"timeout\":9}", "result.state",
                   state);
}

static void ask(struct harness *h, const char *method, const char *params)
{
    char text[512];
    (void)str_format(text, sizeof(text),
                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\","
                     "\"params\":%s}\n",
                     method, params);
    harness_send(h, h->fd, text);
}

/* The durable record; on the worker nothing runs meanwhile. */
static struct job recorded(struct harness *h)
{
    harness_change(h, nothing);
    return h->world.record;
}

static void an_answered_limit_is_in_the_journal(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_expect(h, "Job.limit", "{" JOB_ID ",\"limit\":12345}",
                   "result.limit", "12345");
    assert_int_equal(recorded(h).limit, 12345);
    /* the same once more is no new order */
    harness_change(h, break_journal);
    harness_expect(h, "Job.limit", "{" JOB_ID ",\"limit\":12345}",
                   "result.limit", "12345");
    harness_change(h, mend_journal);
    harness_change(h, run_mirror);
    harness_expect(h, "Job.limit", "{" JOB_ID ",\"limit\":0}", "result.limit",
                   "0");
    wait_end(h, "done");
}

static void an_answered_cancel_is_in_the_journal(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_expect(h, "Job.cancel", "{" JOB_ID "}", "result.cancelRequested",
                   "true");
    assert_true(recorded(h).cancel_requested);
    wait_end(h, "cancelled");
    harness_expect(h, "Job.cancel", "{" JOB_ID "}", "error.code", "84");
}

/* @method's answer comes only after the journal works again. */
static void waits_for_the_journal(struct harness *h, const char *method,
                                  const char *params, const char *path,
                                  const char *text)
{
    harness_change(h, break_journal);
    ask(h, method, params);
    assert_null(harness_next(h, h->fd, 150));
    harness_change(h, mend_journal);
    struct json_object *answer = harness_next(h, h->fd, 4000);
    assert_non_null(answer);
    harness_check(answer, path, text);
    json_object_put(answer);
}

static void orders_wait_for_the_journal(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    waits_for_the_journal(h, "Job.limit", "{" JOB_ID ",\"limit\":777}",
                          "result.limit", "777");
    assert_int_equal(recorded(h).limit, 777);
    waits_for_the_journal(h, "Job.cancel", "{" JOB_ID "}",
                          "result.cancelRequested", "true");
    wait_end(h, "cancelled");
}

static void aborts_wait_for_the_journal(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    waits_for_the_journal(h, "Host.abortJobs",
                          "[[\"" WORLD_VM "\",\"" WORLD_JOB "\"]]",
                          "result." WORLD_JOB ".ok", "true");
    assert_true(recorded(h).cancel_requested);
    wait_end(h, "cancelled");
    struct json_object *answer = harness_call(
        h, "Host.abortJobs", "[[\"" WORLD_VM "\",\"" WORLD_JOB "\"]]");
    harness_check(answer, "result." WORLD_JOB ".error.code", "84");
    harness_check(answer, "result." WORLD_VM ".error.code", "66");
    json_object_put(answer);
}

static void a_start_waits_for_the_journal(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    waits_for_the_journal(h, "Disk.migrate", MOVE, "result.id", WORLD_JOB);
    assert_true(recorded(h).id[0]);
    harness_change(h, run_mirror);
    wait_end(h, "done");
}

static void a_client_that_goes_leaves_its_order(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_change(h, break_journal);
    int fd = harness_connect(h);
    harness_send(h, fd,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Job.cancel\","
                 "\"params\":{" JOB_ID "}}\n");
    harness_run_for(h, 20);
    close(fd);
    harness_run_for(h, 20);
    harness_change(h, mend_journal);
    wait_end(h, "cancelled");
}

static void wait_state(struct harness *h, const char *wanted)
{
    for (int i = 0; i < 2000; i++) {
        struct json_object *answer =
            harness_call(h, "Job.info", "{" JOB_ID "}");
        bool there = str_equal(harness_text(answer, "result.state"), wanted);
        json_object_put(answer);
        if (there)
            return;
    }
    fail_msg("never %s", wanted);
}

/* During the pause nothing is taken; then the pivot is over, or was given up.
 * The answer is true in both cases. */
static void a_cancel_that_comes_too_late_is_an_error(void **state)
{
    struct harness *h = *state;
    harness_change(h, hang_pivot);
    harness_expect(h, "Disk.migrate", MOVE, "result.id", WORLD_JOB);
    wait_state(h, "pivoting");
    ask(h, "Job.cancel", "{" JOB_ID "}");
    harness_run_for(h, 20);
    harness_change(h, end_pivot);
    struct json_object *answer = harness_next(h, h->fd, 4000);
    assert_non_null(answer);
    bool obeyed = harness_at(answer, "result");
    int code = json_object_get_int(harness_at(answer, "error.code"));
    json_object_put(answer);
    if (!obeyed)
        assert_true(code == ERR_UNSUPPORTED || code == ERR_JOB_NOT_ACTIVE);
    wait_end(h, obeyed ? "cancelled" : "done");
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answered_limit_is_in_the_journal),
        TEST(an_answered_cancel_is_in_the_journal),
        TEST(orders_wait_for_the_journal),
        TEST(aborts_wait_for_the_journal),
        TEST(a_start_waits_for_the_journal),
        TEST(a_client_that_goes_leaves_its_order),
        TEST(a_cancel_that_comes_too_late_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
