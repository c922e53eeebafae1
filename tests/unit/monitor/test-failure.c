/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When there is no space, when storage hangs, when numbers are wrong, when a
 * guest stands still.
 */
#include "rig.h"
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig; /* large */

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static struct monitor_stats stats_now(void)
{
    struct monitor_stats stats;
    core_stats(&rig.core, &stats);
    return stats;
}

/* --- a guest without space --- */

static void a_guest_that_stopped_gets_space_and_runs(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig_write(&rig, layer, 2561 * MIB); /* as qemu counts a failed write */
    assert_true(rig.paused[1]);
    rig_run(&rig, 100);
    assert_false(rig.paused[1]);
    assert_int_equal(rig.resumed[1], 1);
    assert_true(layer->size >= 5120 * MIB);
    assert_int_equal(stats_now().pauses, 1);
    assert_int_equal(rig_count(&rig, MONITOR_PAUSED), 1);
    assert_int_equal(rig_count(&rig, MONITOR_RESUMED), 1);
    const struct monitor_event *event = rig_last(&rig, MONITOR_RESUMED);
    assert_string_equal(event->target, "vda");
    assert_int_equal(event->took_ms, 20);
}

static void the_poll_finds_a_guest_that_stopped(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig.lost = true;
    rig_write(&rig, layer, 2560 * MIB + 4096);
    rig_run(&rig, 2100);
    assert_false(rig.paused[1]);
    assert_int_equal(rig.resumed[1], 1);
}

static void a_fully_grown_layer_grows_for_a_guest_that_stopped(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 3200 * MIB);
    layer->capacity = 3 * GIB;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 3201 * MIB);
    rig_run(&rig, 100);
    assert_int_equal(rig.resumed[1], 1);
    assert_int_equal(layer->size, 3328 * MIB);
}

/* However far the writes reached that failed. */
static void failed_writes_far_beyond_the_end_are_no_lie(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig_write(&rig, layer, 9000 * MIB);
    rig_run(&rig, 5000);
    assert_int_equal(rig.resumed[1], 1);
    assert_true(layer->size >= 9000 * MIB);
    assert_int_equal(rig_count(&rig, MONITOR_FAILED), 0);
}

static void a_vm_paused_for_another_reason_stays_paused(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.paused[1] = true; /* by a user, or by a job of ours */
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    rig_alarm(&rig, VM_ALARM_NO_SPACE, layer);
    rig_run(&rig, 10000);
    assert_true(rig.paused[1]);
    assert_int_equal(rig.resumed[1], 0);
    assert_int_equal(stats_now().pauses, 0);
    assert_int_equal(layer->size, 5120 * MIB);
}

