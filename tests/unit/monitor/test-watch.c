/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is watched, when it grows and how far, in which order.
 */
#include "rig.h"
#include <dray/base/util.h>
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

static bool is_watched(const struct rig_layer *layer)
{
    return rig_mark(&rig, layer).max_bytes > 0;
}

/* --- design: which layers, and in which order --- */

struct row {
    unsigned source_vg;
    const char *source_format;
    int replica_vg; /* -1: none */
    const char *replica_format;
    bool source, replica; /* watched */
    const char *order;    /* when both are full */
};

static const struct row rows[] = {
    {0,  "qcow2", -1, "",      false, false, ""                       },
    { 1, "raw",   -1, "",      false, false, ""                       },
    { 0, "raw",   0,  "qcow2", false, false, ""                       },
    { 1, "raw",   2,  "raw",   false, false, ""                       },
    { 1, "qcow2", -1, "",      true,  false, "vda:source "            },
    { 1, "qcow2", 0,  "qcow2", true,  false, "vda:source "            },
    { 1, "qcow2", 2,  "raw",   true,  false, "vda:source "            },
    { 1, "qcow2", 2,  "qcow2", true,  true,  "vda:replica vda:source "},
    { 1, "qcow2", 1,  "qcow2", true,  true,  "vda:replica vda:source "},
    { 0, "qcow2", 1,  "qcow2", false, true,  "vda:replica "           },
    { 0, "raw",   1,  "qcow2", false, true,  "vda:replica "           },
    { 1, "raw",   2,  "qcow2", false, true,  "vda:replica "           },
};

static void check_row(const struct row *row)
{
    struct rig_layer *replica = NULL;
    struct rig_layer *source =
        rig_add(&rig, 1, "vda", row->source_vg, 10 * GIB);
    (void)str_copy(source->format, sizeof(source->format), row->source_format);
    source->allocation = 9 * GIB;
    if (row->replica_vg >= 0) {
        replica = rig_add(&rig, 1, "vda", (unsigned)row->replica_vg, 10 * GIB);
        replica->replica = true;
        replica->allocation = 9 * GIB;
        (void)str_copy(replica->format, sizeof(replica->format),
                       row->replica_format);
    }
    rig_run(&rig, 1000);
    assert_int_equal(is_watched(source), row->source);
    if (replica)
        assert_int_equal(is_watched(replica), row->replica);
    assert_string_equal(rig.order, row->order);
}

static void watches_and_extends_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        check_row(&rows[i]);
        rig_deinit(&rig);
        rig_init(&rig);
    }
}

static void a_volume_of_no_domain_is_left_alone(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    layer->foreign = true;
    layer->allocation = 10 * GIB;
    rig_run(&rig, 5000);
    assert_false(is_watched(layer));
    assert_int_equal(layer->sets, 0);
    assert_string_equal(rig.order, "");

    layer->foreign = false; /* its domain is joined */
    rig_run(&rig, 30000);
    assert_true(is_watched(layer));
    assert_string_equal(rig.order, "vda:source ");
}

static void layers_below_the_leaf_are_read_only(void **state)
{
    (void)state;
    struct rig_layer *leaf = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *below = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    below->depth = 1;
    below->allocation = 10 * GIB;
    rig_run(&rig, 5000);
    assert_true(is_watched(leaf));
    assert_false(is_watched(below));
}

static void whose_a_path_is_is_asked_once(void **state)
{
    (void)state;
    (void)rig_add(&rig, 1, "vda", 1, 10 * GIB);
    (void)rig_add(&rig, 1, "vdb", 0, 10 * GIB);
    rig_run(&rig, 60000);
    assert_int_equal(rig.locates, 2);
}

static void a_vm_with_files_only_is_looked_at_rarely(void **state)
{
    (void)state;
    (void)rig_add(&rig, 1, "vda", 0, 10 * GIB);
    rig_run(&rig, 100000);
    assert_in_range(rig.looks, 8, 12);
    assert_in_range(rig.lists, 49, 52);
}

