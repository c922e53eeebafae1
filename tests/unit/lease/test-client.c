/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/lease/client.h"

#include <dray/base/util.h>
#include <errno.h>
#include <sanlock_rv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct lease_place place = {
    .lockspace = "space",
    .resource = "SDM",
    .path = "/srv/one/dom_md/leases",
    .offset = 1048576,
    .block_size = 512,
    .alignment = 1048576,
};

static void each_way_to_be_busy_is_tried_again(void **state)
{
    const int busy[] = { -EEXIST, -EINPROGRESS, -EAGAIN, -EBUSY, -243,
                         -244,    -245,         -246,    -247 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
        assert_int_equal(sanlock_answer(busy[i]), SANLOCK_BUSY);
}

static void only_a_place_without_the_lease_is_none(void **state)
{
    (void)state;
    assert_int_equal(sanlock_answer(-223), SANLOCK_NONE);
    assert_int_equal(sanlock_answer(-226), SANLOCK_NONE);
    assert_int_equal(sanlock_answer(-227), SANLOCK_NONE);
    /* The storage may be silent for a while: the lease can be there. */
    assert_int_equal(sanlock_answer(-202), SANLOCK_ERROR);
    assert_int_equal(sanlock_answer(-ENOENT), SANLOCK_ERROR);
    assert_int_equal(sanlock_answer(-ENOSPC), SANLOCK_ERROR);
    assert_int_equal(sanlock_answer(0), SANLOCK_DONE);
}

static void geometry_is_always_explicit(void **state)
{
    struct lease_place other = place;
    struct err err = ERR_INIT;
    uint32_t flags = 0;

    (void)state;
    assert_int_equal(sanlock_geometry(&other, &flags, &err), 0);
    assert_int_equal(flags, SANLK_LSF_SECTOR512 | SANLK_LSF_ALIGN1M);
    other.block_size = 4096;
    other.alignment = 8 << 20;
    assert_int_equal(sanlock_geometry(&other, &flags, &err), 0);
    assert_int_equal(flags, SANLK_RES_SECTOR4K | SANLK_RES_ALIGN8M);
}

static void impossible_geometry_is_refused(void **state)
{
    struct lease_place other = place;
    struct err err = ERR_INIT;
    uint32_t flags = 7;

    (void)state;
    other.alignment = 2 << 20;
    assert_int_equal(sanlock_geometry(&other, &flags, &err), -EINVAL);
    assert_int_equal(flags, 7);
    assert_non_null(strstr(err.message, "512"));
}

static void resource_has_its_disk_where_sanlock_looks(void **state)
{
    struct sanlock_resource resource;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(sanlock_resource_init(&resource, &place, &err), 0);
    assert_ptr_equal(resource.head.disks, &resource.disk);
    assert_string_equal(resource.head.lockspace_name, "space");
    assert_string_equal(resource.head.name, "SDM");
    assert_string_equal(resource.disk.path, place.path);
    assert_int_equal(resource.disk.offset, 1048576);
    assert_int_equal(resource.head.num_disks, 1);
}

static void lockspace_is_at_the_start_of_its_file(void **state)
{
    struct sanlk_lockspace ls;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(sanlock_lockspace_init(&ls, &place, 7, &err), 0);
    assert_int_equal(ls.host_id, 7);
    assert_int_equal(ls.host_id_disk.offset, 0);
}

static void path_longer_than_sanlocks_is_refused(void **state)
{
    struct lease_place other = place;
    struct sanlock_resource resource;
    struct err err = ERR_INIT;

    (void)state;
    memset(other.path, 'a', SANLK_PATH_LEN);
    other.path[SANLK_PATH_LEN] = '\0';
    assert_int_equal(sanlock_resource_init(&resource, &other, &err), -EINVAL);
    other.path[SANLK_PATH_LEN - 1] = '\0';
    err_clear(&err);
    assert_int_equal(sanlock_resource_init(&resource, &other, &err), 0);
}

static void empty_name_is_refused(void **state)
{
    struct lease_place other = place;
    struct sanlock_resource resource;
    struct err err = ERR_INIT;

    (void)state;
    other.resource[0] = '\0';
    assert_int_equal(sanlock_resource_init(&resource, &other, &err), -EINVAL);
}

static void failure_names_thing_cause_and_next_step(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(
        sanlock_fail(&err, ERR_ACQUIRE_LOCK, -ENODEV, "/a/ids", "lease SDM"),
        err_code_errno(ERR_ACQUIRE_LOCK));
    assert_int_equal(err.code, ERR_ACQUIRE_LOCK);
    assert_non_null(strstr(err.message, "lease SDM: "));
    assert_non_null(strstr(err.message, "cannot open it"));
    assert_non_null(strstr(err.next, "/a/ids"));
}

static void lockspace_that_was_not_joined_is_said(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    (void)sanlock_fail(&err, ERR_ACQUIRE_LOCK, -ENOSPC, "/a", "lease SDM");
    assert_non_null(strstr(err.message, "not joined"));
    assert_non_null(strstr(err.next, "join"));
}

static void every_return_value_has_a_text(void **state)
{
    (void)state;
    for (int rv = -300; rv < 0; rv++) {
        const char *text = sanlock_text(rv);
        assert_non_null(text);
        assert_true(text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_be_busy_is_tried_again),
        cmocka_unit_test(only_a_place_without_the_lease_is_none),
        cmocka_unit_test(geometry_is_always_explicit),
        cmocka_unit_test(impossible_geometry_is_refused),
        cmocka_unit_test(resource_has_its_disk_where_sanlock_looks),
        cmocka_unit_test(lockspace_is_at_the_start_of_its_file),
        cmocka_unit_test(path_longer_than_sanlocks_is_refused),
        cmocka_unit_test(empty_name_is_refused),
        cmocka_unit_test(failure_names_thing_cause_and_next_step),
        cmocka_unit_test(lockspace_that_was_not_joined_is_said),
        cmocka_unit_test(every_return_value_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
