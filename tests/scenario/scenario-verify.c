/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A move with --verify: no source goes before its frozen copy was compared, and
 * a byte that differs ends the move on the source. And what the move costs the
 * guest, as it is told.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void setup(struct run *run)
{
    run_two_disks(run);
    run->wish.verify = true;
}

static size_t rotten_disk, rotten_layer;

static void rots(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_volume(&run->world, DST, rotten_disk, rotten_layer)->flipped =
            true;
}

static void any_flipped_bit_keeps_the_source(void **state)
{
    (void)state;
    for (rotten_disk = 0; rotten_disk < 2; rotten_disk++) {
        for (rotten_layer = 0; rotten_layer < 3; rotten_layer++) {
            struct run run;

            run_init(&run, 3);
            setup(&run);
            run.at_state = JOB_VERIFYING;
            run.before_step = rots;
            run_to_failure(&run, JOB_VERIFYING, "byte 42 differs");
            assert_int_equal(run.job.error.code, ERR_IMAGE_VERIFICATION);
            assert_string_equal(run.job.warning, "");
        }
    }
}

/* Without it nobody looks; the fake's judge would. */
static void unasked_nothing_is_compared(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run_by_snapshot(&run);
    run_start(&run, &run.wish);
    while (migration_job(run.migration)->state != JOB_DONE) {
        assert_int_not_equal(migration_job(run.migration)->state,
                             JOB_VERIFYING);
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    }
    run_deinit(&run);
}

static void a_comparison_goes_on_after_a_kill(void **state)
{
    struct walk walk = { .name = "verify", .layers = 2, .setup = setup };

    (void)state;
    rotten_disk = 1;
    rotten_layer = 1;
    walk_kills_to(&walk, JOB_DONE);
}

static void a_rotten_copy_is_undone_after_any_kill(void **state)
{
    (void)state;
    for (unsigned n = 1;; n += 3) {
        struct run run;
        char where[64];

        run_init(&run, 2);
        setup(&run);
        run.at_state = JOB_VERIFYING;
        run.before_step = rots;
        run.world.fault = FAULT_KILL_AFTER;
        run.world.fault_at = n;
        (void)str_format(where, sizeof(where), "rotten, kill at %u", n);
        run_all(&run, JOB_FAILED, where);
        if (!run.world.faulted_call[0])
            break;
    }
}

/* --- what it costs ----------------------------------------------------- */

static void tells_the_guests_latency(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_all(&run, JOB_DONE, "latency");
    assert_int_equal(run.job.progress.quiet_write_us, 100);
    assert_in_range(run.job.progress.write_us, 240, 250);
}

static void tells_none_of_a_guest_that_does_not_write(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.writes_per_ms = 0;
    run_all(&run, JOB_DONE, "no writes");
    assert_int_equal(run.job.progress.quiet_write_us, -1);
    assert_int_equal(run.job.progress.write_us, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_bit_keeps_the_source),
        cmocka_unit_test(unasked_nothing_is_compared),
        cmocka_unit_test(a_comparison_goes_on_after_a_kill),
        cmocka_unit_test(a_rotten_copy_is_undone_after_any_kill),
        cmocka_unit_test(tells_the_guests_latency),
        cmocka_unit_test(tells_none_of_a_guest_that_does_not_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
