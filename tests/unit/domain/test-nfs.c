/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domains on exports. Programs in the place of mount(8) and umount(8) move a
 * directory to where it is to be mounted, and back, and keep the list of what
 * is; so no privilege is needed, and no server.
 */
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ONE "srv:/one"
#define MNT "run/mnt/srv:_one"

/* $D is the test's directory. */
static const char mount_program[] =
    "echo \"mount $*\" >>$D/log\n"
    "test ! -e $D/slow || sleep 60\n"
    "test ! -e $D/says || { cat $D/says >&2; exit 32; }\n"
    "while [ $# -gt 2 ]; do shift; done\n"
    "rmdir \"$2\" && mv $D/exports/${1##*/} \"$2\" || exit 32\n"
    "echo \"9 1 0:9 / $2 rw - nfs4 $1 rw,vers=4.2\" >>$D/table\n";
static const char umount_program[] =
    "echo \"umount $*\" >>$D/log\n"
    "test ! -e $D/says || { cat $D/says >&2; exit 32; }\n"
    "while [ $# -gt 1 ]; do shift; done\n"
    "mv \"$1\" $D/exports/${1##*_} && mkdir \"$1\" || exit 32\n"
    "sed -i '\\|_'${1##*_}' |d' $D/table\n";
static const char runner[] = "echo \"run $*\" >>$D/log\n"
                             "while [ \"$1\" != -- ]; do shift; done\n"
                             "shift; exec \"$@\"\n";

static char programs[4][PATH_MAX];

static void write_program(const struct fixture *f, size_t i, const char *name,
                          const char *text)
{
    char whole[2048];
    (void)str_format(whole, sizeof(whole), "#!/bin/sh\nD=%s\n%s", f->dir, text);
    fixture_write(f, name, whole);
    fixture_path(f, programs[i], "%s", name);
    assert_int_equal(chmod(programs[i], 0755), 0);
    fixture_mount[i] = programs[i];
}

static void make_dir(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    fixture_path(f, path, "%s", name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static int setup(void **state)
{
    (void)fixture_new(state);
    struct fixture *f = *state;
    make_dir(f, "exports");
    make_dir(f, "exports/one");
    make_dir(f, "exports/two");
    write_program(f, 0, "mount", mount_program);
    write_program(f, 1, "umount", umount_program);
    write_program(f, 3, "runner", runner);
    fixture_write(f, "table", "8 1 254:0 / / rw - ext4 /dev/vda rw\n");
    fixture_path(f, programs[2], "table");
    fixture_mount[2] = programs[2];
    fixture_mount[3] = NULL;
    fixture_mount_ms = 0;
    fixture_write(f, "log", "");
    fixture_restart(f);
    return 0;
}

static int create(struct fixture *f, const char *sd, const char *place,
                  const char *options)
{
    struct domain_create spec = fixture_spec(f);
    spec.type = DOMAIN_TYPE_NFS;
    (void)str_copy(spec.sd, sizeof(spec.sd), sd);
    (void)str_copy(spec.path, sizeof(spec.path), place);
    (void)str_copy(spec.mount_options, sizeof(spec.mount_options), options);
    return f->port.ops->domain_create(f->port.ctx, &spec, FRESH(f));
}

static int setup_created(void **state)
{
    (void)setup(state);
    struct fixture *f = *state;
    if (create(f, SD, ONE, "") < 0)
        fail_msg("%s", f->err.message);
    fixture_write(f, "log", "");
    return 0;
}

static int join(struct fixture *f, const char *sd, const char *place,
                const char *options)
{
    const struct domain_place where = { .path = place,
                                        .mount_options = options };
    char ret_sd[UUID_SIZE] = "";
    int rc =
        f->port.ops->domain_join(f->port.ctx, sd, &where, ret_sd, FRESH(f));
    if (rc == 0)
        assert_string_equal(ret_sd, SD);
    return rc;
}

static void must_join(struct fixture *f, const char *sd, const char *place)
{
    if (join(f, sd, place, NULL) < 0)
        fail_msg("%s", f->err.message);
}

static int leave(struct fixture *f)
{
    return f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f));
}

