/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of external leases, cut off at every write, or with each write
 * failing: a lease that can be found is whole, and a repeat mends what is left.
 */
#include "cut.h"
#include <dray/format.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LEASE "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define OTHER "e0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

static const struct xlease_id id = { SD, LEASE };
static const struct xlease_id other = { SD, OTHER };
static const struct xlease_job job = { .job_id = LEASE, .generation = 3 };

static const struct xlease_ops *ops(struct fixture *f)
{
    return domains_xlease_port(f->domains).ops;
}

/* Whole, or not there; the other lease is never touched. */
static void check_leases(struct fixture *f)
{
    struct xlease_status status = { 0 };
    struct err err = ERR_INIT;
    if (ops(f)->status(f->domains, &id, &status, &err) == 0)
        assert_string_equal(status.job.job_id, LEASE);
    else if (err.code != ERR_NO_SUCH_LEASE)
        fail_msg("%s", err.message);
    if (ops(f)->status(f->domains, &other, &status, &err) < 0)
        fail_msg("%s", err.message);
    assert_false(status.has_job);
}

static int make(struct fixture *f, struct err *err)
{
    check_leases(f);
    int rc = ops(f)->create(f->domains, &id, &job, err);
    check_leases(f);
    return rc;
}

static int take_away(struct fixture *f, struct err *err)
{
    check_leases(f);
    int rc = ops(f)->remove(f->domains, &id, err);
    check_leases(f);
    return rc;
}

static int setup(void **state)
{
    (void)fixture_with_joined(state);
    struct fixture *f = *state;
    if (ops(f)->create(f->domains, &other, NULL, FRESH(f)) < 0)
        fail_msg("%s", f->err.message);
    return 0;
}

static void making(void **state)
{
    struct fixture *f = *state;
    cut_everywhere(f, make, take_away, 3);
    fail_everywhere(f, make, take_away);
}

static void removing(void **state)
{
    struct fixture *f = *state;
    succeed(f, make);
    cut_everywhere(f, take_away, make, 2);
    fail_everywhere(f, take_away, make);
}

/* --- rebuilding --- */

static void scribble(const struct fixture *f)
{
    char path[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/dom_md/xleases");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "scribble", 8, MIB + 300), 8);
    assert_int_equal(pwrite(fd, "scribble", 8, MIB + 512 + 70), 8);
}

static int damage(struct fixture *f, struct err *err)
{
    long counted = calls_left;
    (void)err;
    calls_left = -1;
    scribble(f);
    calls_left = counted;
    return 0;
}

/* Whatever it left when it was cut off, the leases are right or refused. */
static int rebuild(struct fixture *f, struct err *err)
{
    struct xlease_rebuilt rebuilt;
    struct xlease_status status = { .job = { .job_id = LEASE } };
    (void)ops(f)->status(f->domains, &id, &status, NULL);
    assert_string_equal(status.job.job_id, LEASE);
    int rc = ops(f)->rebuild(f->domains, SD, &rebuilt, err);
    if (rc == 0)
        check_leases(f);
    return rc;
}

static void rebuilding(void **state)
{
    struct fixture *f = *state;
    succeed(f, make);
    succeed(f, damage);
    cut_everywhere(f, rebuild, damage, 3);
    fail_everywhere(f, rebuild, damage);
    check_leases(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(making),
        TEST(removing),
        TEST(rebuilding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
