/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a layer grows, and how far: VDSM's numbers as a table, qemu-img's
 * numbers for full images, and properties over many random layers.
 */
#include <dray/watermark.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB (1024ULL * 1024)
#define GIB (1024ULL * MIB)
#define TIB (1024ULL * GIB)

static const struct watermark_pace quiet = { .bytes_per_s = 0 };
static const struct watermark_pace copying = { .replicating = true };

/* As `qemu-img measure -O qcow2 --size N` says, version 7.2. */
static void a_full_qcow2_is_as_large_as_qemu_says(void **state)
{
    (void)state;
    static const struct {
        uint64_t capacity;
        unsigned cluster;
        uint64_t full;
    } rows[] = {
        {512,             65536,   393216        },
        { MIB,            65536,   1376256       },
        { 100 * MIB,      65536,   105185280     },
        { GIB,            65536,   1074135040    },
        { 10 * GIB,       65536,   10739318784   },
        { 10 * GIB + 512, 65536,   10739449856   },
        { 100 * GIB,      65536,   107390828544  },
        { TIB,            65536,   1099679662080 },
        { 8 * TIB,        65536,   8797435527168 },
        { 20 * TIB,       65536,   21993588654080},
        { 64 * TIB,       65536,   70379483430912},
        { 7 * GIB,        512,     7665882112    },
        { 7 * GIB,        4096,    7534596096    },
        { 7 * GIB,        2097152, 7526678528    },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            watermark_qcow2_bytes(rows[i].capacity, rows[i].cluster),
            rows[i].full);
}

static void the_largest_size_is_the_full_image_in_extents(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = { .capacity_bytes = GIB };
    assert_int_equal(watermark_max(&policy, &layer), 1152 * MIB);
    layer.extra_bytes = 200 * MIB; /* bitmaps */
    assert_int_equal(watermark_max(&policy, &layer), 1280 * MIB);
    layer.extra_bytes = 0;
    layer.cluster_bytes = 512; /* larger tables */
    layer.capacity_bytes = 7 * GIB;
    assert_int_equal(watermark_max(&policy, &layer), 7424 * MIB);
    layer.cluster_bytes = 65537; /* damaged: the default */
    assert_int_equal(watermark_max(&policy, &layer), 7296 * MIB);
}

struct row {
    uint64_t size, allocation, capacity; /* MiB */
    bool replicating;
    enum watermark_verdict verdict;
    uint64_t next, threshold; /* MiB */
};

static const struct row rows[] = {
  /* 2048 MiB free: enough; one byte less is not (below) */
    {2560,  512,  102400, false, WATERMARK_ENOUGH,      0,     512 },
    { 2560, 513,  102400, false, WATERMARK_GROW,        5120,  512 },
    { 2560, 2560, 102400, false, WATERMARK_GROW,        5120,  512 },
    { 5120, 513,  102400, false, WATERMARK_ENOUGH,      0,     3072},
 /* smaller than the limit: the threshold is one byte */
    { 1024, 0,    102400, false, WATERMARK_GROW,        3584,  0   },
 /* doubled */
    { 5120, 1024, 102400, true,  WATERMARK_ENOUGH,      0,     1024},
    { 5120, 1025, 102400, true,  WATERMARK_GROW,        10240, 1024},
 /* the last step is as long as is needed */
    { 4096, 3000, 5120,   false, WATERMARK_GROW,        5248,  2048},
    { 5248, 5200, 5120,   false, WATERMARK_FULL_GROWN,  0,     0   },
    { 8192, 5200, 5120,   true,  WATERMARK_FULL_GROWN,  0,     0   },
 /* cannot be true */
    { 2560, 2561, 102400, false, WATERMARK_IMPLAUSIBLE, 0,     512 },
    { 0,    0,    102400, false, WATERMARK_IMPLAUSIBLE, 0,     0   },
    { 2560, 2500, 0,      false, WATERMARK_IMPLAUSIBLE, 0,     0   },
};

static void grows_as_vdsm_does_but_not_beyond_the_full_image(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct watermark_layer layer = {
            .size_bytes = rows[i].size * MIB,
            .allocation_bytes = rows[i].allocation * MIB,
            .capacity_bytes = rows[i].capacity * MIB,
        };
        const struct watermark_pace *pace =
            rows[i].replicating ? &copying : &quiet;
        uint64_t next = 0;
        if (watermark_judge(&policy, &layer, pace, false, &next) !=
                rows[i].verdict ||
            next != rows[i].next * MIB)
            fail_msg("row %zu: next %llu MiB", i, next / MIB);
        uint64_t threshold = watermark_threshold(&policy, &layer, pace);
        if (rows[i].verdict != WATERMARK_IMPLAUSIBLE &&
            threshold != rows[i].threshold * MIB &&
            (threshold != 1 || rows[i].threshold != 0))
            fail_msg("row %zu: threshold %llu", i, threshold / 1ULL);
    }
}

