/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The port against a sanlock client library that answers by a script: what the
 * real daemon says only in rare moments. (tests/integration/lease.c has the
 * real one.)
 */
#include "../../../src/lease/client.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <sanlock_admin.h>
#include <sanlock_resource.h>
#include <sanlock_rv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum {
    ANSWERS_MAX = 8,
    HOST_ID = 7
};

/* What a function answers, call by call; the last answer stays. */
struct script {
    int answers[ANSWERS_MAX];
    int n; /* 0: one */
    int calls;
};

static struct library {
    struct script add, inq, rem, acquire, release, write, read, owners;
    int version;
    int register_fd; /* the last one given out */
    int register_error;
    uint32_t io_timeout, rem_flags, acquire_flags, host_flags;
    uint64_t host_generation;
    struct sanlk_lockspace joined;
    struct sanlk_resource seen;
    struct sanlk_disk seen_disk;
} library;

static int next(struct script *script)
{
    int last = script->n ? script->n - 1 : 0;
    int at = script->calls++;
    return script->answers[at < last ? at : last];
}

/* --- the library ------------------------------------------------------- */

int sanlock_add_lockspace_timeout(struct sanlk_lockspace *ls, uint32_t flags,
                                  uint32_t io_timeout)
{
    (void)flags;
    library.joined = *ls;
    library.io_timeout = io_timeout;
    return next(&library.add);
}

int sanlock_inq_lockspace(struct sanlk_lockspace *ls, uint32_t flags)
{
    (void)ls;
    assert_int_equal(flags, SANLK_INQ_WAIT);
    return next(&library.inq);
}

int sanlock_rem_lockspace(struct sanlk_lockspace *ls, uint32_t flags)
{
    library.joined = *ls;
    library.rem_flags = flags;
    return next(&library.rem);
}

int sanlock_get_lockspaces(struct sanlk_lockspace **lss, int *lss_count,
                           uint32_t flags)
{
    (void)flags;
    *lss = calloc(2, sizeof(**lss));
    assert_non_null(*lss);
    (void)str_copy((*lss)[0].name, SANLK_NAME_LEN, "other");
    (void)str_copy((*lss)[1].name, SANLK_NAME_LEN, "space");
    (*lss)[1].host_id = 3;
    (void)str_copy((*lss)[1].host_id_disk.path, SANLK_PATH_LEN, "/elsewhere");
    *lss_count = 2;
    return 0;
}

int sanlock_get_hosts(const char *ls_name, uint64_t host_id,
                      struct sanlk_host **hss, int *hss_count, uint32_t flags)
{
    (void)flags;
    assert_string_equal(ls_name, "space");
    *hss = calloc(1, sizeof(**hss));
    assert_non_null(*hss);
    (*hss)->host_id = host_id;
    (*hss)->generation = library.host_generation;
    (*hss)->flags = library.host_flags;
    *hss_count = 1;
    return 0;
}

int sanlock_write_lockspace(struct sanlk_lockspace *ls, int max_hosts,
                            uint32_t flags, uint32_t io_timeout)
{
    (void)max_hosts;
    (void)flags;
    library.joined = *ls;
    library.io_timeout = io_timeout;
    return next(&library.write);
}

static void see(const struct sanlk_resource *res)
{
    library.seen = *res;
    memcpy(&library.seen_disk, (const char *)res + sizeof(*res),
           sizeof(library.seen_disk));
}

int sanlock_write_resource(struct sanlk_resource *res, int max_hosts,
                           int num_hosts, uint32_t flags)
{
    (void)max_hosts;
    (void)num_hosts;
    (void)flags;
    see(res);
    return next(&library.write);
}

int sanlock_read_resource(struct sanlk_resource *res, uint32_t flags)
{
    (void)res;
    (void)flags;
    return next(&library.read);
}

int sanlock_read_resource_owners(struct sanlk_resource *res, uint32_t flags,
                                 struct sanlk_host **hss, int *hss_count)
{
    (void)flags;
    int rc = next(&library.owners);
    if (rc < 0)
        return rc;
    res->lver = 42;
    *hss = calloc(1, sizeof(**hss));
    assert_non_null(*hss);
    (*hss)->host_id = 9;
    (*hss)->generation = 5;
    *hss_count = 1;
    return 0;
}

