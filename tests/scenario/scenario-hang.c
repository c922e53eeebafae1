/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A destination that does not answer any more, from any moment on: the guest
 * does not notice. An LV is cut off before anything that waits for it is ended;
 * a file is waited for. (That nothing is ended before, the fakes see to.)
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What comes after the pivot is the guest's own disk. */
static void hang(struct run *run)
{
    run->may_leave_destination = true; /* a file: with a warning */
    if (world_at(&run->world) == SRC && run->world.record.state <= JOB_PIVOTING)
        run->world.domains[DST].hangs = run->world.now_us;
}

static void hang_and_cancel(struct run *run)
{
    hang(run);
    run->orders.cancel = true;
}

/* It is back after some time. */
static void answer_later(struct run *run, enum job_state state)
{
    struct fake_domain *domain = &run->world.domains[DST];

    (void)state;
    if (domain->hangs && run->world.now_us > domain->hangs + 90000000)
        domain->hangs = 0;
}

static void by_snapshot(struct run *run)
{
    run_by_snapshot(run);
    run->world.copy_per_ms = 1 << 19;
}

static const struct walk walks[] = {
    {.name = "mirror", .layers = 2         },
    { .name = "snapshot",     .layers = 2, .setup = by_snapshot },
};

static void an_lv_that_hangs_is_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct walk walk = walks[i];

        walk.lvs = 1 << DST;
        walk_event(&walk, hang, JOB_STATE_COUNT);
        walk.lvs |= 1 << SRC;
        walk_event(&walk, hang, JOB_STATE_COUNT);
    }
}

static void a_cancel_takes_the_same_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct walk walk = walks[i];

        walk.lvs = 1 << DST;
        walk_event(&walk, hang_and_cancel, JOB_STATE_COUNT);
    }
}

static void a_file_that_hangs_is_waited_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct walk walk = walks[i];

        walk.before_step = answer_later;
        walk_event(&walk, hang, JOB_STATE_COUNT);
        walk_event(&walk, hang_and_cancel, JOB_STATE_COUNT);
    }
}

static void kills_meanwhile_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct walk walk = walks[i];

        walk.lvs = 1 << DST;
        walk.stride = 3;
        walk.while_dead = hang;
        walk_kills(&walk, NULL);
    }
}

/* --- how long ---------------------------------------------------------- */

static int64_t hang_ms; /* of hang_for_a_while() */

static void hang_for_a_while(struct run *run, enum job_state state)
{
    struct fake_domain *domain = &run->world.domains[DST];

    if (run_is_now(run, state))
        domain->hangs = run->world.now_us;
    if (domain->hangs && run->world.now_us > domain->hangs + hang_ms * 1000)
        domain->hangs = 0;
}

static void start_hanging(struct run *run, unsigned lvs, int64_t ms)
{
    const struct walk walk = { .layers = 2,
                               .lvs = lvs,
                               .before_step = hang_for_a_while };

    hang_ms = ms;
    walk_set_up(run, &walk);
    run->at_state = JOB_CONVERGING;
}

static void a_short_silence_is_forgiven(void **state)
{
    struct run run;

    (void)state;
    for (unsigned lvs = 0; lvs < ALL_LVS; lvs++) {
        start_hanging(&run, lvs, 9000);
        run_all(&run, JOB_DONE, "short silence");
        assert_string_equal(run.job.warning, "");
    }
}

static void a_long_one_ends_the_job_with_words(void **state)
{
    struct run run;

    (void)state;
    start_hanging(&run, 1 << DST, 1000000);
    run_to_failure(&run, JOB_CONVERGING, "has not answered for 15 s");
    assert_int_equal(run.job.error.code, ERR_NOT_RESPONDING);
    assert_non_null(strstr(run.job.warning, "it was cut off"));
    assert_false(world_image_exists(&run.world, DST));
}

static void of_a_file_it_says_what_it_waits_for(void **state)
{
    struct run run;

    (void)state;
    start_hanging(&run, 0, 100000);
    run_to_failure(&run, JOB_CONVERGING, "has not answered for 15 s");
    assert_non_null(strstr(run.job.warning, "the job waits until it does"));
    assert_false(world_image_exists(&run.world, DST));
    assert_true(run.job.ended_ms - run.job.created_ms > 100000);
}

/* Silent, but data arrives: a storage that is only slow. */
static void move_a_little(struct run *run, enum job_state state)
{
    struct fake_job *job = &run->world.disks[0].job;

    hang_for_a_while(run, state);
    if (run->world.domains[DST].hangs && job->kind == VM_JOB_COPY)
        job->done++;
}

static void slow_is_not_dead(void **state)
{
    struct run run;

    (void)state;
    start_hanging(&run, 1 << DST, 60000);
    run.before_step = move_a_little;
    run_all(&run, JOB_DONE, "slow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_lv_that_hangs_is_cut_off),
        cmocka_unit_test(a_cancel_takes_the_same_way),
        cmocka_unit_test(a_file_that_hangs_is_waited_for),
        cmocka_unit_test(kills_meanwhile_change_nothing),
        cmocka_unit_test(a_short_silence_is_forgiven),
        cmocka_unit_test(a_long_one_ends_the_job_with_words),
        cmocka_unit_test(of_a_file_it_says_what_it_waits_for),
        cmocka_unit_test(slow_is_not_dead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
