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
    [JOB_PLANNED] = "planned",     [JOB_PREPARING] = "preparing",
    [JOB_FREEZING] = "freezing",   [JOB_SYNCING] = "syncing",
    [JOB_VERIFYING] = "verifying", [JOB_SETTLING] = "settling",
    [JOB_STARTING] = "starting",   [JOB_CONVERGING] = "converging",
    [JOB_PIVOTING] = "pivoting",   [JOB_RETURNING] = "returning",
    [JOB_PIVOTED] = "pivoted",     [JOB_COMMITTING] = "committing",
    [JOB_FOLDING] = "folding",     [JOB_FOLDED] = "folded",
    [JOB_RELEASING] = "releasing", [JOB_ABORTING] = "aborting",
    [JOB_REMOVING] = "removing",   [JOB_DONE] = "done",
    [JOB_FAILED] = "failed",       [JOB_CANCELLED] = "cancelled",
};

static const char *const kinds[] = {
    [JOB_DISK_MIGRATE] = "disk_migrate", [JOB_REPLICATE] = "disk_replicate",
    [JOB_SNAPSHOT] = "snapshot",         [JOB_MERGE] = "merge",
    [JOB_CLONE] = "clone_structure",     [JOB_SYNC] = "sync_data",
    [JOB_COPY] = "image_copy",           [JOB_MOVE] = "image_move",
    [JOB_COPY_DATA] = "copy_data",       [JOB_MOVE_DATA] = "move_data",
    [JOB_UPDATE] = "update_volume",      [JOB_VM_MIGRATE] = "vm_migrate",
    [JOB_VM_RECEIVE] = "vm_receive",
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

static void every_kind_has_its_name_and_back(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_SIZE(kinds), JOB_KIND_COUNT);
    for (int i = 0; i < JOB_KIND_COUNT; i++) {
        enum job_kind parsed = JOB_KIND_COUNT;

        assert_string_equal(job_kind_name((enum job_kind)i), kinds[i]);
        assert_int_equal(job_kind_parse(kinds[i], &parsed), 0);
        assert_int_equal(parsed, i);
    }
}

static void refuses_unknown_kinds(void **state)
{
    static const char *const bad[] = { "", "disk", "merge ", "MERGE" };
    enum job_kind parsed = JOB_MERGE;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(job_kind_parse(bad[i], &parsed), -EINVAL);
    assert_int_equal(parsed, JOB_MERGE);
}

static void strategies_and_scopes_have_names(void **state)
{
    (void)state;
    assert_string_equal(job_strategy_name(JOB_MIRROR), "mirror");
    assert_string_equal(job_strategy_name(JOB_BY_SNAPSHOT), "snapshot");
    assert_string_equal(job_scope_name(JOB_ALL), "ALL");
    assert_string_equal(job_scope_name(JOB_INTERNAL), "INTERNAL");
    assert_string_equal(job_scope_name(JOB_LEAF), "LEAF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_has_its_name),
        cmocka_unit_test(parses_every_name_back),
        cmocka_unit_test(refuses_unknown_names_and_leaves_the_result),
        cmocka_unit_test(every_kind_has_its_name_and_back),
        cmocka_unit_test(refuses_unknown_kinds),
        cmocka_unit_test(strategies_and_scopes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