int sanlock_version(uint32_t flags, uint32_t *version, uint32_t *proto)
{
    (void)flags;
    (void)version;
    (void)proto;
    return library.version;
}

int sanlock_register(void)
{
    if (library.register_error)
        return library.register_error;
    library.register_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(library.register_fd >= 0);
    /* as the real one */
    assert_int_equal(fcntl(library.register_fd, F_SETFD, 0), 0);
    return library.register_fd;
}

int sanlock_acquire(int sock, int pid, uint32_t flags, int res_count,
                    struct sanlk_resource *res_args[],
                    struct sanlk_options *opt_in)
{
    (void)opt_in;
    assert_int_equal(sock, library.register_fd);
    assert_int_equal(pid, -1);
    assert_int_equal(res_count, 1);
    assert_int_equal(fcntl(sock, F_GETFD), FD_CLOEXEC);
    library.acquire_flags = flags;
    see(res_args[0]);
    return next(&library.acquire);
}

int sanlock_release(int sock, int pid, uint32_t flags, int res_count,
                    struct sanlk_resource *res_args[])
{
    assert_int_equal(sock, library.register_fd);
    assert_int_equal(pid, -1);
    assert_int_equal(flags, 0);
    assert_int_equal(res_count, 1);
    see(res_args[0]);
    return next(&library.release);
}

/* --- the tests --------------------------------------------------------- */

static const struct lease_place place = {
    .lockspace = "space",
    .resource = "SDM",
    .path = "/srv/one/dom_md/leases",
    .offset = 1048576,
    .block_size = 512,
    .alignment = 1048576,
};

static int setup(void **state)
{
    const struct leases_options options = { .sanlock = "/bin/false",
                                            .host_name = "here",
                                            .io_timeout_s = 3 };
    struct leases *leases = NULL;
    library =
        (struct library){ .host_flags = SANLK_HOST_LIVE, .host_generation = 5 };
    int rc = leases_new(&options, &leases, NULL);
    *state = leases;
    return rc;
}

static int teardown(void **state)
{
    leases_free(*state);
    return 0;
}

#define PORT(state, op, ...)                                                   \
    leases_port(*(state)).ops->op(leases_port(*(state)).ctx, __VA_ARGS__)

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_lockspace_is_formatted_with_our_timeout(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, format_lockspace, &place, &err), 0);
    assert_int_equal(library.io_timeout, 3);
    assert_int_equal(library.joined.host_id, 0);
    library.write.answers[0] = -EIO;
    assert_true(PORT(state, format_lockspace, &place, &err) < 0);
    assert_int_equal(err.code, ERR_LOCK_INIT);
    assert_non_null(strstr(err.message, "space"));
}

static void a_resource_is_formatted_at_its_place(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, format_resource, &place, &err), 0);
    assert_string_equal(library.seen.name, "SDM");
    assert_string_equal(library.seen.lockspace_name, "space");
    assert_int_equal(library.seen_disk.offset, 1048576);
    library.write.answers[0] = -EIO;
    assert_true(PORT(state, format_resource, &place, &err) < 0);
    assert_int_equal(err.code, ERR_LOCK_INIT);
}

static void joining_takes_our_id_and_timeout(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, join, &place, HOST_ID, &err), 0);
    assert_int_equal(library.joined.host_id, HOST_ID);
    assert_int_equal(library.io_timeout, 3);
    assert_int_equal(library.inq.calls, 0);
}

static void joined_already_is_joined(void **state)
{
    struct err err = ERR_INIT;
    library.add.answers[0] = -EEXIST;
    assert_int_equal(PORT(state, join, &place, HOST_ID, &err), 0);
    assert_int_equal(library.add.calls, 1);
}

static void a_join_under_way_is_waited_for(void **state)
{
    struct err err = ERR_INIT;
    library.add = (struct script){
        .answers = {-EINPROGRESS, -EEXIST},
          .n = 2
    };
    assert_int_equal(PORT(state, join, &place, HOST_ID, &err), 0);
    assert_int_equal(library.inq.calls, 1);
    assert_int_equal(library.add.calls, 2);
}

