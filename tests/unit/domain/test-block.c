/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes on LVs: made, found, changed, removed. LVM is played by fake-vg.c,
 * whose LVs come with old data in them.
 */
#include "vg.h"
#include <dray/format/block.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* --- making --- */

static void a_raw_volume_is_a_clean_lv_with_a_slot(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    struct lease_state lease;
    const struct volume_id id = fixture_id(IMG, BASE);
    char slot[FORMAT_VOLUME_SIZE + 1] = "";
    vg_make(f, BASE, NULL, VOLUME_RAW);
    assert_int_equal(vg_lv_bytes(f, BASE), EXTENT);
    vg_assert_tags(f, BASE, "MD_1\nIU_" IMG "\nPU_" UUID_BLANK "\n");
    assert_true(vg_is_zero(f, BASE, 0, MIB));
    assert_true(vg_is_zero(f, BASE, EXTENT - MIB, MIB));
    assert_false(vg_is_active(f, BASE));
    fixture_info(f, IMG, BASE, &info);
    assert_true(info.block);
    assert_int_equal(info.capacity, EXTENT); /* all that a VM would see */
    assert_int_equal(info.true_bytes, EXTENT);
    assert_int_equal(info.role, VOLUME_LEAF);
    assert_true(str_ends_with(info.path, "/storage/" SD "/" IMG "/" BASE));
    vg_read_lv(f, "metadata", format_slot_offset(1), slot, FORMAT_VOLUME_SIZE);
    assert_non_null(strstr(slot, "\nIMAGE=" IMG "\n"));
    ASSERT_DONE(f, CALL(f, volume_lease, &id, &lease));
    assert_true(lease.present);
    assert_int_equal(lease.offset, 101 * MIB);
    assert_true(str_ends_with(lease.path, SD "/leases"));
}

static void a_snapshot_names_its_parent(void **state)
{
    struct fixture *f = *state;
    struct storage_chain chain = { 0 };
    vg_make_chain(f);
    vg_assert_tags(f, MID, "MD_2\nIU_" IMG "\nPU_" BASE "\n");
    vg_assert_tags(f, LEAF, "MD_3\nIU_" IMG "\nPU_" MID "\n");
    assert_int_equal(vg_role(f, BASE), VOLUME_INTERNAL);
    assert_int_equal(vg_role(f, MID), VOLUME_INTERNAL);
    assert_int_equal(vg_role(f, LEAF), VOLUME_LEAF);
    ASSERT_DONE(f, CALL(f, image_chain, SD, IMG, NULL, &chain));
    assert_int_equal(chain.n, 3);
    assert_string_equal(chain.volumes[0].id.vol, BASE);
    assert_string_equal(chain.volumes[2].id.vol, LEAF);
    storage_chain_deinit(&chain);
    assert_false(vg_is_active(f, LEAF)); /* nobody needs it any more */
}

static void first_sizes_are_what_the_format_says(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t capacity, initial, expected;
        enum volume_allocation allocation;
    } cases[] = {
        {100 * EXTENT,    0,              20 * EXTENT, VOLUME_SPARSE      },
        { 2 * EXTENT,     0,              3 * EXTENT,  VOLUME_SPARSE      },
        { 100 * EXTENT,   5 * EXTENT + 1, 6 * EXTENT,  VOLUME_SPARSE      },
        { 2 * EXTENT,     400 * EXTENT,   3 * EXTENT,  VOLUME_SPARSE      },
        { 2 * EXTENT - 1, 0,              2 * EXTENT,  VOLUME_PREALLOCATED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct volume_create spec = vg_volume(IMG, BASE, NULL, VOLUME_COW);
        const struct volume_id id = spec.id;
        spec.capacity = cases[i].capacity;
        spec.initial_bytes = cases[i].initial;
        spec.allocation = cases[i].allocation;
        fixture_create(f, &spec);
        assert_int_equal(vg_lv_bytes(f, BASE), cases[i].expected);
        ASSERT_DONE(f, CALL(f, volume_delete, &id));
    }
}

static void a_raw_volume_has_all_its_space(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = vg_volume(IMG, BASE, NULL, VOLUME_RAW);
    spec.allocation = VOLUME_SPARSE;
    assert_true(CALL(f, volume_create, &spec) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_ALLOCATION);
    assert_false(vg_has(f, "lvs/" BASE));
}

static void what_is_there_is_not_made_again(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = vg_volume(IMG, BASE, NULL, VOLUME_RAW);
    vg_make(f, BASE, NULL, VOLUME_RAW);
    assert_true(CALL(f, volume_create, &spec) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_EXISTS);
    ASSERT_DONE(f, CALL(f, volumes_create, &spec, 1));
    spec.legality = VOLUME_ILLEGAL;
    assert_true(CALL(f, volumes_create, &spec, 1) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_EXISTS);
    spec = vg_volume(IMG2, BASE, NULL, VOLUME_RAW);
    assert_true(CALL(f, volumes_create, &spec, 1) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_EXISTS);
    vg_tag(f, BASE, "some\n");
    assert_true(CALL(f, volumes_create, &spec, 1) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_CREATE);
}

