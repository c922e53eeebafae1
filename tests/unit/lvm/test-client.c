/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The client: answers find their callers, a process that dies is replaced and
 * gets what was not answered, callers come back at their deadline.
 */
#include <dray/base/util.h>
#include <dray/lvm.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    THREADS = 24,
};

static char run_dir[PATH_MAX];
static char program[PATH_MAX];
static struct lvm *lvm;

static int64_t in_ms(int64_t ms)
{
    return time_now_ms() + ms;
}

static int open_vg(const char *with_program)
{
    static const char *const devices[] = { "/dev/vda" };
    const struct lvm_options options = {
        .program = with_program,
        .run_dir = run_dir,
        .vg = "vg",
        .devices = devices,
        .n_devices = 1,
    };
    return lvm_open(&options, &lvm, NULL);
}

static int set_up(void **state)
{
    (void)state;
    char exe[PATH_MAX] = "";
    char dir[PATH_MAX];
    (void)str_copy(run_dir, sizeof(run_dir), "/tmp/drayd-lvm-XXXXXX");
    if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0 ||
        !mkdtemp(run_dir))
        return -1;
    (void)str_format(program, sizeof(program), "%s/lvm/lvm-fake-dray-lvm",
                     dirname(exe));
    (void)str_format(dir, sizeof(dir), "%s/vg", run_dir);
    return mkdir(dir, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    char path[PATH_MAX];
    for (int i = 0; i < THREADS; i++) {
        (void)str_format(path, sizeof(path), "%s/vg/once-%d", run_dir, i);
        (void)unlink(path); /* most were not made */
    }
    (void)str_format(path, sizeof(path), "%s/vg", run_dir);
    return rmdir(path) < 0 || rmdir(run_dir) < 0;
}

static void one_process_answers_all(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_pid(lvm), 0); /* nobody asked yet */
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &first, NULL), 0);
    assert_int_equal(lvm_extend(lvm, "b", MIB, in_ms(20000), &second, NULL), 0);
    assert_int_equal(first, second);
    assert_int_equal(first, lvm_pid(lvm));
    lvm_close(lvm);
    assert_int_equal(kill((pid_t)first, 0), -1); /* it ended with us */
}

static void other_devices_need_another_process(void **state)
{
    (void)state;
    static const char *const devices[] = { "/dev/vda", "/dev/vdb" };
    static const char *const wrong[] = { "/dev/vda", "vdb" };
    uint64_t first = 0, second = 0, n = 0;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &first, NULL), 0);
    assert_true(lvm_set_devices(lvm, wrong, 2, NULL) < 0);
    assert_int_equal(lvm_set_devices(lvm, devices, 1, NULL), 0);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &second, NULL), 0);
    assert_int_equal(first, second); /* they are the same */
    assert_int_equal(lvm_set_devices(lvm, devices, 2, NULL), 0);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &second, NULL), 0);
    assert_int_not_equal(first, second);
    assert_int_equal(lvm_extend(lvm, "devices", MIB, in_ms(20000), &n, NULL),
                     0);
    assert_int_equal(n, 2);
    lvm_close(lvm);
}

static void one_that_rests_comes_back(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0;
    assert_int_equal(open_vg(program), 0);
    lvm_rest(lvm);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &first, NULL), 0);
    lvm_rest(lvm);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &second, NULL), 0);
    assert_int_not_equal(first, second);
    lvm_close(lvm);
}

static void errors_come_back_whole(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(open_vg(program), 0);
    assert_true(lvm_extend(lvm, "full", MIB, in_ms(20000), NULL, &err) < 0);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_string_equal(err.message, "it is full");
    lvm_close(lvm);
}

static void words_that_are_none_do_not_get_far(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *bad[] = { "a;b" };
    const struct lvm_names names = { .names = bad, .n = 1 };
    const struct lvm_names none = { .n = 0 };
    assert_int_equal(open_vg(program), 0);
    assert_true(lvm_extend(lvm, "-x", MIB, in_ms(20000), NULL, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    assert_true(lvm_remove(lvm, names, in_ms(20000), NULL) < 0);
    assert_true(lvm_tag(lvm, none, names, none, in_ms(20000), NULL) < 0);
    assert_true(lvm_extend(lvm, "x", 0, in_ms(20000), NULL, NULL) < 0);
    assert_int_equal(lvm_remove(lvm, none, in_ms(20000), NULL), 0);
    assert_int_equal(lvm_pid(lvm), 0);
    lvm_close(lvm);
}

static void a_process_that_died_is_replaced(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &first, NULL), 0);
    assert_int_equal(kill((pid_t)first, SIGKILL), 0);
    assert_int_equal(lvm_extend(lvm, "b", MIB, in_ms(20000), &second, NULL), 0);
    assert_true(first != second);
    lvm_close(lvm);
}

/* An LV may hang until the next one looks after it. */
static void one_that_was_killed_is_replaced_unasked(void **state)
{
    (void)state;
    uint64_t first = 0;
    const struct timespec step = { 0, 10000000 };
    int64_t until_ms = in_ms(10000);
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), &first, NULL), 0);
    assert_int_equal(kill((pid_t)first, SIGKILL), 0);
    while ((lvm_pid(lvm) == 0 || lvm_pid(lvm) == (pid_t)first) &&
           time_now_ms() < until_ms)
        (void)nanosleep(&step, NULL);
    assert_true(lvm_pid(lvm) != 0 && lvm_pid(lvm) != (pid_t)first);
    lvm_close(lvm);
}

static void *extend_one(void *arg)
{
    const char *lv = arg;
    uint64_t bytes = 0;
    return lvm_extend(lvm, lv, MIB, in_ms(50000), &bytes, NULL) == 0 ? arg
                                                                     : NULL;
}

