/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What goes wrong in the world while a disk is moved: full storage, mirrors
 * that die, deletions that fail, a journal that cannot be written.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_full_destination_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run.world.domains[DST].free_bytes = 0;
    run_to_failure(&run, JOB_PREPARING, "full");
    assert_int_equal(run.job.error.code, ERR_NO_SPACE);
}

static void mirror_dies(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_end_job(&run->world.disks[0]);
}

static void a_mirror_that_dies_fails_the_job(void **state)
{
    static const enum job_state states[] = { JOB_CONVERGING, JOB_PIVOTING };
    struct run run;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        run_init(&run, 3);
        run.before_step = mirror_dies;
        run.at_state = states[i];
        run_to_failure(&run, states[i], "No space left on device");
        assert_int_equal(run.job.error.code, ERR_REPLICA);
    }
}

static void a_copy_that_breaks_off_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run.world.copies_fail = true;
    run_to_failure(&run, JOB_SYNCING, "broke off");
}

static void a_refused_mirror_fails_the_job(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.start_fails = true;
    run_to_failure(&run, JOB_STARTING, "refused");
}

static void a_guest_faster_than_the_mirror_fails_by_verdict(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    run.world.ports.converge_limit_s = 20;
    run_to_failure(&run, JOB_CONVERGING, "no convergence in 20 s");
    assert_int_equal(run.job.error.code, ERR_TIMEOUT);
}

static void without_a_limit_it_waits_for_convergence(void **state)
{
    struct run run;
    struct job job;

    (void)state;
    run_init(&run, 1);
    run.world.writes_per_ms = 8;
    job = world_job(&run.world);
    run_start(&run, &job);
    for (int i = 0; i < 2000; i++)
        world_pass(&run.world, migration_step(run.migration, &run.orders));
    assert_int_equal(migration_job(run.migration)->state, JOB_CONVERGING);
    run.world.writes_per_ms = 1;
    run_all(&run, JOB_DONE, "calm again");
}

static void a_pivot_that_fails_leaves_the_source(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.pivot_fails = true;
    run_to_failure(&run, JOB_PIVOTING, "pivot of disk vda");
    assert_int_equal(run.job.error.code, ERR_CHANGE_DISK);
}

/* Somebody made a snapshot at the last moment. */
static void writes_elsewhere(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        run->world.elsewhere = true;
}

static void a_disk_that_is_elsewhere_is_not_pivoted(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = writes_elsewhere;
    run.at_state = JOB_PIVOTING;
    run_to_failure(&run, JOB_PIVOTING, "neither on the source");
    assert_int_equal(run.job.error.code, ERR_CHANGE_DISK);
}

/* ... or before the mirror started, which goes by what froze it. */
static void a_disk_that_is_elsewhere_is_not_mirrored(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_by_snapshot(&run);
    run.before_step = writes_elsewhere;
    run.at_state = JOB_STARTING;
    run_to_failure(&run, JOB_STARTING, "disk vda");
    assert_int_equal(run.job.error.code, ERR_REPLICA);
}

static void a_source_that_cannot_be_deleted_ends_as_warning(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.domains[SRC].deletes_fail = true;
    run.may_leave_source = true;
    run_all(&run, JOB_DONE, "source stays");
    assert_non_null(strstr(run.job.warning, "drayctl rpc Image.delete"));
    assert_non_null(strstr(run.job.warning, run.job.disks[0].src_sd));
}

static void a_destination_that_cannot_be_deleted_ends_as_warning(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.copies_fail = true;
    run.world.domains[DST].deletes_fail = true;
    run.may_leave_destination = true;
    run_all(&run, JOB_FAILED, "destination stays");
    assert_non_null(strstr(run.job.warning, "drayctl rpc Image.delete"));
    assert_non_null(strstr(run.job.warning, run.job.disks[0].dst_sd));
}

static void deletion_works_again(struct run *run, enum job_state state)
{
    (void)state;
    if (run->world.now_us > 8000000)
        run->world.domains[DST].deletes_fail = false;
}

static void a_busy_destination_is_deleted_later(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.copies_fail = true;
    run.world.domains[DST].deletes_fail = true;
    run.before_step = deletion_works_again;
    run_all(&run, JOB_FAILED, "later");
    assert_string_equal(run.job.warning, "");
}

static void journal_fills_up(struct run *run, enum job_state state)
{
    (void)state;
    if (run->world.paused)
        run->world.journal_fails = true;
    else if (world_at(&run->world) == DST && run->at_step++ > 3)
        run->world.journal_fails = false;
}