static void a_leave_under_way_is_waited_for(void **state)
{
    struct err err = ERR_INIT;
    library.add = (struct script){
        .answers = {-EAGAIN, -EEXIST},
          .n = 2
    };
    assert_int_equal(PORT(state, join, &place, HOST_ID, &err), 0);
    assert_int_equal(library.inq.calls, 0);
    library.rem = (struct script){
        .answers = {-EINPROGRESS, -ENOENT},
          .n = 2
    };
    assert_int_equal(PORT(state, leave, &place, HOST_ID, &err), 0);
    assert_int_equal(library.rem.calls, 2);
}

static void a_refused_join_says_why(void **state)
{
    static const struct {
        int answer;
        const char *says;
    } cases[] = {
        {SANLK_HOSTID_BUSY,  "host id 7 is in use by another host"},
        { -EINVAL,           "joined already, with host id 3"     },
        { SANLK_AIO_TIMEOUT, "did not answer in time"             },
        { -ENODEV,           "cannot open it"                     },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        library.add = (struct script){ .answers = { cases[i].answer } };
        assert_true(PORT(state, join, &place, HOST_ID, &err) < 0);
        assert_int_equal(library.add.calls, 1);
        assert_int_equal(err.code, ERR_ACQUIRE_HOST_ID);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_true(err.next[0]);
    }
}

/* EINVAL for another reason must not be blamed on that lockspace. */
static void a_conflict_is_only_seen_where_it_is(void **state)
{
    struct err err = ERR_INIT;
    struct lease_place third = place;
    (void)str_copy(third.lockspace, sizeof(third.lockspace), "third");
    library.add.answers[0] = -EINVAL;
    assert_true(PORT(state, join, &third, HOST_ID, &err) < 0);
    assert_null(strstr(err.message, "joined already"));
    err_clear(&err);
    library.add = (struct script){ .answers = { -EIO } };
    assert_true(PORT(state, join, &place, HOST_ID, &err) < 0);
    assert_null(strstr(err.message, "joined already"));
}

static void a_daemon_that_is_away_is_said_so(void **state)
{
    struct err err = ERR_INIT;
    library.add.answers[0] = -ECONNREFUSED;
    library.version = -ECONNREFUSED;
    assert_true(PORT(state, join, &place, HOST_ID, &err) < 0);
    assert_non_null(strstr(err.message, "sanlock is not running"));
}

static void leaving_never_kills_who_holds_a_lease(void **state)
{
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, leave, &place, HOST_ID, &err), 0);
    assert_int_equal(library.rem_flags, SANLK_REM_UNUSED);
    library.rem.answers[0] = -EBUSY;
    assert_true(PORT(state, leave, &place, HOST_ID, &err) < 0);
    assert_int_equal(err.code, ERR_RELEASE_HOST_ID);
    assert_non_null(strstr(err.message, "are held"));
    err_clear(&err);
    library.rem.answers[0] = -EIO;
    assert_true(PORT(state, leave, &place, HOST_ID, &err) < 0);
    assert_int_equal(err.code, ERR_RELEASE_HOST_ID);
    assert_null(strstr(err.message, "are held"));
}

static void who_did_not_join_has_left(void **state)
{
    static const int answers[] = { -ENOENT, -ECONNREFUSED };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        library.rem.answers[0] = answers[i];
        assert_int_equal(PORT(state, leave, &place, HOST_ID, &err), 0);
    }
}

static void a_lease_has_a_connection_as_long_as_it_is_held(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, acquire, &place, 0, &held, &err), 0);
    assert_int_equal(library.acquire_flags, SANLK_ACQUIRE_OWNER_NOWAIT);
    assert_true(is_open(library.register_fd));
    assert_int_equal(PORT(state, release, held, &err), 0);
    assert_int_equal(library.release.calls, 1);
    assert_string_equal(library.seen.name, "SDM");
    assert_false(is_open(library.register_fd));
}

