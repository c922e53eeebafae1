/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes on LVs that are there already: prepared, removed, resized, merged.
 */
#include "../../../src/domain/block/name.h"
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static bool has_link(const struct fixture *f, const char *img, const char *vol)
{
    char name[PATH_MAX];
    (void)str_format(name, sizeof(name), "run/storage/" SD "/%s/%s", img, vol);
    char path[PATH_MAX];
    struct stat st;
    fixture_path(f, path, "%s", name);
    return lstat(path, &st) == 0;
}

static bool has_dir(const struct fixture *f)
{
    return fixture_exists(f, "run/storage/" SD);
}

/* IMG2's only volume, on IMG's BASE, which becomes a template. */
static void make_template(struct fixture *f)
{
    struct volume_create spec = vg_volume(IMG2, LEAF, BASE, VOLUME_COW);
    char record[FORMAT_VOLUME_SIZE] = "";
    char path[PATH_MAX];
    vg_make(f, BASE, NULL, VOLUME_RAW);
    vg_read_lv(f, "metadata", format_slot_offset(1), record, sizeof(record));
    char *role = strstr(record, "VOLTYPE=LEAF\nEOF\n");
    assert_non_null(role);
    memcpy(role, "VOLTYPE=SHARED\nEOF\n", 19);
    vg_path(f, path, "lvs/metadata");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(
        pwrite(fd, record, sizeof(record), (off_t)format_slot_offset(1)),
        sizeof(record));
    (void)str_copy(spec.parent_img, sizeof(spec.parent_img), IMG);
    fixture_create(f, &spec);
}

/* --- prepared --- */

static void a_prepared_chain_is_active_and_linked(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    char path[PATH_MAX] = "", target[PATH_MAX] = "", wanted[PATH_MAX];
    vg_make_chain(f);
    for (int i = 0; i < 2; i++) /* repeating it is fine */
        ASSERT_DONE(f, CALL(f, image_prepare, &id, false, path));
    assert_true(str_ends_with(path, "/run/storage/" SD "/" IMG "/" LEAF));
    assert_true(readlink(path, target, sizeof(target) - 1) > 0);
    vg_path(f, wanted, "dev/" SD "/" LEAF);
    assert_string_equal(target, wanted);
    assert_true(has_link(f, IMG, BASE) && has_link(f, IMG, MID));
    assert_true(vg_is_active(f, BASE) && vg_is_active(f, LEAF));
    struct storage_chain chain = { 0 };
    ASSERT_DONE(f, CALL(f, image_chain, SD, IMG, NULL, &chain));
    storage_chain_deinit(&chain);
    assert_true(vg_is_active(f, LEAF)); /* looking does not end it */
    ASSERT_DONE(f, CALL(f, image_teardown, SD, IMG));
    assert_false(vg_is_active(f, BASE) || vg_is_active(f, LEAF));
    assert_false(has_dir(f));
    ASSERT_DONE(f, CALL(f, image_teardown, SD, IMG));
}

static void what_is_open_stays_active(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    char path[PATH_MAX];
    vg_make_chain(f);
    ASSERT_DONE(f, CALL(f, image_prepare, &id, false, path));
    vg_write(f, "open/" LEAF, "");
    assert_true(CALL(f, image_teardown, SD, IMG) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_BUSY);
    assert_true(has_link(f, IMG, LEAF));
    assert_true(vg_is_active(f, LEAF) && vg_is_active(f, BASE));
    assert_true(CALL(f, volume_delete, &id) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_BUSY);
    assert_true(CALL(f, image_delete, SD, IMG) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_BUSY);
}

static void an_illegal_volume_is_not_prepared(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    char path[PATH_MAX];
    vg_make(f, BASE, NULL, VOLUME_RAW);
    ASSERT_DONE(f, CALL(f, volume_set_legality, &id, VOLUME_ILLEGAL));
    assert_true(CALL(f, image_prepare, &id, false, path) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_ILLEGAL);
    assert_false(vg_is_active(f, BASE) || has_dir(f));
    ASSERT_DONE(f, CALL(f, image_prepare, &id, true, path));
    assert_true(vg_is_active(f, BASE));
}

