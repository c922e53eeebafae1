/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file that does not answer is one whose reader waits for the test.
 */
#include <dray/base/lock.h>
#include <dray/base/reach.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum {
    LONG_MS = 60000, /* never waited for */
    SHORT_MS = 300,
};

static char top[] = "/tmp/drayd-test-reach-XXXXXX";
static struct reach *reach;

static struct {
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    bool hangs;
    int waiting;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER };

static void make_file(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static int setup(void **state)
{
    (void)state;
    char real[PATH_MAX];
    if (!mkdtemp(top) || !realpath(top, real) || chdir(real) < 0 ||
        mkdir("dir", 0700) < 0 || mkdir("dir/sub", 0700) < 0)
        return -1;
    make_file("dir/file");
    make_file("dir/other");
    return symlink("dir/sub", "relative") || symlink(real, "dir/absolute") ||
                   symlink("../../relative/../file", "dir/sub/mixed") ||
                   symlink("loop", "loop") || symlink("none", "dangling")
               ? -1
               : reach_new(LONG_MS, &reach);
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = { "dir/file",     "dir/other",
                                         "dir/absolute", "dir/sub/mixed",
                                         "loop",         "dangling",
                                         "relative" };
    reach_free(reach);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlink(names[i]);
    return rmdir("dir/sub") || rmdir("dir") || rmdir(top);
}

static char *path_of(const char *name)
{
    char *path = str_printf("%s/%s", top, name);
    assert_non_null(path);
    return path;
}

/* As the C library does it. */
static void expect_as_realpath(const char *name)
{
    char expected[PATH_MAX], real[PATH_MAX] = "";
    char *path = path_of(name);
    bool there = realpath(path, expected) != NULL;
    int error = errno;
    int rc = reach_real(reach, path, real);
    if (there && strcmp(real, expected) != 0)
        fail_msg("%s: %s", name, real);
    if (rc != (there ? 0 : -error))
        fail_msg("%s: %d", name, rc);
    free(path);
}

static void names_are_resolved_as_realpath_does(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "/",
        ".",
        "..",
        "dir/file",
        "dir//.///sub/../file",
        "dir/absolute/relative/mixed",
        "relative/../other",
        "../../../../../../../..",
        "dir/sub/",
        "dir/sub/.",
        "none",
        "none/../dir",
        "dir/file/below",
        "dangling",
        "loop",
        "...",
        "dir/.file",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        expect_as_realpath(names[i]);
}

static void other_names_are_none(void **state)
{
    (void)state;
    char real[PATH_MAX];
    char longest[PATH_MAX + 1];
    assert_int_equal(reach_real(reach, "/", real), 0);
    assert_string_equal(real, "/");
    assert_int_equal(reach_real(reach, "dir", real), -EINVAL);
    assert_int_equal(reach_real(reach, "", real), -EINVAL);
    memset(longest, 'x', PATH_MAX);
    longest[0] = '/';
    longest[PATH_MAX] = '\0';
    assert_int_equal(reach_real(reach, longest, real), -ENAMETOOLONG);
}

/* reach_fn */
static void name_it(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    (void)str_copy(ret_text, REACH_TEXT_SIZE, strrchr(path, '/'));
}

static void expect_text(const char *name, const char *expected)
{
    char text[REACH_TEXT_SIZE] = "before";
    char *path = path_of(name);
    assert_int_equal(reach_read(reach, path, name_it, text), 0);
    assert_string_equal(text, expected);
    free(path);
}

static void the_real_file_is_read(void **state)
{
    (void)state;
    expect_text("relative/mixed", "/file");
    expect_text("none", "");
    expect_text("dir/file/none", "");
    char text[REACH_TEXT_SIZE];
    char *path = path_of("loop");
    assert_int_equal(reach_read(reach, path, name_it, text), -ELOOP);
    free(path);
}

/* --- what does not answer ---------------------------------------------- */

/* reach_fn */
static void hang(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    (void)pthread_mutex_lock(&server.lock);
    server.waiting++;
    while (server.hangs)
        (void)pthread_cond_wait(&server.changed, &server.lock);
    server.waiting--;
    (void)pthread_cond_broadcast(&server.changed);
    (void)pthread_mutex_unlock(&server.lock);
    name_it(path, ret_text);
}

static void set_hangs(bool hangs)
{
    (void)pthread_mutex_lock(&server.lock);
    server.hangs = hangs;
    (void)pthread_cond_broadcast(&server.changed);
    while (!hangs && server.waiting > 0)
        (void)pthread_cond_wait(&server.changed, &server.lock);
    (void)pthread_mutex_unlock(&server.lock);
}

static int waiting(void)
{
    SCOPED_LOCK(&server.lock);
    return server.waiting;
}

static int ask(struct reach *of, const char *name, reach_fn fn)
{
    char text[REACH_TEXT_SIZE];
    char *path = path_of(name);
    int rc = reach_read(of, path, fn, text);
    free(path);
    return rc;
}

static void hangs_at_once(struct reach *of, const char *name)
{
    int64_t begin_ms = time_now_ms();
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask(of, name, hang), REACH_HANGS);
    assert_true(time_now_ms() - begin_ms < 20 * SHORT_MS / 2);
}

