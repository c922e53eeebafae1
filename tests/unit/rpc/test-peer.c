/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who gets which role: real peers with real users and groups, so this needs
 * root (skipped otherwise).
 */
#include "../../../src/rpc/conn.h"

#include <dray/base/util.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
/* last: needs those above */
#include <cmocka.h>

enum {
    FULL_GID = 50001,
    READ_GID = 50002,
    OTHER_GID = 50003,
    OTHER_UID = 50004,
    MANY = 300, /* more than fit a first guess */
};

static char path[64];
static int listener = -1;

static int setup(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)state;
    (void)str_format(path, sizeof(path), "/tmp/drayd-test-peer-%d", getpid());
    (void)str_copy(address.sun_path, sizeof(address.sun_path), path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listener < 0 ||
           bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
           listen(listener, 8) < 0 || chmod(path, 0666) < 0;
}

static int teardown(void **state)
{
    (void)state;
    close(listener);
    return unlink(path);
}

/* In a child: connects as somebody else, waits for the parent to look. */
static void be_peer(uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char byte;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)str_copy(address.sun_path, sizeof(address.sun_path), path);
    if (setgroups(n, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        _exit(1);
    (void)!read(fd, &byte, 1);
    _exit(0);
}

static enum rpc_role role_of(uid_t uid, gid_t gid, const gid_t *groups,
                             size_t n, const struct rpc_access *access)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        be_peer(uid, gid, groups, n);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    char peer[64];
    enum rpc_role role = peer_role(fd, access, peer, sizeof(peer));
    close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return role;
}

static void roles_follow_user_and_groups(void **state)
{
    const struct rpc_access access = { FULL_GID, READ_GID };
    const struct rpc_access closed = { (gid_t)-1, (gid_t)-1 };
    const gid_t full[] = { OTHER_GID, FULL_GID };
    const gid_t read[] = { OTHER_GID, READ_GID };
    const gid_t both[] = { READ_GID, FULL_GID };
    const gid_t other[] = { OTHER_GID };
    gid_t many[MANY];
    (void)state;
    if (geteuid() != 0)
        skip();
    for (gid_t i = 0; i < MANY; i++)
        many[i] = 60000 + i;
    many[MANY - 1] = FULL_GID;

    const struct {
        uid_t uid;
        gid_t gid;
        const gid_t *groups;
        size_t n;
        const struct rpc_access *access;
        enum rpc_role role;
    } cases[] = {
        {0,          0,         other, 0,        &access, RPC_ROLE_FULL},
        { 0,         OTHER_GID, other, 1,        &closed, RPC_ROLE_FULL},
        { OTHER_UID, OTHER_GID, other, 1,        &access, RPC_ROLE_NONE},
        { OTHER_UID, 0,         other, 0,        &access, RPC_ROLE_NONE},
        { OTHER_UID, FULL_GID,  other, 0,        &access, RPC_ROLE_FULL},
        { OTHER_UID, READ_GID,  other, 0,        &access, RPC_ROLE_READ},
        { OTHER_UID, OTHER_GID, full,  2,        &access, RPC_ROLE_FULL},
        { OTHER_UID, OTHER_GID, read,  2,        &access, RPC_ROLE_READ},
        { OTHER_UID, OTHER_GID, both,  2,        &access, RPC_ROLE_FULL},
        { OTHER_UID, OTHER_GID, many,  MANY,     &access, RPC_ROLE_FULL},
        { OTHER_UID, OTHER_GID, many,  MANY - 1, &access, RPC_ROLE_NONE},
        { OTHER_UID, FULL_GID,  both,  2,        &closed, RPC_ROLE_NONE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(role_of(cases[i].uid, cases[i].gid, cases[i].groups,
                                 cases[i].n, cases[i].access),
                         cases[i].role);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_follow_user_and_groups),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