static void one_byte_below_the_limit_is_not_enough(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = {
        .size_bytes = 2560 * MIB,
        .allocation_bytes = 512 * MIB + 1,
        .capacity_bytes = 100 * GIB,
    };
    uint64_t next = 0;
    assert_int_equal(watermark_judge(&policy, &layer, &quiet, false, &next),
                     WATERMARK_GROW);
    layer.allocation_bytes--;
    assert_int_equal(watermark_judge(&policy, &layer, &quiet, false, &next),
                     WATERMARK_ENOUGH);
}

static void follows_a_guest_that_writes_faster_than_the_defaults(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    /* 1 GiB/s for 1 s, four times */
    const struct watermark_pace fast = { .bytes_per_s = GIB,
                                         .extension_ms = 1000 };
    const struct watermark_pace slow = { .bytes_per_s = 100 * MIB,
                                         .extension_ms = 1000 };
    const struct watermark_layer layer = { .size_bytes = 8 * GIB,
                                           .allocation_bytes = 4 * GIB + 1,
                                           .capacity_bytes = 100 * GIB };
    uint64_t next = 0;
    assert_int_equal(watermark_limit(&policy, &fast), 4 * GIB);
    assert_int_equal(watermark_limit(&policy, &slow), 2 * GIB);
    assert_int_equal(watermark_judge(&policy, &layer, &fast, false, &next),
                     WATERMARK_GROW);
    assert_int_equal(next, 13 * GIB); /* 5 GiB more, a quarter over the limit */
    assert_int_equal(watermark_judge(&policy, &layer, &slow, false, &next),
                     WATERMARK_ENOUGH);
    assert_int_equal(watermark_threshold(&policy, &layer, &fast), 4 * GIB);
}

static void a_paused_guest_gets_space_in_any_case(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = { .size_bytes = 1152 * MIB,
                                     .allocation_bytes = 1152 * MIB,
                                     .capacity_bytes = GIB };
    uint64_t next = 0;
    /* at its maximum, and yet full */
    assert_int_equal(watermark_judge(&policy, &layer, &quiet, true, &next),
                     WATERMARK_GROW);
    assert_int_equal(next, 1280 * MIB);
    /* the statistics still show room: another pause, another event */
    layer = (struct watermark_layer){ .size_bytes = 10 * GIB,
                                      .capacity_bytes = 100 * GIB };
    assert_int_equal(watermark_judge(&policy, &layer, &quiet, true, &next),
                     WATERMARK_GROW);
    assert_int_equal(next, 12800 * MIB);
    layer.allocation_bytes = 11 * GIB;
    assert_int_equal(watermark_judge(&policy, &layer, &quiet, true, &next),
                     WATERMARK_IMPLAUSIBLE);
}

static void a_destination_starts_with_room_for_its_data_and_a_chunk(
    void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = { .size_bytes = 128 * MIB,
                                     .capacity_bytes = 100 * GIB };
    assert_int_equal(watermark_first(&policy, &layer, 10 * GIB, &copying),
                     15 * GIB);
    assert_int_equal(watermark_first(&policy, &layer, 10 * GIB + 1, &copying),
                     15 * GIB + 128 * MIB);
    layer.capacity_bytes = 12 * GIB; /* never more than it can need */
    assert_int_equal(watermark_first(&policy, &layer, 10 * GIB, &copying),
                     12 * GIB + 128 * MIB);
    layer.size_bytes = 20 * GIB; /* never less than it has */
    assert_int_equal(watermark_first(&policy, &layer, 10 * GIB, &copying),
                     20 * GIB);
}

static void a_settled_layer_keeps_its_data_and_a_leaf_one_chunk(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = { .size_bytes = 50 * GIB,
                                     .allocation_bytes = 10 * GIB + 1,
                                     .capacity_bytes = 100 * GIB };
    assert_int_equal(watermark_settled(&policy, &layer, false),
                     10 * GIB + 128 * MIB);
    assert_int_equal(watermark_settled(&policy, &layer, true),
                     10 * GIB + 2688 * MIB);
    layer.allocation_bytes = 0;
    assert_int_equal(watermark_settled(&policy, &layer, false), 128 * MIB);
    layer.capacity_bytes = GIB;
    assert_int_equal(watermark_settled(&policy, &layer, true), 1152 * MIB);
    layer.allocation_bytes = 3 * GIB; /* more than the full image: all of it */
    assert_int_equal(watermark_settled(&policy, &layer, true), 3 * GIB);
    layer.size_bytes = 64 * MIB;
    layer.allocation_bytes = 0;
    assert_int_equal(watermark_settled(&policy, &layer, true), 64 * MIB);
}

static uint64_t next_random(uint64_t *seed, uint64_t max)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (*seed >> 11) % max;
}