static struct domain_info info_of(struct fixture *f)
{
    struct domain_info *infos = NULL;
    size_t n = 0;
    assert_int_equal(f->port.ops->domain_list(f->port.ctx, &infos, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    struct domain_info info = infos[0];
    free(infos);
    return info;
}

static size_t count(const struct fixture *f, const char *word)
{
    _cleanup_free_ char *log = fixture_read(f, "log");
    size_t n = 0;
    for (const char *at = log; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void assert_mounted(const struct fixture *f, bool mounted)
{
    _cleanup_free_ char *table = fixture_read(f, "table");
    assert_int_equal(strstr(table, "nfs4 srv:/one") != NULL, mounted);
    assert_int_equal(fixture_exists(f, MNT), mounted);
}

static void a_domain_is_made_on_an_export(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    assert_int_equal(create(f, SD, "SRV://one/", "soft"), 0);
    assert_true(fixture_exists(f, "exports/one/" SD "/dom_md/metadata"));
    assert_mounted(f, false);
    const struct domain_info info = info_of(f);
    assert_string_equal(info.remote, ONE);
    assert_string_equal(info.mount_options, "soft");
    fixture_path(f, path, MNT);
    assert_string_equal(info.path, path);
    assert_int_equal(info.type, DOMAIN_TYPE_NFS);
    assert_int_equal(info.status, DOMAIN_LEFT);
    _cleanup_free_ char *log = fixture_read(f, "log");
    assert_non_null(strstr(log, "mount -t nfs -o nodev,"));
    assert_non_null(strstr(log, ",soft -- srv:/one /"));
    /* The same again is the same. */
    assert_int_equal(create(f, SD, ONE, "soft"), 0);
    assert_mounted(f, false);
}

static void one_that_cannot_be_made_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    assert_error(f, create(f, SD2, ONE, ""), ERR_DOMAIN_CREATE, "already");
    assert_mounted(f, false);
    assert_false(fixture_exists(f, "exports/one/" SD2));
    assert_string_equal(info_of(f).sd, SD);
}

static void what_is_wrong_is_refused_before_it_is_mounted(void **state)
{
    struct fixture *f = *state;
    struct domain_create spec = fixture_spec(f);
    (void)str_copy(spec.path, sizeof(spec.path), ONE); /* POSIXFS */
    assert_error(f, f->port.ops->domain_create(f->port.ctx, &spec, FRESH(f)),
                 ERR_DOMAIN_TYPE, "NFS");
    assert_error(f, create(f, SD, ONE, "nolock"), ERR_VALUE, "nolock");
    assert_error(f, create(f, SD, "-o:/one", ""), ERR_VALUE, "-o:/one");
    assert_error(f, join(f, NULL, ONE, "nolock"), ERR_VALUE, "nolock");
    assert_error(f, join(f, NULL, "srv:/../one", NULL), ERR_VALUE, "srv:/..");
    assert_int_equal(count(f, "mount"), 0);
}

static void joined_it_is_mounted_until_it_is_left(void **state)
{
    struct fixture *f = *state;
    must_join(f, NULL, ONE);
    assert_mounted(f, true);
    assert_true(fixture_exists(f, MNT "/" SD));
    assert_int_equal(info_of(f).status, DOMAIN_JOINED);
    assert_int_equal(leave(f), 0);
    assert_mounted(f, false);
    assert_string_equal(info_of(f).problem, "");
    assert_int_equal(leave(f), 0);
    assert_int_equal(count(f, "umount -i -c -- /"), 1);
    /* Known now: its name will do, and it is mounted as before. */
    must_join(f, SD, NULL);
    assert_mounted(f, true);
    assert_int_equal(leave(f), 0);
}

static void one_export_is_mounted_once(void **state)
{
    struct fixture *f = *state;
    must_join(f, NULL, ONE);
    must_join(f, NULL, "Srv:/one/");
    must_join(f, SD, NULL);
    must_join(f, SD, ONE);
    assert_int_equal(count(f, "mount"), 1);
    assert_error(f, create(f, SD2, ONE, ""), ERR_DOMAIN_CREATE, "already");
    assert_int_equal(count(f, "mount"), 1);
    assert_mounted(f, true);
}

static void *join_once(void *arg)
{
    struct fixture *f = arg;
    const struct domain_place place = { .path = ONE };
    char sd[UUID_SIZE];
    int rc = f->port.ops->domain_join(f->port.ctx, NULL, &place, sd, NULL);
    assert_int_equal(rc, 0);
    return NULL;
}

static void by_many_at_once_too(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_once, f), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count(f, "mount"), 1);
    assert_mounted(f, true);
}

static void a_restart_finds_it_mounted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(join(f, NULL, ONE, "timeo=50"), 0);
    fixture_restart(f);
    assert_int_equal(info_of(f).status, DOMAIN_MISSING);
    must_join(f, SD, NULL);
    assert_int_equal(count(f, "mount"), 1);
    assert_string_equal(info_of(f).mount_options, "timeo=50");
}

