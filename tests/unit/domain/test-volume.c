/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes: made, looked at, changed, removed; and what is refused with VDSM's
 * numbers and without a trace.
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

static int create(struct fixture *f, const struct volume_create *spec)
{
    return f->port.ops->volume_create(f->port.ctx, spec, FRESH(f));
}

static int drop(struct fixture *f, const char *img, const char *vol)
{
    const struct volume_id id = fixture_id(img, vol);
    return f->port.ops->volume_delete(f->port.ctx, &id, FRESH(f));
}

static int set_legality(struct fixture *f, const char *vol,
                        enum volume_legality legality)
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->volume_set_legality(f->port.ctx, &id, legality,
                                            FRESH(f));
}

static void check_file(const struct fixture *f, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    struct stat st;
    fixture_path(f, path, IMAGES "%s", name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void a_raw_volume_is_as_it_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    struct volume_info info;
    spec.capacity = 10 * MIB + 1;
    spec.sequence = 7;
    fixture_create(f, &spec);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.capacity, 10 * MIB + 4096);
    assert_int_equal(info.apparent_bytes, 10 * MIB + 4096);
    assert_true(info.true_bytes < MIB);
    assert_int_equal(info.format, VOLUME_RAW);
    assert_int_equal(info.allocation, VOLUME_SPARSE);
    assert_int_equal(info.role, VOLUME_LEAF);
    assert_int_equal(info.legality, VOLUME_LEGAL);
    assert_int_equal(info.sequence, 7);
    assert_int_equal(info.generation, 0);
    assert_string_equal(info.parent, UUID_BLANK);
    assert_string_equal(info.description, "a disk");
    assert_string_equal(info.disk_type, "DATA");
    assert_true(str_ends_with(info.path, "/" SD "/images/" IMG "/" BASE));
    check_file(f, IMG, 0755);
    check_file(f, IMG "/" BASE, 0660);
    check_file(f, IMG "/" BASE ".meta", 0644);
    check_file(f, IMG "/" BASE ".lease", 0660);
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void preallocated_volumes_have_their_space(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    struct volume_info info;
    spec.allocation = VOLUME_PREALLOCATED;
    spec.capacity = 4 * MIB;
    fixture_create(f, &spec);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.allocation, VOLUME_PREALLOCATED);
    assert_true(info.true_bytes >= 4 * MIB);
    spec = fixture_volume(IMG2, LEAF, NULL, VOLUME_COW);
    spec.allocation = VOLUME_PREALLOCATED;
    spec.capacity = 4 * MIB;
    fixture_create(f, &spec);
    fixture_info(f, IMG2, LEAF, &info);
    assert_int_equal(info.apparent_bytes, 4 * MIB);
    assert_true(info.true_bytes >= 4 * MIB - 512 * 1024);
}

static void a_snapshot_makes_its_parent_internal(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    fixture_make_chain(f);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.role, VOLUME_INTERNAL);
    fixture_info(f, IMG, MID, &info);
    assert_int_equal(info.role, VOLUME_INTERNAL);
    assert_string_equal(info.parent, BASE);
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
    assert_string_equal(info.parent, MID);
    assert_int_equal(drop(f, IMG, LEAF), 0);
    fixture_info(f, IMG, MID, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
}

static void a_clone_has_the_role_it_is_given(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    spec.clone = true;
    spec.role = VOLUME_INTERNAL;
    spec.legality = VOLUME_ILLEGAL;
    spec.capacity = MIB + 512;
    fixture_create(f, &spec);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.role, VOLUME_INTERNAL);
    assert_int_equal(info.capacity, MIB + 512);
    /* The scan leaves a copy that is being built alone. */
    fixture_join(f);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.role, VOLUME_INTERNAL);
    spec = fixture_volume(IMG, LEAF, BASE, VOLUME_COW);
    spec.clone = true;
    spec.role = VOLUME_LEAF;
    spec.legality = VOLUME_ILLEGAL;
    spec.capacity = MIB + 512;
    fixture_create(f, &spec);
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
    assert_int_equal(info.legality, VOLUME_ILLEGAL);
}

struct refusal {
    struct volume_create spec;
    enum err_code code;
};

