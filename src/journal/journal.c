/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The journal on this host's disk: DIR/<job id>.json. A record is replaced as a
 * whole (file_replace()), so a crash leaves the old or the new one, and at most
 * a ".new" beside it, which never counted and goes at the next load().
 *
 * What cannot be understood stays where it is: it may be the only trace of a
 * job that another version of drayd began.
 */
#include "record.h"
#include <assert.h>
#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/journal.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DIR_MODE = 0700,
    FILE_MODE = 0600,
    ID_LENGTH = UUID_SIZE - 1,
};

static const char suffix[] = ".json";
static const char new_suffix[] = ".json.new";

struct journal {
    char *dir; /* constant: puts of several workers need no lock */
};

/* The jobs found so far. */
struct loaded {
    struct job *jobs;
    size_t n;
    size_t n_damaged;
};

static int record_path(const struct journal *journal, const char *id,
                       char path[PATH_MAX], struct err *err)
{
    if (!uuid_is_valid(id))
        return err_set(err, -EINVAL, "'%s' is not a job's id", id);
    if (!str_format(path, PATH_MAX, "%s/%s%s", journal->dir, id, suffix))
        return err_set(err, -ENAMETOOLONG, "path too long: %s", journal->dir);
    return 0;
}

static int put(void *ctx, const struct job *job, struct err *err)
{
    char path[PATH_MAX];
    int rc = record_path(ctx, job->id, path, err);
    if (rc < 0)
        return rc;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    rc = record_encode(job, &text, &len, err);
    if (rc < 0)
        return rc;
    return file_replace(path, text, len, FILE_MODE, err);
}

static int remove_record(void *ctx, const char *job_id, struct err *err)
{
    const struct journal *journal = ctx;
    char path[PATH_MAX];
    int rc = record_path(journal, job_id, path, err);
    if (rc == 0)
        rc = file_remove(path, err);
    return rc < 0 ? rc : file_sync_dir(journal->dir, err);
}

/* All damaged ones are named, as far as there is room. */
static void note_damaged(struct loaded *loaded, const char *path,
                         const char *cause, struct err *err)
{
    loaded->n_damaged++;
    if (!err)
        return;
    size_t used = strlen(err->message);
    if (err->rc)
        (void)str_format(err->message + used, sizeof(err->message) - used,
                         "; %s: %s", path, cause);
    else
        (void)err_set(err, -EBADMSG, "%s: %s", path, cause);
    (void)err_next(err, "keep the file: it says what was begun. drayd of the "
                        "version that wrote it can read it; look at the "
                        "disks it names before you remove it");
}

static int keep(struct loaded *loaded, const struct job *job)
{
    struct job *jobs = reallocarray(loaded->jobs, loaded->n + 1, sizeof(*jobs));
    if (!jobs)
        return -ENOMEM;
    jobs[loaded->n++] = *job;
    loaded->jobs = jobs;
    return 0;
}

/* "<id>.json", whatever the id is. */
static int load_record(const char *path, const char *name,
                       struct loaded *loaded, struct err *err)
{
    struct err cause = ERR_INIT;
    struct job job;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, RECORD_MAX, &text, &len, &cause);
    if (rc == 0)
        rc = record_decode(text, len, &job, &cause);
    if (rc == 0 && (strncmp(name, job.id, ID_LENGTH) != 0 ||
                    !str_equal(name + ID_LENGTH, suffix)))
        rc = err_set(&cause, -EBADMSG, "is the record of job %s", job.id);
    if (rc == 0)
        rc = keep(loaded, &job);
    if (rc == -ENOMEM)
        return err_set(err, rc, "read %s: out of memory", path);
    if (rc < 0)
        note_damaged(loaded, path, cause.message, err);
    return 0;
}

static int load_entry(const struct journal *journal, const char *name,
                      struct loaded *loaded, struct err *err)
{
    char path[PATH_MAX];
    if (!str_format(path, sizeof(path), "%s/%s", journal->dir, name))
        return err_set(err, -ENAMETOOLONG, "path too long: %s", journal->dir);
    if (str_ends_with(name, new_suffix))
        return file_remove(path, err);
    if (str_ends_with(name, suffix))
        return load_record(path, name, loaded, err);
    return 0; /* not ours */
}

static int load_dir(const struct journal *journal, DIR *dir,
                    struct loaded *loaded, struct err *err)
{
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        /* The stream is this function's: no other thread has it.
         * NOLINTNEXTLINE(concurrency-mt-unsafe) */
        const struct dirent *entry = readdir(dir);
        if (!entry && errno)
            return err_set(err, -errno, "read %s: %m", journal->dir);
        if (!entry)
            return 0;
        rc = load_entry(journal, entry->d_name, loaded, err);
    }
    return rc;
}

static int by_age(const void *a, const void *b)
{
    const struct job *job_a = a;
    const struct job *job_b = b;
    if (job_a->created_ms != job_b->created_ms)
        return job_a->created_ms < job_b->created_ms ? -1 : 1;
    return strcmp(job_a->id, job_b->id);
}

static int load(void *ctx, struct job **ret_jobs, size_t *ret_n,
                size_t *ret_damaged, struct err *err)
{
    const struct journal *journal = ctx;
    struct loaded loaded = { 0 };
    DIR *dir = opendir(journal->dir); /* CLOEXEC in glibc */
    if (!dir)
        return err_set(err, -errno, "open %s: %m", journal->dir);
    int rc = load_dir(journal, dir, &loaded, err);
    (void)closedir(dir); /* only read from */
    if (rc < 0) {
        free(loaded.jobs);
        return rc;
    }
    if (loaded.n)
        qsort(loaded.jobs, loaded.n, sizeof(*loaded.jobs), by_age);
    *ret_jobs = loaded.jobs;
    *ret_n = loaded.n;
    *ret_damaged = loaded.n_damaged;
    return 0;
}

/* Who can write here decides what is deleted as a left-over. */
static int make_private(const char *path, struct err *err)
{
    int rc = file_make_dir(path, DIR_MODE, err);
    if (rc < 0)
        return rc;
    _cleanup_close_ int fd =
        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "open %s: %m", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "stat %s: %m", path);
    if (st.st_uid != geteuid())
        return err_set(err, -EPERM, "%s belongs to user %u, not to drayd's",
                       path, st.st_uid);
    if (fchmod(fd, DIR_MODE) < 0)
        return err_set(err, -errno, "chmod %s: %m", path);
    return 0;
}

int journal_new(const char *dir, struct journal **ret_journal, struct err *err)
{
    int rc = make_private(dir, err);
    if (rc < 0)
        return rc;
    struct journal *journal = calloc(1, sizeof(*journal));
    char *copy = strdup(dir);
    if (!journal || !copy) {
        free(journal);
        free(copy);
        return err_set(err, -ENOMEM, "journal: out of memory");
    }
    journal->dir = copy;
    *ret_journal = journal;
    return 0;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    free(journal->dir);
    free(journal);
}

static int encode(void *ctx, const struct job *job, char **ret_text,
                  struct err *err)
{
    size_t len = 0;
    (void)ctx;
    return record_encode(job, ret_text, &len, err);
}

static int decode(void *ctx, const char *text, struct job *ret_job,
                  struct err *err)
{
    (void)ctx;
    return record_decode(text, strlen(text), ret_job, err);
}

struct journal_port journal_port(struct journal *journal)
{
    static const struct journal_ops ops = {
        .put = put,
        .remove = remove_record,
        .load = load,
        .encode = encode,
        .decode = decode,
    };
    return (struct journal_port){ .ctx = journal, .ops = &ops };
}