/* Then all that is there hangs, the links, too. */
static bool is_mounted(void)
{
    struct stat here, root;
    assert_int_equal(stat(top, &here), 0);
    assert_int_equal(stat("/", &root), 0);
    return here.st_dev != root.st_dev;
}

static void what_hangs_is_left_alone_until_it_answers(void **state)
{
    (void)state;
    struct reach *hurried = NULL;
    char real[PATH_MAX], expected[PATH_MAX];
    char *path = path_of("dir/file"), *link = path_of("relative/mixed");
    assert_int_equal(reach_new(SHORT_MS, &hurried), 0);
    assert_int_equal(reach_real(reach, path, expected), 0);
    set_hangs(true);
    assert_int_equal(ask(hurried, "dir/file", hang), REACH_HANGS);
    /* No further thread waits for it, by whichever name. */
    hangs_at_once(hurried, "relative/mixed");
    assert_int_equal(waiting(), 1);
    /* Links are followed up to it. */
    assert_int_equal(reach_real(hurried, link, real), REACH_HANGS);
    assert_string_equal(real, is_mounted() ? link : expected);
    /* So are other file systems. A busy machine may need more than a try. */
    while (reach_real(hurried, "/proc/self/status", real) != 0)
        assert_int_equal(waiting(), 1);
    set_hangs(false);
    while (ask(hurried, "dir/file", name_it) != 0)
        assert_int_equal(waiting(), 0);
    reach_free(hurried);
    free(path);
    free(link);
}

static void *answer_later(void *arg)
{
    (void)poll(NULL, 0, SHORT_MS);
    set_hangs(false);
    return arg;
}

static void a_short_hang_is_waited_for(void **state)
{
    (void)state;
    struct reach *hurried = NULL;
    pthread_t later;
    assert_int_equal(reach_new(SHORT_MS, &hurried), 0);
    assert_false(reach_settle(hurried));
    set_hangs(true);
    assert_int_equal(ask(hurried, "dir/file", hang), REACH_HANGS);
    int64_t begin_ms = time_now_ms();
    assert_int_equal(pthread_create(&later, NULL, answer_later, NULL), 0);
    assert_true(reach_settle(hurried));
    assert_true(time_now_ms() - begin_ms >= SHORT_MS);
    assert_false(reach_settle(hurried));
    (void)pthread_join(later, NULL);
    reach_free(hurried);
}

static void one_that_hangs_keeps_what_it_needs(void **state)
{
    (void)state;
    struct reach *hurried = NULL;
    assert_int_equal(reach_new(SHORT_MS, &hurried), 0);
    set_hangs(true);
    assert_int_equal(ask(hurried, "dir/other", hang), REACH_HANGS);
    reach_free(hurried);
    assert_int_equal(ask(reach, "dir/other", name_it), 0);
    set_hangs(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_resolved_as_realpath_does),
        cmocka_unit_test(other_names_are_none),
        cmocka_unit_test(the_real_file_is_read),
        cmocka_unit_test(what_hangs_is_left_alone_until_it_answers),
        cmocka_unit_test(a_short_hang_is_waited_for),
        cmocka_unit_test(one_that_hangs_keeps_what_it_needs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