static void a_full_file_is_not_ours_to_extend(void **state)
{
    (void)state;
    struct rig_layer *file = rig_add(&rig, 1, "vda", 0, GIB);
    (void)rig_add(&rig, 1, "vdb", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig_write(&rig, file, 2 * GIB);
    rig_run(&rig, 10000);
    assert_true(rig.paused[1]);
    assert_string_equal(rig.order, "");
}

static void a_vm_that_is_held_is_not_resumed(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig_vm(1, vm);
    assert_int_equal(core_hold(&rig.core, vm, "one", &rig), 0);
    assert_int_equal(core_hold(&rig.core, vm, "one", &rig), 0); /* repeated */
    assert_int_equal(core_hold(&rig.core, vm, "two", &rig), 0);
    rig_write(&rig, layer, 2561 * MIB);
    rig_run(&rig, 5000);
    assert_int_equal(rig.answers, 3);
    assert_true(rig.paused[1]);
    assert_int_equal(layer->size, 5120 * MIB);
    core_release(&rig.core, vm, "one", rig.now_ms);
    core_release(&rig.core, vm, "one", rig.now_ms);
    rig_run(&rig, 5000);
    assert_true(rig.paused[1]);
    core_release(&rig.core, vm, "two", rig.now_ms);
    rig_run(&rig, 100);
    assert_false(rig.paused[1]);
    assert_int_equal(layer->size, 5120 * MIB); /* no more than once */
}

static void a_resume_that_fails_is_tried_again_without_growing(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig.resume_rc = -EIO;
    rig_write(&rig, layer, 2561 * MIB);
    rig_run(&rig, 10000);
    assert_true(rig.paused[1]);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_string_equal(rig_last(&rig, MONITOR_FAILED)->text,
                        "qemu does not want to");
    assert_int_equal(rig_count(&rig, MONITOR_FAILED), 1);
    rig.resume_rc = 0;
    rig_run(&rig, 2100);
    assert_false(rig.paused[1]);
    assert_int_equal(stats_now().pauses, 1);
}

/* --- a VG without space --- */

static void a_full_vg_is_told_before_the_guest_stops(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].free_bytes = 0;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    rig_run(&rig, 50);
    const struct monitor_event *event = rig_last(&rig, MONITOR_FAILED);
    assert_non_null(event);
    assert_string_equal(event->text, "VG 1 has 0 bytes left");
    assert_int_equal(event->free_bytes, 1960 * MIB);
    assert_int_equal(event->wanted_bytes, 5120 * MIB);
    assert_false(rig.paused[1]);
    assert_string_equal(rig_mark(&rig, layer).problem, "VG 1 has 0 bytes left");
}

static void a_failed_extension_is_tried_again_ever_more_rarely(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].free_bytes = 0;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    rig_run(&rig, 20000);
    uint64_t first = stats_now().failures;
    assert_in_range(first, 6, 9); /* 0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75 */
    rig_run(&rig, 100000);
    assert_in_range(stats_now().failures - first, 9, 12);
    /* told at once, then each minute */
    assert_in_range(rig_count(&rig, MONITOR_FAILED), 2, 3);

    rig.vgs[1].free_bytes = 10 * GIB;
    rig_run(&rig, 11000);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_int_equal(layer->threshold, 3072 * MIB);
    assert_string_equal(rig_mark(&rig, layer).problem, "");
    /* What it took is told, but no reason to expect it again. */
    assert_in_range(stats_now().max_ms, 100000, 140000);
    assert_in_range(layer->size - layer->threshold, 2 * GIB, 2 * GIB);
}

static void the_last_extent_goes_to_a_guest_that_would_stop(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].free_bytes = 128 * MIB;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    rig_run(&rig, 5000);
    assert_int_equal(layer->size, 2560 * MIB); /* there is time */
    rig_write(&rig, layer, 2561 * MIB);
    rig_run(&rig, 100);
    assert_int_equal(layer->size, 2688 * MIB);
    assert_int_equal(rig.resumed[1], 1);
    assert_true(rig_count(&rig, MONITOR_FAILED) > 0);

    rig_write(&rig, layer, 2689 * MIB); /* and now there is nothing */
    rig_run(&rig, 20000);
    assert_true(rig.paused[1]);
    rig.vgs[1].free_bytes = 10 * GIB;
    rig_run(&rig, 11000);
    assert_false(rig.paused[1]);
    assert_int_equal(stats_now().pauses, 2);
}

static void a_job_does_not_begin_without_room_for_its_destination(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    (void)rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, GIB);
    replica->replica = true;
    rig.vgs[2].free_bytes = GIB;
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 100);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.code, ERR_NO_SPACE);
}

/* It may be the very reason to move the disk. */
static void a_source_without_room_is_no_obstacle(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 10 * GIB);
    source->allocation = 9 * GIB;
    replica->replica = true;
    rig.vgs[1].free_bytes = 0;
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 100);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
    assert_int_equal(source->size, 10 * GIB);
    /* It has room for what the source would get. */
    assert_int_equal(replica->threshold, 11 * GIB);
}

/* --- those who wait --- */

