/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The lease port on real sanlock daemons (test_lease.py starts it and them):
 *   integration-lease hosts DIR OTHER_RUN_DIR    two daemons run
 *   integration-lease down DIR                   none runs
 *   integration-lease killed DIR PID             ours, our child PID, is killed
 * OTHER_RUN_DIR is that of the second daemon: another host, to sanlock.
 */
#include "../../src/lease/lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    HOST_ID = 1,
    OTHER_ID = 2,
    THREADS = 4,
    ROUNDS = 15,
};

static const char *dir, *other_run_dir;
static pid_t sanlock_pid;
static struct leases *leases;
static struct lease_port port;

static void write_zeroes(const char *path, size_t mib)
{
    static const char zeroes[MIB];
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0660);

    assert_true(fd >= 0);
    for (size_t i = 0; i < mib; i++)
        assert_int_equal(write(fd, zeroes, MIB), MIB);
}

/* A fresh lockspace in files of its own: ids, and leases with one at 1 MiB. */
static void make_lockspace(struct lease_place *ret_ids,
                           struct lease_place *ret_lease)
{
    static unsigned count;
    struct lease_place ids = { .block_size = 512, .alignment = MIB };
    struct err err = ERR_INIT;

    count++;
    (void)str_format(ids.lockspace, sizeof(ids.lockspace), "space-%d-%u",
                     (int)getpid(), count);
    (void)str_copy(ids.resource, sizeof(ids.resource), "SDM");
    *ret_lease = ids;
    ret_lease->offset = MIB;
    (void)str_format(ids.path, sizeof(ids.path), "%s/ids-%u", dir, count);
    (void)str_format(ret_lease->path, sizeof(ret_lease->path), "%s/leases-%u",
                     dir, count);
    *ret_ids = ids;
    write_zeroes(ret_ids->path, 1);
    write_zeroes(ret_lease->path, 3);
    if (port.ops->format_lockspace(port.ctx, ret_ids, &err) < 0 ||
        port.ops->format_resource(port.ctx, ret_lease, &err) < 0)
        fail_msg("%s", err.message);
}

static void join(const struct lease_place *ids, unsigned host_id)
{
    struct err err = ERR_INIT;

    if (port.ops->join(port.ctx, ids, host_id, &err) < 0)
        fail_msg("%s", err.message);
}

static void leave(const struct lease_place *ids)
{
    struct err err = ERR_INIT;

    if (port.ops->leave(port.ctx, ids, HOST_ID, &err) < 0)
        fail_msg("%s", err.message);
}

static int acquire(const struct lease_place *place, int64_t wait_ms,
                   struct lease_held **ret_held)
{
    struct err err = ERR_INIT;
    int rc = port.ops->acquire(port.ctx, place, time_now_ms() + wait_ms,
                               ret_held, &err);
    if (rc < 0)
        print_message("%s\n", err.message);
    return rc;
}

static void release(struct lease_held *held)
{
    struct err err = ERR_INIT;

    if (port.ops->release(port.ctx, held, &err) < 0)
        fail_msg("%s", err.message);
}

static uint64_t owner_id(const struct lease_place *place)
{
    struct lease_owner owner = { .host_id = 99 };
    struct err err = ERR_INIT;

    if (port.ops->owner(port.ctx, place, &owner, &err) != 0)
        fail_msg("%s", err.message);
    return owner.host_id;
}

static void sleep_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&t, NULL);
}

/* The lockspace that most tests share: joining takes seconds. */
static struct lease_place ids, lease;

static int join_shared(void **state)
{
    (void)state;
    make_lockspace(&ids, &lease);
    join(&ids, HOST_ID);
    return 0;
}

static int leave_shared(void **state)
{
    (void)state;
    leave(&ids);
    return 0;
}

static void joins_within_three_and_a_half_seconds(void **state)
{
    struct lease_place my_ids, my_lease;
    char name[LOCKSPACE_NAME_SIZE];

    (void)state;
    make_lockspace(&my_ids, &my_lease);
    int64_t begin_ms = time_now_ms();
    join(&my_ids, 7);
    assert_true(time_now_ms() - begin_ms < 3500);
    join(&my_ids, 7); /* joined already */
    lockspace_slot_name(&my_ids, 7, name);
    assert_string_equal(name, "drayd-test");

    struct err err = ERR_INIT;
    assert_int_equal(port.ops->join(port.ctx, &my_ids, 8, &err),
                     err_code_errno(ERR_ACQUIRE_HOST_ID));
    assert_non_null(strstr(err.message, "joined already, with host id 7"));

    assert_int_equal(port.ops->leave(port.ctx, &my_ids, 7, &err), 0);
    assert_int_equal(port.ops->leave(port.ctx, &my_ids, 7, &err), 0);
}