/* --- when and how far --- */

static void the_threshold_is_armed_and_extends(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    layer->allocation = 100 * MIB;
    rig_run(&rig, 10);
    assert_int_equal(layer->threshold, 512 * MIB);

    rig_write(&rig, layer, 513 * MIB);
    rig_run(&rig, 100);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_int_equal(layer->threshold, 3072 * MIB); /* anew, and higher */

    const struct monitor_event *event = rig_last(&rig, MONITOR_EXTENDED);
    assert_non_null(event);
    assert_string_equal(event->target, "vda");
    assert_int_equal(event->size_bytes, 5120 * MIB);
    assert_int_equal(event->took_ms, 20);
    struct monitor_stats stats;
    core_stats(&rig.core, &stats);
    assert_int_equal(stats.extensions, 1);
    assert_int_equal(stats.alarms, 1);
    assert_int_equal(stats.polled, 0);
    assert_int_equal(stats.p50_ms, 20);
    assert_int_equal(stats.max_ms, 20);
}

static void a_threshold_that_fits_is_set_once(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    layer->allocation = GIB;
    rig_run(&rig, 60000);
    assert_int_equal(layer->sets, 1);
}

static void an_alarm_that_was_lost_is_found_by_the_poll(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig.lost = true;
    rig_write(&rig, layer, 600 * MIB);
    assert_int_equal(layer->threshold, 0);
    rig_run(&rig, 2100);
    assert_int_equal(layer->size, 5120 * MIB);
    assert_int_equal(layer->threshold, 3072 * MIB);
    struct monitor_stats stats;
    core_stats(&rig.core, &stats);
    assert_int_equal(stats.polled, 1);
    assert_int_equal(stats.alarms, 0);
}

static void a_threshold_that_somebody_disarmed_is_armed_again(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    layer->threshold = 0;
    rig_run(&rig, 2100);
    assert_int_equal(layer->threshold, 512 * MIB);
}

/* Each look would hold up a job on that disk. */
static void hints_about_files_make_one_look(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 0, 10 * GIB);
    rig_run(&rig, 10);
    unsigned looks = rig.looks;
    for (int i = 0; i < 5; i++) {
        rig_alarm(&rig, VM_ALARM_CHANGED, layer);
        rig_run(&rig, 10);
    }
    assert_int_equal(rig.looks, looks);
    rig_run(&rig, 400);
    assert_int_equal(rig.looks, looks + 1);
    rig_alarm(&rig, VM_ALARM_NO_SPACE, layer);
    rig_run(&rig, 10);
    assert_true(rig.looks > looks + 1);
}

static void hints_about_a_watched_vm_are_looked_at_once(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig_run(&rig, 10);
    unsigned looks = rig.looks;
    rig_alarm(&rig, VM_ALARM_CHANGED, layer);
    rig_run(&rig, 10);
    assert_int_equal(rig.looks, looks + 1);
}

static void libvirtd_comes_back_and_all_is_looked_at(void **state)
{
    (void)state;
    const struct vm_alarm back = { .kind = VM_ALARM_CHANGED };
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig_run(&rig, 10);
    rig.away = rig.lost = true;
    rig_write(&rig, layer, 600 * MIB);
    rig_run(&rig, 10000);
    assert_true(is_watched(layer));
    assert_int_equal(layer->size, 2560 * MIB);

    rig.away = rig.lost = false;
    rig_run(&rig, 1); /* between two polls */
    core_alarm(&rig.core, &back, rig.now_ms);
    rig_run(&rig, 25);
    assert_int_equal(layer->size, 5120 * MIB);
}

static void what_the_guest_wrote_meanwhile_is_seen(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].grow_ms = 500;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 513 * MIB);
    rig_run(&rig, 400);
    rig_write(&rig, layer, 2560 * MIB); /* the threshold is not armed now */
    rig_run(&rig, 150);
    assert_int_equal(layer->size, 5120 * MIB);
    rig_write(&rig, layer, 4000 * MIB);
    rig_run(&rig, 1000);
    assert_true(layer->size >= 7680 * MIB);
}