/* The record of the pivot cannot be written: the guest is not left standing,
 * and the fact is left at the destination. */
static void a_full_journal_at_the_pivot_loses_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = journal_fills_up;
    run_all(&run, JOB_DONE, "journal");
    assert_in_range(run.job.progress.pause_us, 1, 1000000);

    run_init(&run, 1);
    run.before_step = journal_fills_up;
    run.world.domains[DST].legality_fails = true;
    run.may_leave_source = true;
    struct job job = world_job(&run.world);

    run_start(&run, &job);
    run_to_end(&run);
    assert_string_equal(run.world.violation, "");
    assert_in_range(run.job.progress.pause_us, 5000000, 8000000);
    run_deinit(&run);
}

static void die_and_lose_qemu(struct run *run, enum job_state state)
{
    run->world.journal_fails =
        run->world.paused || world_at(&run->world) == DST;
    if (world_at(&run->world) == DST && !run->world.paused &&
        state == JOB_PIVOTED && !run->happened) {
        run->happened = true;
        run->world.dead = true;
    }
}

static void host_goes_on(struct run *run)
{
    world_pass(&run->world, 100);
    world_shut_down(&run->world);
    run->world.journal_fails = false;
    run->before_step = NULL;
    run->may_leave_source = true;
}

/* ... and then drayd and qemu die: the record says "pivoting", without qemu
 * that would mean the source; the leaf says otherwise. */
static void the_leafs_mark_replaces_the_lost_record(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = die_and_lose_qemu;
    run.while_dead = host_goes_on;
    run_all(&run, JOB_DONE, "mark");
    assert_true(run.happened);
}

static void somebody_was_faster(struct run *run, enum job_state state)
{
    struct fake_volume *base = world_volume(&run->world, DST, 0, 0);

    if (!run_is_now(run, state))
        return;
    base->exists = true;
    base->info.legality = VOLUME_LEGAL;
    base->info.format = VOLUME_COW;
    base->info.capacity = 1 << 30;
}

/* An image of that name appears between plan and first volume. */
static void somebody_elses_image_is_left_alone(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.before_step = somebody_was_faster;
    run.at_state = JOB_PREPARING;
    run.may_leave_destination = true;
    run_to_failure(&run, JOB_PREPARING, "volume");
    assert_int_equal(run.job.error.code, ERR_VOLUME_EXISTS);
    assert_non_null(strstr(run.job.warning, "made by somebody else"));
    assert_true(world_volume(&run.world, DST, 0, 0)->exists);

    run_init(&run, 2);
    run.before_step = somebody_was_faster;
    run.at_state = JOB_PLANNED;
    run.may_leave_destination = true;
    struct job job = world_job(&run.world);

    run_start(&run, &job);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.failed_in, JOB_PLANNED);
    assert_true(world_volume(&run.world, DST, 0, 0)->exists);
    assert_string_equal(run.world.violation, "");
    run_deinit(&run);
}

static void other_job_comes(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        run->world.disk.job = true;
}

static void another_block_job_fails_the_start(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    run.before_step = other_job_comes;
    run.at_state = JOB_STARTING;
    run_to_failure(&run, JOB_STARTING, "has a job");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_destination_fails_the_job),
        cmocka_unit_test(a_mirror_that_dies_fails_the_job),
        cmocka_unit_test(a_copy_that_breaks_off_fails_the_job),
        cmocka_unit_test(a_refused_mirror_fails_the_job),
        cmocka_unit_test(a_guest_faster_than_the_mirror_fails_by_verdict),
        cmocka_unit_test(without_a_limit_it_waits_for_convergence),
        cmocka_unit_test(a_pivot_that_fails_leaves_the_source),
        cmocka_unit_test(a_disk_that_is_elsewhere_is_not_pivoted),
        cmocka_unit_test(a_disk_that_is_elsewhere_is_not_mirrored),
        cmocka_unit_test(a_source_that_cannot_be_deleted_ends_as_warning),
        cmocka_unit_test(a_destination_that_cannot_be_deleted_ends_as_warning),
        cmocka_unit_test(a_busy_destination_is_deleted_later),
        cmocka_unit_test(a_full_journal_at_the_pivot_loses_nothing),
        cmocka_unit_test(the_leafs_mark_replaces_the_lost_record),
        cmocka_unit_test(somebody_elses_image_is_left_alone),
        cmocka_unit_test(another_block_job_fails_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
