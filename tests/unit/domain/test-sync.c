/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Snapshots and merges of a disk in use, as far as the domain sees them: a
 * layer made over one that a VM writes to, records that follow a merge, what
 * was merged away removed; and the chain as the headers have it.
 */
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define IMAGES "storage/" SD "/images/"

static int sync_chain(struct fixture *f, const char *const *vols, size_t n)
{
    struct uuid_list list = { .n = n, .uuids = calloc(n + 1, UUID_SIZE) };
    for (size_t i = 0; i < n; i++)
        (void)str_copy(list.uuids[i], UUID_SIZE, vols[i]);
    int rc =
        f->port.ops->image_sync_chain(f->port.ctx, SD, IMG, &list, FRESH(f));
    uuid_list_deinit(&list);
    return rc;
}

/* The chain becomes these. */
#define SYNC(f, ...)                                                           \
    sync_chain(f, (const char *const[]){ __VA_ARGS__ },                        \
               ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static int drop(struct fixture *f, const char *vol)
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->volume_delete(f->port.ctx, &id, FRESH(f));
}

static void expect(struct fixture *f, const char *vol, enum volume_role role,
                   enum volume_legality legality, const char *parent)
{
    struct volume_info info;
    fixture_info(f, IMG, vol, &info);
    if (info.role != role || info.legality != legality ||
        !str_equal(info.parent, parent))
        fail_msg("%s is %s %s on %s", vol, volume_role_name(info.role),
                 volume_legality_name(info.legality), info.parent);
}

/* These and no more, base first. */
static void expect_chain(struct fixture *f, const char *leaf,
                         const char *const *vols, size_t n)
{
    struct storage_chain found = { 0 };
    if (f->port.ops->image_chain(f->port.ctx, SD, IMG, leaf, &found, FRESH(f)) <
        0)
        fail_msg("%s", f->err.message);
    assert_int_equal(found.n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(found.volumes[i].id.vol, vols[i]);
    storage_chain_deinit(&found);
}

#define EXPECT_CHAIN(f, leaf, ...)                                             \
    expect_chain(f, leaf, (const char *const[]){ __VA_ARGS__ },                \
                 ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

/* What qemu does to the header when it merges. */
static void rebase(const struct fixture *f, const char *vol, const char *parent,
                   const char *format)
{
    const char *args[] = { "rebase", "-u", "-f",   "qcow2", "-F",
                           format,   "-b", parent, "@",     NULL };
    fixture_qemu_img(f, vol, args);
}

/* --- merges --- */

static void after_an_active_merge_the_parent_is_the_leaf(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    assert_int_equal(SYNC(f, BASE, MID), 0);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_ILLEGAL, MID);
    expect(f, MID, VOLUME_LEAF, VOLUME_LEGAL, BASE);
    expect(f, BASE, VOLUME_INTERNAL, VOLUME_LEGAL, UUID_BLANK);
    EXPECT_CHAIN(f, NULL, BASE, MID);
    EXPECT_CHAIN(f, LEAF, BASE, MID, LEAF);
    _cleanup_free_ char *before = fixture_list(f);
    assert_int_equal(SYNC(f, BASE, MID), 0);
    fixture_join(f);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void what_was_merged_away_goes_alone(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    assert_int_equal(SYNC(f, BASE, MID), 0);
    _cleanup_free_ char *base = fixture_read(f, IMAGES IMG "/" BASE ".meta");
    _cleanup_free_ char *mid = fixture_read(f, IMAGES IMG "/" MID ".meta");
    int fd = fixture_open_like_qemu(f, IMG, MID);
    assert_error(f, drop(f, MID), ERR_VOLUME_CHILDREN, LEAF);
    assert_int_equal(drop(f, LEAF), 0);
    (void)close(fd);
    _cleanup_free_ char *base2 = fixture_read(f, IMAGES IMG "/" BASE ".meta");
    _cleanup_free_ char *mid2 = fixture_read(f, IMAGES IMG "/" MID ".meta");
    assert_string_equal(base, base2);
    assert_string_equal(mid, mid2);
    EXPECT_CHAIN(f, NULL, BASE, MID);
}

static void two_layers_may_go_into_the_third(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "CAP=1048576", "CAP=2097152");
    assert_int_equal(SYNC(f, BASE), 0);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_ILLEGAL, MID);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    expect(f, BASE, VOLUME_LEAF, VOLUME_LEGAL, UUID_BLANK);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.capacity, 2 * MIB);
    EXPECT_CHAIN(f, NULL, BASE);
    assert_int_equal(drop(f, LEAF), 0);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    EXPECT_CHAIN(f, NULL, BASE);
    assert_int_equal(drop(f, MID), 0);
    expect(f, BASE, VOLUME_LEAF, VOLUME_LEGAL, UUID_BLANK);
    EXPECT_CHAIN(f, NULL, BASE);
}