/* Takes away what is mounted, as a reboot does. */
static void reboot(struct fixture *f)
{
    char from[PATH_MAX], to[PATH_MAX];
    fixture_path(f, from, MNT);
    fixture_path(f, to, "exports/one");
    assert_int_equal(rename(from, to), 0);
    fixture_path(f, from, "run/mnt");
    assert_int_equal(rmdir(from), 0);
    fixture_write(f, "table", "");
    fixture_restart(f);
}

static void after_a_reboot_it_is_mounted_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(join(f, NULL, ONE, "timeo=50"), 0);
    reboot(f);
    fixture_write(f, "says", "mount.nfs: Connection refused\n");
    assert_error(f, join(f, SD, NULL, NULL), ERR_MOUNT, "no NFS running");
    assert_int_equal(info_of(f).status, DOMAIN_MISSING);
    assert_non_null(strstr(info_of(f).problem, "no NFS running"));
    fixture_path(f, programs[2], "says");
    assert_int_equal(unlink(programs[2]), 0);
    fixture_write(f, "log", "");
    must_join(f, SD, NULL);
    assert_int_equal(count(f, "timeo=50"), 1);
    assert_int_equal(info_of(f).status, DOMAIN_JOINED);
}

static void other_options_hold_from_the_next_mount_on(void **state)
{
    struct fixture *f = *state;
    must_join(f, NULL, ONE);
    assert_int_equal(join(f, NULL, ONE, "soft"), 0);
    assert_string_equal(info_of(f).mount_options, "soft");
    must_join(f, NULL, ONE); /* nothing said: as before */
    assert_string_equal(info_of(f).mount_options, "soft");
    assert_int_equal(count(f, "soft"), 0);
    assert_int_equal(leave(f), 0);
    must_join(f, NULL, ONE);
    assert_int_equal(count(f, "soft"), 1);
}

static void what_else_is_mounted_there_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const there[] = {
        "nfs4 srv:/two",
        "nfs4 other:/one",
        "tmpfs srv:/one",
    };
    for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
        char line[2 * PATH_MAX];
        (void)str_format(line, sizeof(line),
                         "7 1 0:9 / %s/" MNT " rw - nfs4 srv:/one rw\n"
                         "9 1 0:9 / %s/" MNT " rw - %s rw\n",
                         f->dir, f->dir, there[i]);
        fixture_write(f, "table", line);
        assert_error(f, join(f, NULL, ONE, NULL), ERR_MOUNT,
                     strchr(there[i], ' ') + 1);
        assert_non_null(strstr(f->err.next, "umount"));
        assert_int_equal(count(f, "mount -t"), 0);
    }
}

static void failures_to_mount_are_told_apart(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[][2] = {
        {"mount.nfs: access denied by server while mounting srv:/one",
         "refuses this host"                                                                      },
        { "mount.nfs: mounting srv:/one failed, reason given by server: No "
          "such file or directory",                                    "no such export"  },
        { "mount.nfs: Connection timed out",                                    "does not answer" },
        { "mount.nfs: Connection refused",                                      "no NFS running"  },
        { "Failed to connect to bus: Host is down",                             "systemd does not"},
        { "mount.nfs: No route to host",                                        "be reached"      },
        { "mount.nfs: Failed to resolve server srv: Name or service not known",
         "nobody knows"                                                                           },
        { "mount.nfs: requested NFS version or transport protocol is not "
          "supported",                                                 "this version"    },
        { "mount.nfs: Protocol not supported",                                  "this version"    },
        { "mount.nfs: Resource temporarily unavailable",                        "nobody knows"    },
        { "mount.nfs: rpc.statd is not running but is required for remote "
          "locking.\nmount.nfs: Either use '-o nolock' to keep locks local, or "
          "start statd.",                                              "needs rpc.statd" },
        { "mount.nfs: No such device",                                          "cannot mount"    },
        { "mount: x: unknown filesystem type 'nfs'.",                           "cannot mount"    },
        { "mount.nfs: an incorrect mount option was specified",                 "the options"     },
        { "something else",                                                     "something else"  },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture_write(f, "says", rows[i][0]);
        assert_error(f, join(f, NULL, ONE, NULL), ERR_MOUNT, rows[i][1]);
        assert_non_null(strstr(f->err.message, ONE));
        assert_mounted(f, false);
        assert_error(f, create(f, SD2, ONE, ""), ERR_MOUNT, rows[i][1]);
        assert_mounted(f, false);
    }
}