static void lease_has_one_holder(void **state)
{
    struct lease_held *first = NULL, *second = NULL;

    (void)state;
    assert_int_equal(acquire(&lease, 0, &first), 0);
    int64_t begin_ms = time_now_ms();
    assert_int_equal(acquire(&lease, 400, &second), LEASE_BUSY);
    int64_t took_ms = time_now_ms() - begin_ms;
    assert_true(took_ms >= 400 && took_ms < 3000);
    assert_null(second);
    release(first);
    assert_int_equal(acquire(&lease, 2000, &second), 0);
    release(second);
}

static void owner_is_told_without_taking_the_lease(void **state)
{
    struct lease_owner before, after;
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(port.ops->owner(port.ctx, &lease, &before, &err), 0);
    assert_int_equal(before.host_id, 0);
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    assert_int_equal(owner_id(&lease), HOST_ID);
    release(held);
    assert_int_equal(port.ops->owner(port.ctx, &lease, &after, &err), 0);
    assert_int_equal(after.host_id, 0);
    assert_int_equal(after.version, before.version + 1);
}

static void place_without_lease_is_none(void **state)
{
    struct lease_place nothing = lease, other = lease;
    struct lease_held *held = NULL;
    struct lease_owner owner;
    struct err err = ERR_INIT;

    (void)state;
    nothing.offset = 2 * MIB;
    assert_int_equal(acquire(&nothing, 0, &held), LEASE_NONE);
    assert_int_equal(port.ops->owner(port.ctx, &nothing, &owner, &err),
                     LEASE_NONE);
    (void)str_copy(other.resource, sizeof(other.resource), "other");
    assert_int_equal(acquire(&other, 0, &held), LEASE_NONE);
    assert_int_equal(port.ops->owner(port.ctx, &other, &owner, &err),
                     LEASE_NONE);
}

static void lockspace_in_use_is_not_left(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    assert_int_equal(port.ops->leave(port.ctx, &ids, HOST_ID, &err),
                     err_code_errno(ERR_RELEASE_HOST_ID));
    assert_int_equal(err.code, ERR_RELEASE_HOST_ID);
    assert_int_equal(owner_id(&lease), HOST_ID);
    release(held);
}

static void unjoined_lockspace_gives_no_lease(void **state)
{
    struct lease_place my_ids, my_lease;
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;

    (void)state;
    make_lockspace(&my_ids, &my_lease);
    assert_int_equal(port.ops->acquire(port.ctx, &my_lease, 0, &held, &err),
                     err_code_errno(ERR_ACQUIRE_LOCK));
    assert_non_null(strstr(err.message, "not joined"));
    assert_non_null(strstr(err.next, "join"));
    /* Reading needs no lockspace. */
    assert_int_equal(owner_id(&my_lease), 0);
}