static void a_template_is_active_as_long_as_it_is_needed(void **state)
{
    struct fixture *f = *state;
    const struct volume_id child = fixture_id(IMG2, LEAF);
    const struct volume_id own = fixture_id(IMG, BASE);
    char path[PATH_MAX];
    make_template(f);
    vg_assert_tags(f, LEAF, "MD_2\nIU_" IMG2 "\nPU_" BASE "\n");
    ASSERT_DONE(f, CALL(f, image_prepare, &child, false, path));
    ASSERT_DONE(f, CALL(f, image_prepare, &own, false, path));
    assert_true(has_link(f, IMG2, BASE) && has_link(f, IMG, BASE));
    ASSERT_DONE(f, CALL(f, image_teardown, SD, IMG2));
    assert_true(vg_is_active(f, BASE));
    assert_false(vg_is_active(f, LEAF));
    ASSERT_DONE(f, CALL(f, image_teardown, SD, IMG));
    assert_false(vg_is_active(f, BASE));
    assert_true(CALL(f, image_delete, SD, IMG) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_SHARED);
    assert_true(CALL(f, volume_delete, &own) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_SHARED);
    ASSERT_DONE(f, CALL(f, image_delete, SD, IMG2));
    ASSERT_DONE(f, CALL(f, image_delete, SD, IMG));
}

/* --- removed --- */

static void the_parent_of_a_removed_leaf_is_the_leaf(void **state)
{
    struct fixture *f = *state;
    const struct volume_id leaf = fixture_id(IMG, LEAF);
    const struct volume_id mid = fixture_id(IMG, MID);
    vg_make_chain(f);
    assert_true(CALL(f, volume_delete, &mid) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_CHILDREN);
    ASSERT_DONE(f, CALL(f, volume_delete, &leaf));
    assert_false(vg_has(f, "lvs/" LEAF));
    assert_int_equal(vg_role(f, MID), VOLUME_LEAF);
    assert_int_equal(vg_role(f, BASE), VOLUME_INTERNAL);
    assert_true(CALL(f, volume_delete, &leaf) < 0);
    assert_int_equal(f->err.code, ERR_NO_VOLUME);
}

static void a_removed_image_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    char path[PATH_MAX];
    vg_make_chain(f);
    ASSERT_DONE(f, CALL(f, image_prepare, &id, false, path));
    ASSERT_DONE(f, CALL(f, image_delete, SD, IMG));
    assert_false(vg_has(f, "lvs/" BASE) || vg_has(f, "lvs/" LEAF));
    assert_false(vg_is_active(f, BASE) || has_dir(f));
    assert_true(vg_is_zero(f, "metadata", MIB, 64UL * 1024));
    assert_true(CALL(f, image_delete, SD, IMG) < 0);
    assert_int_equal(f->err.code, ERR_NO_IMAGE);
}

static void what_is_marked_is_removed(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    const struct volume_id id = fixture_id(IMG, LEAF);
    vg_make_chain(f);
    vg_tag(f, LEAF, "MD_3\nIU__remove_me_" IMG "\nPU_" MID "\n");
    assert_true(CALL(f, volume_info, &id, &info) < 0);
    assert_int_equal(f->err.code, ERR_NO_VOLUME);
    vg_write(f, "lvs/somebody", "");
    vg_tag(f, "somebody", "IU__remove_me_" IMG "\n");
    assert_int_equal(vg_scan(f), 0);
    assert_false(vg_has(f, "lvs/" LEAF));
    assert_true(vg_has(f, "lvs/somebody"));
    assert_int_equal(vg_role(f, MID), VOLUME_LEAF);
    vg_tag(f, BASE, "MD_1\nIU__remove_me_ZERO_" IMG "\nPU_" UUID_BLANK "\n");
    vg_tag(f, MID, "MD_2\nIU__remove_me_" IMG "\nPU_" BASE "\n");
    ASSERT_DONE(f, CALL(f, image_delete, SD, IMG));
    assert_false(vg_has(f, "lvs/" BASE) || vg_has(f, "lvs/" MID));
}

