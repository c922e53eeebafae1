/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs on storage that other hosts have, too: the record in the job's lease is
 * true whatever is cut off, nothing is deleted by who lost it, and what a dead
 * host left is undone by another one as far as that is certain to be right.
 */
#include "walk.h"

#include <dray/base/log.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void share(struct run *run)
{
    fake_share(&run->world);
}

static void share_by_snapshot(struct run *run)
{
    fake_share(&run->world);
    run_by_snapshot(run);
}

static void judge_record(const struct run *run, const char *where)
{
    const struct fake_lease *lease = &run->world.lease;
    bool done = run->job.state == JOB_DONE;

    if (!run->job.data.lease_made) {
        CHECK(run, where, !lease->there || run->job.warning[0]);
        return;
    }
    CHECK(run, where, lease->there && lease->owner == FAKE_NOBODY);
    CHECK(run, where, lease->records == 1);
    CHECK(run, where,
          lease->record.status == (done ? XLEASE_SUCCEEDED : XLEASE_FAILED));
    CHECK(run, where, lease->record.generation == done);
}

/* The move's own rules. */
static void judge_move(const struct run *run, const char *where)
{
    struct run *plain = (struct run *)(uintptr_t)run; /* for a moment */
    void (*judge)(const struct run *run, const char *where) = run->judge;

    plain->judge = NULL;
    run_judge(run, where);
    plain->judge = judge;
}

static void judge_both(const struct run *run, const char *where)
{
    judge_record(run, where);
    judge_move(run, where);
}

static void judge_each(struct run *run)
{
    run->judge = judge_both;
}

static void mirrored(struct run *run)
{
    share(run);
    judge_each(run);
}

static void by_snapshot(struct run *run)
{
    share_by_snapshot(run);
    judge_each(run);
}

static const struct walk mirror_walk = { .name = "shared, mirror",
                                         .layers = 2,
                                         .setup = mirrored };
static const struct walk snapshot_walk = {
    .name = "shared, snapshot", .layers = 2, .stride = 2, .setup = by_snapshot
};

/* --- cut off ----------------------------------------------------------- */

static void a_move_leaves_its_record(void **state)
{
    struct run run;

    (void)state;
    walk_set_up(&run, &mirror_walk);
    run_all(&run, JOB_DONE, "shared");
    assert_string_equal(run.job.warning, "");
    assert_string_equal(run.world.lease.id.lease, run.job.id);
    assert_string_equal(run.world.lease.id.sd, run.world.domains[DST].sd);
}

static void a_kill_at_any_call_leaves_a_true_record(void **state)
{
    (void)state;
    walk_kills_to(&mirror_walk, JOB_DONE);
    walk_kills_to(&snapshot_walk, JOB_DONE);
}

static void a_cancel_leaves_a_true_record(void **state)
{
    (void)state;
    walk_cancels(&mirror_walk);
}

static void any_call_may_fail(void **state)
{
    (void)state;
    walk_failures(&mirror_walk);
}

/* --- the lease is lost ------------------------------------------------- */

static void holder_dies(struct run *run)
{
    if (run->world.lease.owner == FAKE_US)
        run->world.lease.owner = FAKE_NOBODY;
}

static void a_lease_lost_by_accident_is_taken_again(void **state)
{
    (void)state;
    walk_event(&mirror_walk, holder_dies, JOB_DONE);
}

/* Another host took what was free for a moment. */
static void is_fenced(struct run *run)
{
    struct fake_lease *lease = &run->world.lease;

    if (!lease->there || lease->record.status != XLEASE_PENDING)
        return;
    lease->owner = FAKE_NOBODY;
    lease->record.status = XLEASE_FENCED;
    lease->record.generation++;
}

static void judge_fenced(const struct run *run, const char *where)
{
    const struct fake_lease *lease = &run->world.lease;

    CHECK(run, where, lease->owner == FAKE_NOBODY);
    if (lease->record.status == XLEASE_FENCED)
        CHECK(run, where, lease->records == 0);
    judge_move(run, where);
}

static void fenced(struct run *run)
{
    share(run);
    run->may_leave_source = run->may_leave_destination = true;
    run->judge = judge_fenced;
}

/* Deleting without the lease breaks the world. */
static void who_is_fenced_deletes_nothing(void **state)
{
    const struct walk walk = { .name = "fenced", .layers = 2, .setup = fenced };

    (void)state;
    walk_event(&walk, is_fenced, JOB_STATE_COUNT);
}

/* --- one host more ----------------------------------------------------- */

static void come_back_to_a_lost_job(struct run *run)
{
    run->world.alive = false;
    world_reboot(&run->world);
    is_fenced(run);
}

static void a_host_that_comes_back_does_nothing(void **state)
{
    static const enum job_state states[] = {
        JOB_PREPARING, JOB_SYNCING, JOB_STARTING, JOB_CONVERGING, JOB_PIVOTING,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        struct run run;
        unsigned calls = 0;

        walk_set_up(&run, &mirror_walk);
        run_until(&run, states[i]);
        const struct job job = *migration_job(run.migration);

        migration_free(run.migration);
        come_back_to_a_lost_job(&run);
        /* What another host made of it. */
        for (size_t k = 0; k < run.world.n_volumes; k++)
            if (run.world.volumes[k].side == DST)
                run.world.volumes[k].info.legality = VOLUME_LEGAL;
        run_start(&run, &job);
        run_to_end(&run);
        assert_int_equal(run.job.state, JOB_FAILED);
        assert_true(run.job.data.lost);
        assert_non_null(strstr(run.job.warning, "another host"));
        assert_int_equal(run.world.lease.record.status, XLEASE_FENCED);
        assert_string_equal(run.world.violation, "");
        calls = run.steps;
        assert_true(calls < 20);
        run.migration = NULL;
    }
}

