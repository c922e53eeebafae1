/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words for states: complete, distinct, and the same as ever, because
 * journals of earlier versions hold them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dray/job.h>

static const char *const expected[] = {
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

static void every_state_has_its_name(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_SIZE(expected), JOB_STATE_COUNT);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_string_equal(job_state_name((enum job_state)i), expected[i]);
}

static void parses_every_name_back(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        enum job_state parsed = JOB_STATE_COUNT;

        assert_int_equal(job_state_parse(expected[i], &parsed), 0);
        assert_int_equal(parsed, i);
    }
}

static void refuses_unknown_names_and_leaves_the_result(void **state)
{
    static const char *const bad[] = { "", "plan", "planned ", "PLANNED" };
    enum job_state parsed = JOB_PIVOTED;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(job_state_parse(bad[i], &parsed), -EINVAL);
    assert_int_equal(parsed, JOB_PIVOTED);
}

static void kind_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(job_kind_name(JOB_DISK_MIGRATE), "disk_migrate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_has_its_name),
        cmocka_unit_test(parses_every_name_back),
        cmocka_unit_test(refuses_unknown_names_and_leaves_the_result),
        cmocka_unit_test(kind_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