/* Somebody looks at it just then. */
static void one_that_is_busy_for_a_moment_is_unmounted(void **state)
{
    struct fixture *f = *state;
    char busy[sizeof(umount_program) + 256];
    (void)str_format(busy, sizeof(busy),
                     "test -e $D/twice || { test -e $D/once && : >$D/twice;"
                     " : >$D/once; echo 'target is busy' >&2; exit 32; }\n%s",
                     umount_program);
    write_program(f, 1, "umount", busy);
    must_join(f, NULL, ONE);
    assert_int_equal(leave(f), 0);
    assert_true(fixture_exists(f, "twice"));
    assert_mounted(f, false);
    assert_string_equal(info_of(f).problem, "");
}

static void a_server_that_is_silent_is_given_up(void **state)
{
    struct fixture *f = *state;
    fixture_write(f, "slow", "");
    fixture_mount_ms = 200;
    fixture_restart(f);
    assert_error(f, join(f, NULL, ONE, NULL), ERR_MOUNT,
                 "does not answer within 0.2 s");
    assert_mounted(f, false);
}

static void a_mount_that_is_not_there_is_no_success(void **state)
{
    struct fixture *f = *state;
    write_program(f, 0, "mount", "exit 0\n");
    assert_error(f, join(f, NULL, ONE, NULL), ERR_MOUNT, "said so");
    assert_mounted(f, false);
}

static void an_export_without_a_domain_is_unmounted(void **state)
{
    struct fixture *f = *state;
    assert_error(f, join(f, NULL, "srv:/two", NULL), ERR_NO_DOMAIN,
                 "no domain");
    assert_false(fixture_exists(f, "run/mnt/srv:_two"));
    fake_leases_set_join_fails(f->leases, true);
    assert_error(f, join(f, NULL, ONE, NULL), ERR_ACQUIRE_HOST_ID, "taken");
    assert_mounted(f, false);
    assert_int_equal(info_of(f).status, DOMAIN_LEFT);
}

static void one_in_use_is_not_left(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    int ends[2];
    char byte = 0;
    must_join(f, NULL, ONE);
    fixture_path(f, path, MNT "/" SD "/images/disk");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ssize_t n = write(ends[1], fd < 0 ? "-" : "+", 1);
        (void)n;
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, '+');
    int rc = leave(f);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_error(f, rc, ERR_RELEASE_HOST_ID, "open");
    assert_int_equal(info_of(f).status, DOMAIN_JOINED);
    assert_int_equal(fake_leases_joined(f->leases), 1);
    assert_mounted(f, true);
    assert_int_equal(leave(f), 0);
    assert_mounted(f, false);
    util_closep(&ends[0]);
    util_closep(&ends[1]);
}

/* As sanlock has them, as long as the domain is joined. */
static void open_leases_are_no_use(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    must_join(f, NULL, ONE);
    fixture_path(f, path, MNT "/" SD "/dom_md/ids");
    /* The child has it, too. */
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            (void)pause();
    }
    int rc = leave(f);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (rc < 0)
        fail_msg("%s", f->err.message);
}

static void what_cannot_be_unmounted_is_said_and_tried_again(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    must_join(f, NULL, ONE);
    fixture_write(f, "says", "umount: target is busy.\n");
    assert_int_equal(leave(f), 0);
    assert_mounted(f, true);
    assert_int_equal(info_of(f).status, DOMAIN_LEFT);
    assert_non_null(strstr(info_of(f).problem, "target is busy"));
    fixture_path(f, path, "says");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(leave(f), 0);
    assert_mounted(f, false);
    assert_string_equal(info_of(f).problem, "");
}

static void joined_from_elsewhere_it_does_not_move(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_path(f, path, "exports/one");
    must_join(f, NULL, path);
    assert_string_equal(info_of(f).remote, "");
    assert_error(f, join(f, SD, ONE, NULL), ERR_VALUE, "joined from");
    assert_string_equal(info_of(f).path, path);
    assert_int_equal(leave(f), 0);
    must_join(f, SD, ONE);
    assert_string_equal(info_of(f).remote, ONE);
}

