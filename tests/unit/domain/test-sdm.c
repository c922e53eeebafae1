/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SDM lease between the changes of a job.
 */
#include "fixture.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    THREADS = 4,
    ROUNDS = 6,
};

static void keep(struct fixture *f)
{
    f->port.ops->domain_keep(f->port.ctx, SD);
}

static void keep_no_more(struct fixture *f)
{
    f->port.ops->domain_keep_no_more(f->port.ctx, SD);
}

static int change(struct fixture *f, enum volume_legality legality)
{
    const struct volume_id id = fixture_id(IMG, BASE);
    struct err err = ERR_INIT; /* threads */
    return f->port.ops->volume_set_legality(f->port.ctx, &id, legality, &err);
}

/* Two changes; how often the lease was acquired for them. */
static size_t acquired(struct fixture *f)
{
    size_t before = fixture_acquired;
    assert_int_equal(change(f, VOLUME_ILLEGAL), 0);
    assert_int_equal(change(f, VOLUME_LEGAL), 0);
    return fixture_acquired - before;
}

static size_t held(const struct fixture *f)
{
    return fake_leases_held(f->leases);
}

static int setup(void **state)
{
    int rc = fixture_with_joined(state);
    if (rc == 0)
        fixture_make_chain(*state);
    return rc;
}

static void each_change_takes_it_for_itself(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(acquired(f), 2);
    assert_int_equal(held(f), 0);
}

static void a_job_has_it_from_one_change_to_the_next(void **state)
{
    struct fixture *f = *state;
    /* It is given back after a while, which a busy machine may take. */
    for (int tries = 0; tries < 50; tries++) {
        keep(f);
        size_t n = acquired(f);
        keep_no_more(f);
        assert_int_equal(held(f), 0);
        if (n == 1)
            return;
    }
    fail_msg("never kept");
}

static void soon(struct fixture *f)
{
    f->port.ops->domain_soon(f->port.ctx, SD);
}

static void it_is_taken_in_advance_and_kept(void **state)
{
    struct fixture *f = *state;
    for (int tries = 0; tries < 50; tries++) {
        keep(f);
        size_t before = fixture_acquired;
        soon(f);
        while (fixture_acquired == before)
            (void)usleep(1000);
        size_t n = acquired(f);
        keep_no_more(f);
        if (n == 0)
            return;
    }
    fail_msg("taken again");
}

static void nobody_takes_it_in_advance_for_nobody(void **state)
{
    struct fixture *f = *state;
    size_t before = fixture_acquired;
    soon(f);
    assert_int_equal(acquired(f), 2);
    assert_int_equal(fixture_acquired, before + 2);
    assert_int_equal(held(f), 0);
}

/* Whenever the thread comes to its end. */
static void what_is_taken_in_advance_is_given_back(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        keep(f);
        soon(f);
        if (i % 2)
            (void)usleep(500);
        keep_no_more(f);
    }
    keep(f);
    soon(f);
    fixture_restart(f);
    assert_int_equal(held(f), 0);
}

static void the_last_of_several_jobs_gives_it_back(void **state)
{
    struct fixture *f = *state;
    keep(f);
    keep(f);
    (void)acquired(f);
    keep_no_more(f);
    (void)acquired(f);
    keep_no_more(f);
    assert_int_equal(held(f), 0);
    assert_int_equal(acquired(f), 2);
    assert_int_equal(held(f), 0);
}

static void other_hosts_do_not_wait_for_the_job(void **state)
{
    struct fixture *f = *state;
    keep(f);
    (void)acquired(f);
    while (held(f) > 0)
        (void)usleep(1000);
    keep_no_more(f);
}

static void what_sanlock_lost_is_acquired_again(void **state)
{
    struct fixture *f = *state;
    keep(f);
    size_t before = fixture_acquired;
    assert_int_equal(change(f, VOLUME_ILLEGAL), 0);
    fake_leases_lose(f->leases);
    assert_int_equal(change(f, VOLUME_LEGAL), 0);
    assert_int_equal(fixture_acquired - before, 2);
    keep_no_more(f);
    assert_int_equal(held(f), 0);
}

static void the_domain_can_be_left(void **state)
{
    struct fixture *f = *state;
    keep(f);
    (void)acquired(f);
    assert_int_equal(f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f)), 0);
    assert_int_equal(held(f), 0);
    keep_no_more(f);
}

static void nothing_is_held_after_the_end(void **state)
{
    struct fixture *f = *state;
    keep(f);
    (void)acquired(f);
    fixture_restart(f);
    assert_int_equal(held(f), 0);
}

static void *change_and_change(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < ROUNDS; i++) {
        keep(f);
        if (change(f, VOLUME_ILLEGAL) != 0 || change(f, VOLUME_LEGAL) != 0)
            return arg; /* failed */
        keep_no_more(f);
    }
    return NULL;
}

/* The fake refuses a lease that is taken, and one that is not held cannot be
 * given back. */
static void threads_take_turns(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, change_and_change, f), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
    assert_int_equal(held(f), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)
    const struct CMUnitTest tests[] = {
        TEST(each_change_takes_it_for_itself),
        TEST(a_job_has_it_from_one_change_to_the_next),
        TEST(it_is_taken_in_advance_and_kept),
        TEST(nobody_takes_it_in_advance_for_nobody),
        TEST(what_is_taken_in_advance_is_given_back),
        TEST(the_last_of_several_jobs_gives_it_back),
        TEST(other_hosts_do_not_wait_for_the_job),
        TEST(what_sanlock_lost_is_acquired_again),
        TEST(the_domain_can_be_left),
        TEST(nothing_is_held_after_the_end),
        TEST(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
