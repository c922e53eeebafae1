/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images without a VM: cloneStructure, syncData, copy and move. What is undone
 * leaves no destination, what fails keeps the source, and what was copied once
 * is not copied again.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Only looked at. */
static const struct fake_volume *layer(const struct run *run, enum side side,
                                       size_t i)
{
    return world_volume((struct fake_world *)(uintptr_t)&run->world, side, 0,
                        i);
}

static void judge_source(const struct run *run, const char *where)
{
    run_judge_chain(run, where, SRC, 0, false);
    CHECK(run, where,
          world_knows(layer(run, SRC, run->world.layers - 1)) ==
              run->world.disks[0].acknowledged);
}

static void judge_absent(const struct run *run, const char *where,
                         enum side side)
{
    bool there = world_image_exists(&run->world, side);
    bool may_stay =
        side == SRC ? run->may_leave_source : run->may_leave_destination;

    CHECK(run, where, !there || may_stay);
    CHECK(run, where, !there || run->job.warning[0]);
}

/* --- setups ------------------------------------------------------------ */

static void ask_for(struct run *run, enum job_kind kind)
{
    run->wish.kind = kind;
    run->wish.vm[0] = run->wish.vm_name[0] = '\0';
    run->wish.disks[0].target[0] = '\0';
}

/* Its guest has written, and has gone. */
static void end_vm(struct run *run)
{
    world_pass(&run->world, 50);
    world_reboot(&run->world);
    run->world.defined = false;
    run->world.domains[SRC].prepared[0] = false;
}

static void judge_clone(const struct run *run, const char *where)
{
    size_t n = run->world.layers;

    judge_source(run, where);
    if (run->job.state != JOB_DONE) {
        judge_absent(run, where, DST);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct fake_volume *from = layer(run, SRC, i);
        const struct fake_volume *to = layer(run, DST, i);

        CHECK(run, where, to->exists && to->fresh);
        CHECK(run, where, to->info.format == from->info.format);
        CHECK(run, where, to->info.role == from->info.role);
        CHECK(run, where, strcmp(to->info.parent, from->info.parent) == 0);
        CHECK(run, where, to->info.legality == VOLUME_ILLEGAL);
    }
}

static void clone(struct run *run)
{
    ask_for(run, JOB_CLONE);
    run->may_be_large = true; /* for what is to come */
    run->judge = judge_clone;
}

static void judge_sync(const struct run *run, const char *where)
{
    size_t n = run->world.layers;

    judge_source(run, where);
    for (size_t i = 0; i < n; i++) {
        const struct fake_volume *to = layer(run, DST, i);
        bool leaf = i + 1 == n;
        bool asked =
            run->wish.scope == JOB_ALL || leaf == (run->wish.scope == JOB_LEAF);

        CHECK(run, where, to->exists);
        CHECK(run, where, to->info.legality != VOLUME_LEGAL || to->whole);
        if (run->job.state != JOB_DONE || !asked)
            continue;
        CHECK(run, where, to->info.legality == VOLUME_LEGAL);
        CHECK(run, where, to->whole && to->to == layer(run, SRC, i)->to);
    }
}

static void make_structure(struct run *run)
{
    const char *below = UUID_BLANK;

    for (size_t i = 0; i < run->world.layers; i++) {
        struct fake_volume *to = world_make(
            &run->world, DST, 0, layer(run, SRC, i)->info.id.vol, below);

        to->info.role = layer(run, SRC, i)->info.role;
        to->info.legality = VOLUME_ILLEGAL;
        to->whole = false;
        below = to->info.id.vol;
    }
}

static void sync_all(struct run *run)
{
    end_vm(run);
    ask_for(run, JOB_SYNC);
    make_structure(run);
    run->judge = judge_sync;
}

/* Beside a running VM. */
static void sync_internal(struct run *run)
{
    ask_for(run, JOB_SYNC);
    make_structure(run);
    run->wish.scope = JOB_INTERNAL;
    run->judge = judge_sync;
}