/* --- changed --- */

static void tags_follow_the_records(void **state)
{
    struct fixture *f = *state;
    char vols[][UUID_SIZE] = { BASE, LEAF };
    const struct uuid_list chain = { .n = 2, .uuids = vols };
    const struct volume_id mid = fixture_id(IMG, MID);
    vg_make_chain(f);
    ASSERT_DONE(f, CALL(f, image_sync_chain, SD, IMG, &chain));
    vg_assert_tags(f, LEAF, "MD_3\nIU_" IMG "\nPU_" BASE "\n");
    ASSERT_DONE(f, CALL(f, volume_delete, &mid));
    assert_int_equal(vg_role(f, LEAF), VOLUME_LEAF);
    assert_int_equal(vg_role(f, BASE), VOLUME_INTERNAL);
}

static void a_copy_that_is_dropped_is_fresh_again(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    struct volume_qemu_info info = { 0 };
    uint64_t bytes = 0;
    char path[PATH_MAX];
    vg_make_chain(f);
    ASSERT_DONE(f, CALL(f, volume_grow, &id, 5 * EXTENT, time_now_ms() + 20000,
                        &bytes));
    assert_true(CALL(f, volume_reset, &id) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_BUSY);
    ASSERT_DONE(f, CALL(f, volume_set_legality, &id, VOLUME_ILLEGAL));
    vg_path(f, path, "lvs/" LEAF);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "garbage", 7, 0), 7);
    ASSERT_DONE(f, CALL(f, volume_reset, &id));
    ASSERT_DONE(f, CALL(f, volume_qemu_info, &id, &info));
    assert_string_equal(info.backing_file, MID);
    assert_int_equal(vg_lv_bytes(f, LEAF), 5 * EXTENT);
    free(info.bitmaps);
}

static void a_raw_volume_grows_in_extents(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    struct volume_info info;
    vg_make(f, BASE, NULL, VOLUME_RAW);
    ASSERT_DONE(f, CALL(f, volume_extend, &id, EXTENT + 1));
    assert_int_equal(vg_lv_bytes(f, BASE), 2 * EXTENT);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.capacity, 2 * EXTENT);
    ASSERT_DONE(f, CALL(f, volume_extend, &id, 2 * EXTENT));
    assert_true(CALL(f, volume_extend, &id, EXTENT) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_RESIZE);
    ASSERT_DONE(f, CALL(f, volume_preallocate, &id));
}

static void an_lv_grows_and_shrinks_under_its_qcow2(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = vg_volume(IMG, LEAF, NULL, VOLUME_COW);
    const struct volume_id id = spec.id;
    uint64_t bytes = 0;
    spec.capacity = 100 * EXTENT;
    fixture_create(f, &spec);
    ASSERT_DONE(f, CALL(f, volume_grow, &id, 30 * EXTENT + 1,
                        time_now_ms() + 20000, &bytes));
    assert_int_equal(bytes, 31 * EXTENT);
    assert_true(CALL(f, volume_grow, &id, 1ULL << 40, time_now_ms() + 20000,
                     &bytes) < 0);
    assert_int_equal(f->err.code, ERR_NO_SPACE);
    vg_write(f, "open/" LEAF, "");
    char link[PATH_MAX], data[PATH_MAX];
    vg_path(f, link, "dev/" SD "/" LEAF);
    vg_path(f, data, "lvs/" LEAF);
    assert_int_equal(symlink(data, link), 0); /* active, by somebody */
    assert_true(CALL(f, volume_shrink, &id, EXTENT, &bytes) < 0);
    assert_int_equal(f->err.code, ERR_VOLUME_BUSY);
    vg_path(f, data, "open/" LEAF);
    assert_int_equal(unlink(data), 0);
    ASSERT_DONE(f, CALL(f, volume_shrink, &id, EXTENT, &bytes));
    assert_int_equal(bytes, 2 * EXTENT); /* the qcow2's tables, and that */
    assert_int_equal(vg_lv_bytes(f, LEAF), 2 * EXTENT);
    assert_true(vg_is_active(f, LEAF)); /* it was not ours to deactivate */
    ASSERT_DONE(f, CALL(f, volume_shrink, &id, 40 * EXTENT, &bytes));
    assert_int_equal(bytes, 2 * EXTENT);
}

