/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Live import of a plain file into a domain, live export to a file and to a
 * URI. What we made goes when it is undone, what was there stays as it was.
 */
#include "walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void from_file(struct run *run)
{
    world_set_outside(&run->world, SRC, false);
    run->wish = world_job(&run->world);
}

static void to_file(struct run *run)
{
    world_set_outside(&run->world, DST, false);
    run->wish = world_job(&run->world);
}

static void to_uri(struct run *run)
{
    world_set_outside(&run->world, DST, true);
    world_set_format(&run->world, 0, VOLUME_RAW);
    run->wish = world_job(&run->world);
}

static const struct walk import = { .name = "import",
                                    .layers = 1,
                                    .setup = from_file };
static const struct walk export = { .name = "export to a file",
                                    .layers = 2,
                                    .setup = to_file };
static const struct walk export_uri = { .name = "export to a URI",
                                        .layers = 1,
                                        .setup = to_uri };

static void by_snapshot(struct run *run)
{
    struct job_disk *of = &run->wish.disks[0];

    run->wish.verify = true;
    run->wish.strategy = JOB_BY_SNAPSHOT;
    (void)str_copy(of->overlay, UUID_SIZE,
                   "77777777-7777-4777-8777-777777777777");
    (void)str_format(of->beside, sizeof(of->beside), "/out/drayd-%s.qcow2",
                     of->overlay);
}

static void from_file_verified(struct run *run)
{
    from_file(run);
    by_snapshot(run);
}

static void to_file_verified(struct run *run)
{
    to_file(run);
    by_snapshot(run);
}

static void to_uri_verified(struct run *run)
{
    to_uri(run);
    by_snapshot(run);
}

static const struct walk import_verified = { .name = "verified import",
                                             .layers = 1,
                                             .setup = from_file_verified };
static const struct walk export_verified = { .name = "verified export",
                                             .layers = 2,
                                             .setup = to_file_verified };
static const struct walk export_uri_verified = { .name = "verified, to a URI",
                                                 .layers = 1,
                                                 .setup = to_uri_verified };

static void imports_a_file(void **state)
{
    (void)state;
    for (int cow = 0; cow <= 1; cow++) {
        struct run run;
        const struct fake_volume *leaf;

        run_init(&run, 1);
        world_set_format(&run.world, 0, cow ? VOLUME_COW : VOLUME_RAW);
        from_file(&run);
        run_all(&run, JOB_DONE, "import");
        leaf = world_volume(&run.world, DST, 0, 0);
        assert_int_equal(leaf->info.format, cow ? VOLUME_COW : VOLUME_RAW);
        assert_int_equal(leaf->info.capacity, 1 << 30);
        assert_string_equal(leaf->info.parent, UUID_BLANK);
        assert_true(world_image_exists(&run.world, SRC));
        assert_string_equal(run.job.warning, "");
    }
}

static void converts_what_it_imports(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    from_file(&run);
    run.wish.disks[0].base_cow = false;
    run_all(&run, JOB_DONE, "import as raw");
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.format,
                     VOLUME_RAW);
}

static void exports_a_chain_as_one_file(void **state)
{
    struct run run;

    (void)state;
    for (size_t layers = 1; layers <= 3; layers++) {
        run_init(&run, layers);
        to_file(&run);
        run_all(&run, JOB_DONE, "export");
        assert_false(world_image_exists(&run.world, SRC));
        assert_int_equal(run.world.disks[0].n, 1);
        assert_true(world_volume(&run.world, DST, 0, 0)->kept);
        assert_string_equal(run.world.disks[0].persistent->info.path,
                            "/out/dst-vda");
        assert_string_equal(run.job.warning, "");
    }
}

static void exports_to_a_uri_and_keeps_the_source(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_uri(&run);
    run.wish.keep_source = true;
    run_all(&run, JOB_DONE, "export to a URI");
    assert_true(world_image_exists(&run.world, SRC));
}

static void a_file_that_is_there_is_left_alone(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_file(&run);
    world_volume(&run.world, DST, 0, 0)->exists = true;
    run.may_leave_destination = true;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.failed_in, JOB_PLANNED);
    assert_int_equal(run.job.error.code, ERR_VOLUME_EXISTS);
    assert_true(world_volume(&run.world, DST, 0, 0)->exists);
    assert_string_equal(run.world.violation, "");
    run_deinit(&run);
}

static void somebody_was_faster(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_volume(&run->world, DST, 0, 0)->exists = true;
}

static void so_is_one_that_came_meanwhile(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_file(&run);
    run.at_state = JOB_PREPARING;
    run.before_step = somebody_was_faster;
    run.may_leave_destination = true;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.error.code, ERR_VOLUME_EXISTS);
    assert_true(world_volume(&run.world, DST, 0, 0)->exists);
    assert_non_null(strstr(run.job.warning, "/out/dst-vda"));
    run_deinit(&run);
}

