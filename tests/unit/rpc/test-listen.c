/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The socket file: rights, dead and live predecessors.
 */
#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* last: needs those above */
#include <cmocka.h>

static char dir[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/drayd-test-listen-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)str_format(path, sizeof(path), "%s/run/socket", dir);
    return 0;
}

static int teardown(void **state)
{
    char run[80];
    (void)state;
    (void)str_format(run, sizeof(run), "%s/run", dir);
    (void)unlink(path);
    (void)rmdir(run);
    return rmdir(dir);
}

static void makes_directory_and_socket_with_its_rights(void **state)
{
    struct err err = ERR_INIT;
    struct stat st;
    int fd = -1;
    (void)state;
    mode_t old = umask(0777); /* must not matter */
    int r = rpc_listen("/nonexistent/a/b", (gid_t)-1, &fd, &err);
    (void)umask(0);
    assert_true(r < 0);
    err_clear(&err);
    assert_int_equal(rpc_listen(path, getgid(), &fd, &err), 0);
    (void)umask(old);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, getgid());
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

static void replaces_a_dead_socket_and_refuses_a_live_one(void **state)
{
    struct err err = ERR_INIT;
    int first = -1, second = -1;
    (void)state;
    assert_int_equal(rpc_listen(path, (gid_t)-1, &first, &err), 0);
    assert_true(rpc_listen(path, (gid_t)-1, &second, &err) < 0);
    assert_int_equal(second, -1);
    assert_non_null(strstr(err.message, path));
    close(first); /* dead, its file stays */
    err_clear(&err);
    assert_int_equal(rpc_listen(path, (gid_t)-1, &second, &err), 0);
    close(second);
}

/* A drayd, killed between the fork and the exec of a program: what it has
 * forked has the socket still, here until @alive is closed. */
static void listen_and_die(const int alive[2])
{
    struct err err = ERR_INIT;
    char byte = 0;
    int fd = -1;

    close(alive[1]);
    if (rpc_listen(path, (gid_t)-1, &fd, &err) < 0)
        _exit(1);
    if (fork() == 0)
        (void)!read(alive[0], &byte, 1);
    _exit(0);
}

static void replaces_what_the_dead_have_left_open(void **state)
{
    struct err err = ERR_INIT;
    int alive[2], status = -1, fd = -1;

    (void)state;
    assert_int_equal(pipe(alive), 0);
    pid_t pid = fork();
    if (pid == 0)
        listen_and_die(alive);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(rpc_listen(path, (gid_t)-1, &fd, &err), 0);
    close(fd);
    close(alive[0]);
    close(alive[1]);
}

static void refuses_what_is_no_socket(void **state)
{
    struct err err = ERR_INIT;
    int fd = -1;
    (void)state;
    (void)unlink(path);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_true(rpc_listen(path, (gid_t)-1, &fd, &err) < 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void refuses_a_path_that_is_too_long(void **state)
{
    struct err err = ERR_INIT;
    char longer[200];
    int fd = -1;
    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    memcpy(longer, "/tmp/", 5);
    longer[sizeof(longer) - 1] = '\0';
    assert_true(rpc_listen(longer, (gid_t)-1, &fd, &err) < 0);
    assert_non_null(strstr(err.message, "longer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_directory_and_socket_with_its_rights),
        cmocka_unit_test(replaces_a_dead_socket_and_refuses_a_live_one),
        cmocka_unit_test(replaces_what_the_dead_have_left_open),
        cmocka_unit_test(refuses_what_is_no_socket),
        cmocka_unit_test(refuses_a_path_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