static void a_job_of_files_begins_when_its_mirror_was_seen(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    (void)rig_add(&rig, 1, "vda", 0, 10 * GIB);
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 500);
    assert_int_equal(rig.answers, 0);
    rig_add(&rig, 1, "vda", 0, 10 * GIB)->replica = true;
    rig_run(&rig, 200);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
}

static void a_mirror_that_is_not_there_does_not_keep_a_job_for_long(
    void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    rig_vm(1, vm); /* off */
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 3000);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
    core_end(&rig.core, vm, "vda", rig.now_ms);
    rig_run(&rig, 5000);
    assert_true(list_is_empty(&rig.core.vms));
}

static void a_job_does_not_begin_while_libvirtd_is_away(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    (void)rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig_vm(1, vm);
    rig_run(&rig, 10);
    rig.away = true;
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 10);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.code, ERR_NOT_RESPONDING);
}

static void a_job_waits_until_it_is_known_whose_its_destination_is(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    (void)rig_add(&rig, 1, "vda", 0, 10 * GIB);
    rig_add(&rig, 1, "vda", 2, 10 * GIB)->replica = true;
    rig.no_locate = true;
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 10000);
    assert_int_equal(rig.answers, 0);
    rig.no_locate = false;
    rig_run(&rig, 1200);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
    assert_int_equal(rig.layers[1].threshold, 6 * GIB);
}

static void a_job_that_nobody_can_judge_is_given_up(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    (void)rig_add(&rig, 1, "vda", 0, 10 * GIB);
    rig_add(&rig, 1, "vda", 2, 10 * GIB)->replica = true;
    rig.no_locate = true;
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 61000);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.code, ERR_TIMEOUT);
}

/* --- storage and numbers --- */

static void storage_that_hangs_keeps_its_own_domain_only(void **state)
{
    (void)state;
    struct rig_layer *dead = NULL;
    for (unsigned i = 0; i < 20; i++) {
        char target[8];
        (void)str_format(target, sizeof(target), "vd%c", (int)('a' + i));
        dead = rig_add(&rig, 1, target, 1, 2560 * MIB);
    }
    struct rig_layer *alive = rig_add(&rig, 1, "vdz", 2, 2560 * MIB);
    rig.vgs[1].hangs = true;
    rig_run(&rig, 10);
    for (unsigned i = 0; i < 21; i++)
        rig_write(&rig, &rig.layers[i], 600 * MIB);
    rig_run(&rig, 100);
    assert_int_equal(alive->size, 5120 * MIB);
    rig_run(&rig, 31000);
    assert_int_equal(dead->size, 2560 * MIB);
    assert_int_equal(rig.vgs[1].running,
                     1); /* one finds out whether it lives */
    assert_string_equal(rig_mark(&rig, dead).problem, "storage hangs");

    rig.vgs[1].hangs = false;
    rig_run(&rig, 60000);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(rig.layers[i].size, 5120 * MIB);
}

static void many_grow_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        char target[8];
        (void)str_format(target, sizeof(target), "vd%c", (int)('a' + i % 8));
        (void)rig_add(&rig, 1 + i / 8, target, 1, 2560 * MIB);
    }
    rig_run(&rig, 100);
    for (unsigned i = 0; i < 64; i++)
        rig_write(&rig, &rig.layers[i], 600 * MIB);
    rig_run(&rig, 200);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(rig.layers[i].size, 5120 * MIB);
    struct monitor_stats stats = stats_now();
    assert_int_equal(stats.extensions, 64);
    assert_true(stats.max_ms < 10 * rig.vgs[1].grow_ms);
}

static void implausible_numbers_extend_nothing_and_are_told_once(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    layer->allocation = 4 * GIB; /* beyond the end, and the guest runs */
    rig_run(&rig, 100000);
    assert_string_equal(rig.order, "");
    assert_int_equal(rig_count(&rig, MONITOR_FAILED), 1);
    assert_non_null(
        strstr(rig_mark(&rig, layer).problem, "statistics cannot be true"));

    layer->allocation = 600 * MIB;
    rig_run(&rig, 2100);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_string_equal(rig_mark(&rig, layer).problem, "");
}