static void a_leaf_never_gets_smaller(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "CAP=1048576", "CAP=524288");
    assert_int_equal(SYNC(f, BASE, MID), 0);
    fixture_info(f, IMG, MID, &info);
    assert_int_equal(info.capacity, MIB);
}

static void after_an_internal_merge_the_child_has_another_parent(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    rebase(f, LEAF, BASE, "raw");
    assert_int_equal(SYNC(f, BASE, LEAF), 0);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_LEGAL, BASE);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    expect(f, BASE, VOLUME_INTERNAL, VOLUME_LEGAL, UUID_BLANK);
    EXPECT_CHAIN(f, NULL, BASE, LEAF);
    _cleanup_free_ char *base = fixture_read(f, IMAGES IMG "/" BASE ".meta");
    assert_int_equal(drop(f, MID), 0);
    _cleanup_free_ char *after = fixture_read(f, IMAGES IMG "/" BASE ".meta");
    assert_string_equal(base, after);
    EXPECT_CHAIN(f, NULL, BASE, LEAF);
    fixture_join(f);
    EXPECT_CHAIN(f, NULL, BASE, LEAF);
}

/* While it is still there beside the chain. */
static void the_leaf_above_a_merge_can_go_first(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    rebase(f, LEAF, BASE, "raw");
    assert_int_equal(SYNC(f, BASE, LEAF), 0);
    assert_int_equal(drop(f, LEAF), 0);
    expect(f, BASE, VOLUME_LEAF, VOLUME_LEGAL, UUID_BLANK);
    EXPECT_CHAIN(f, NULL, BASE);
}

static void a_chain_comes_back(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    _cleanup_free_ char *before = fixture_list(f);
    assert_int_equal(SYNC(f, BASE, MID), 0);
    assert_int_equal(SYNC(f, BASE, MID, LEAF), 0);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    assert_int_equal(SYNC(f, BASE), 0);
    assert_int_equal(SYNC(f, BASE, MID, LEAF), 0);
    _cleanup_free_ char *again = fixture_list(f);
    assert_string_equal(before, again);
}

/* All of its data was pulled up. */
static void a_base_may_be_gone(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    assert_error(f, SYNC(f, MID, LEAF), ERR_IMAGE_CHAIN, MID);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    rebase(f, MID, "", "raw");
    assert_int_equal(SYNC(f, MID, LEAF), 0);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, UUID_BLANK);
    EXPECT_CHAIN(f, NULL, MID, LEAF);
    assert_int_equal(drop(f, BASE), 0);
    EXPECT_CHAIN(f, NULL, MID, LEAF);
}