static void wrong_input_is_refused_by_number(void **state)
{
    struct fixture *f = *state;
    struct refusal cases[15];
    fixture_make_chain(f);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cases[i] =
            (struct refusal){ fixture_volume(IMG2, SD2, NULL, VOLUME_RAW),
                              ERR_VALUE };
    cases[0].spec.format = (enum volume_format)9;
    cases[0].code = ERR_VOLUME_FORMAT;
    cases[1].spec = fixture_volume(IMG, SD2, LEAF, VOLUME_RAW);
    cases[1].code = ERR_VOLUME_FORMAT;
    cases[2].spec.allocation = (enum volume_allocation)9;
    cases[2].code = ERR_VOLUME_ALLOCATION;
    (void)str_copy(cases[3].spec.disk_type, 8, "NOPE");
    cases[4].spec.capacity = 0;
    cases[5].spec.capacity = UINT64_MAX;
    cases[6].spec = fixture_volume(IMG, SD2, LEAF, VOLUME_COW);
    cases[6].spec.capacity = MIB - 4096;
    cases[7].spec = fixture_volume(IMG, SD2, SD, VOLUME_COW);
    cases[7].code = ERR_NO_VOLUME;
    cases[8].spec = fixture_volume(IMG, SD2, MID, VOLUME_COW);
    cases[8].code = ERR_VOLUME_CHILDREN;
    cases[9].spec = fixture_volume(IMG, SD2, NULL, VOLUME_COW);
    cases[9].code = ERR_VOLUME_CREATE;
    cases[10].spec = fixture_volume(IMG2, MID, NULL, VOLUME_RAW);
    cases[10].code = ERR_VOLUME_EXISTS;
    (void)str_copy(cases[11].spec.description, 16, "a\nEOF");
    cases[12].spec = fixture_volume(IMG2, SD2, LEAF, VOLUME_COW);
    (void)str_copy(cases[12].spec.parent_img, UUID_SIZE, IMG);
    cases[12].code = ERR_UNSUPPORTED_STORAGE;
    cases[13].spec.legality = (enum volume_legality)9;
    cases[14].spec = fixture_volume(IMG2, SD2, SD2, VOLUME_COW);
    _cleanup_free_ char *before = fixture_list(f);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_error(f, create(f, &cases[i].spec), cases[i].code, "");
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    assert_int_equal(fake_leases_held(f->leases), 0);
}

/* The guest sees the file's size, whatever the record says. */
static void a_child_is_as_large_as_its_parents_file(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    struct volume_info info;
    fixture_create(f, &spec);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(truncate(info.path, 2 * MIB), 0);
    spec = fixture_volume(IMG, MID, BASE, VOLUME_COW);
    assert_error(f, create(f, &spec), ERR_VALUE, "less than its parent's");
    spec.capacity = 2 * MIB;
    fixture_create(f, &spec);
}

static void a_volume_is_made_once(void **state)
{
    struct fixture *f = *state;
    const struct volume_create spec =
        fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    fixture_create(f, &spec);
    assert_error(f, create(f, &spec), ERR_VOLUME_EXISTS, BASE);
}

static void nothing_is_based_on_an_illegal_volume(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    assert_int_equal(set_legality(f, LEAF, VOLUME_ILLEGAL), 0);
    const struct volume_create spec =
        fixture_volume(IMG, SD2, LEAF, VOLUME_COW);
    assert_error(f, create(f, &spec), ERR_SNAPSHOT_ILLEGAL, LEAF);
    assert_int_equal(set_legality(f, LEAF, VOLUME_LEGAL), 0);
    fixture_create(f, &spec);
}

static void a_record_that_does_not_fit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    for (size_t i = 0; i < 150; i++)
        (void)str_copy(spec.description + 3 * i, 4, "\xe2\x82\xac");
    assert_error(f, create(f, &spec), ERR_METADATA_OVERFLOW, "DESCRIPTION");
    assert_false(fixture_exists(f, IMAGES IMG));
}

static void somebody_elses_file_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_path(f, path, IMAGES IMG);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_write(f, IMAGES IMG "/" BASE, "precious");
    const struct volume_create spec =
        fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    assert_error(f, create(f, &spec), ERR_VOLUME_CREATE, "somebody else");
    fixture_join(f);
    _cleanup_free_ char *text = fixture_read(f, IMAGES IMG "/" BASE);
    assert_string_equal(text, "precious");
}

static void a_qcow2_that_cannot_be_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    struct volume_info info;
    fixture_create(f, &spec);
    _cleanup_free_ char *before = fixture_list(f);
    spec = fixture_volume(IMG, LEAF, BASE, VOLUME_COW);
    spec.capacity = INT64_MAX - 8192; /* more than qcow2 can */
    assert_error(f, create(f, &spec), ERR_VALUE, "2 PiB");
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
}

static void deleting_is_refused_by_number(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    assert_error(f, drop(f, IMG, BASE), ERR_VOLUME_CHILDREN, MID);
    assert_error(f, drop(f, IMG, SD), ERR_NO_VOLUME, SD);
    assert_error(f, drop(f, IMG2, BASE), ERR_NO_IMAGE, IMG2);
    assert_int_equal(drop(f, IMG, LEAF), 0);
    assert_error(f, drop(f, IMG, LEAF), ERR_NO_VOLUME, LEAF);
    assert_int_equal(drop(f, IMG, MID), 0);
    assert_int_equal(drop(f, IMG, BASE), 0);
    assert_false(fixture_exists(f, IMAGES IMG));
}