static void a_raw_volume_does_not_shrink(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    uint64_t bytes = 0;
    vg_make(f, BASE, NULL, VOLUME_RAW);
    ASSERT_DONE(f, CALL(f, volume_extend, &id, 3 * EXTENT));
    ASSERT_DONE(f, CALL(f, volume_shrink, &id, 0, &bytes));
    assert_int_equal(bytes, 3 * EXTENT);
}

/* --- storage that hangs --- */

static void storage_that_hangs_is_told(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    char path[PATH_MAX];
    vg_make(f, BASE, NULL, VOLUME_RAW);
    ASSERT_DONE(f, CALL(f, image_prepare, &id, false, path));
    ASSERT_DONE(f, CALL(f, volume_probe, &id, 20000));
    /* Opening it hangs until somebody writes. */
    vg_path(f, path, "dev/" SD "/" BASE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(CALL(f, volume_probe, &id, 20), -ETIMEDOUT);
    _cleanup_close_ int writer = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    assert_int_equal(unlink(path), 0);
    char data[PATH_MAX];
    vg_path(f, data, "lvs/" BASE);
    assert_int_equal(symlink(data, path), 0);
    /* The one that hung may have had to answer first. */
    int rc = -1;
    for (int i = 0; i < 100 && rc < 0; i++)
        rc = CALL(f, volume_probe, &id, 20000);
    ASSERT_DONE(f, rc);
}

static void names_of_lvs_tell_domain_and_volume(void **state)
{
    (void)state;
    char name[BLOCK_NAME_SIZE];
    const struct volume_id id = fixture_id(IMG, BASE);
    struct volume_id found = { 0 };
    static const char *const wrong[] = {
        "",
        "vg-lv",
        SD,
        SD "-" BASE,
        "b7427472--08dc--4059--822c--5db507ad80a9-metadata",
        ("b7427472--08dc--4059--822c--5db507ad80a9--10b6ec31--d3bd--4f5f--"
         "ae0f--0e3a3b7f0d15"),
    };
    block_name_make(&id, name);
    assert_string_equal(name, "b7427472--08dc--4059--822c--5db507ad80a9-"
                              "10b6ec31--d3bd--4f5f--ae0f--0e3a3b7f0d15");
    assert_true(block_name_parse(name, &found));
    assert_string_equal(found.sd, SD);
    assert_string_equal(found.vol, BASE);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(block_name_parse(wrong[i], &found));
    assert_false(block_name_of("/dev/null", &found));
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, vg_fixture_new, fixture_free)
    const struct CMUnitTest tests[] = {
        TEST(a_prepared_chain_is_active_and_linked),
        TEST(what_is_open_stays_active),
        TEST(an_illegal_volume_is_not_prepared),
        TEST(a_template_is_active_as_long_as_it_is_needed),
        TEST(the_parent_of_a_removed_leaf_is_the_leaf),
        TEST(a_removed_image_leaves_nothing),
        TEST(what_is_marked_is_removed),
        TEST(tags_follow_the_records),
        TEST(a_copy_that_is_dropped_is_fresh_again),
        TEST(a_raw_volume_grows_in_extents),
        TEST(an_lv_grows_and_shrinks_under_its_qcow2),
        TEST(a_raw_volume_does_not_shrink),
        TEST(storage_that_hangs_is_told),
        cmocka_unit_test(names_of_lvs_tell_domain_and_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
