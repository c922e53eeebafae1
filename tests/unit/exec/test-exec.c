/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Programs run to their end: what they get, what comes back, what ends them.
 * The shell here plays the program; drayd itself never uses one.
 */
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct exec_result result;
static struct err err;

static int run_with(const char *script, const struct exec_options *options)
{
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    err_clear(&err);
    return exec_run(argv, options, &result, &err);
}

static void run(const char *script)
{
    assert_int_equal(run_with(script, NULL), 0);
}

static void assert_says(const char *script, const char *expected)
{
    run(script);
    assert_string_equal(result.out, expected);
    assert_int_equal(result.out_len, strlen(expected));
    assert_int_equal(result.status, 0);
    exec_result_deinit(&result);
}

static void captures_output_status_and_stderr(void **state)
{
    (void)state;
    run("echo out; echo one >&2; echo two >&2; exit 7");
    assert_int_equal(result.status, 7);
    assert_string_equal(result.out, "out\n");
    assert_int_equal(result.out_len, 4);
    assert_string_equal(result.err, "one two");
    exec_result_deinit(&result);
    assert_null(result.out);
    assert_says("exit 0", "");
}

static void passes_arguments_untouched(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/echo", "-n", "$HOME; `id` *", "", "b", NULL };
    assert_int_equal(exec_run(argv, NULL, &result, &err), 0);
    assert_string_equal(result.out, "$HOME; `id` *  b");
    exec_result_deinit(&result);
}

static void gives_an_empty_environment(void **state)
{
    (void)state;
    const char *argv[] = { "/usr/bin/env", NULL };
    assert_non_null(environ[0]); /* we have one */
    assert_int_equal(exec_run(argv, NULL, &result, &err), 0);
    assert_string_equal(result.out, "LC_ALL=C\n");
    exec_result_deinit(&result);
}

static void starts_in_the_directory_it_is_told(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/pwd", NULL };
    struct exec_options options = { .cwd = "/usr" };
    assert_int_equal(exec_run(argv, &options, &result, &err), 0);
    assert_string_equal(result.out, "/usr\n");
    exec_result_deinit(&result);
    assert_int_equal(exec_run(argv, NULL, &result, &err), 0);
    assert_string_equal(result.out, "/\n");
    exec_result_deinit(&result);
    options.cwd = "/no/such";
    assert_int_equal(exec_run(argv, &options, &result, &err), -ENOENT);
}

static void reads_nothing_from_our_stdin(void **state)
{
    (void)state;
    assert_says("/bin/cat", "");
}

/* Neither ours, nor one that a library opened without CLOEXEC. 3 is the shell's
 * own, of the directory that it lists. */
static void hands_down_no_descriptor(void **state)
{
    (void)state;
    int leaked = dup2(STDERR_FILENO, 100);
    assert_int_equal(leaked, 100);
    assert_says("cd /proc/self/fd; echo *", "0 1 2 3\n");
    close(leaked);
}

static void leads_its_own_group_with_signals_as_usual(void **state)
{
    (void)state;
    sigset_t mask;
    sigset_t before;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction pipe_before;
    sigfillset(&mask);
    assert_int_equal(sigaction(SIGPIPE, &ignore, &pipe_before), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, &before), 0);
    int rc = run_with("kill -PIPE $$; echo ignored", NULL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(sigaction(SIGPIPE, &pipe_before, NULL), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(result.status, 128 + SIGPIPE);
    assert_string_equal(result.out, "");
    exec_result_deinit(&result);
    run("read a b c d pgrp rest </proc/$$/stat; [ $pgrp = $$ ]");
    assert_int_equal(result.status, 0);
    exec_result_deinit(&result);
}

static void says_by_which_signal_it_ended(void **state)
{
    (void)state;
    run("kill -9 $$");
    assert_int_equal(result.status, 128 + SIGKILL);
    exec_result_deinit(&result);
}

static void ends_a_program_that_takes_too_long(void **state)
{
    (void)state;
    int64_t before_ms = time_now_ms();
    struct exec_options options = { .deadline_ms = before_ms + 1500 };
    assert_int_equal(run_with("echo why >&2; sleep 60 & sleep 60", &options),
                     -ETIMEDOUT);
    assert_non_null(strstr(err.message, "/bin/sh"));
    assert_non_null(strstr(err.message, "why"));
    assert_true(time_now_ms() - before_ms < 20000);
}

static void refuses_a_deadline_that_is_over(void **state)
{
    (void)state;
    struct exec_options options = { .deadline_ms = time_now_ms() - 1 };
    assert_int_equal(run_with("sleep 60", &options), -ETIMEDOUT);
}

static void waits_for_the_program_not_for_its_pipe(void **state)
{
    (void)state;
    int64_t before_ms = time_now_ms();
    run("echo a; sleep 60 & exit 3");
    assert_int_equal(result.status, 3);
    assert_string_equal(result.out, "a\n");
    assert_true(time_now_ms() - before_ms < 20000);
    exec_result_deinit(&result);
}

static void kills_what_the_program_left_behind(void **state)
{
    (void)state;
    char path[] = "/tmp/drayd-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    char script[160];
    /* The program ends after it could write: the one it leaves behind has the
     * FIFO open for reading then, and so has its sleep. */
    assert_true(str_format(script, sizeof(script),
                           "(exec 3<>%s; sleep 60) & echo x >%s", path, path));
    run(script);
    exec_result_deinit(&result);
    /* Nobody holds the FIFO open for reading any more. */
    bool gone = false;
    int64_t until_ms = time_now_ms() + 5000;
    while (!gone && time_now_ms() < until_ms) {
        int writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        gone = writer < 0 && errno == ENXIO;
        if (writer >= 0)
            close(writer);
    }
    assert_int_equal(unlink(path), 0);
    assert_true(gone);
}

static void bounds_the_output(void **state)
{
    (void)state;
    run("head -c 1048576 /dev/zero");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.out_len, EXEC_OUTPUT_MAX);
    exec_result_deinit(&result);
    assert_int_equal(run_with("head -c 1048577 /dev/zero", NULL), -EFBIG);
    assert_int_equal(run_with("cat /dev/zero", NULL), -EFBIG);
    assert_non_null(strstr(err.message, "1048576"));
}