static void numbers_from_two_moments_are_no_event(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    layer->allocation = 4 * GIB;
    rig_run(&rig, 10);
    layer->allocation = GIB / 4;
    rig_run(&rig, 10000);
    assert_int_equal(rig.n_events, 0);
}

static void an_extension_that_the_vm_does_not_see_is_no_endless_loop(
    void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].deaf = true;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    rig_run(&rig, 20000);
    assert_in_range(strlen(rig.order), 3 * strlen("vda:source "),
                    12 * strlen("vda:source "));
    assert_int_equal(rig_count(&rig, MONITOR_FAILED), 1);
    assert_non_null(strstr(rig_mark(&rig, layer).problem, "the VM sees"));
    rig.vgs[1].deaf = false;
    rig_run(&rig, 11000);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_string_equal(rig_mark(&rig, layer).problem, "");
}

static void a_threshold_that_cannot_be_set_is_tried_again(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_add(&rig, 1, "vda", 0, GIB)->replica = true;
    rig.arm_rc = -EIO;
    rig_run(&rig, 5000);
    assert_int_equal(layer->threshold, 0);
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 5000);
    assert_int_equal(rig.answers, 0); /* it would run unwatched */
    rig.arm_rc = 0;
    rig_run(&rig, 2100);
    assert_int_equal(rig.answers, 1);
    assert_true(layer->threshold > 0);
}

static void percentiles_are_of_the_last_thousand(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++)
        core_took(&rig.core, 100000);
    for (int i = 1; i <= 1000; i++)
        core_took(&rig.core, i);
    struct monitor_stats stats = stats_now();
    assert_int_equal(stats.p50_ms, 500);
    assert_int_equal(stats.p99_ms, 990);
    assert_int_equal(stats.max_ms, 1000);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_guest_that_stopped_gets_space_and_runs),
        WITH_RIG(the_poll_finds_a_guest_that_stopped),
        WITH_RIG(a_fully_grown_layer_grows_for_a_guest_that_stopped),
        WITH_RIG(failed_writes_far_beyond_the_end_are_no_lie),
        WITH_RIG(a_vm_paused_for_another_reason_stays_paused),
        WITH_RIG(a_full_file_is_not_ours_to_extend),
        WITH_RIG(a_vm_that_is_held_is_not_resumed),
        WITH_RIG(a_resume_that_fails_is_tried_again_without_growing),
        WITH_RIG(a_full_vg_is_told_before_the_guest_stops),
        WITH_RIG(a_failed_extension_is_tried_again_ever_more_rarely),
        WITH_RIG(the_last_extent_goes_to_a_guest_that_would_stop),
        WITH_RIG(a_job_does_not_begin_without_room_for_its_destination),
        WITH_RIG(a_source_without_room_is_no_obstacle),
        WITH_RIG(a_job_of_files_begins_when_its_mirror_was_seen),
        WITH_RIG(a_mirror_that_is_not_there_does_not_keep_a_job_for_long),
        WITH_RIG(a_job_does_not_begin_while_libvirtd_is_away),
        WITH_RIG(a_job_waits_until_it_is_known_whose_its_destination_is),
        WITH_RIG(a_job_that_nobody_can_judge_is_given_up),
        WITH_RIG(storage_that_hangs_keeps_its_own_domain_only),
        WITH_RIG(many_grow_at_once),
        WITH_RIG(implausible_numbers_extend_nothing_and_are_told_once),
        WITH_RIG(numbers_from_two_moments_are_no_event),
        WITH_RIG(an_extension_that_the_vm_does_not_see_is_no_endless_loop),
        WITH_RIG(a_threshold_that_cannot_be_set_is_tried_again),
        WITH_RIG(percentiles_are_of_the_last_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
