/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a migration does to volumes that are in use, cut off everywhere: grown,
 * made several at once, records that follow a merge, removal of what was
 * merged away, files outside. What is left must be readable and a repeat must
 * mend it.
 */
#include "cut.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define IMAGES "storage/" SD "/images/"

static int drop_image(struct fixture *f, struct err *err)
{
    int rc = f->port.ops->image_delete(f->port.ctx, SD, IMG, err);
    if (rc < 0 && err->code == ERR_NO_IMAGE) {
        err_clear(err);
        return 0;
    }
    return rc;
}

/* --- growing --- */

static int make_base(struct fixture *f, enum volume_allocation allocation,
                     struct err *err)
{
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    spec.allocation = allocation;
    return f->port.ops->volume_create(f->port.ctx, &spec, err);
}

static int small_again(struct fixture *f, struct err *err)
{
    int rc = drop_image(f, err);
    return rc < 0 ? rc : make_base(f, VOLUME_SPARSE, err);
}

static int small_and_thick_again(struct fixture *f, struct err *err)
{
    int rc = drop_image(f, err);
    return rc < 0 ? rc : make_base(f, VOLUME_PREALLOCATED, err);
}

static int grow(struct fixture *f, struct err *err)
{
    const struct volume_id id = fixture_id(IMG, BASE);
    struct volume_info info;
    int rc = f->port.ops->volume_extend(f->port.ctx, &id, 2 * MIB, err);
    if (rc < 0)
        return rc;
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.capacity, 2 * MIB);
    assert_int_equal(info.apparent_bytes, 2 * MIB);
    assert_true(info.allocation == VOLUME_SPARSE || info.true_bytes >= 2 * MIB);
    return 0;
}

static void growing(void **state)
{
    struct fixture *f = *state;
    succeed(f, small_again);
    cut_everywhere(f, grow, small_again, 5);
    fail_everywhere(f, grow, small_again);
}

static void growing_with_space(void **state)
{
    struct fixture *f = *state;
    succeed(f, small_and_thick_again);
    cut_everywhere(f, grow, small_and_thick_again, 6);
    fail_everywhere(f, grow, small_and_thick_again);
}

/* The first call that changes something takes the space. */
static void no_space_leaves_all_as_it_was(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    succeed(f, small_and_thick_again);
    _cleanup_free_ char *before = fixture_list(f);
    only_fails = true;
    struck_errno = ENOSPC;
    calls_left = 1;
    int rc = f->port.ops->volume_extend(f->port.ctx, &id, 2 * MIB, FRESH(f));
    calls_left = -1;
    only_fails = false;
    struck_errno = EIO;
    assert_error(f, rc, ERR_NO_SPACE, BASE);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

/* --- several volumes at once --- */

static int make_structure(struct fixture *f, enum volume_legality legality,
                          struct err *err)
{
    struct volume_create specs[] = {
        fixture_volume(IMG, BASE, NULL, VOLUME_RAW),
        fixture_volume(IMG, MID, BASE, VOLUME_COW),
        fixture_volume(IMG, LEAF, MID, VOLUME_COW),
    };
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        specs[i].clone = true;
        specs[i].legality = legality;
        specs[i].role =
            i + 1 < ARRAY_SIZE(specs) ? VOLUME_INTERNAL : VOLUME_LEAF;
    }
    return f->port.ops->volumes_create(f->port.ctx, specs, ARRAY_SIZE(specs),
                                       err);
}

static int make_legal(struct fixture *f, struct err *err)
{
    return make_structure(f, VOLUME_LEGAL, err);
}

static int make_illegal(struct fixture *f, struct err *err)
{
    return make_structure(f, VOLUME_ILLEGAL, err);
}

static void making_several_volumes(void **state)
{
    cut_everywhere(*state, make_legal, drop_image, 40);
}

/* While a copy is built its structure is not whole, so only the end counts. */
static void making_a_copys_structure(void **state)
{
    struct fixture *f = *state;
    int outcome = CUT;
    long n = 0;
    while (outcome == CUT) {
        outcome = run_cut(f, make_illegal, ++n);
        assert_int_not_equal(outcome, FAILED);
        if (n % 2) {
            fixture_restart(f);
            fixture_join(f);
        }
        succeed(f, make_illegal);
        check_domain(f);
        succeed(f, drop_image);
    }
    assert_true(n > 40);
}

/* --- records after a merge --- */

