/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Programs that run on: output while they run, waiting, killing, and that they
 * die with the thread that started them.
 */
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct exec_child child;

static void start(const char *script)
{
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    assert_int_equal(exec_start(argv, NULL, &child, NULL), 0);
}

static void read_line(char *dst, size_t size)
{
    size_t len = 0;
    while (len < size - 1 && (len == 0 || dst[len - 1] != '\n')) {
        struct pollfd fd = { .fd = child.out_fd, .events = POLLIN };
        assert_int_equal(poll(&fd, 1, 10000), 1);
        ssize_t n = read(child.out_fd, dst + len, 1);
        assert_int_equal(n, 1);
        len++;
    }
    dst[len] = '\0';
}

static void gives_output_while_it_runs(void **state)
{
    (void)state;
    char line[32];
    int status = -1;
    start("echo one; kill -STOP $$; exit 4");
    read_line(line, sizeof(line));
    assert_string_equal(line, "one\n");
    assert_int_equal(exec_child_wait(&child, 0, &status), 1);
    assert_int_equal(exec_child_wait(&child, 20, &status), 1);
    /* It may stop only after this: then it is continued once more. */
    int rc = 1;
    while (rc == 1) {
        assert_int_equal(kill(child.pid, SIGCONT), 0);
        rc = exec_child_wait(&child, 10, &status);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(status, 4);
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.pidfd, -1);
    assert_int_equal(child.out_fd, -1);
    assert_int_equal(child.err_fd, -1);
}

static void waits_without_a_limit(void **state)
{
    (void)state;
    int status = -1;
    start("echo last words >&2; exit 2");
    assert_int_equal(exec_child_wait(&child, -1, &status), 0);
    assert_int_equal(status, 2);
    assert_string_equal(child.err, "last words");
    exec_child_kill(&child); /* nothing to do any more */
}

static void is_not_stopped_by_a_full_stderr(void **state)
{
    (void)state;
    int status = -1;
    start("head -c 1000000 /dev/zero | tr '\\0' x >&2");
    assert_int_equal(exec_child_wait(&child, 30000, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(strlen(child.err), sizeof(child.err) - 1);
}

static void dies_when_killed_with_its_group(void **state)
{
    (void)state;
    char line[32];
    start("trap '' TERM INT HUP; sleep 60 & echo $!; wait");
    read_line(line, sizeof(line));
    line[strcspn(line, "\n")] = '\0';
    uint64_t grandchild = 0;
    assert_int_equal(str_to_u64(line, &grandchild), 0);
    pid_t leader = child.pid;
    exec_child_kill(&child);
    assert_int_equal(child.pid, 0);
    assert_int_equal(kill(leader, 0), -1);
    assert_int_equal(errno, ESRCH);
    /* Whoever adopted it may take a moment to reap it. */
    char path[64];
    assert_true(str_format(path, sizeof(path), "/proc/%u/cmdline",
                           (unsigned)grandchild));
    bool gone = false;
    int64_t until_ms = time_now_ms() + 5000;
    while (!gone && time_now_ms() < until_ms) {
        _cleanup_file_ FILE *file = fopen(path, "re");
        gone = !file || fgetc(file) == EOF; /* a zombie has no arguments */
    }
    assert_true(gone);
}

static void *start_and_leave(void *arg)
{
    const char *argv[] = { "/bin/sleep", "60", NULL };
    int *rc = arg;
    *rc = exec_start(argv, NULL, &child, NULL);
    return NULL;
}

static void dies_with_the_thread_that_started_it(void **state)
{
    (void)state;
    pthread_t thread;
    int rc = -1;
    int status = -1;
    assert_int_equal(pthread_create(&thread, NULL, start_and_leave, &rc), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(exec_child_wait(&child, 20000, &status), 0);
    assert_int_equal(status, 128 + SIGKILL);
}

static void leaves_the_result_alone_when_it_cannot_start(void **state)
{
    (void)state;
    const char *argv[] = { "/no/such/program", NULL };
    struct exec_child untouched = { .pid = 77, .pidfd = 78 };
    assert_int_equal(exec_start(argv, NULL, &untouched, NULL), -ENOENT);
    assert_int_equal(untouched.pid, 77);
    assert_int_equal(untouched.pidfd, 78);
}

static void gets_the_stdin_it_is_given(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/cat", NULL };
    int ends[2];
    char line[32];
    int status = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const struct exec_options options = { .stdin_fd = ends[0] };
    assert_int_equal(exec_start(argv, &options, &child, NULL), 0);
    assert_int_equal(write(ends[1], "given\n", 6), 6);
    read_line(line, sizeof(line));
    assert_string_equal(line, "given\n");
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(exec_child_wait(&child, 10000, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(close(ends[0]), 0); /* it stayed ours */
}

static void *start_survivor(void *arg)
{
    static const char *const argv[] = { "/bin/sleep", "600", NULL };
    static const struct exec_options options = { .survives = true };
    (void)arg;
    assert_int_equal(exec_start(argv, &options, &child, NULL), 0);
    return NULL;
}

static void lives_on_when_it_may(void **state)
{
    (void)state;
    pthread_t thread;
    int status = -1;
    assert_int_equal(pthread_create(&thread, NULL, start_survivor, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(exec_child_wait(&child, 300, &status), 1);
    exec_child_kill(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_output_while_it_runs),
        cmocka_unit_test(waits_without_a_limit),
        cmocka_unit_test(is_not_stopped_by_a_full_stderr),
        cmocka_unit_test(dies_when_killed_with_its_group),
        cmocka_unit_test(dies_with_the_thread_that_started_it),
        cmocka_unit_test(leaves_the_result_alone_when_it_cannot_start),
        cmocka_unit_test(gets_the_stdin_it_is_given),
        cmocka_unit_test(lives_on_when_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