/* What must hold for any statistics. */
static void check_properties(const struct watermark_policy *policy,
                             const struct watermark_layer *layer,
                             const struct watermark_pace *pace)
{
    uint64_t next = 77;
    uint64_t max = watermark_max(policy, layer);
    uint64_t threshold = watermark_threshold(policy, layer, pace);
    enum watermark_verdict verdict =
        watermark_judge(policy, layer, pace, false, &next);
    assert_true(max >= layer->capacity_bytes);
    assert_true(max % policy->extent_bytes == 0);
    if (verdict == WATERMARK_GROW) {
        assert_true(next > layer->size_bytes && next <= max);
        assert_true(next % policy->extent_bytes == 0);
        assert_true(layer->allocation_bytes > threshold || threshold == 1);
    } else {
        assert_int_equal(next, 77);
    }
    if (verdict == WATERMARK_ENOUGH)
        assert_true(layer->allocation_bytes <= threshold);
    if (layer->allocation_bytes > layer->size_bytes)
        assert_int_equal(verdict, WATERMARK_IMPLAUSIBLE);
    uint64_t settled = watermark_settled(policy, layer, true);
    assert_true(settled <= layer->size_bytes);
    if (layer->allocation_bytes <= layer->size_bytes)
        assert_true(settled >= layer->allocation_bytes);
}

static void holds_for_any_layer(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        const struct watermark_layer layer = {
            .size_bytes = next_random(&seed, 1000) * 128 * MIB,
            .allocation_bytes = next_random(&seed, 140 * GIB),
            .capacity_bytes = next_random(&seed, 150 * GIB),
            .cluster_bytes = 512U << next_random(&seed, 13),
            .extra_bytes = next_random(&seed, GIB),
        };
        const struct watermark_pace pace = {
            .bytes_per_s = next_random(&seed, 4 * GIB),
            .extension_ms = (int64_t)next_random(&seed, 5000),
            .replicating = next_random(&seed, 2),
        };
        check_properties(&policy, &layer, &pace);
    }
}

static void a_thin_disk_gets_full_in_steps_without_a_pause(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    struct watermark_layer layer = { .size_bytes = 2560 * MIB,
                                     .capacity_bytes = 40 * GIB };
    uint64_t full = watermark_qcow2_bytes(40 * GIB, 65536);
    unsigned extensions = 0;
    for (uint64_t written = 0; written <= full; written += 64 * MIB) {
        uint64_t next = 0;
        layer.allocation_bytes = written;
        assert_true(layer.size_bytes > written);
        if (watermark_judge(&policy, &layer, &quiet, false, &next) ==
            WATERMARK_GROW) {
            layer.size_bytes = next;
            extensions++;
        }
    }
    assert_int_equal(layer.size_bytes, watermark_max(&policy, &layer));
    assert_int_equal(extensions, 16);
}

static void absurd_numbers_do_not_wrap(void **state)
{
    (void)state;
    const struct watermark_policy policy = watermark_defaults();
    const struct watermark_pace pace = { .bytes_per_s = UINT64_MAX,
                                         .extension_ms = INT64_MAX };
    const struct watermark_layer layer = {
        .size_bytes = 4 * GIB,
        .allocation_bytes = 4 * GIB,
        .capacity_bytes = INT64_MAX,
        .cluster_bytes = 512,
        .extra_bytes = UINT64_MAX,
    };
    uint64_t next = 0;
    assert_int_equal(watermark_judge(&policy, &layer, &pace, false, &next),
                     WATERMARK_GROW);
    assert_true(next > 4 * GIB);
    assert_true(watermark_qcow2_bytes(UINT64_MAX, 512) == UINT64_MAX);
    const struct watermark_layer huge = { .size_bytes = UINT64_MAX,
                                          .capacity_bytes = GIB };
    assert_int_equal(watermark_judge(&policy, &huge, &quiet, true, &next),
                     WATERMARK_IMPLAUSIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_qcow2_is_as_large_as_qemu_says),
        cmocka_unit_test(the_largest_size_is_the_full_image_in_extents),
        cmocka_unit_test(grows_as_vdsm_does_but_not_beyond_the_full_image),
        cmocka_unit_test(one_byte_below_the_limit_is_not_enough),
        cmocka_unit_test(follows_a_guest_that_writes_faster_than_the_defaults),
        cmocka_unit_test(a_paused_guest_gets_space_in_any_case),
        cmocka_unit_test(
            a_destination_starts_with_room_for_its_data_and_a_chunk),
        cmocka_unit_test(a_settled_layer_keeps_its_data_and_a_leaf_one_chunk),
        cmocka_unit_test(holds_for_any_layer),
        cmocka_unit_test(a_thin_disk_gets_full_in_steps_without_a_pause),
        cmocka_unit_test(absurd_numbers_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