/* Closing the connection is what frees it then. */
static void a_failed_release_still_closes_the_connection(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(PORT(state, acquire, &place, 0, &held, &err), 0);
    library.release.answers[0] = -EIO;
    assert_true(PORT(state, release, held, &err) < 0);
    assert_int_equal(err.code, ERR_RELEASE_LOCK);
    assert_false(is_open(library.register_fd));
}

static void a_busy_lease_is_tried_until_the_deadline(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;
    library.acquire.answers[0] = SANLK_ACQUIRE_IDLIVE;
    assert_int_equal(PORT(state, acquire, &place, 0, &held, &err), LEASE_BUSY);
    assert_int_equal(library.acquire.calls, 1);
    assert_false(is_open(library.register_fd));
    int64_t begin_ms = time_now_ms();
    library.acquire.calls = 0;
    assert_int_equal(PORT(state, acquire, &place, begin_ms + 300, &held, &err),
                     LEASE_BUSY);
    assert_in_range(time_now_ms() - begin_ms, 290, 2000);
    assert_in_range(library.acquire.calls, 3, 20);
    library.acquire = (struct script){
        .answers = {-EAGAIN, 0},
          .n = 2
    };
    assert_int_equal(
        PORT(state, acquire, &place, time_now_ms() + 5000, &held, &err), 0);
    assert_int_equal(library.acquire.calls, 2);
    assert_int_equal(PORT(state, release, held, &err), 0);
    assert_null(strstr(err.message, "lease"));
}

