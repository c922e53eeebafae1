/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * External leases on an LV: as many as it has room for.
 */
#include "../../../src/domain/domains.h"
#include "vg.h"
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LEASE "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

enum {
    LAST = 1021 - 1 /* of an LV of 1 GiB */
};

static const struct xlease_id id = { SD, LEASE };
static const struct xlease_job job = { .job_id = LEASE, .generation = 3 };

#define LEASES(f, op, ...)                                                     \
    (domains_xlease_port((f)->domains)                                         \
         .ops->op((f)->domains, __VA_ARGS__, FRESH(f)))

/* An index with so many leases. */
static void fill(const struct fixture *f, size_t n)
{
    static char index[FORMAT_XLEASES_SIZE];
    const struct format_xleases header = { .lockspace = SD };
    char path[PATH_MAX];
    format_xleases_build(&header, index);
    for (size_t i = 0; i < n; i++) {
        char lease[UUID_SIZE];
        uuid_new(lease);
        format_xlease_set(index, i, MIB, lease);
    }
    vg_path(f, path, "lvs/xleases");
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, MIB, SEEK_SET), 0);
    assert_int_equal(fwrite(index, sizeof(index), 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    const struct lease_place lockspace = { .lockspace = SD };
    (void)vg_fixture_new(state);
    struct fixture *f = *state;
    const struct lease_port *leases = &f->domains->leases;
    return leases->ops->join(leases->ctx, &lockspace, 1, NULL);
}

static void leases_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct xlease_place place;
    struct xlease_status status;
    struct xlease_rebuilt rebuilt;
    fill(f, 0);
    ASSERT_DONE(f, LEASES(f, create, &id, &job));
    ASSERT_DONE(f, LEASES(f, info, &id, &place));
    assert_int_equal(place.offset, 3 * MIB);
    assert_true(str_ends_with(place.path, SD "/xleases"));
    ASSERT_DONE(f, LEASES(f, fence, &id, &job));
    ASSERT_DONE(f, LEASES(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.kept, 1);
    ASSERT_DONE(f, LEASES(f, status, &id, &status));
    assert_int_equal(status.job.status, XLEASE_FENCED);
    assert_int_equal(status.job.generation, 4);
    ASSERT_DONE(f, LEASES(f, remove, &id));
    assert_error(f, LEASES(f, info, &id, &place), ERR_NO_SUCH_LEASE, LEASE);
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void an_index_of_noise_is_made_anew(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    assert_error(f, LEASES(f, create, &id, &job), ERR_METADATA_VALIDATION, SD);
    ASSERT_DONE(f, LEASES(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.freed, LAST + 1);
    ASSERT_DONE(f, LEASES(f, create, &id, &job));
}

static void the_last_one_fits(void **state)
{
    struct fixture *f = *state;
    struct xlease_place place;
    fill(f, LAST);
    ASSERT_DONE(f, LEASES(f, create, &id, &job));
    ASSERT_DONE(f, LEASES(f, info, &id, &place));
    assert_int_equal(place.offset, 1023 * MIB);
    ASSERT_DONE(f, LEASES(f, remove, &id));
}

static void a_full_lv_has_no_room(void **state)
{
    struct fixture *f = *state;
    fill(f, LAST + 1);
    assert_error(f, LEASES(f, create, &id, &job), ERR_NO_SPACE, "1021");
    assert_int_equal(vg_lv_bytes(f, "xleases"), 1024ULL * MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leases_come_and_go),
        TEST(an_index_of_noise_is_made_anew),
        TEST(the_last_one_fits),
        TEST(a_full_lv_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