static void missing_and_unformatted_files_are_said(void **state)
{
    struct lease_place missing = ids, empty = ids;
    struct err err = ERR_INIT;

    (void)state;
    (void)str_copy(missing.lockspace, sizeof(missing.lockspace), "missing");
    (void)str_format(missing.path, sizeof(missing.path), "%s/no-such", dir);
    assert_true(port.ops->join(port.ctx, &missing, HOST_ID, &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_HOST_ID);
    assert_non_null(strstr(err.message, missing.path));
    assert_non_null(strstr(err.next, "visible"));

    err_clear(&err);
    (void)str_copy(empty.lockspace, sizeof(empty.lockspace), "empty");
    (void)str_format(empty.path, sizeof(empty.path), "%s/empty", dir);
    write_zeroes(empty.path, 1);
    assert_true(port.ops->join(port.ctx, &empty, HOST_ID, &err) < 0);
    assert_non_null(strstr(err.message, "there is no lease"));
    assert_true(port.ops->format_resource(port.ctx, &missing, &err) < 0);
}

static void held_connections_are_not_inherited(void **state)
{
    struct lease_held *held = NULL;
    int sockets = 0;

    (void)state;
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    for (int fd = 3; fd < 64; fd++) {
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
            continue;
        sockets++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(sockets, 1);
    release(held);
}

/* A process that holds the lease until its end. */
static pid_t start_holder(void)
{
    struct lease_held *held = NULL;
    int pipe_fds[2];
    char byte = 0;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        byte = acquire(&lease, 5000, &held) == 0 ? 'y' : 'n';
        if (write(pipe_fds[1], &byte, 1) != 1)
            _exit(1);
        (void)pause();
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    (void)close(pipe_fds[0]);
    assert_int_equal(byte, 'y');
    return pid;
}

static void dead_process_loses_its_lease_at_once(void **state)
{
    struct lease_held *held = NULL;
    pid_t pid = start_holder();

    (void)state;
    assert_int_equal(acquire(&lease, 100, &held), LEASE_BUSY);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    release(held);
}

/* Runs "sanlock client <verb> ..." on the other host. Through the command, as
 * the library keeps the first directory it was told. */
static pid_t start_other(const char *const verb[])
{
    const char *argv[12] = { "sanlock", "client" };
    char environment[256], unprivileged[] = "SANLOCK_PRIVILEGED=0";
    char *envp[] = { environment, unprivileged, NULL };

    for (size_t i = 0; verb[i]; i++)
        argv[i + 2] = verb[i];
    (void)str_format(environment, sizeof(environment), "SANLOCK_RUN_DIR=%s",
                     other_run_dir);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execve("/usr/sbin/sanlock", (char *const *)argv, envp);
        _exit(127);
    }
    return pid;
}

static void run_other(const char *const verb[])
{
    int status = -1;
    pid_t pid = start_other(verb);

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Others' renewals are seen at one's own. */
static void wait_for_owner(uint64_t host_id)
{
    int64_t deadline_ms = time_now_ms() + 10000;

    while (owner_id(&lease) != host_id) {
        assert_true(time_now_ms() < deadline_ms);
        sleep_ms(50);
    }
}

static void other_host_is_respected_until_it_is_gone(void **state)
{
    char space[PATH_MAX + 64], resource[PATH_MAX + 128];
    const char *const add[] = { "add_lockspace", "-s", space, "-o", "1", NULL };
    const char *const hold[] = { "command",    "-r",   resource, "-c",
                                 "/bin/sleep", "1000", NULL };
    const char *const rem[] = { "rem_lockspace", "-s", space, NULL };
    struct lease_held *held = NULL;

    (void)state;
    (void)str_format(space, sizeof(space), "%s:%d:%s:0", ids.lockspace,
                     OTHER_ID, ids.path);
    (void)str_format(resource, sizeof(resource), "%s:%s:%s:%d", ids.lockspace,
                     lease.resource, lease.path, MIB);
    run_other(add);
    pid_t holder = start_other(hold);
    wait_for_owner(OTHER_ID);
    assert_int_equal(acquire(&lease, 300, &held), LEASE_BUSY);

    /* It kills its holder and does not give the lease back on the disk: as
     * after a crash and its timeout, only sooner. */
    run_other(rem);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    wait_for_owner(0);
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    assert_int_equal(owner_id(&lease), HOST_ID);
    release(held);
}

static int inside;

static void *count_inside(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct lease_held *held = NULL;
        struct err err = ERR_INIT;

        if (port.ops->acquire(port.ctx, &lease, time_now_ms() + 60000, &held,
                              &err) != 0)
            return NULL;
        int others = __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
        sleep_ms(1);
        (void)__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
        if (port.ops->release(port.ctx, held, &err) < 0 || others != 0)
            return NULL;
    }
    return arg;
}

static void threads_exclude_each_other(void **state)
{
    pthread_t threads[THREADS];
    int mark = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_inside, &mark),
                         0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &mark);
    }
}