static void what_cannot_be_acquired_is_no_lease_or_an_error(void **state)
{
    struct lease_held *held = NULL;
    struct err err = ERR_INIT;
    int64_t deadline_ms = time_now_ms() + 60000;
    library.acquire.answers[0] = SANLK_LEADER_MAGIC;
    assert_int_equal(PORT(state, acquire, &place, deadline_ms, &held, &err),
                     LEASE_NONE);
    assert_false(is_open(library.register_fd));
    library.acquire.answers[0] = -ENOSPC;
    assert_true(PORT(state, acquire, &place, deadline_ms, &held, &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_LOCK);
    assert_false(is_open(library.register_fd));
    err_clear(&err);
    library.register_error = -ECONNREFUSED;
    assert_true(PORT(state, acquire, &place, deadline_ms, &held, &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_LOCK);
    assert_null(held);
}

static void the_owner_is_who_lives_in_its_generation(void **state)
{
    static const struct {
        uint32_t flags;
        uint64_t generation, host_id;
    } cases[] = {
        {SANLK_HOST_LIVE,     5, 9},
        { SANLK_HOST_FAIL,    5, 9}, /* perhaps dead: not yet */
        { SANLK_HOST_UNKNOWN, 5, 9},
        { SANLK_HOST_DEAD,    5, 0},
        { SANLK_HOST_FREE,    5, 0},
        { SANLK_HOST_LIVE,    6, 0}, /* it was there before its restart */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lease_owner owner = { 0 };
        struct err err = ERR_INIT;
        library.host_flags = cases[i].flags;
        library.host_generation = cases[i].generation;
        assert_int_equal(PORT(state, owner, &place, &owner, &err), 0);
        assert_int_equal(owner.host_id, cases[i].host_id);
        assert_int_equal(owner.version, 42);
    }
}

static void a_place_without_a_lease_has_no_owner(void **state)
{
    struct lease_owner owner = { 0 };
    struct err err = ERR_INIT;
    library.owners.answers[0] = -EINVAL;
    library.read.answers[0] = SANLK_LEADER_MAGIC;
    assert_int_equal(PORT(state, owner, &place, &owner, &err), LEASE_NONE);
    library.owners.answers[0] = -EIO;
    assert_true(PORT(state, owner, &place, &owner, &err) < 0);
    assert_int_equal(err.code, ERR_STORAGE);
    assert_int_equal(library.read.calls, 1);
}

static void names_that_do_not_fit_are_refused(void **state)
{
    struct lease_place bad = place;
    struct lease_held *held = NULL;
    struct lease_owner owner;
    bad.block_size = 520;
    struct err errs[] = { ERR_INIT, ERR_INIT, ERR_INIT,
                          ERR_INIT, ERR_INIT, ERR_INIT };
    assert_true(PORT(state, format_lockspace, &bad, &errs[0]) < 0);
    assert_int_equal(errs[0].code, ERR_LOCK_INIT);
    assert_true(PORT(state, format_resource, &bad, &errs[1]) < 0);
    assert_int_equal(errs[1].code, ERR_LOCK_INIT);
    assert_true(PORT(state, join, &bad, 1, &errs[2]) < 0);
    assert_int_equal(errs[2].code, ERR_ACQUIRE_HOST_ID);
    assert_true(PORT(state, leave, &bad, 1, &errs[3]) < 0);
    assert_int_equal(errs[3].code, ERR_RELEASE_HOST_ID);
    assert_true(PORT(state, acquire, &bad, 0, &held, &errs[4]) < 0);
    assert_int_equal(errs[4].code, ERR_ACQUIRE_LOCK);
    assert_true(PORT(state, owner, &bad, &owner, &errs[5]) < 0);
    assert_int_equal(errs[5].code, ERR_STORAGE);
    assert_int_equal(library.add.calls + library.acquire.calls, 0);
}

/* The command that would tell fails here: then it is not believed. */
static void without_proof_of_a_watchdog_nothing_is_joined(void **state)
{
    const struct leases_options options = { .sanlock = "/bin/false",
                                            .io_timeout_s = 3,
                                            .require_watchdog = true };
    struct leases *strict = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(leases_new(&options, &strict, &err), 0);
    assert_true(PORT(&strict, join, &place, HOST_ID, &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_HOST_ID);
    assert_int_equal(library.add.calls, 0);
    leases_free(strict);
}

/* A command that says what the daemon runs with. */
static int join_with_status(const char *watchdog, struct err *err)
{
    char path[] = "/tmp/drayd-test-sanlock-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(dprintf(fd,
                        "#!/bin/sh\necho 'daemon 1.here'\n"
                        "echo '    our_host_name=here'\n"
                        "echo '    use_watchdog=%s'\n",
                        watchdog) > 0);
    assert_int_equal(fchmod(fd, 0700), 0);
    assert_int_equal(close(fd), 0);
    const struct leases_options options = { .sanlock = path,
                                            .io_timeout_s = 3,
                                            .require_watchdog = true };
    struct leases *strict = NULL;
    assert_int_equal(leases_new(&options, &strict, err), 0);
    int rc = PORT(&strict, join, &place, HOST_ID, err);
    leases_free(strict);
    assert_int_equal(unlink(path), 0);
    return rc;
}

static void a_watchdog_that_is_demanded_has_to_run(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(join_with_status("1", &err), 0);
    assert_int_equal(library.add.calls, 1);
    assert_true(join_with_status("0", &err) < 0);
    assert_int_equal(err.code, ERR_ACQUIRE_HOST_ID);
    assert_non_null(strstr(err.message, "without a watchdog"));
    assert_int_equal(library.add.calls, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_lockspace_is_formatted_with_our_timeout),
        TEST(a_resource_is_formatted_at_its_place),
        TEST(joining_takes_our_id_and_timeout),
        TEST(joined_already_is_joined),
        TEST(a_join_under_way_is_waited_for),
        TEST(a_leave_under_way_is_waited_for),
        TEST(a_refused_join_says_why),
        TEST(a_conflict_is_only_seen_where_it_is),
        TEST(a_daemon_that_is_away_is_said_so),
        TEST(leaving_never_kills_who_holds_a_lease),
        TEST(who_did_not_join_has_left),
        TEST(a_lease_has_a_connection_as_long_as_it_is_held),
        TEST(a_failed_release_still_closes_the_connection),
        TEST(a_busy_lease_is_tried_until_the_deadline),
        TEST(what_cannot_be_acquired_is_no_lease_or_an_error),
        TEST(the_owner_is_who_lives_in_its_generation),
        TEST(a_place_without_a_lease_has_no_owner),
        TEST(names_that_do_not_fit_are_refused),
        TEST(without_proof_of_a_watchdog_nothing_is_joined),
        TEST(a_watchdog_that_is_demanded_has_to_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
