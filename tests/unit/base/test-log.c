/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log lines, as they arrive on stderr: a pipe stands in for it.
 */
#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char caught[8192];
static int saved_stderr = -1;
static int read_end = -1;

static int catch_stderr(void **state)
{
    int ends[2];
    (void)state;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    read_end = ends[0];
    int rc = dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    return rc < 0 ? -1 : 0;
}

/* cmocka reports on stderr: it gets it back before anything is asserted. */
static const char *give_back(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    ssize_t n = read(read_end, caught, sizeof(caught) - 1);
    caught[n > 0 ? n : 0] = '\0';
    close(read_end);
    close(saved_stderr);
    return caught;
}

static void writes_a_line(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, false);
    log_info("job=%s: %d", "a", 7);
    assert_string_equal(give_back(), "job=a: 7\n");
}

static void gives_the_journal_its_priority(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_DEBUG, true);
    log_error("a");
    log_warning("b");
    log_info("c");
    log_debug("d");
    assert_string_equal(give_back(), "<3>a\n<4>b\n<6>c\n<7>d\n");
}

static void leaves_out_what_nobody_asked_for(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_WARNING, false);
    log_info("a");
    log_debug("b");
    log_warning("c");
    assert_string_equal(give_back(), "c\n");
}

static void escapes_what_is_not_text(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, false);
    log_info("vm=%s", "a\n<3>b\x1b[2J\x7f\xff\xc2\x9b\xc3\xa4");
    assert_string_equal(give_back(), "vm=a\\x0a<3>b\\x1b[2J\\x7f\\xff\\xc2\\x9b"
                                     "\xc3\xa4\n");
}

static void bounds_its_lines(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_setup(LOG_LEVEL_INFO, true);
    log_info("%s", text);
    const char *line = give_back();
    size_t len = strlen(line);
    assert_true(len <= 1024 && len > 1000);
    assert_true(str_ends_with(line, "...\n"));
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void says_the_errno_and_leaves_it(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, false);
    errno = ENOENT;
    log_info("open: %m");
    int after = errno;
    assert_string_equal(give_back(), "open: No such file or directory\n");
    assert_int_equal(after, ENOENT);
}

static void leaves_errno_when_nobody_listens(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, false);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_info("a");
    int after = errno;
    (void)give_back();
    assert_int_equal(after, ENOENT);
}

#define CATCHING(test) cmocka_unit_test_setup(test, catch_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CATCHING(writes_a_line),
        CATCHING(gives_the_journal_its_priority),
        CATCHING(leaves_out_what_nobody_asked_for),
        CATCHING(escapes_what_is_not_text),
        CATCHING(bounds_its_lines),
        CATCHING(says_the_errno_and_leaves_it),
        CATCHING(leaves_errno_when_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