static void no_slot_is_given_twice(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    vg_make(f, BASE, NULL, VOLUME_COW);
    vg_write(f, "lvs/" LEAF, "");
    vg_tag(f, LEAF, "OVIRT_VOL_INITIALIZING\nMD_2\n");
    vg_make(f, MID, BASE, VOLUME_COW);
    vg_assert_tags(f, MID, "MD_3\nIU_" IMG "\nPU_" BASE "\n");
    assert_int_equal(vg_scan(f), 0);
    ASSERT_DONE(f, CALL(f, image_delete, SD, IMG));
    assert_true(vg_is_zero(f, "metadata", format_slot_offset(1), 64UL * 1024));
    vg_make(f, id.vol, NULL, VOLUME_RAW);
    vg_assert_tags(f, BASE, "MD_1\nIU_" IMG "\nPU_" UUID_BLANK "\n");
}

static void a_full_vg_says_so_and_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = vg_volume(IMG, BASE, NULL, VOLUME_RAW);
    spec.capacity = 1ULL << 40;
    assert_true(CALL(f, volume_create, &spec) < 0);
    assert_int_equal(f->err.code, ERR_NO_SPACE);
    assert_false(vg_has(f, "lvs/" BASE));
    assert_true(CALL(f, image_delete, SD, IMG) < 0);
    assert_int_equal(f->err.code, ERR_NO_IMAGE);
}

static void a_child_is_not_smaller_than_what_a_vm_sees(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = vg_volume(IMG, LEAF, BASE, VOLUME_COW);
    spec.capacity = EXTENT - MIB;
    vg_make(f, BASE, NULL, VOLUME_RAW);
    assert_true(CALL(f, volume_create, &spec) < 0);
    assert_int_equal(f->err.code, ERR_VALUE);
    /* A copy has the sizes of its original. */
    spec.clone = true;
    spec.role = VOLUME_LEAF;
    ASSERT_DONE(f, CALL(f, volume_create, &spec));
}

/* --- reading --- */

static void damaged_slots_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    struct volume_info info;
    char path[PATH_MAX];
    vg_make(f, BASE, NULL, VOLUME_RAW);
    vg_tag(f, BASE, "MD_7\nIU_" IMG "\nPU_" UUID_BLANK "\n");
    assert_true(CALL(f, volume_info, &id, &info) < 0); /* an empty slot */
    assert_non_null(strstr(f->err.message, "slot 7"));
    vg_tag(f, BASE, "MD_1\nIU_" IMG2 "\nPU_" UUID_BLANK "\n");
    const struct volume_id other = fixture_id(IMG2, BASE);
    assert_true(CALL(f, volume_info, &other, &info) < 0);
    assert_int_equal(f->err.code, ERR_METADATA_VALIDATION);
    vg_tag(f, BASE, "IU_" IMG "\nPU_" UUID_BLANK "\n");
    assert_true(CALL(f, volume_info, &id, &info) < 0);
    assert_int_equal(f->err.code, ERR_METADATA_VALIDATION);
    vg_path(f, path, "lvs/metadata");
    assert_int_equal(truncate(path, 0), 0);
    vg_tag(f, BASE, "MD_1\nIU_" IMG "\nPU_" UUID_BLANK "\n");
    assert_true(CALL(f, volume_info, &id, &info) < 0);
}

static void qemu_img_looks_at_lvs(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    struct volume_measure measure = { 0 };
    struct volume_qemu_info info = { 0 };
    struct uuid_list vols = { 0 };
    vg_make_chain(f);
    ASSERT_DONE(f, CALL(f, volume_measure, &id, VOLUME_COW, NULL, &measure));
    assert_true(measure.required > 0);
    ASSERT_DONE(f, CALL(f, volume_qemu_info, &id, &info));
    assert_string_equal(info.backing_file, MID);
    assert_int_equal(info.virtual_size, EXTENT);
    free(info.bitmaps);
    ASSERT_DONE(f, CALL(f, image_header_chain, SD, IMG, LEAF, &vols));
    assert_int_equal(vols.n, 3);
    uuid_list_deinit(&vols);
    ASSERT_DONE(f, CALL(f, volume_commit, &id));
    assert_false(vg_is_active(f, MID));
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, vg_fixture_new, fixture_free)
    const struct CMUnitTest tests[] = {
        TEST(a_raw_volume_is_a_clean_lv_with_a_slot),
        TEST(a_snapshot_names_its_parent),
        TEST(first_sizes_are_what_the_format_says),
        TEST(a_raw_volume_has_all_its_space),
        TEST(what_is_there_is_not_made_again),
        TEST(no_slot_is_given_twice),
        TEST(a_full_vg_says_so_and_keeps_nothing),
        TEST(a_child_is_not_smaller_than_what_a_vm_sees),
        TEST(damaged_slots_are_refused),
        TEST(qemu_img_looks_at_lvs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
