/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pool: order, what a key bounds, who runs what, and ending while busy.
 * Tests wait for events; a gate holds workers where a storage would.
 */
#include <dirent.h>
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <dray/work.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

enum {
    MANY = 200
};

static sd_event *loop;
static struct work *work;
static pthread_t owner;
static unsigned n_done; /* the owner's */

/* Holds those who come until it opens, and counts them. */
static struct {
    pthread_mutex_t lock; /* protects the rest */
    pthread_cond_t changed;
    unsigned n_inside;
    unsigned n_passed;
    bool open;
} gate;

struct task {
    int number;
    bool on_worker;
    bool signals_blocked;
};

static void gate_pass(void)
{
    SCOPED_LOCK(&gate.lock);
    gate.n_inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.n_inside--;
    gate.n_passed++;
}

static void gate_open(void)
{
    SCOPED_LOCK(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
}

static void gate_wait_for(unsigned n)
{
    SCOPED_LOCK(&gate.lock);
    while (gate.n_inside < n)
        pthread_cond_wait(&gate.changed, &gate.lock);
}

static unsigned gate_inside(void)
{
    SCOPED_LOCK(&gate.lock);
    return gate.n_inside;
}

static int set_up_with(unsigned threads)
{
    n_done = 0;
    gate.n_inside = gate.n_passed = 0;
    gate.open = false;
    owner = pthread_self();
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.changed, NULL);
    if (sd_event_new(&loop) < 0)
        return -1;
    return work_new(loop, threads, &work, NULL);
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(4);
}

static int set_up_single(void **state)
{
    (void)state;
    return set_up_with(1);
}

static int tear_down(void **state)
{
    (void)state;
    gate_open(); /* a test that failed may have left it closed */
    work_free(work);
    work = NULL;
    sd_event_unref(loop);
    pthread_cond_destroy(&gate.changed);
    pthread_mutex_destroy(&gate.lock);
    return 0;
}

static void done(void *arg)
{
    (void)arg;
    assert_true(pthread_equal(pthread_self(), owner));
    n_done++;
}

static void run_until_done(unsigned n)
{
    while (n_done < n)
        assert_true(sd_event_run(loop, UINT64_MAX) > 0);
    assert_int_equal(n_done, n);
}

static void look_around(void *arg)
{
    struct task *task = arg;
    sigset_t mask;
    task->on_worker = !pthread_equal(pthread_self(), owner);
    task->signals_blocked = pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 &&
                            sigismember(&mask, SIGTERM) == 1 &&
                            sigismember(&mask, SIGCHLD) == 1;
}

static void hold(void *arg)
{
    (void)arg;
    gate_pass();
}

static void submit(const char *key, work_fn run, void *arg)
{
    assert_int_equal(work_submit(work, key, run, done, arg), 0);
}

static void runs_on_a_worker_and_ends_on_the_loop(void **state)
{
    (void)state;
    struct task task = { 0 };
    submit(NULL, look_around, &task);
    run_until_done(1);
    assert_true(task.on_worker);
    assert_true(task.signals_blocked);
}

static int order[MANY]; /* one worker's */
static unsigned n_ordered;

static void note_order(void *arg)
{
    order[n_ordered++] = ((const struct task *)arg)->number;
}

static void keeps_the_order_of_submission(void **state)
{
    (void)state;
    struct task tasks[MANY];
    n_ordered = 0;
    for (int i = 0; i < MANY; i++) {
        tasks[i].number = i;
        submit(i % 3 ? "key" : NULL, note_order, &tasks[i]);
    }
    run_until_done(MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(order[i], i);
}

static void uses_all_its_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        submit(NULL, hold, NULL);
    gate_wait_for(4);
    assert_int_equal(gate_inside(), 4);
    gate_open();
    run_until_done(5);
}

