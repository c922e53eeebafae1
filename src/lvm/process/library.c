/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * liblvm2cmd: one command after the other in this process, with its settings
 * and regular expressions ready. It prints as the command does; stdout and
 * stderr lead into files in memory, which costs less than its log function:
 * that one gets every debug message, formatted.
 */
#include "library.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <lvm2cmd.h>
#include <string.h>
#include <sys/mman.h>

enum {
    OUTPUT_MAX = 64 * 1024 * 1024,
    LAST_WORDS = 400,
};

/* A file in memory takes the place of @fd. */
static int capture(int fd, const char *name)
{
    int file = memfd_create(name, MFD_CLOEXEC);
    if (file < 0)
        return -errno;
    if (dup2(file, fd) < 0) {
        int rc = -errno;
        (void)close(file); /* nothing in it */
        return rc;
    }
    return file;
}

int library_init(struct library *library, const char *dir, struct err *err)
{
    /* Before any thread: it reads the settings' place from there. */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
    if (setenv("LVM_SYSTEM_DIR", dir, 1) < 0)
        return err_set(err, -errno, "dray-lvm: environment: %m");
    *library = (struct library){ .out_fd = -1, .err_fd = -1 };
    library->told_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    library->handle = lvm2_init();
    if (!library->handle)
        return err_set(err, -EIO, "dray-lvm: LVM does not start with %s", dir);
    lvm2_log_level(library->handle, LVM2_LOG_PRINT);
    library->out_fd = capture(STDOUT_FILENO, "lvm-out");
    library->err_fd = capture(STDERR_FILENO, "lvm-err");
    if (library->told_fd < 0 || library->out_fd < 0 || library->err_fd < 0)
        return err_set(err, -EMFILE, "dray-lvm: cannot capture LVM's output");
    return 0;
}

void library_deinit(struct library *library)
{
    if (library->handle)
        lvm2_exit(library->handle);
    if (library->told_fd >= 0)
        (void)dup2(library->told_fd, STDERR_FILENO); /* for our own words */
    util_closep(&library->told_fd);
    util_closep(&library->out_fd);
    util_closep(&library->err_fd);
}

static void rewind_file(int fd)
{
    (void)ftruncate(fd, 0); /* of a memory file: cannot fail */
    (void)lseek(fd, 0, SEEK_SET);
}

/* The last @max bytes that were written. NULL when there are none. */
static char *take_output(int fd, off_t max)
{
    off_t size = lseek(fd, 0, SEEK_END);
    off_t start = size > max ? size - max : 0;
    if (size <= 0)
        return NULL;
    char *text = calloc(1, (size_t)(size - start) + 1);
    if (text && pread(fd, text, (size_t)(size - start), start) < 0)
        text[0] = '\0';
    return text;
}

int library_run(struct library *library, const char *command, char **ret_out,
                struct err *err)
{
    rewind_file(library->out_fd);
    rewind_file(library->err_fd);
    int rc = lvm2_run(library->handle, command);
    (void)fflush(stdout); /* into memory */
    if (rc == LVM2_COMMAND_SUCCEEDED) {
        *ret_out = take_output(library->out_fd, OUTPUT_MAX);
        return 0;
    }
    _cleanup_free_ char *words = take_output(library->err_fd, LAST_WORDS);
    if (words)
        str_make_line(words);
    return err_set_code(err, ERR_STORAGE, "LVM: %.*s: %s",
                        (int)strcspn(command, " "), command,
                        words && words[0] ? words : "failed without a word");
}