static void keeps_the_last_of_a_long_stderr(void **state)
{
    (void)state;
    run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done >&2;"
        "printf 'a\\0b\\033c\\n' >&2");
    size_t len = strlen(result.err);
    assert_in_range(len, 400, sizeof(result.err) - 1);
    assert_true(str_ends_with(result.err, "line 19999 a b c"));
    assert_null(strchr(result.err, '\n'));
    exec_result_deinit(&result);
}

static void limits_time_and_memory(void **state)
{
    (void)state;
    struct exec_options cpu = { .max_cpu_s = 1 };
    assert_int_equal(run_with("while :; do :; done", &cpu), 0);
    assert_in_range(result.status, 128 + 1, 128 + 64);
    exec_result_deinit(&result);
    struct exec_options mem = { .max_mem = 268435456 };
    assert_int_equal(run_with("ulimit -v", &mem), 0);
    assert_string_equal(result.out, "262144\n");
    exec_result_deinit(&result);
}

static void names_a_program_it_cannot_run(void **state)
{
    (void)state;
    const char *missing[] = { "/no/such/program", NULL };
    err_clear(&err);
    assert_int_equal(exec_run(missing, NULL, &result, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/no/such/program: No such file"));
    const char *relative[] = { "sh", NULL };
    assert_int_equal(exec_run(relative, NULL, &result, NULL), -EINVAL);
    const char *directory[] = { "/usr", NULL };
    assert_int_equal(exec_run(directory, NULL, &result, NULL), -EACCES);
}

static void makes_a_failure_an_error(void **state)
{
    (void)state;
    const char *fails[] = { "/bin/sh", "-c", "echo no room >&2; exit 5", NULL };
    const char *killed[] = { "/bin/sh", "-c", "kill -9 $$", NULL };
    const char *works[] = { "/bin/echo", "fine", NULL };
    err_clear(&err);
    assert_int_equal(exec_check(fails, NULL, &result, &err), -EIO);
    assert_string_equal(err.message, "/bin/sh: exit status 5: no room");
    err_clear(&err);
    assert_int_equal(exec_check(killed, NULL, &result, &err), -EIO);
    assert_string_equal(err.message, "/bin/sh: killed by signal 9");
    assert_int_equal(exec_check(works, NULL, &result, NULL), 0);
    assert_string_equal(result.out, "fine\n");
    exec_result_deinit(&result);
}

/* Our pipes get the numbers 0, 1 and 2 then. Nothing is reported meanwhile. */
static void works_when_our_standard_streams_are_closed(void **state)
{
    (void)state;
    int saved[3];
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        close(fd);
    }
    int rc = run_with("cat && echo fine && echo well >&2", NULL);
    for (int fd = 0; fd < 3; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(result.out, "fine\n");
    assert_string_equal(result.err, "well");
    exec_result_deinit(&result);
}

static void leaves_no_core(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_CORE, &before), 0);
    struct rlimit some = { .rlim_cur = 4096, .rlim_max = before.rlim_max };
    if (before.rlim_max < some.rlim_cur)
        some.rlim_max = some.rlim_cur; /* root may */
    if (setrlimit(RLIMIT_CORE, &some) < 0) {
        print_message("no limit to lower: cores are off for good\n");
        return;
    }
    int rc = run_with("ulimit -c", NULL);
    assert_int_equal(setrlimit(RLIMIT_CORE, &before), 0);
    assert_int_equal(rc, 0);
    assert_string_equal(result.out, "0\n");
    exec_result_deinit(&result);
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void leaves_no_descriptor_open(void **state)
{
    (void)state;
    struct exec_options late = { .deadline_ms = 1 };
    const char *missing[] = { "/no/such/program", NULL };
    unsigned before = count_descriptors();
    assert_says("echo a", "a\n");
    assert_int_equal(run_with("sleep 60", &late), -ETIMEDOUT);
    assert_int_equal(exec_run(missing, NULL, &result, NULL), -ENOENT);
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_output_status_and_stderr),
        cmocka_unit_test(passes_arguments_untouched),
        cmocka_unit_test(gives_an_empty_environment),
        cmocka_unit_test(starts_in_the_directory_it_is_told),
        cmocka_unit_test(reads_nothing_from_our_stdin),
        cmocka_unit_test(hands_down_no_descriptor),
        cmocka_unit_test(leads_its_own_group_with_signals_as_usual),
        cmocka_unit_test(says_by_which_signal_it_ended),
        cmocka_unit_test(ends_a_program_that_takes_too_long),
        cmocka_unit_test(refuses_a_deadline_that_is_over),
        cmocka_unit_test(waits_for_the_program_not_for_its_pipe),
        cmocka_unit_test(kills_what_the_program_left_behind),
        cmocka_unit_test(bounds_the_output),
        cmocka_unit_test(keeps_the_last_of_a_long_stderr),
        cmocka_unit_test(limits_time_and_memory),
        cmocka_unit_test(names_a_program_it_cannot_run),
        cmocka_unit_test(makes_a_failure_an_error),
        cmocka_unit_test(works_when_our_standard_streams_are_closed),
        cmocka_unit_test(leaves_no_core),
        cmocka_unit_test(leaves_no_descriptor_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