static void what_qemu_has_open_stays(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    fixture_make_chain(f);
    assert_int_equal(set_legality(f, LEAF, VOLUME_ILLEGAL), 0);
    int fd = fixture_open_like_qemu(f, IMG, LEAF);
    assert_error(f, drop(f, IMG, LEAF), ERR_VOLUME_BUSY, LEAF);
    assert_error(f, f->port.ops->image_delete(f->port.ctx, SD, IMG, FRESH(f)),
                 ERR_VOLUME_BUSY, LEAF);
    assert_error(f, f->port.ops->volume_reset(f->port.ctx, &id, FRESH(f)),
                 ERR_VOLUME_BUSY, LEAF);
    (void)close(fd);
    assert_int_equal(drop(f, IMG, LEAF), 0);
}

static void legality_changes_and_the_rest_stays(void **state)
{
    struct fixture *f = *state;
    struct volume_info before;
    struct volume_info after;
    fixture_make_chain(f);
    fixture_info(f, IMG, LEAF, &before);
    assert_int_equal(set_legality(f, LEAF, VOLUME_ILLEGAL), 0);
    fixture_info(f, IMG, LEAF, &after);
    assert_int_equal(after.legality, VOLUME_ILLEGAL);
    assert_int_equal(after.ctime_s, before.ctime_s);
    assert_string_equal(after.description, before.description);
    assert_int_equal(set_legality(f, LEAF, VOLUME_ILLEGAL), 0);
    assert_error(f, set_legality(f, SD, VOLUME_LEGAL), ERR_NO_VOLUME, SD);
}

static void a_reset_empties_only_copies(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    struct storage_chain chain = { 0 };
    fixture_make_chain(f);
    assert_error(f, f->port.ops->volume_reset(f->port.ctx, &id, FRESH(f)),
                 ERR_VOLUME_BUSY, "not ILLEGAL");
    assert_int_equal(set_legality(f, LEAF, VOLUME_ILLEGAL), 0);
    fixture_write(f, IMAGES IMG "/" LEAF, "half a copy");
    assert_int_equal(f->port.ops->volume_reset(f->port.ctx, &id, FRESH(f)), 0);
    assert_int_equal(
        f->port.ops->image_chain(f->port.ctx, SD, IMG, NULL, &chain, FRESH(f)),
        0);
    assert_int_equal(chain.n, 3);
    storage_chain_deinit(&chain);
}

static void the_volumes_lease_is_its_own(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, LEAF);
    struct lease_state lease;
    char path[PATH_MAX];
    fixture_make_chain(f);
    assert_int_equal(
        f->port.ops->volume_lease(f->port.ctx, &id, &lease, FRESH(f)), 0);
    assert_true(lease.present);
    assert_int_equal(lease.offset, 0);
    assert_int_equal(lease.owner_host, 0);
    fixture_path(f, path, IMAGES IMG "/" LEAF ".lease");
    assert_string_equal(lease.path, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(
        f->port.ops->volume_lease(f->port.ctx, &id, &lease, FRESH(f)), 0);
    assert_false(lease.present);
}

static void lists_images_and_volumes(void **state)
{
    struct fixture *f = *state;
    struct uuid_list list = { 0 };
    const struct storage_ops *ops = f->port.ops;
    const struct volume_create spec =
        fixture_volume(IMG2, SD2, NULL, VOLUME_RAW);
    fixture_make_chain(f);
    fixture_create(f, &spec);
    assert_int_equal(ops->domain_images(f->port.ctx, SD, &list, FRESH(f)), 0);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.uuids[0], IMG);
    assert_string_equal(list.uuids[1], IMG2);
    uuid_list_deinit(&list);
    assert_int_equal(ops->domain_volumes(f->port.ctx, SD, IMG, &list, FRESH(f)),
                     0);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.uuids[2], LEAF);
    uuid_list_deinit(&list);
    assert_int_equal(
        ops->domain_volumes(f->port.ctx, SD, NULL, &list, FRESH(f)), 0);
    assert_int_equal(list.n, 4);
    uuid_list_deinit(&list);
    assert_error(f, ops->domain_volumes(f->port.ctx, SD, SD, &list, FRESH(f)),
                 ERR_NO_IMAGE, SD);
}

/* --- several in one go --- */

static int create_both(struct fixture *f, const struct volume_create *specs)
{
    return f->port.ops->volumes_create(f->port.ctx, specs, 2, FRESH(f));
}

static void clone_specs(struct volume_create specs[2])
{
    specs[0] = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    specs[0].role = VOLUME_INTERNAL;
    specs[1] = fixture_volume(IMG, LEAF, BASE, VOLUME_COW);
    specs[1].role = VOLUME_LEAF;
    for (size_t i = 0; i < 2; i++) {
        specs[i].clone = true;
        specs[i].legality = VOLUME_ILLEGAL;
    }
}

