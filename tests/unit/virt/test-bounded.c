/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/bounded.h"
#include <dray/base/util.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    LONG_MS = 60000, /* never waited for */
    SHORT_MS = 30,
    MANY = 40,
};

/* What the requests of a test see. */
static struct {
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    bool open; /* requests that hang go on */
    int begun, running, most, freed;
} world = { .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER };

struct mine {
    struct request request;
    bool hangs;
    int found;
};

static void run(struct request *request)
{
    struct mine *mine = container_of(request, struct mine, request);
    (void)pthread_mutex_lock(&world.lock);
    world.begun++;
    if (++world.running > world.most)
        world.most = world.running;
    (void)pthread_cond_broadcast(&world.changed);
    while (mine->hangs && !world.open)
        (void)pthread_cond_wait(&world.changed, &world.lock);
    mine->found = 42;
    world.running--;
    (void)pthread_mutex_unlock(&world.lock);
}

static void drop(struct request *request)
{
    (void)pthread_mutex_lock(&world.lock);
    world.freed++;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.lock);
    free(container_of(request, struct mine, request));
}

static struct mine *make(const char *key, bool hangs)
{
    struct mine *mine = calloc(1, sizeof(*mine));
    assert_non_null(mine);
    mine->request.run = run;
    mine->request.free = drop;
    mine->hangs = hangs;
    (void)str_copy(mine->request.key, sizeof(mine->request.key), key);
    return mine;
}

static struct bounded *start(void)
{
    struct bounded *bounded = NULL;
    world.open = false;
    world.begun = world.running = world.most = world.freed = 0;
    assert_int_equal(bounded_new(&bounded), 0);
    return bounded;
}

/* Lets all go on and waits until @freed of them were freed. */
static void open_and_wait(int freed)
{
    (void)pthread_mutex_lock(&world.lock);
    world.open = true;
    (void)pthread_cond_broadcast(&world.changed);
    while (world.freed < freed)
        (void)pthread_cond_wait(&world.changed, &world.lock);
    (void)pthread_mutex_unlock(&world.lock);
}

static int run_one(struct bounded *bounded, const char *key)
{
    struct mine *mine = make(key, false);
    int rc = bounded_run(bounded, &mine->request, LONG_MS);
    assert_int_equal(mine->found, rc == 0 ? 42 : 0);
    free(mine);
    return rc;
}

static void what_ran_is_the_askers_again(void **state)
{
    struct bounded *bounded = start();
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(run_one(bounded, "a"), 0);
    assert_true(bounded_free(bounded));
    assert_int_equal(world.begun, 100);
    assert_int_equal(world.freed, 0);
    assert_true(bounded_free(NULL));
}

static void what_hangs_is_given_up(void **state)
{
    struct bounded *bounded = start();
    (void)state;
    assert_int_equal(bounded_run(bounded, &make("a", true)->request, SHORT_MS),
                     BOUNDED_LATE);
    /* until it has come back nothing overtakes it; others do not wait */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run_one(bounded, "a"), BOUNDED_BUSY);
        assert_int_equal(run_one(bounded, "b"), 0);
    }
    assert_int_equal(world.begun, 4);
    open_and_wait(1);
    assert_int_equal(run_one(bounded, "a"), 0);
    assert_true(bounded_free(bounded));
}

static void many_that_hang_hold_up_nobody(void **state)
{
    struct bounded *bounded = start();
    (void)state;
    for (int i = 0; i < MANY; i++) {
        char key[8];
        assert_true(str_format(key, sizeof(key), "%d", i));
        assert_int_equal(bounded_run(bounded, &make(key, true)->request, 1),
                         BOUNDED_LATE);
    }
    assert_int_equal(run_one(bounded, "other"), 0);
    open_and_wait(MANY);
    assert_true(bounded_free(bounded));
}

static void *ask_often(void *bounded)
{
    for (int i = 0; i < 200; i++)
        assert_int_equal(run_one(bounded, "a"), 0);
    return NULL;
}

static void one_of_a_key_runs_at_a_time(void **state)
{
    struct bounded *bounded = start();
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, bounded),
                         0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(world.most, 1);
    assert_int_equal(world.begun, 800);
    assert_true(bounded_free(bounded));
}

static void *ask_and_wait(void *bounded)
{
    struct mine *mine = make("a", true);
    assert_int_equal(bounded_run(bounded, &mine->request, LONG_MS), 0);
    assert_int_equal(mine->found, 42);
    free(mine);
    return NULL;
}

/* The one before it is not late yet: whoever waits for his turn gives up at his
 * own deadline, and his request was never begun. */
static void who_waits_for_his_turn_has_a_deadline_too(void **state)
{
    struct bounded *bounded = start();
    pthread_t first;
    (void)state;
    assert_int_equal(pthread_create(&first, NULL, ask_and_wait, bounded), 0);
    (void)pthread_mutex_lock(&world.lock);
    while (world.begun == 0)
        (void)pthread_cond_wait(&world.changed, &world.lock);
    (void)pthread_mutex_unlock(&world.lock);
    struct mine *second = make("a", false);
    assert_int_equal(bounded_run(bounded, &second->request, SHORT_MS),
                     BOUNDED_BUSY);
    assert_int_equal(second->found, 0);
    free(second);
    assert_int_equal(world.begun, 1);
    open_and_wait(0);
    assert_int_equal(pthread_join(first, NULL), 0);
    assert_true(bounded_free(bounded));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ran_is_the_askers_again),
        cmocka_unit_test(what_hangs_is_given_up),
        cmocka_unit_test(many_that_hang_hold_up_nobody),
        cmocka_unit_test(one_of_a_key_runs_at_a_time),
        cmocka_unit_test(who_waits_for_his_turn_has_a_deadline_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
