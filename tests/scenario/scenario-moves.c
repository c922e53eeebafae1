/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Moves that go well: chains, formats, what becomes of the source.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void moves_chains_of_any_length(void **state)
{
    static const size_t lengths[] = { 1, 2, 5, LAYERS_MAX };
    struct run run;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        run_init(&run, lengths[i]);
        run_all(&run, JOB_DONE, "chain");
        assert_string_equal(run.job.warning, "");
    }
}

static void reports_the_guests_pause(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run_all(&run, JOB_DONE, "pause");
    /* The pivot itself takes 10 ms here, every call one. */
    assert_in_range(run.job.progress.pause_us, 10000, 40000);
    assert_int_equal(run.world.puts_while_held, 1);
}

static void reports_progress(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run_all(&run, JOB_DONE, "progress");
    assert_true(run.job.progress.total > 2 * 64 << 20);
    assert_true(run.job.progress.done > 2 * 64 << 20);
    assert_true(run.job.progress.done <= run.job.progress.total);
}

static void keeps_the_source_when_asked(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    run.wish.keep_source = true;
    run_all(&run, JOB_DONE, "keep");
    assert_true(world_image_exists(&run.world, SRC));
    assert_false(run.world.domains[SRC].prepared[0]);
    assert_string_equal(run.job.warning, "");
}

static void keeps_each_layers_format(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 3);
    world_set_format(&run.world, 0, VOLUME_RAW);
    run_all(&run, JOB_DONE, "raw base");
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.format,
                     VOLUME_RAW);
    assert_int_equal(world_volume(&run.world, DST, 0, 1)->info.format,
                     VOLUME_COW);
    assert_int_equal(world_volume(&run.world, DST, 0, 2)->info.format,
                     VOLUME_COW);
}

static void convert(size_t layers, enum volume_format from, bool to_cow)
{
    struct run run;

    run_init(&run, layers);
    world_set_format(&run.world, 0, from);
    run.wish.disks[0].convert = true;
    run.wish.disks[0].base_cow = to_cow;
    run_all(&run, JOB_DONE, "convert");
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.format,
                     to_cow ? VOLUME_COW : VOLUME_RAW);
}

static void converts_the_base(void **state)
{
    (void)state;
    for (size_t layers = 1; layers <= 3; layers += 2) {
        convert(layers, VOLUME_RAW, true);
        convert(layers, VOLUME_COW, false);
        convert(layers, VOLUME_RAW, false);
        convert(layers, VOLUME_COW, true);
    }
}

static void preallocated_raw_stays_preallocated(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 1);
    world_set_format(&run.world, 0, VOLUME_RAW);
    world_volume(&run.world, SRC, 0, 0)->info.allocation = VOLUME_PREALLOCATED;
    run_all(&run, JOB_DONE, "preallocated");
    assert_int_equal(world_volume(&run.world, DST, 0, 0)->info.allocation,
                     VOLUME_PREALLOCATED);
}

static void a_vm_that_others_paused_stays_paused(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    world_pause_by_other(&run.world);
    run_all(&run, JOB_DONE, "paused");
    assert_true(run.world.paused);
    assert_int_equal(run.job.progress.pause_us, -1);
}

static void a_transient_vm_moves_too(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.defined = false;
    run_all(&run, JOB_DONE, "transient");
}

static void any_spelling_of_the_path_is_recognised(void **state)
{
    struct run run;

    (void)state;
    run_init(&run, 2);
    run.world.other_spelling = true;
    run_all(&run, JOB_DONE, "spelling");
    assert_string_equal(run.job.warning, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_chains_of_any_length),
        cmocka_unit_test(reports_the_guests_pause),
        cmocka_unit_test(reports_progress),
        cmocka_unit_test(keeps_the_source_when_asked),
        cmocka_unit_test(keeps_each_layers_format),
        cmocka_unit_test(converts_the_base),
        cmocka_unit_test(preallocated_raw_stays_preallocated),
        cmocka_unit_test(a_vm_that_others_paused_stays_paused),
        cmocka_unit_test(a_transient_vm_moves_too),
        cmocka_unit_test(any_spelling_of_the_path_is_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