static void several_volumes_take_one_lease(void **state)
{
    struct fixture *f = *state;
    struct volume_create specs[2];
    struct volume_info info;
    clone_specs(specs);
    size_t before = fixture_acquired;
    assert_int_equal(create_both(f, specs), 0);
    assert_int_equal(fixture_acquired, before + 1);
    assert_int_equal(fake_leases_held(f->leases), 0);
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.role, VOLUME_INTERNAL);
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
    assert_int_equal(info.legality, VOLUME_ILLEGAL);
    _cleanup_free_ char *made = fixture_list(f);
    assert_int_equal(create_both(f, specs), 0);
    _cleanup_free_ char *again = fixture_list(f);
    assert_string_equal(made, again);
}

static void the_second_of_two_goes_on_from_the_first(void **state)
{
    struct fixture *f = *state;
    struct volume_create specs[2];
    struct volume_info info;
    clone_specs(specs);
    fixture_create(f, &specs[0]);
    assert_int_equal(create_both(f, specs), 0);
    fixture_info(f, IMG, LEAF, &info);
    assert_string_equal(info.parent, BASE);
}

static void another_volume_is_in_the_way_of_several(void **state)
{
    struct fixture *f = *state;
    struct volume_create specs[2];
    struct volume_create others[4];
    clone_specs(specs);
    assert_int_equal(create_both(f, specs), 0);
    _cleanup_free_ char *before = fixture_list(f);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        others[i] = specs[1];
    others[0].capacity += 512;
    others[1].legality = VOLUME_LEGAL;
    (void)str_copy(others[2].parent, UUID_SIZE, UUID_BLANK);
    others[3] = specs[0];
    others[3].format = VOLUME_COW;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        const struct volume_create pair[] = { specs[0], others[i] };
        assert_error(f, create_both(f, pair), ERR_VOLUME_EXISTS,
                     others[i].id.vol);
    }
    assert_error(f, create(f, &specs[1]), ERR_VOLUME_EXISTS, LEAF);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void one_bad_spec_stops_all(void **state)
{
    struct fixture *f = *state;
    struct volume_create specs[2];
    clone_specs(specs);
    specs[1].capacity = 0;
    assert_error(f, create_both(f, specs), ERR_VALUE, LEAF);
    clone_specs(specs);
    (void)str_copy(specs[1].id.sd, UUID_SIZE, SD2);
    assert_error(f, create_both(f, specs), ERR_VALUE, SD2);
    assert_false(fixture_exists(f, IMAGES IMG));
    assert_int_equal(
        f->port.ops->volumes_create(f->port.ctx, specs, 0, FRESH(f)), 0);
}

static void a_busy_sdm_stops_every_change(void **state)
{
    struct fixture *f = *state;
    const struct volume_create spec =
        fixture_volume(IMG2, SD2, NULL, VOLUME_RAW);
    fixture_make_chain(f);
    _cleanup_free_ char *before = fixture_list(f);
    fake_leases_set_busy(f->leases, "SDM");
    assert_error(f, create(f, &spec), ERR_ACQUIRE_LOCK, "SDM");
    assert_error(f, drop(f, IMG, LEAF), ERR_ACQUIRE_LOCK, "SDM");
    assert_error(f, set_legality(f, LEAF, VOLUME_ILLEGAL), ERR_ACQUIRE_LOCK,
                 "SDM");
    assert_error(f, f->port.ops->image_delete(f->port.ctx, SD, IMG, FRESH(f)),
                 ERR_ACQUIRE_LOCK, "SDM");
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_raw_volume_is_as_it_was_asked_for),
        TEST(preallocated_volumes_have_their_space),
        TEST(a_snapshot_makes_its_parent_internal),
        TEST(a_clone_has_the_role_it_is_given),
        TEST(wrong_input_is_refused_by_number),
        TEST(a_child_is_as_large_as_its_parents_file),
        TEST(a_volume_is_made_once),
        TEST(nothing_is_based_on_an_illegal_volume),
        TEST(a_record_that_does_not_fit_is_refused),
        TEST(somebody_elses_file_is_left_alone),
        TEST(a_qcow2_that_cannot_be_leaves_no_trace),
        TEST(deleting_is_refused_by_number),
        TEST(what_qemu_has_open_stays),
        TEST(legality_changes_and_the_rest_stays),
        TEST(a_reset_empties_only_copies),
        TEST(the_volumes_lease_is_its_own),
        TEST(lists_images_and_volumes),
        TEST(several_volumes_take_one_lease),
        TEST(the_second_of_two_goes_on_from_the_first),
        TEST(another_volume_is_in_the_way_of_several),
        TEST(one_bad_spec_stops_all),
        TEST(a_busy_sdm_stops_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