static void sync_leaf(struct run *run)
{
    sync_all(run);
    run->wish.scope = JOB_LEAF;
}

static void judge_copy(const struct run *run, const char *where)
{
    bool done = run->job.state == JOB_DONE;
    bool moved = run->wish.kind == JOB_MOVE && done;

    if (!moved)
        judge_source(run, where);
    else
        judge_absent(run, where, SRC);
    if (!done) {
        judge_absent(run, where, DST);
        return;
    }
    run_judge_chain(run, where, DST, 0, false);
    CHECK(run, where,
          world_knows(layer(run, DST, run->world.layers - 1)) ==
              run->world.disks[0].acknowledged);
}

static void copy(struct run *run)
{
    end_vm(run);
    ask_for(run, JOB_COPY);
    run->wish.verify = true;
    run->judge = judge_copy;
}

static void move(struct run *run)
{
    copy(run);
    run->wish.kind = JOB_MOVE;
}

static const struct walk walks[] = {
    {.name = "clone",          .layers = 3, .setup = clone        },
    { .name = "sync all",      .layers = 2, .setup = sync_all     },
    { .name = "sync internal", .layers = 3, .setup = sync_internal},
    { .name = "sync leaf",     .layers = 2, .setup = sync_leaf    },
    { .name = "copy",          .layers = 2, .setup = copy         },
    { .name = "move",          .layers = 2, .setup = move         },
};

/* --- well -------------------------------------------------------------- */

static void each_does_its_work(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks) * ALL_LVS; i++) {
        struct walk walk = walks[i / ALL_LVS];
        struct run run;

        walk.lvs = i % ALL_LVS;
        walk_set_up(&run, &walk);
        run_all(&run, JOB_DONE, walk.name);
        assert_string_equal(run.job.warning, "");
    }
}

static void copies_each_format(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4 * ALL_LVS; i++) {
        const struct walk walk = { .layers = 2, .lvs = i / 4 };
        struct run run;

        walk_set_up(&run, &walk);
        world_set_format(&run.world, 0, i & 1 ? VOLUME_RAW : VOLUME_COW);
        copy(&run);
        run.wish.disks[0].convert = true;
        run.wish.disks[0].base_cow = i & 2;
        run_all(&run, JOB_DONE, "format");
        assert_int_equal(layer(&run, DST, 0)->info.format,
                         i & 2 ? VOLUME_COW : VOLUME_RAW);
    }
}

/* A new sync copies anew what an earlier one finished. */
static void syncs_again(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    sync_all(&run);
    for (size_t i = 0; i < 2; i++) {
        struct fake_volume *to = world_volume(&run.world, DST, 0, i);

        to->info.legality = VOLUME_LEGAL;
        to->whole = true;
        to->fresh = false;
    }
    run_all(&run, JOB_DONE, "again");
}

/* --- badly ------------------------------------------------------------- */

static void rots(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_volume(&run->world, DST, 0, 1)->flipped = true;
}

static void a_flipped_bit_keeps_the_source(void **state)
{
    static void (*const setups[])(struct run * run) = { copy, move };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
        struct run run;

        run_init(&run, 2);
        setups[i](&run);
        run.at_state = JOB_VERIFYING;
        run.before_step = rots;
        run_to_failure(&run, JOB_VERIFYING, "differs");
        assert_int_equal(run.job.error.code, ERR_IMAGE_VERIFICATION);
        assert_true(world_image_exists(&run.world, SRC));
        assert_false(world_image_exists(&run.world, DST));
    }
}

/* The VM that has it starts tomorrow. */
static void a_source_that_a_vm_is_defined_with_is_kept(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    move(&run);
    run.world.defined = true;
    run.may_leave_source = true;
    run_all(&run, JOB_DONE, "defined");
    assert_true(world_image_exists(&run.world, SRC));
    assert_non_null(strstr(run.job.warning, "source kept"));
}