/* Since the plan: formatting a device would end what it has there. */
static void a_place_that_a_vm_has_is_left_alone(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_uri(&run);
    run.world.place_user = true;
    run_start(&run, &run.wish);
    run_to_end(&run);
    assert_int_equal(run.job.state, JOB_FAILED);
    assert_int_equal(run.job.failed_in, JOB_PLANNED);
    assert_int_equal(run.job.error.code, ERR_VOLUME_BUSY);
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->made, 0);
    run_deinit(&run);
}

static void a_file_that_cannot_be_removed_is_named(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_file(&run);
    run.world.pivot_fails = true;
    run.world.domains[DST].deletes_fail = true;
    run.may_leave_destination = true;
    run_all(&run, JOB_FAILED, "file stays");
    assert_non_null(strstr(run.job.warning, "/out/dst-vda"));
}

static void journal_fills_up(struct run *run, enum job_state state)
{
    (void)state;
    if (run->world.paused)
        run->world.journal_fails = true;
    else if (world_at(&run->world) == DST && run->at_step++ > 3)
        run->world.journal_fails = false;
}

/* Nothing outside takes a mark: the guest waits for the journal as long as it
 * may. */
static void a_full_journal_at_the_pivot_holds_the_guest(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    to_file(&run);
    run.before_step = journal_fills_up;
    run_all(&run, JOB_DONE, "journal");
    assert_in_range(run.job.progress.pause_us, 5000000, 8000000);
    assert_non_null(strstr(run.job.warning, "before the end of the pivot"));
}

static void walk_through(const struct walk *walk)
{
    struct walk other = *walk;

    walk_kills_to(walk, JOB_DONE);
    walk_failures(walk);
    walk_cancels(walk);
    walk_event(walk, event_vm_ends, JOB_STATE_COUNT);
    walk_event(walk, event_libvirtd_goes, JOB_DONE);
    walk_event(walk, event_other_pauses, JOB_DONE);
    other.while_dead = event_vm_ends;
    walk_kills(&other, NULL);
    other.while_dead = event_mirrors_die;
    walk_kills(&other, NULL);
    other.while_dead = NULL;
    other.before_step = disturb_by_cancel_in_converging;
    walk_kills_to(&other, JOB_CANCELLED);
    walk_failures(&other);
    other.before_step = disturb_pivots;
    walk_kills_to(&other, JOB_FAILED);
    walk_event(&other, event_vm_ends, JOB_FAILED);
}

static void an_import_survives_anything(void **state)
{
    (void)state;
    walk_through(&import);
}

static void an_export_survives_anything(void **state)
{
    (void)state;
    walk_through(&export);
    walk_through(&export_uri);
}

/* --- verified ---------------------------------------------------------- */

static void bit_rots(struct run *run, enum job_state state)
{
    if (run_is_now(run, state))
        world_volume(&run->world, DST, 0, 0)->flipped = true;
}

static void a_flipped_bit_is_caught(void **state)
{
    static const struct walk *const walks[] = { &import_verified,
                                                &export_verified,
                                                &export_uri_verified };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(walks); i++) {
        struct run run;

        run_init(&run, walks[i]->layers);
        walks[i]->setup(&run);
        run.at_state = JOB_VERIFYING;
        run.before_step = bit_rots;
        run_all(&run, JOB_FAILED, walks[i]->name);
        assert_int_equal(run.job.error.code, ERR_IMAGE_VERIFICATION);
        assert_int_equal(run.job.failed_in, JOB_VERIFYING);
        assert_int_equal(world_at(&run.world), SRC);
        assert_string_equal(run.job.warning, "");
    }
}

/* The source is left as the guest left it, not as it was when it was frozen. */
static void a_verified_import_leaves_a_whole_source(void **state)
{
    struct run run;
    const struct fake_volume *leaf;

    (void)state;
    run_init(&run, 1);
    from_file_verified(&run);
    run_all(&run, JOB_DONE, "verified import");
    leaf = world_volume(&run.world, SRC, 0, 0);
    assert_true(leaf->to > 0);
    assert_string_equal(run.job.warning, "");
}

static void a_verified_import_survives_anything(void **state)
{
    (void)state;
    walk_through(&import_verified);
}

static void a_verified_export_survives_anything(void **state)
{
    (void)state;
    walk_through(&export_verified);
    walk_through(&export_uri_verified);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imports_a_file),
        cmocka_unit_test(converts_what_it_imports),
        cmocka_unit_test(exports_a_chain_as_one_file),
        cmocka_unit_test(exports_to_a_uri_and_keeps_the_source),
        cmocka_unit_test(a_file_that_is_there_is_left_alone),
        cmocka_unit_test(so_is_one_that_came_meanwhile),
        cmocka_unit_test(a_place_that_a_vm_has_is_left_alone),
        cmocka_unit_test(a_file_that_cannot_be_removed_is_named),
        cmocka_unit_test(a_full_journal_at_the_pivot_holds_the_guest),
        cmocka_unit_test(an_import_survives_anything),
        cmocka_unit_test(an_export_survives_anything),
        cmocka_unit_test(a_flipped_bit_is_caught),
        cmocka_unit_test(a_verified_import_leaves_a_whole_source),
        cmocka_unit_test(a_verified_import_survives_anything),
        cmocka_unit_test(a_verified_export_survives_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
