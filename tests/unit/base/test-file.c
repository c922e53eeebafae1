/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files: whole, bounded, no links, the old one stands after a failure.
 */
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[64];
static char path[128];
static char new_path[160];
static struct err err;

static int set_up(void **state)
{
    (void)state;
    err_clear(&err);
    assert_true(str_copy(dir, sizeof(dir), "/tmp/drayd-test-XXXXXX"));
    assert_non_null(mkdtemp(dir));
    assert_true(str_format(path, sizeof(path), "%s/file", dir));
    assert_true(str_format(new_path, sizeof(new_path), "%s.new", path));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path); /* whatever the test left */
    (void)unlink(new_path);
    (void)rmdir(path);
    return rmdir(dir);
}

static int put(const char *text)
{
    return file_replace(path, text, strlen(text), 0640, &err);
}

static void assert_holds(const char *expected)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    assert_int_equal(file_read(path, 1024, &text, &len, NULL), 0);
    assert_int_equal(len, strlen(expected));
    assert_string_equal(text, expected);
}

static void replaces_and_reads(void **state)
{
    (void)state;
    assert_int_equal(put("one"), 0);
    assert_holds("one");
    assert_int_equal(put("a"), 0);
    assert_holds("a");
    assert_int_equal(put(""), 0);
    assert_holds("");
    assert_int_equal(access(new_path, F_OK), -1);
}

static void sets_the_mode_whatever_the_umask(void **state)
{
    (void)state;
    struct stat st;
    mode_t before = umask(0077);
    int rc = file_replace(path, "x", 1, 0664, NULL);
    (void)umask(before); /* cannot fail */
    assert_int_equal(rc, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0664);
}

static void uses_a_leftover_of_a_crash(void **state)
{
    (void)state;
    assert_int_equal(
        file_replace(new_path, "half of a longer one", 20, 0600, NULL), 0);
    assert_int_equal(put("whole"), 0);
    assert_holds("whole");
}

static void follows_no_link(void **state)
{
    (void)state;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(file_read(path, 1 << 20, &text, &len, &err), -ELOOP);
    assert_int_equal(symlink("elsewhere", new_path), 0);
    assert_int_equal(put("x"), -ELOOP);
    assert_null(text);
}

static void reads_regular_files_only(void **state)
{
    (void)state;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    assert_int_equal(file_read(dir, 10, &text, &len, NULL), -EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, 10, &text, &len, NULL), -EINVAL);
    assert_int_equal(file_read("/dev/zero", 10, &text, &len, NULL), -EINVAL);
    assert_null(text);
}

static void bounds_what_it_reads(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 10, 4095, 4096, 4097, 100000 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t size = sizes[i];
        _cleanup_free_ char *data = calloc(1, size);
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        assert_int_equal(file_replace(path, data, size, 0600, NULL), 0);
        assert_int_equal(file_read(path, size - 1, &text, &len, NULL), -EFBIG);
        assert_null(text);
        assert_int_equal(file_read(path, size, &text, &len, NULL), 0);
        assert_int_equal(len, size);
        assert_memory_equal(text, data, size);
    }
}

static void tells_a_missing_file_apart(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(file_read(path, 10, &text, &len, &err), -ENOENT);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "No such file"));
}

static void keeps_the_old_file_after_a_failure(void **state)
{
    (void)state;
    assert_int_equal(put("old"), 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = { .rlim_cur = 4, .rlim_max = before.rlim_max };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction handler;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &handler), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = put("new and longer");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &handler, NULL), 0);
    assert_int_equal(rc, -EFBIG);
    assert_int_equal(access(new_path, F_OK), -1);
    assert_holds("old");
}

static void keeps_the_place_when_rename_fails(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(put("x"), -EISDIR);
    assert_int_equal(access(new_path, F_OK), -1);
    assert_non_null(strstr(err.message, "rename"));
}

static void refuses_paths_that_are_too_long(void **state)
{
    (void)state;
    char long_path[PATH_MAX];
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(file_replace(long_path, "x", 1, 0600, NULL),
                     -ENAMETOOLONG);
}

static void makes_directories(void **state)
{
    (void)state;
    struct stat st;
    mode_t before = umask(0077);
    int rc = file_make_dir(path, 0755, NULL);
    (void)umask(before); /* cannot fail */
    assert_int_equal(rc, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(file_make_dir(path, 0700, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void sees_that_a_file_is_no_directory(void **state)
{
    (void)state;
    assert_int_equal(put("x"), 0);
    assert_int_equal(file_make_dir(path, 0700, &err), -ENOTDIR);
    assert_int_equal(file_sync_dir(path, NULL), -ENOTDIR);
    assert_int_equal(file_sync_dir(dir, NULL), 0);
}

static void removes_once_and_again(void **state)
{
    (void)state;
    assert_int_equal(put("x"), 0);
    assert_int_equal(file_remove(path, NULL), 0);
    assert_int_equal(file_remove(path, NULL), 0);
    assert_int_equal(file_remove(dir, &err), -EISDIR);
}

static void writes_to_full_devices_fail(void **state)
{
    (void)state;
    _cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, "x", 1), -ENOSPC);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(replaces_and_reads),
        IN_DIR(sets_the_mode_whatever_the_umask),
        IN_DIR(uses_a_leftover_of_a_crash),
        IN_DIR(follows_no_link),
        IN_DIR(reads_regular_files_only),
        IN_DIR(bounds_what_it_reads),
        IN_DIR(tells_a_missing_file_apart),
        IN_DIR(keeps_the_old_file_after_a_failure),
        IN_DIR(keeps_the_place_when_rename_fails),
        IN_DIR(refuses_paths_that_are_too_long),
        IN_DIR(makes_directories),
        IN_DIR(sees_that_a_file_is_no_directory),
        IN_DIR(removes_once_and_again),
        cmocka_unit_test(writes_to_full_devices_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