static void lets_a_key_have_two_workers_only(void **state)
{
    (void)state;
    struct task other = { 0 };
    for (int i = 0; i < 5; i++)
        submit("hangs", hold, NULL);
    gate_wait_for(WORK_PER_KEY);
    /* Submitted last, but its storage is well. */
    submit("well", look_around, &other);
    run_until_done(1);
    assert_true(other.on_worker);
    submit(NULL, look_around, &other);
    run_until_done(2);
    assert_int_equal(gate_inside(), WORK_PER_KEY);
    gate_open();
    run_until_done(7);
    assert_int_equal(gate.n_passed, 5);
}

static unsigned count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;
    assert_non_null(tasks);
    while (readdir(tasks)) /* one thread looks: NOLINT(concurrency-mt-unsafe) */
        n++;
    (void)closedir(tasks);
    return n;
}

static void who_waits_for_its_key_needs_no_thread(void **state)
{
    struct task tasks[4] = { 0 };
    (void)state;
    submit("nfs", hold, &tasks[0]);
    submit("nfs", hold, &tasks[1]);
    unsigned before = count_threads();
    submit("nfs", hold, &tasks[2]);
    submit("nfs", hold, &tasks[3]);
    assert_int_equal(count_threads(), before);
    gate_open();
    run_until_done(4);
}

static void bounds_each_key_by_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        submit("one", hold, NULL);
        submit("two", hold, NULL);
    }
    gate_wait_for(4);
    assert_int_equal(gate_inside(), 4);
    gate_open();
    run_until_done(6);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < MANY; i++) {
        if (work_post(work, done, arg) < 0)
            return arg;
    }
    return NULL;
}

static void takes_posts_from_any_thread(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &owner),
                         0);
    run_until_done(ARRAY_SIZE(threads) * MANY);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void submit_again(void *arg)
{
    static struct task task;
    done(arg);
    submit("key", look_around, &task);
}

static void may_submit_when_done(void **state)
{
    (void)state;
    struct task task;
    assert_int_equal(work_submit(work, "key", look_around, submit_again, &task),
                     0);
    run_until_done(2);
}

static unsigned n_never; /* gate.lock */

static void never(void *arg)
{
    (void)arg;
    SCOPED_LOCK(&gate.lock);
    n_never++;
}

static pthread_key_t at_exit;

static void open_at_exit(void *arg)
{
    (void)arg;
    gate_open();
}

/* The worker that runs this opens the gate when it ends: that is when
 * work_free() has begun, and not before. */
static void arm(void *arg)
{
    *(int *)arg = pthread_setspecific(at_exit, arg);
}

/* Those inside the gate end, those behind them never begin; nobody is told. */
static void ends_while_busy(void **state)
{
    (void)state;
    int rc = -1;
    n_never = 0;
    assert_int_equal(pthread_key_create(&at_exit, open_at_exit), 0);
    for (int i = 0; i < WORK_PER_KEY; i++)
        assert_int_equal(work_submit(work, "key", hold, never, NULL), 0);
    gate_wait_for(WORK_PER_KEY);
    submit(NULL, arm, &rc);
    run_until_done(1);
    assert_int_equal(rc, 0);
    assert_int_equal(work_submit(work, "key", never, never, NULL), 0);
    assert_int_equal(work_post(work, never, NULL), 0);
    work_free(work);
    work = NULL;
    assert_int_equal(pthread_key_delete(at_exit), 0);
    assert_int_equal(gate.n_passed, WORK_PER_KEY);
    assert_int_equal(n_never, 0);
}

static void ends_without_ever_having_worked(void **state)
{
    (void)state;
    work_free(NULL);
}

#define POOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define SINGLE(test)                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_single, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL(runs_on_a_worker_and_ends_on_the_loop),
        SINGLE(keeps_the_order_of_submission),
        POOL(uses_all_its_threads),
        POOL(lets_a_key_have_two_workers_only),
        POOL(who_waits_for_its_key_needs_no_thread),
        POOL(bounds_each_key_by_itself),
        POOL(takes_posts_from_any_thread),
        POOL(may_submit_when_done),
        POOL(ends_while_busy),
        POOL(ends_without_ever_having_worked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