static void one_who_was_faster_has_the_job(void **state)
{
    struct run run;

    (void)state;
    walk_set_up(&run, &mirror_walk);
    run.judge = NULL;
    run.world.lease = (struct fake_lease){ .there = true, .owner = FAKE_OTHER };
    (void)str_copy(run.world.lease.id.sd, UUID_SIZE, run.world.domains[DST].sd);
    (void)str_copy(run.world.lease.id.lease, UUID_SIZE, run.wish.id);
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.error.code, ERR_ACQUIRE_LOCK);
    assert_false(run.job.data.lease_made); /* not ours to remove */
    assert_false(world_image_exists(&run.world, DST));
    run_deinit(&run);
}

/* --- takeover ---------------------------------------------------------- */

/* Its host dies in @state; from now on this is another one. */
static void die_now(struct run *run, enum job_state state)
{
    share(run);
    run_until(run, state);
    /* The state's act is begun. */
    (void)migration_step(run->migration, &run->orders);
    migration_free(run->migration);
    run->migration = NULL;
    world_reboot(&run->world);
    run->world.defined = false;
    run->world.has_record = false;
    run->world.lease.owner = FAKE_NOBODY;
    run->world.host_dead = true;
    run->world.ports.host_id = FAKE_OTHER;
    run->lives = 0;
}

static void die_in(struct run *run, enum job_state state)
{
    run_init(run, 2);
    die_now(run, state);
}

static void take_over(struct run *run)
{
    struct err err = ERR_INIT;

    assert_int_equal(
        migrate_takeover(&run->world.ports, run->wish.id, &run->wish, &err), 0);
}

static void what_nobody_needs_is_removed(void **state)
{
    static const enum job_state states[] = { JOB_PREPARING, JOB_SYNCING,
                                             JOB_STARTING, JOB_CONVERGING };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        struct run run;

        die_in(&run, states[i]);
        take_over(&run);
        run_start(&run, &run.wish);
        run_to_end(&run);
        assert_int_equal(run.job.state, JOB_FAILED);
        assert_int_equal(run.job.error.code, ERR_JOB_STATUS);
        assert_false(world_image_exists(&run.world, DST));
        assert_true(world_image_exists(&run.world, SRC));
        assert_int_equal(run.world.lease.record.status, XLEASE_FENCED);
        assert_int_equal(run.world.lease.record.generation, 1);
        assert_string_equal(run.world.violation, "");
        run_deinit(&run);
    }
}

static void what_may_be_needed_stays(void **state)
{
    struct run run;

    (void)state;
    die_in(&run, JOB_PIVOTING);
    take_over(&run);
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_true(world_image_exists(&run.world, DST));
    assert_true(world_image_exists(&run.world, SRC));
    assert_non_null(strstr(run.job.warning, "left"));
    assert_int_equal(run.world.lease.record.status, XLEASE_FENCED);
    run_deinit(&run);
}

static void nobody_takes_over_while_the_host_lives(void **state)
{
    struct err err = ERR_INIT;
    struct run run;

    (void)state;
    die_in(&run, JOB_SYNCING);
    run.world.host_dead = false;
    assert_true(
        migrate_takeover(&run.world.ports, run.wish.id, &run.wish, &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_LOCK);
    run_deinit(&run);
}

static void who_comes_back_meanwhile_keeps_his_copy(void **state)
{
    struct run run;

    (void)state;
    die_in(&run, JOB_SYNCING);
    take_over(&run);
    run.world.host_dead = false;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_true(world_image_exists(&run.world, DST));
    assert_non_null(strstr(run.job.warning, "come back"));
    run_deinit(&run);
}

static void judge_takeover(const struct run *run, const char *where)
{
    const struct fake_lease *lease = &run->world.lease;

    CHECK(run, where, run->job.state == JOB_FAILED);
    CHECK(run, where, lease->owner == FAKE_NOBODY);
    CHECK(run, where, lease->record.status == XLEASE_FENCED);
    CHECK(run, where, lease->record.generation == 1);
    CHECK(run, where,
          !world_image_exists(&run->world, DST) || run->job.warning[0]);
    CHECK(run, where, world_image_exists(&run->world, SRC));
}

static void dead_in_syncing(struct run *run)
{
    die_now(run, JOB_SYNCING);
    take_over(run);
    run->judge = judge_takeover;
    run->world.calls = 0;
}

static void a_takeover_is_cut_off_anywhere(void **state)
{
    const struct walk walk = { .name = "takeover",
                               .layers = 2,
                               .setup = dead_in_syncing };

    (void)state;
    walk_kills_to(&walk, JOB_FAILED);
    walk_failures(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_leaves_its_record),
        cmocka_unit_test(a_kill_at_any_call_leaves_a_true_record),
        cmocka_unit_test(a_cancel_leaves_a_true_record),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(a_lease_lost_by_accident_is_taken_again),
        cmocka_unit_test(who_is_fenced_deletes_nothing),
        cmocka_unit_test(a_host_that_comes_back_does_nothing),
        cmocka_unit_test(one_who_was_faster_has_the_job),
        cmocka_unit_test(what_nobody_needs_is_removed),
        cmocka_unit_test(what_may_be_needed_stays),
        cmocka_unit_test(nobody_takes_over_while_the_host_lives),
        cmocka_unit_test(who_comes_back_meanwhile_keeps_his_copy),
        cmocka_unit_test(a_takeover_is_cut_off_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