/* Some of them take the process down with all others' requests. */
static void nothing_is_lost_when_it_dies_with_work(void **state)
{
    (void)state;
    static char names[THREADS][16];
    pthread_t threads[THREADS];
    assert_int_equal(open_vg(program), 0);
    for (int i = 0; i < THREADS; i++) {
        (void)str_format(names[i], sizeof(names[i]),
                         i % 8 == 3 ? "once-%d" : "lv-%d", i);
        assert_int_equal(
            pthread_create(&threads[i], NULL, extend_one, names[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, names[i]);
    }
    lvm_close(lvm);
}

static void a_caller_comes_back_at_its_deadline(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(open_vg(program), 0);
    int64_t started_ms = time_now_ms();
    assert_true(lvm_extend(lvm, "hang", MIB, in_ms(300), NULL, &err) < 0);
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_true(time_now_ms() - started_ms >= 300);
    assert_int_equal(lvm_extend(lvm, "a", MIB, in_ms(20000), NULL, NULL), 0);
    lvm_close(lvm);
}

static void what_it_dies_of_is_given_up(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(open_vg(program), 0);
    assert_true(lvm_extend(lvm, "die", MIB, in_ms(50000), NULL, &err) < 0);
    assert_int_equal(err.code, ERR_STORAGE);
    assert_non_null(strstr(err.message, "I had to go"));
    lvm_close(lvm);
}

static void without_the_program_callers_hear_why(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(open_vg("/nonexistent/dray-lvm"), 0);
    assert_true(lvm_extend(lvm, "a", MIB, in_ms(20000), NULL, &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent/dray-lvm"));
    lvm_close(lvm);
}

static int extend(const char *lv)
{
    return lvm_extend(lvm, lv, MIB, in_ms(20000), NULL, NULL);
}

static void *extend_held(void *arg)
{
    return extend("held") == -EPERM ? arg : NULL;
}

static void a_hold_is_one_threads(void **state)
{
    (void)state;
    pthread_t other;
    void *result = NULL;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(extend("held"), -EPERM);
    assert_int_equal(lvm_hold(lvm, in_ms(20000), NULL), 0);
    assert_int_equal(extend("held"), 0);
    assert_int_equal(pthread_create(&other, NULL, extend_held, lvm), 0);
    assert_int_equal(pthread_join(other, &result), 0);
    assert_ptr_equal(result, lvm);
    lvm_let_go(lvm);
    assert_int_equal(extend("held"), -EPERM);
    lvm_close(lvm);
}

/* What was begun is not begun again in another hold. */
static void a_hold_dies_with_the_process(void **state)
{
    (void)state;
    const char *lv = "a";
    const struct lvm_names names = { .names = &lv, .n = 1 };
    struct err err = ERR_INIT;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_hold(lvm, in_ms(20000), NULL), 0);
    assert_int_equal(lvm_extend(lvm, "die-held", MIB, in_ms(20000), NULL, &err),
                     -ESTALE);
    assert_non_null(strstr(err.message, "vg"));
    assert_int_equal(extend("a"), -ESTALE);
    assert_int_equal(lvm_activate(lvm, names, in_ms(20000), NULL), 0);
    lvm_let_go(lvm);
    assert_int_equal(extend("a"), 0);
    assert_int_equal(lvm_hold(lvm, in_ms(20000), NULL), 0);
    assert_int_equal(extend("held"), 0);
    lvm_let_go(lvm);
    lvm_close(lvm);
}

static void *hold_in_vain(void *arg)
{
    struct err err = ERR_INIT;
    int rc = lvm_hold(lvm, in_ms(100), &err);
    return rc < 0 && err.code == ERR_TIMEOUT ? arg : NULL;
}

static void *hold_once(void *arg)
{
    if (lvm_hold(lvm, in_ms(50000), NULL) < 0)
        return NULL;
    int rc = extend("held");
    lvm_let_go(lvm);
    return rc == 0 ? arg : NULL;
}

static void holds_wait_for_each_other(void **state)
{
    (void)state;
    pthread_t others[2];
    void *result = NULL;
    assert_int_equal(open_vg(program), 0);
    assert_int_equal(lvm_hold(lvm, in_ms(20000), NULL), 0);
    assert_int_equal(pthread_create(&others[0], NULL, hold_in_vain, lvm), 0);
    assert_int_equal(pthread_create(&others[1], NULL, hold_once, lvm), 0);
    assert_int_equal(pthread_join(others[0], &result), 0);
    assert_ptr_equal(result, lvm);
    assert_int_equal(extend("held"), 0);
    lvm_let_go(lvm);
    assert_int_equal(pthread_join(others[1], &result), 0);
    assert_ptr_equal(result, lvm);
    lvm_close(lvm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_process_answers_all),
        cmocka_unit_test(other_devices_need_another_process),
        cmocka_unit_test(one_that_rests_comes_back),
        cmocka_unit_test(errors_come_back_whole),
        cmocka_unit_test(words_that_are_none_do_not_get_far),
        cmocka_unit_test(a_process_that_died_is_replaced),
        cmocka_unit_test(one_that_was_killed_is_replaced_unasked),
        cmocka_unit_test(nothing_is_lost_when_it_dies_with_work),
        cmocka_unit_test(a_caller_comes_back_at_its_deadline),
        cmocka_unit_test(what_it_dies_of_is_given_up),
        cmocka_unit_test(without_the_program_callers_hear_why),
        cmocka_unit_test(a_hold_is_one_threads),
        cmocka_unit_test(a_hold_dies_with_the_process),
        cmocka_unit_test(holds_wait_for_each_other),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