static void what_is_no_chain_of_the_image_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const one[] = { BASE };
    fixture_make_chain(f);
    _cleanup_free_ char *before = fixture_list(f);
    assert_error(f, sync_chain(f, one, 0), ERR_IMAGE_CHAIN, "0 volumes");
    assert_error(f, SYNC(f, BASE, SD), ERR_IMAGE_CHAIN, SD);
    assert_error(f, SYNC(f, LEAF, MID), ERR_IMAGE_CHAIN, MID);
    assert_error(f, SYNC(f, BASE, BASE), ERR_IMAGE_CHAIN, BASE);
    assert_error(f, SYNC(f, MID, BASE, LEAF), ERR_IMAGE_CHAIN, BASE);
    fake_leases_set_busy(f->leases, "SDM");
    assert_error(f, SYNC(f, BASE, MID), ERR_ACQUIRE_LOCK, "SDM");
    fake_leases_set_busy(f->leases, NULL);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    assert_int_equal(f->port.ops->image_delete(f->port.ctx, SD, IMG, FRESH(f)),
                     0);
    assert_error(f, SYNC(f, BASE), ERR_NO_IMAGE, IMG);
}

/* Its data would be lost to whoever believes the records. */
static void a_second_leaf_stops_a_sync(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "PUUID=" MID, "PUUID=" BASE);
    assert_error(f, SYNC(f, BASE, MID), ERR_IMAGE_CHAIN, LEAF);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_LEGAL, BASE);
}

/* --- a layer over one in use --- */

static void a_snapshot_of_a_disk_in_use(void **state)
{
    struct fixture *f = *state;
    const struct volume_create over =
        fixture_volume(IMG, SD2, LEAF, VOLUME_COW);
    struct volume_id found;
    struct volume_info info;
    fixture_make_chain(f);
    fixture_info(f, IMG, LEAF, &info);
    int fd = fixture_open_like_qemu(f, IMG, LEAF);
    fixture_create(f, &over);
    expect(f, LEAF, VOLUME_INTERNAL, VOLUME_LEGAL, MID);
    expect(f, SD2, VOLUME_LEAF, VOLUME_LEGAL, LEAF);
    EXPECT_CHAIN(f, NULL, BASE, MID, LEAF, SD2);
    EXPECT_CHAIN(f, LEAF, BASE, MID, LEAF);
    assert_int_equal(
        f->port.ops->locate(f->port.ctx, info.path, &found, FRESH(f)), 0);
    assert_string_equal(found.vol, LEAF);
    assert_int_equal(drop(f, SD2), 0);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_LEGAL, MID);
    (void)close(fd);
    EXPECT_CHAIN(f, NULL, BASE, MID, LEAF);
}

/* Cut off when the parent had its new role and the child was not there yet. */
static void half_a_snapshot_is_forgotten(void **state)
{
    struct fixture *f = *state;
    const struct volume_create over =
        fixture_volume(IMG, SD2, LEAF, VOLUME_COW);
    char from[PATH_MAX];
    char to[PATH_MAX];
    fixture_make_chain(f);
    int fd = fixture_open_like_qemu(f, IMG, LEAF);
    for (int merged = 0; merged < 2; merged++) {
        fixture_create(f, &over);
        fixture_path(f, from, IMAGES IMG "/" SD2 ".meta");
        fixture_path(f, to, IMAGES IMG "/" SD2 ".meta.new");
        assert_int_equal(rename(from, to), 0);
        fixture_join(f);
        expect(f, LEAF, VOLUME_LEAF, VOLUME_LEGAL, MID);
        EXPECT_CHAIN(f, NULL, BASE, MID, LEAF);
        assert_false(fixture_exists(f, IMAGES IMG "/" SD2));
        assert_false(fixture_exists(f, IMAGES IMG "/" SD2 ".meta.new"));
        if (merged)
            break;
        /* The same with an old leaf that nobody has removed yet. */
        const struct volume_create old =
            fixture_volume(IMG, IMG2, LEAF, VOLUME_COW);
        fixture_create(f, &old);
        assert_int_equal(SYNC(f, BASE, MID, LEAF), 0);
    }
    (void)close(fd);
}