static void an_alarm_out_of_nothing_extends_nothing(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig_run(&rig, 10);
    rig_alarm(&rig, VM_ALARM_THRESHOLD, layer);
    rig_alarm(&rig, VM_ALARM_NO_SPACE, layer);
    rig_run(&rig, 5000);
    assert_string_equal(rig.order, "");
    assert_int_equal(rig.n_events, 0);
}

static void the_largest_size_is_the_end(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    layer->capacity = 3 * GIB;
    layer->allocation = 2500 * MIB;
    rig_run(&rig, 1000);
    assert_int_equal(layer->size, 3200 * MIB);
    rig_write(&rig, layer, 3200 * MIB);
    rig_run(&rig, 10000);
    assert_int_equal(layer->size, 3200 * MIB);
    assert_int_equal(layer->threshold, 0);
    assert_string_equal(rig.order, "vda:source ");
}

static void follows_how_fast_the_guest_writes(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 20 * GIB);
    rig.vgs[1].grow_ms = 2000;
    layer->allocation = 19 * GIB;
    rig_run(&rig, 3000); /* it is known now how long that takes */
    uint64_t slow = layer->size - layer->threshold;
    assert_int_equal(slow, 2 * GIB);
    for (int i = 0; i < 6; i++) { /* 500 MiB/s */
        rig_write(&rig, layer, layer->allocation + GIB / 4);
        rig_run(&rig, 500);
    }
    struct monitor_mark mark = rig_mark(&rig, layer);
    assert_in_range(mark.bytes_per_s, 450 * MIB, 600 * MIB);
    rig_run(&rig, 3000);
    uint64_t fast = layer->size - layer->threshold;
    assert_in_range(fast, 3 * GIB, 6 * GIB);
}

static void the_first_write_after_a_start_is_no_rate(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 80 * GIB);
    rig_run(&rig, 3000);
    layer->allocation = MIB;
    rig_run(&rig, 3000);
    layer->allocation = 60 * GIB; /* a free cluster there */
    rig_run(&rig, 3000);
    assert_int_equal(rig_mark(&rig, layer).bytes_per_s, 0);
}

/* --- replicating --- */

static void doubled_from_the_first_moment(void **state)
{
    (void)state;
    char vm[UUID_SIZE];
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    source->allocation = GIB;
    rig_run(&rig, 10);
    assert_int_equal(source->threshold, 8 * GIB);

    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 10 * GIB);
    replica->replica = true;
    rig_vm(1, vm);
    assert_int_equal(core_begin(&rig.core, vm, "vda", NULL, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 1);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
    assert_int_equal(source->threshold, 6 * GIB);
    assert_int_equal(replica->threshold, 6 * GIB);

    rig_write(&rig, source, 6 * GIB + 1);
    rig_run(&rig, 100);
    assert_int_equal(source->size, 15 * GIB);

    replica->gone = true;
    core_end(&rig.core, vm, "vda", rig.now_ms);
    rig_run(&rig, 100);
    assert_int_equal(source->threshold, 13 * GIB);
}

static void a_destination_goes_first_however_empty(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    replica->replica = true;
    rig_run(&rig, 10);
    replica->allocation = 100 * MIB;
    rig_write(&rig, source, 6200 * MIB);
    rig_run(&rig, 100);
    assert_string_equal(rig.order, "vda:replica vda:source ");
    assert_int_equal(replica->size, 15 * GIB);
    assert_int_equal(source->size, 15 * GIB);
}

static void a_larger_destination_stays_as_it_is(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 1, 15 * GIB);
    replica->replica = true;
    rig_run(&rig, 10);
    rig_write(&rig, source, 6200 * MIB);
    rig_run(&rig, 100);
    assert_string_equal(rig.order, "vda:source ");
    assert_int_equal(replica->size, 15 * GIB);
}