static void a_copy_that_breaks_off_leaves_nothing(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    copy(&run);
    run.world.copies_fail = true;
    run_to_failure(&run, JOB_SYNCING, "broke off");
    run_init(&run, 2);
    copy(&run);
    run.world.copies_fail = true;
    run.world.domains[DST].deletes_fail = true;
    run.may_leave_destination = true;
    run_to_failure(&run, JOB_SYNCING, "broke off");
    assert_non_null(strstr(run.job.warning, "drayctl rpc Image.delete"));
}

static void full(struct run *run)
{
    run->world.domains[DST].free_bytes = 0;
}

static void a_full_destination_leaves_nothing(void **state)
{
    static void (*const setups[])(struct run * run) = { clone, copy, move };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
        struct run run;

        run_init(&run, 3);
        setups[i](&run);
        full(&run);
        run_to_failure(&run, JOB_PREPARING, "full");
        assert_int_equal(run.job.error.code, ERR_NO_SPACE);
    }
}

/* --- going on ---------------------------------------------------------- */

static void kill_in_copy(struct run *run, enum job_state state)
{
    (void)state;
    if (run->lives == 1 && run->world.copied > 40 << 20)
        run->world.dead = true;
}

static void goes_on_from_the_checkpoint(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    copy(&run);
    run.wish.verify = false;
    run.world.copy_per_ms = 1 << 17;
    run.before_step = kill_in_copy;
    run_all(&run, JOB_DONE, "checkpoint");
    assert_int_equal(run.lives, 2);
    assert_in_range(run.world.copied, 64 << 20, 66 << 20);
}

static void start_vm_in_copy(struct run *run, enum job_state state)
{
    if (state == JOB_SYNCING && run->world.copied > 1 << 20)
        run->world.alive = run->world.defined = true;
}

static void start_vm_in_compare(struct run *run, enum job_state state)
{
    if (state == JOB_VERIFYING)
        run->world.alive = run->world.defined = true;
}

/* What it writes is not in the copy. */
static void a_vm_that_is_started_meanwhile_keeps_its_image(void **state)
{
    void (*const moments[])(struct run *,
                            enum job_state) = { start_vm_in_copy,
                                                start_vm_in_compare };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
        struct run run;

        run_init(&run, 2);
        move(&run);
        run.before_step = moments[i];
        run_all(&run, JOB_FAILED, "started");
        assert_int_equal(run.job.error.code, ERR_VOLUME_BUSY);
        assert_true(world_image_exists(&run.world, SRC));
    }
}

static void what_is_finished_is_not_copied_again(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    copy(&run);
    run.wish.verify = false;
    run.before_step = kill_in_copy;
    run_all(&run, JOB_DONE, "layers");
    assert_int_equal(run.lives, 2);
    assert_in_range(run.world.copied, 3 * 64 << 20, (3 * 64 << 20) + (8 << 20));
}

static void survives_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks) * ALL_LVS; i++) {
        struct walk walk = walks[i / ALL_LVS];
        struct walk broken;

        walk.lvs = i % ALL_LVS;
        broken = walk;
        walk_kills_to(&walk, JOB_DONE);
        walk_failures(&walk);
        walk_cancels(&walk);
        broken.while_dead = event_cancel;
        walk_kills(&broken, NULL);
        broken.while_dead = NULL;
        broken.before_step = disturb_copies;
        walk_kills(&broken, NULL);
        walk_failures(&broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_does_its_work),
        cmocka_unit_test(copies_each_format),
        cmocka_unit_test(syncs_again),
        cmocka_unit_test(a_flipped_bit_keeps_the_source),
        cmocka_unit_test(a_source_that_a_vm_is_defined_with_is_kept),
        cmocka_unit_test(a_copy_that_breaks_off_leaves_nothing),
        cmocka_unit_test(a_full_destination_leaves_nothing),
        cmocka_unit_test(goes_on_from_the_checkpoint),
        cmocka_unit_test(what_is_finished_is_not_copied_again),
        cmocka_unit_test(a_vm_that_is_started_meanwhile_keeps_its_image),
        cmocka_unit_test(survives_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