static void a_snapshot_does_not_wait_for_the_removal(void **state)
{
    struct fixture *f = *state;
    const struct volume_create over = fixture_volume(IMG, SD2, MID, VOLUME_COW);
    fixture_make_chain(f);
    assert_int_equal(SYNC(f, BASE, MID), 0);
    fixture_create(f, &over);
    expect(f, LEAF, VOLUME_LEAF, VOLUME_ILLEGAL, MID);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    EXPECT_CHAIN(f, NULL, BASE, MID, SD2);
    assert_int_equal(drop(f, SD2), 0);
    expect(f, MID, VOLUME_LEAF, VOLUME_LEGAL, BASE);
    EXPECT_CHAIN(f, NULL, BASE, MID);
    fixture_create(f, &over);
    assert_int_equal(drop(f, LEAF), 0);
    expect(f, MID, VOLUME_INTERNAL, VOLUME_LEGAL, BASE);
    EXPECT_CHAIN(f, NULL, BASE, MID, SD2);
}

/* --- headers --- */

static int header_chain(struct fixture *f, const char *leaf,
                        struct uuid_list *ret_list)
{
    return f->port.ops->image_header_chain(f->port.ctx, SD, IMG, leaf, ret_list,
                                           FRESH(f));
}

static void the_headers_say_what_qemu_sees(void **state)
{
    struct fixture *f = *state;
    struct uuid_list list = { 0 };
    fixture_make_chain(f);
    assert_int_equal(header_chain(f, LEAF, &list), 0);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.uuids[0], BASE);
    assert_string_equal(list.uuids[1], MID);
    assert_string_equal(list.uuids[2], LEAF);
    uuid_list_deinit(&list);
    rebase(f, LEAF, BASE, "raw");
    assert_int_equal(header_chain(f, LEAF, &list), 0);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.uuids[0], BASE);
    assert_string_equal(list.uuids[1], LEAF);
    uuid_list_deinit(&list);
    assert_int_equal(header_chain(f, BASE, &list), 0);
    assert_int_equal(list.n, 1);
    uuid_list_deinit(&list);
    assert_error(f, header_chain(f, SD, &list), ERR_NO_VOLUME, SD);
}

static void headers_do_not_lead_out_of_the_image(void **state)
{
    struct fixture *f = *state;
    struct uuid_list list = { 0 };
    fixture_make_chain(f);
    rebase(f, LEAF, SD2, "qcow2");
    assert_error(f, header_chain(f, LEAF, &list), ERR_IMAGE_CHAIN, SD2);
    rebase(f, LEAF, MID, "raw");
    assert_error(f, header_chain(f, LEAF, &list), ERR_IMAGE_CHAIN, "format");
    rebase(f, LEAF, "../" IMG2 "/" MID, "qcow2");
    assert_error(f, header_chain(f, LEAF, &list), ERR_IMAGE_CHAIN, IMG2);
    rebase(f, LEAF, "/etc/passwd", "raw");
    assert_error(f, header_chain(f, LEAF, &list), ERR_IMAGE_CHAIN, LEAF);
    rebase(f, LEAF, MID, "qcow2");
    rebase(f, MID, LEAF, "qcow2");
    assert_error(f, header_chain(f, LEAF, &list), ERR_IMAGE_CHAIN, "endless");
    assert_null(list.uuids);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_an_active_merge_the_parent_is_the_leaf),
        TEST(what_was_merged_away_goes_alone),
        TEST(two_layers_may_go_into_the_third),
        TEST(a_leaf_never_gets_smaller),
        TEST(after_an_internal_merge_the_child_has_another_parent),
        TEST(the_leaf_above_a_merge_can_go_first),
        TEST(a_chain_comes_back),
        TEST(a_base_may_be_gone),
        TEST(what_is_no_chain_of_the_image_is_refused),
        TEST(a_second_leaf_stops_a_sync),
        TEST(a_snapshot_of_a_disk_in_use),
        TEST(half_a_snapshot_is_forgotten),
        TEST(a_snapshot_does_not_wait_for_the_removal),
        TEST(the_headers_say_what_qemu_sees),
        TEST(headers_do_not_lead_out_of_the_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