static void systemd_mounts_where_all_see_it(void **state)
{
    struct fixture *f = *state;
    fixture_mount[3] = programs[3];
    fixture_restart(f);
    must_join(f, NULL, ONE);
    assert_mounted(f, true);
    assert_int_equal(count(f, "run --quiet --pipe --wait --collect"), 1);
    assert_int_equal(leave(f), 0);
    assert_mounted(f, false);
    assert_int_equal(count(f, "run --quiet"), 2);
}

static void lost_storage_is_said_until_it_answers(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX], away[PATH_MAX];
    must_join(f, NULL, ONE);
    assert_int_equal(f->port.ops->domain_probe(f->port.ctx, SD, FRESH(f)), 0);
    fixture_path(f, path, MNT "/" SD "/dom_md/metadata");
    fixture_path(f, away, "away");
    assert_int_equal(rename(path, away), 0);
    assert_error(f, f->port.ops->domain_probe(f->port.ctx, SD, FRESH(f)),
                 ERR_STORAGE, "No such file");
    assert_int_equal(info_of(f).status, DOMAIN_JOINED);
    assert_non_null(strstr(info_of(f).problem, "No such file"));
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(f->port.ops->domain_probe(f->port.ctx, SD, FRESH(f)), 0);
    assert_string_equal(info_of(f).problem, "");
    assert_int_equal(leave(f), 0);
    assert_int_equal(f->port.ops->domain_probe(f->port.ctx, SD, FRESH(f)), 0);
    assert_string_equal(info_of(f).problem, "");
}

static void a_damaged_list_stops_the_start(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "\"remote\": 1, \"mount_options\": \"\"",
        "\"remote\": \"srv:/one\"",
        "\"remote\": \"SRV:/one\", \"mount_options\": \"\"",
        "\"remote\": \"-o\", \"mount_options\": \"\"",
        "\"remote\": \"srv:/one\", \"mount_options\": \"nolock\"",
    };
    const struct domains_options options = { .state_dir = f->state,
                                             .run_dir = f->run,
                                             .qemu_img = "/bin/false" };
    const struct lease_port leases = fake_leases_port(f->leases);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct domains *domains = NULL;
        char text[1024];
        (void)str_format(text, sizeof(text),
                         "{\"domains\": [{\"sd\": \"" SD "\", \"name\": \"a\","
                         " \"path\": \"/x\", \"type\": 1, \"joined\": true, "
                         "%s}]}",
                         texts[i]);
        fixture_write(f, "state/domains.json", text);
        assert_error(f, domains_new(&options, &leases, &domains, FRESH(f)),
                     ERR_METADATA_INVALID, "remote");
        assert_null(domains);
    }
}

#define TEST(name, setup)                                                      \
    cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_domain_is_made_on_an_export, setup),
        TEST(one_that_cannot_be_made_leaves_nothing, setup_created),
        TEST(what_is_wrong_is_refused_before_it_is_mounted, setup),
        TEST(joined_it_is_mounted_until_it_is_left, setup_created),
        TEST(one_export_is_mounted_once, setup_created),
        TEST(by_many_at_once_too, setup_created),
        TEST(a_restart_finds_it_mounted, setup_created),
        TEST(after_a_reboot_it_is_mounted_again, setup_created),
        TEST(other_options_hold_from_the_next_mount_on, setup_created),
        TEST(what_else_is_mounted_there_is_refused, setup_created),
        TEST(failures_to_mount_are_told_apart, setup_created),
        TEST(one_that_is_busy_for_a_moment_is_unmounted, setup_created),
        TEST(a_server_that_is_silent_is_given_up, setup_created),
        TEST(a_mount_that_is_not_there_is_no_success, setup_created),
        TEST(an_export_without_a_domain_is_unmounted, setup_created),
        TEST(one_in_use_is_not_left, setup_created),
        TEST(open_leases_are_no_use, setup_created),
        TEST(what_cannot_be_unmounted_is_said_and_tried_again, setup_created),
        TEST(joined_from_elsewhere_it_does_not_move, setup_created),
        TEST(systemd_mounts_where_all_see_it, setup_created),
        TEST(lost_storage_is_said_until_it_answers, setup_created),
        TEST(a_damaged_list_stops_the_start, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