static void a_destination_that_hangs_delays_the_source_by_a_second(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 10 * GIB);
    replica->replica = true;
    rig_run(&rig, 10);
    rig.vgs[2].hangs = true;
    rig_write(&rig, replica, 7 * GIB);
    rig_write(&rig, source, 7 * GIB);
    rig_run(&rig, 900);
    assert_int_equal(source->size, 10 * GIB);
    rig_run(&rig, 300);
    assert_int_equal(source->size, 15 * GIB);
}

static void a_destination_that_takes_long_still_goes_first(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 10 * GIB);
    replica->replica = true;
    rig_run(&rig, 10);
    rig.vgs[2].grow_ms = 3000;
    rig_write(&rig, replica, 7 * GIB);
    rig_run(&rig, 4000);
    uint64_t size = replica->size;
    assert_true(size > 10 * GIB);
    rig_write(&rig, replica, size - GIB);
    rig_write(&rig, source, 7 * GIB);
    rig_run(&rig, 2500);
    assert_int_equal(replica->size, size);
    assert_int_equal(source->size, 10 * GIB);
    rig_run(&rig, 1000);
    assert_true(replica->size > size);
    assert_true(source->size > 10 * GIB);
}

/* Seen on emulated hosts: at the first extension of a destination's VG its
 * source did not wait long enough. */
static void a_destination_whose_vg_is_new_still_goes_first(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig.vgs[1].grow_ms = rig.vgs[2].grow_ms = 3000;
    rig_run(&rig, 10);
    rig_write(&rig, source, 9 * GIB);
    rig_run(&rig, 4000);
    uint64_t size = source->size;
    assert_true(size > 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, size);
    replica->replica = true;
    rig_run(&rig, 4000);
    rig_write(&rig, replica, size - GIB);
    rig_write(&rig, source, size - GIB);
    rig_run(&rig, 2500);
    assert_int_equal(source->size, size);
    rig_run(&rig, 4000);
    assert_true(replica->size > size);
    assert_true(source->size > size);
}

/* Seen: a mirror's source grew before it was known whose its destination is. */
static void a_destination_that_is_not_known_yet_may_go_first(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig_run(&rig, 10);
    rig.hold_locates = true;
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 5 * GIB);
    replica->replica = true;
    replica->allocation = 4 * GIB;
    source->allocation = 7 * GIB;
    rig_alarm(&rig, VM_ALARM_CHANGED, replica);
    rig_run(&rig, 500);
    assert_string_equal(rig.order, "");
    rig_locate_held(&rig);
    rig_run(&rig, 100);
    assert_string_equal(rig.order, "vda:replica vda:source ");
}

static void storage_that_does_not_say_so_delays_by_a_second(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    rig_run(&rig, 10);
    rig.hold_locates = true;
    rig_add(&rig, 1, "vda", 2, 5 * GIB)->replica = true;
    source->allocation = 7 * GIB;
    rig_alarm(&rig, VM_ALARM_CHANGED, source);
    rig_run(&rig, 1200);
    assert_string_equal(rig.order, "vda:source ");
}

static void the_base_of_a_commit_is_watched_while_it_runs(void **state)
{
    (void)state;
    char vm[UUID_SIZE], path[64];
    struct rig_layer *leaf = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *base = rig_add(&rig, 1, "vda", 1, 5 * GIB);
    base->depth = 1;
    rig_run(&rig, 10);
    assert_false(is_watched(base));

    rig_vm(1, vm);
    rig_path(&rig, base, path);
    assert_int_equal(core_begin(&rig.core, vm, "vda", path, &rig, rig.now_ms),
                     0);
    rig_run(&rig, 100);
    assert_int_equal(rig.answers, 1);
    assert_int_equal(rig.answer.rc, 0);
    assert_int_equal(rig_mark(&rig, base).role, WATERMARK_BASE);
    /* It may have been full, nobody knows. */
    assert_int_equal(base->size, 10 * GIB);
    assert_int_equal(base->threshold, 6 * GIB);

    rig_write(&rig, base, 7 * GIB);
    rig_write(&rig, leaf, 7 * GIB);
    rig_run(&rig, 100);
    assert_string_equal(rig.order, "vda:base vda:base vda:source ");
    core_end(&rig.core, vm, "vda", rig.now_ms);
    rig_run(&rig, 100);
    assert_false(is_watched(base));
}