static int sync_to(struct fixture *f, const char *const *vols, size_t n,
                   struct err *err)
{
    struct uuid_list list = { .n = n, .uuids = calloc(n, UUID_SIZE) };
    for (size_t i = 0; i < n; i++)
        (void)str_copy(list.uuids[i], UUID_SIZE, vols[i]);
    int rc = f->port.ops->image_sync_chain(f->port.ctx, SD, IMG, &list, err);
    uuid_list_deinit(&list);
    return rc;
}

static const char *const whole[] = { BASE, MID, LEAF };
static const char *const without_leaf[] = { BASE, MID };
static const char *const without_mid[] = { BASE, LEAF };
static const char *const base_alone[] = { BASE };

static int sync_whole(struct fixture *f, struct err *err)
{
    return sync_to(f, whole, ARRAY_SIZE(whole), err);
}

static int sync_without_leaf(struct fixture *f, struct err *err)
{
    return sync_to(f, without_leaf, ARRAY_SIZE(without_leaf), err);
}

static int sync_base_alone(struct fixture *f, struct err *err)
{
    return sync_to(f, base_alone, ARRAY_SIZE(base_alone), err);
}

/* As VDSM reads an image: from a leaf down. */
static void check_readable(struct fixture *f)
{
    struct storage_chain chain = { 0 };
    struct err err = ERR_INIT;
    size_t legal_leaves = 0;
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        struct volume_info info;
        fixture_info(f, IMG, whole[i], &info);
        legal_leaves +=
            info.role == VOLUME_LEAF && info.legality == VOLUME_LEGAL;
    }
    assert_true(legal_leaves <= 1);
    if (f->port.ops->image_chain(f->port.ctx, SD, IMG, NULL, &chain, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(chain.volumes[0].id.vol, BASE);
    storage_chain_deinit(&chain);
}

static void cut_sync(struct fixture *f, change_fn *change, change_fn *back,
                     long at_least)
{
    int outcome = CUT;
    long n = 0;
    succeed(f, change);
    _cleanup_free_ char *wanted = fixture_list(f);
    succeed(f, back);
    while (outcome == CUT) {
        outcome = run_cut(f, change, ++n);
        assert_int_not_equal(outcome, FAILED);
        check_readable(f);
        if (n % 2) {
            fixture_restart(f);
            fixture_join(f);
            check_readable(f);
        }
        succeed(f, change);
        _cleanup_free_ char *now = fixture_list(f);
        assert_string_equal(now, wanted);
        succeed(f, back);
    }
    assert_true(n > at_least);
}

static void syncing_after_an_active_merge(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "CAP=1048576", "CAP=2097152");
    cut_sync(f, sync_without_leaf, sync_whole, 8);
    cut_sync(f, sync_base_alone, sync_whole, 8);
    succeed(f, sync_without_leaf);
    cut_sync(f, sync_whole, sync_without_leaf, 8);
}

/* Here the headers are those after the merge, so only then is it readable. */
static void syncing_after_an_internal_merge(void **state)
{
    struct fixture *f = *state;
    static const char *const args[] = { "rebase", "-u", "-f", "qcow2", "-F",
                                        "raw",    "-b", BASE, "@",     NULL };
    struct err err = ERR_INIT;
    int outcome = CUT;
    fixture_make_chain(f);
    fixture_qemu_img(f, LEAF, args);
    only_fails = true;
    for (long n = 1; outcome == CUT; n++) {
        calls_left = n;
        int rc = sync_to(f, without_mid, ARRAY_SIZE(without_mid), FRESH(f));
        outcome = calls_left == 0 ? CUT : DONE;
        calls_left = -1;
        assert_true(outcome == CUT || rc == 0);
        assert_int_equal(sync_to(f, without_mid, 2, &err), 0);
        check_readable(f);
        fixture_edit(f, IMG, LEAF, "PUUID=" BASE, "PUUID=" MID);
    }
    only_fails = false;
}

/* --- removing what was merged away --- */

static int drop(struct fixture *f, const char *vol, struct err *err)
{
    const struct volume_id id = fixture_id(IMG, vol);
    int rc = f->port.ops->volume_delete(f->port.ctx, &id, err);
    if (rc < 0 && err->code == ERR_NO_VOLUME) {
        err_clear(err);
        return 0;
    }
    return rc;
}

static int drop_leaf(struct fixture *f, struct err *err)
{
    return drop(f, LEAF, err);
}