static void watchdog_is_demanded_when_the_setting_says_so(void **state)
{
    const struct leases_options strict = { .sanlock = "/usr/sbin/sanlock",
                                           .io_timeout_s = 1,
                                           .require_watchdog = true };
    struct leases_status status;
    struct leases *others = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(leases_new(&strict, &others, &err), 0);
    assert_int_equal(leases_status(others, &status, &err), 0);
    assert_string_equal(status.host_name, "drayd-test");
    assert_false(status.use_watchdog);
    struct lease_port strict_port = leases_port(others);
    assert_true(strict_port.ops->join(strict_port.ctx, &ids, HOST_ID, &err) <
                0);
    assert_int_equal(err.code, ERR_ACQUIRE_HOST_ID);
    assert_non_null(strstr(err.message, "watchdog"));
    assert_non_null(strstr(err.next, "require_watchdog"));
    leases_free(others);
}

static void missing_daemon_is_said(void **state)
{
    struct lease_place place = { .lockspace = "space",
                                 .resource = "SDM",
                                 .block_size = 512,
                                 .alignment = MIB };
    struct lease_held *held = NULL;
    struct leases_status status;

    (void)state;
    (void)str_format(place.path, sizeof(place.path), "%s/ids", dir);
    write_zeroes(place.path, 1);
    for (int i = 0; i < 3; i++) {
        struct err err = ERR_INIT;
        int rc = i == 0   ? port.ops->join(port.ctx, &place, HOST_ID, &err)
                 : i == 1 ? port.ops->acquire(port.ctx, &place, 0, &held, &err)
                          : port.ops->format_lockspace(port.ctx, &place, &err);
        assert_true(rc < 0);
        assert_non_null(strstr(err.message, "sanlock is not running"));
        assert_string_equal(err.next, "systemctl start sanlock");
    }
    struct err err = ERR_INIT;
    assert_int_equal(leases_status(leases, &status, &err), -ENOTCONN);
    /* Who is not there is in no lockspace. */
    assert_int_equal(port.ops->leave(port.ctx, &place, HOST_ID, NULL), 0);
}

static void daemon_that_dies_fails_the_release(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(acquire(&lease, 2000, &held), 0);
    assert_int_equal(kill(sanlock_pid, SIGKILL), 0);
    assert_int_equal(waitpid(sanlock_pid, NULL, 0), sanlock_pid);
    assert_true(port.ops->release(port.ctx, held, &err) < 0);
    assert_int_equal(err.code, ERR_RELEASE_LOCK);
    assert_non_null(strstr(err.message, "sanlock is not running"));
}

static int run_mode(const char *mode)
{
    const struct CMUnitTest hosts[] = {
        cmocka_unit_test(joins_within_three_and_a_half_seconds),
        cmocka_unit_test(lease_has_one_holder),
        cmocka_unit_test(owner_is_told_without_taking_the_lease),
        cmocka_unit_test(place_without_lease_is_none),
        cmocka_unit_test(lockspace_in_use_is_not_left),
        cmocka_unit_test(unjoined_lockspace_gives_no_lease),
        cmocka_unit_test(missing_and_unformatted_files_are_said),
        cmocka_unit_test(held_connections_are_not_inherited),
        cmocka_unit_test(dead_process_loses_its_lease_at_once),
        cmocka_unit_test(other_host_is_respected_until_it_is_gone),
        cmocka_unit_test(threads_exclude_each_other),
        cmocka_unit_test(watchdog_is_demanded_when_the_setting_says_so),
    };
    const struct CMUnitTest down[] = {
        cmocka_unit_test(missing_daemon_is_said),
    };
    const struct CMUnitTest killed[] = {
        cmocka_unit_test(daemon_that_dies_fails_the_release),
    };

    if (str_equal(mode, "hosts"))
        return cmocka_run_group_tests(hosts, join_shared, leave_shared);
    if (str_equal(mode, "down"))
        return cmocka_run_group_tests(down, NULL, NULL);
    return cmocka_run_group_tests(killed, join_shared, NULL);
}

int main(int argc, char **argv)
{
    const struct leases_options options = { .sanlock = "/usr/sbin/sanlock",
                                            .io_timeout_s = 1,
                                            .host_name = "drayd-test" };

    if (argc < 3)
        return 2;
    dir = argv[2];
    if (argc > 3) {
        other_run_dir = argv[3];
        sanlock_pid = (pid_t)strtol(argv[3], NULL, 10);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    if (leases_new(&options, &leases, NULL) < 0)
        return 2;
    port = leases_port(leases);
    int failed = run_mode(argv[1]);
    leases_free(leases);
    return failed;
}