static void after_a_pivot_the_destination_is_the_source(void **state)
{
    (void)state;
    struct rig_layer *source = rig_add(&rig, 1, "vda", 1, 10 * GIB);
    struct rig_layer *replica = rig_add(&rig, 1, "vda", 2, 10 * GIB);
    replica->replica = true;
    rig_run(&rig, 10);
    assert_int_equal(rig_mark(&rig, replica).role, WATERMARK_REPLICA);
    source->gone = true;
    replica->replica = false;
    rig_alarm(&rig, VM_ALARM_CHANGED, replica);
    rig_run(&rig, 100);
    assert_int_equal(rig_mark(&rig, replica).role, WATERMARK_SOURCE);
    assert_false(is_watched(source));
    assert_int_equal(replica->threshold, 8 * GIB);
}

static void a_vm_that_vanishes_leaves_nothing(void **state)
{
    (void)state;
    struct rig_layer *layer = rig_add(&rig, 1, "vda", 1, 2560 * MIB);
    rig.vgs[1].grow_ms = 3000;
    rig_run(&rig, 10);
    rig_write(&rig, layer, 600 * MIB);
    layer->gone = true; /* while its LV grows */
    rig_run(&rig, 10000);
    assert_false(is_watched(layer));
    assert_true(list_is_empty(&rig.core.vms));
    rig_run(&rig, 100000);
    assert_true(list_is_empty(&rig.core.places));
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(watches_and_extends_as_the_table_says),
        WITH_RIG(a_volume_of_no_domain_is_left_alone),
        WITH_RIG(layers_below_the_leaf_are_read_only),
        WITH_RIG(whose_a_path_is_is_asked_once),
        WITH_RIG(a_vm_with_files_only_is_looked_at_rarely),
        WITH_RIG(the_threshold_is_armed_and_extends),
        WITH_RIG(a_threshold_that_fits_is_set_once),
        WITH_RIG(an_alarm_that_was_lost_is_found_by_the_poll),
        WITH_RIG(a_threshold_that_somebody_disarmed_is_armed_again),
        WITH_RIG(hints_about_files_make_one_look),
        WITH_RIG(hints_about_a_watched_vm_are_looked_at_once),
        WITH_RIG(libvirtd_comes_back_and_all_is_looked_at),
        WITH_RIG(what_the_guest_wrote_meanwhile_is_seen),
        WITH_RIG(an_alarm_out_of_nothing_extends_nothing),
        WITH_RIG(the_largest_size_is_the_end),
        WITH_RIG(follows_how_fast_the_guest_writes),
        WITH_RIG(the_first_write_after_a_start_is_no_rate),
        WITH_RIG(doubled_from_the_first_moment),
        WITH_RIG(a_destination_goes_first_however_empty),
        WITH_RIG(a_larger_destination_stays_as_it_is),
        WITH_RIG(a_destination_that_hangs_delays_the_source_by_a_second),
        WITH_RIG(a_destination_that_takes_long_still_goes_first),
        WITH_RIG(a_destination_whose_vg_is_new_still_goes_first),
        WITH_RIG(a_destination_that_is_not_known_yet_may_go_first),
        WITH_RIG(storage_that_does_not_say_so_delays_by_a_second),
        WITH_RIG(the_base_of_a_commit_is_watched_while_it_runs),
        WITH_RIG(after_a_pivot_the_destination_is_the_source),
        WITH_RIG(a_vm_that_vanishes_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
