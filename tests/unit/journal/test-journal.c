/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The journal in a directory: what survives, what goes, what is only named.
 */
#include "sample.h"
#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/journal.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define OTHER_ID "77777777-7777-4777-8777-777777777777"

static char dir[64];
static struct journal *journal;
static struct journal_port port;
static struct err err;

static const char *in_dir(const char *name)
{
    static char path[PATH_MAX];
    assert_true(str_format(path, sizeof(path), "%s/%s", dir, name));
    return path;
}

static int set_up(void **state)
{
    (void)state;
    assert_true(str_copy(dir, sizeof(dir), "/tmp/drayd-test-XXXXXX"));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(rmdir(dir), 0);
    err_clear(&err);
    assert_int_equal(journal_new(dir, &journal, &err), 0);
    port = journal_port(journal);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    journal_free(journal);
    DIR *entries = opendir(dir);
    assert_non_null(entries);
    const struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no threads here */
    while ((entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] != '.')
            assert_int_equal(unlink(in_dir(entry->d_name)), 0);
    }
    closedir(entries);
    return rmdir(dir);
}

static void write_file(const char *name, const char *text)
{
    assert_int_equal(file_replace(in_dir(name), text, strlen(text), 0600, NULL),
                     0);
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(in_dir(name), &st) == 0;
}

static int put(const struct job *job)
{
    err_clear(&err);
    return port.ops->put(port.ctx, job, &err);
}

struct found {
    struct job *jobs;
    size_t n;
    size_t n_damaged;
};

static struct found load(void)
{
    struct found found = { 0 };
    err_clear(&err);
    assert_int_equal(
        port.ops->load(port.ctx, &found.jobs, &found.n, &found.n_damaged, &err),
        0);
    return found;
}

static void loads_what_was_put(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    struct found found = load();
    assert_int_equal(found.n, 1);
    assert_int_equal(found.n_damaged, 0);
    assert_int_equal(err.rc, 0);
    assert_jobs_equal(&job, &found.jobs[0]);
    free(found.jobs);
}

static void loads_the_last_put_only(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    job.state = JOB_PIVOTED;
    assert_int_equal(put(&job), 0);
    struct found found = load();
    assert_int_equal(found.n, 1);
    assert_int_equal(found.jobs[0].state, JOB_PIVOTED);
    free(found.jobs);
}

static void loads_the_oldest_first(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    assert_true(str_copy(job.id, sizeof(job.id), OTHER_ID));
    job.created_ms--;
    assert_int_equal(put(&job), 0);
    struct found found = load();
    assert_int_equal(found.n, 2);
    assert_string_equal(found.jobs[0].id, OTHER_ID);
    assert_string_equal(found.jobs[1].id, SAMPLE_ID);
    free(found.jobs);
}

static void loads_nothing_from_an_empty_directory(void **state)
{
    (void)state;
    struct found found = load();
    assert_int_equal(found.n, 0);
    free(found.jobs);
}

static void removes_a_record_once_and_again(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    assert_int_equal(port.ops->remove(port.ctx, SAMPLE_ID, NULL), 0);
    assert_false(exists(SAMPLE_ID ".json"));
    assert_int_equal(port.ops->remove(port.ctx, SAMPLE_ID, NULL), 0);
}

static void keeps_and_names_damaged_records(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    write_file(OTHER_ID ".json", "{\"version\": 6}\n");
    struct found found = load();
    assert_int_equal(found.n, 1);
    assert_int_equal(found.n_damaged, 1);
    assert_non_null(strstr(err.message, in_dir(OTHER_ID ".json")));
    assert_non_null(strstr(err.message, "version 6"));
    assert_true(err.next[0] != '\0');
    assert_true(exists(OTHER_ID ".json"));
    free(found.jobs);
}

static void names_several_damaged_records(void **state)
{
    (void)state;
    write_file(SAMPLE_ID ".json", "{");
    write_file(OTHER_ID ".json", "");
    struct found found = load();
    assert_int_equal(found.n_damaged, 2);
    assert_non_null(strstr(err.message, SAMPLE_ID));
    assert_non_null(strstr(err.message, OTHER_ID));
    free(found.jobs);
}

static void takes_no_record_under_another_name(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    char from[PATH_MAX];
    assert_true(str_copy(from, sizeof(from), in_dir(SAMPLE_ID ".json")));
    assert_int_equal(rename(from, in_dir(OTHER_ID ".json")), 0);
    struct found found = load();
    assert_int_equal(found.n, 0);
    assert_int_equal(found.n_damaged, 1);
    free(found.jobs);
}

static void follows_no_links(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    char from[PATH_MAX];
    assert_true(str_copy(from, sizeof(from), in_dir(SAMPLE_ID ".json")));
    assert_int_equal(rename(from, in_dir("elsewhere")), 0);
    assert_int_equal(symlink("elsewhere", from), 0);
    struct found found = load();
    assert_int_equal(found.n, 0);
    assert_int_equal(found.n_damaged, 1);
    free(found.jobs);
}

static void removes_what_a_crash_left_half_written(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);
    write_file(SAMPLE_ID ".json.new", "{\"version");
    write_file("README", "not ours");
    struct found found = load();
    assert_int_equal(found.n, 1);
    assert_int_equal(found.n_damaged, 0);
    assert_false(exists(SAMPLE_ID ".json.new"));
    assert_true(exists("README"));
    free(found.jobs);
}

static void refuses_ids_that_are_none(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_true(str_copy(job.id, sizeof(job.id), "../../etc/passwd"));
    assert_int_equal(put(&job), -EINVAL);
    assert_int_equal(port.ops->remove(port.ctx, "../x", NULL), -EINVAL);
}

/* What a full disk does: write() ends early. */
static void keeps_the_old_record_when_the_disk_is_full(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    assert_int_equal(put(&job), 0);

    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = { .rlim_cur = 100, .rlim_max = before.rlim_max };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction old;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    job.state = JOB_PIVOTED;
    int rc = put(&job);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);

    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.message, SAMPLE_ID));
    assert_false(exists(SAMPLE_ID ".json.new"));
    struct found found = load();
    assert_int_equal(found.n, 1);
    assert_int_equal(found.jobs[0].state, JOB_CONVERGING);
    free(found.jobs);
}

static void keeps_the_directory_to_itself(void **state)
{
    (void)state;
    struct stat st;
    struct journal *second = NULL;
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(journal_new(dir, &second, NULL), 0);
    journal_free(second);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(journal_new(in_dir("no/such"), &second, NULL), -ENOENT);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void a_job_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct job job;
    sample_job(&job);
    job.vm_name[0] = '\xff';
    assert_true(put(&job) < 0);
    assert_true(err.message[0]);
    assert_false(exists(SAMPLE_ID ".json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(loads_what_was_put),
        IN_DIR(loads_the_last_put_only),
        IN_DIR(loads_the_oldest_first),
        IN_DIR(loads_nothing_from_an_empty_directory),
        IN_DIR(removes_a_record_once_and_again),
        IN_DIR(keeps_and_names_damaged_records),
        IN_DIR(names_several_damaged_records),
        IN_DIR(takes_no_record_under_another_name),
        IN_DIR(follows_no_links),
        IN_DIR(removes_what_a_crash_left_half_written),
        IN_DIR(refuses_ids_that_are_none),
        IN_DIR(keeps_the_old_record_when_the_disk_is_full),
        IN_DIR(a_job_that_cannot_be_written_is_an_error),
        IN_DIR(keeps_the_directory_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