static void removing_an_old_leaf(void **state)
{
    struct fixture *f = *state;
    int outcome = CUT;
    long n = 0;
    while (outcome == CUT) {
        fixture_make_chain(f);
        succeed(f, sync_base_alone);
        outcome = run_cut(f, drop_leaf, ++n);
        assert_int_not_equal(outcome, FAILED);
        if (n % 2) {
            fixture_restart(f);
            fixture_join(f);
        }
        succeed(f, drop_leaf);
        struct volume_info info;
        fixture_info(f, IMG, BASE, &info);
        assert_int_equal(info.role, VOLUME_LEAF);
        fixture_info(f, IMG, MID, &info);
        assert_int_equal(info.role, VOLUME_INTERNAL);
        check_image_files(f, IMG);
        succeed(f, drop_image);
    }
    assert_true(n > 5);
}

/* --- a snapshot's layer, with an old leaf still there --- */

static int make_over(struct fixture *f, struct err *err)
{
    const struct volume_create spec = fixture_volume(IMG, SD2, MID, VOLUME_COW);
    int rc = f->port.ops->volume_create(f->port.ctx, &spec, err);
    return rc < 0 && err->code == ERR_VOLUME_EXISTS ? 0 : rc;
}

static int drop_over(struct fixture *f, struct err *err)
{
    return drop(f, SD2, err);
}

/* MID is the leaf whenever the layer is not there. */
static void check_over(struct fixture *f)
{
    struct storage_chain chain = { 0 };
    struct err err = ERR_INIT;
    struct volume_info info;
    bool there = fixture_exists(f, IMAGES IMG "/" SD2 ".meta");
    fixture_info(f, IMG, MID, &info);
    assert_int_equal(info.role, there ? VOLUME_INTERNAL : VOLUME_LEAF);
    if (f->port.ops->image_chain(f->port.ctx, SD, IMG, NULL, &chain, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(chain.n, there ? 3 : 2);
    storage_chain_deinit(&chain);
    check_image_files(f, IMG);
}

static void cut_over(struct fixture *f, change_fn *change, change_fn *back)
{
    int outcome = CUT;
    for (long n = 1; outcome == CUT; n++) {
        for (int scan = 0; scan < 2; scan++) {
            outcome = run_cut(f, change, n);
            assert_int_not_equal(outcome, FAILED);
            if (scan) {
                fixture_restart(f);
                fixture_join(f);
                check_over(f);
            }
            succeed(f, change);
            check_over(f);
            succeed(f, back);
            check_over(f);
        }
    }
}

static void a_snapshot_over_a_merged_leaf(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    succeed(f, sync_without_leaf);
    cut_over(f, make_over, drop_over);
    succeed(f, make_over);
    cut_over(f, drop_over, make_over);
}

/* --- outside --- */

static int make_outside(struct fixture *f, struct err *err)
{
    char path[PATH_MAX];
    fixture_path(f, path, "out/disk");
    return f->port.ops->outside_create(f->port.ctx, path, VOLUME_COW, MIB, err);
}

static int drop_outside(struct fixture *f, struct err *err)
{
    char path[PATH_MAX];
    fixture_path(f, path, "out/disk");
    return f->port.ops->outside_remove(f->port.ctx, path, err);
}

static void expect_files(const struct fixture *f, size_t wanted)
{
    char path[PATH_MAX];
    size_t n = 0;
    fixture_path(f, path, "out");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
    (void)closedir(dir);
    assert_int_equal(n, wanted);
}

static void making_a_file_outside(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    int outcome = CUT;
    long n = 0;
    fixture_path(f, path, "out");
    assert_int_equal(mkdir(path, 0755), 0);
    while (outcome == CUT) {
        n++;
        for (int again = 0; again < 2; again++) {
            outcome = run_cut(f, make_outside, n);
            assert_int_not_equal(outcome, FAILED);
            fixture_restart(f);
            if (again) {
                succeed(f, make_outside);
                expect_files(f, 1);
            }
            succeed(f, drop_outside);
            expect_files(f, 0);
        }
    }
    assert_true(n > 8);
    only_fails = true;
    bool struck = true;
    for (n = 1; struck; n++) {
        struct err err = ERR_INIT;
        calls_left = n;
        int rc = make_outside(f, &err);
        struck = calls_left == 0;
        calls_left = -1;
        assert_true(struck || rc == 0);
        succeed(f, drop_outside);
        expect_files(f, 0);
    }
    only_fails = false;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(growing),
        TEST(growing_with_space),
        TEST(no_space_leaves_all_as_it_was),
        TEST(making_several_volumes),
        TEST(making_a_copys_structure),
        TEST(syncing_after_an_active_merge),
        TEST(syncing_after_an_internal_merge),
        TEST(removing_an_old_leaf),
        TEST(a_snapshot_over_a_merged_leaf),
        TEST(making_a_file_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
