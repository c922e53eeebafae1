/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch kills a process whose command takes too long, and no other.
 */
#include "../../../src/lvm/watch.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum {
    SOON_MS = 50,
    LATER_MS = 600000,
};

/* Runs in a process of its own; its end. */
static int status_of(void (*child)(struct watch *watch))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct watch watch;
        if (watch_start(&watch, NULL) < 0)
            _exit(3);
        child(&watch);
        watch_stop(&watch);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void hang(struct watch *watch)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL); /* as LVM does */
    watch_set(watch, time_now_ms() + SOON_MS);
    for (;;)
        (void)pause();
}

static void be_quick(struct watch *watch)
{
    for (int i = 0; i < 100; i++) {
        watch_set(watch, time_now_ms() + LATER_MS);
        watch_set(watch, 0);
    }
}

/* A second deadline takes the place of the first, and none of both. */
static void finish_in_time(struct watch *watch)
{
    const struct timespec twice = { 0, 2 * SOON_MS * 1000000L };
    watch_set(watch, time_now_ms() + SOON_MS);
    watch_set(watch, time_now_ms() + LATER_MS);
    (void)nanosleep(&twice, NULL);
    watch_set(watch, time_now_ms() + SOON_MS);
    watch_set(watch, 0);
    (void)nanosleep(&twice, NULL);
}

static void a_command_that_hangs_ends_the_process(void **state)
{
    (void)state;
    int status = status_of(hang);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void a_command_that_ends_in_time_does_not(void **state)
{
    (void)state;
    assert_int_equal(status_of(be_quick), 0);
    assert_int_equal(status_of(finish_in_time), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_hangs_ends_the_process),
        cmocka_unit_test(a_command_that_ends_in_time_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
