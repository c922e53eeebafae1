/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Running a program to its end: collects both of its outputs until it ended,
 * took too long or wrote too much. The end is that of the program, not that of
 * its output: somebody it started may hold the pipe open for ever.
 *
 * After SIGKILL its end is awaited without a deadline: a program that hangs in
 * the kernel may still write, and who runs it must not go on as if it did not.
 */
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

enum {
    DEFAULT_TIMEOUT_MS = 30 * 1000,
    FIRST_SIZE = 4096,
    SIGNAL_BASE = 128,
};

struct output {
    char *text; /* one byte longer than size, for the NUL */
    size_t size;
    size_t len;
};

static int grow(struct output *output)
{
    if (output->len < output->size)
        return 0;
    if (output->size >= EXEC_OUTPUT_MAX)
        return -EFBIG;
    size_t size = output->size ? output->size * 2 : FIRST_SIZE;
    char *text = realloc(output->text, size + 1);
    if (!text)
        return -ENOMEM;
    output->text = text;
    output->size = size;
    return 0;
}

/* Reads what is there. At the end of the output *fd becomes -1. */
static int collect(struct output *output, int *fd)
{
    while (*fd >= 0) {
        int rc = grow(output);
        if (rc == -EFBIG) { /* full; one byte more is too much */
            char byte = 0;
            if (read(*fd, &byte, 1) == 1)
                return rc;
            return 0;
        }
        if (rc < 0)
            return rc;
        ssize_t n =
            read(*fd, output->text + output->len, output->size - output->len);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            util_closep(fd);
            *fd = -1;
            return n < 0 ? -errno : 0;
        }
        output->len += (size_t)n;
    }
    return 0;
}

/* Until the program ended: what it wrote is in @output, its status in
 * *ret_status. A failure leaves it running. */
static int follow(struct exec_child *child, int64_t deadline_ms,
                  struct output *output, int *ret_status)
{
    /* Our own: exec_child_wait() closes the child's. */
    _cleanup_close_ int out_fd = TAKE_FD(child->out_fd);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = out_fd,         .events = POLLIN},
            { .fd = child->err_fd, .events = POLLIN},
            { .fd = child->pidfd,  .events = POLLIN},
        };
        int64_t left_ms = deadline_ms - time_now_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        (void)poll(fds, ARRAY_SIZE(fds),
                   left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        int rc = collect(output, &out_fd);
        if (rc < 0)
            return rc;
        if (exec_child_wait(child, 0, ret_status) == 0)
            return collect(output, &out_fd);
    }
}

static int fail(int rc, const char *program, const char *last_words,
                struct err *err)
{
    const char *mark = last_words[0] ? ": " : "";
    if (rc == -ETIMEDOUT)
        return err_set(err, rc, "%s: not done in time, killed%s%s", program,
                       mark, last_words);
    if (rc == -EFBIG)
        return err_set(err, rc, "%s: wrote more than %d bytes, killed", program,
                       EXEC_OUTPUT_MAX);
    errno = -rc;
    return err_set(err, rc, "%s: cannot read its output: %m", program);
}

static int64_t deadline_of(const struct exec_options *options)
{
    if (options && options->deadline_ms)
        return options->deadline_ms;
    return time_now_ms() + DEFAULT_TIMEOUT_MS;
}

int exec_run(const char *const *argv, const struct exec_options *options,
             struct exec_result *ret_result, struct err *err)
{
    int64_t deadline_ms = deadline_of(options);
    struct exec_child child = { .pidfd = -1, .out_fd = -1, .err_fd = -1 };
    int rc = exec_start(argv, options, &child, err);
    if (rc < 0)
        return rc;
    struct output output = { 0 };
    int status = 0;
    rc = grow(&output); /* a program that writes nothing gives "" */
    if (rc == 0)
        rc = follow(&child, deadline_ms, &output, &status);
    exec_child_kill(&child); /* nothing to do for one that ended */
    if (rc < 0) {
        free(output.text);
        return fail(rc, argv[0], child.err, err);
    }
    output.text[output.len] = '\0';
    *ret_result = (struct exec_result){
        .status = status,
        .out = output.text,
        .out_len = output.len,
    };
    (void)str_copy(ret_result->err, sizeof(ret_result->err), child.err);
    return 0;
}

int exec_check(const char *const *argv, const struct exec_options *options,
               struct exec_result *ret_result, struct err *err)
{
    struct exec_result result = { 0 };
    int rc = exec_run(argv, options, &result, err);
    if (rc < 0)
        return rc;
    if (result.status == 0) {
        *ret_result = result;
        return 0;
    }
    const char *mark = result.err[0] ? ": " : "";
    if (result.status > SIGNAL_BASE && result.status < SIGNAL_BASE + NSIG)
        rc = err_set(err, -EIO, "%s: killed by signal %d%s%s", argv[0],
                     result.status - SIGNAL_BASE, mark, result.err);
    else
        rc = err_set(err, -EIO, "%s: exit status %d%s%s", argv[0],
                     result.status, mark, result.err);
    exec_result_deinit(&result);
    return rc;
}

void exec_result_deinit(struct exec_result *result)
{
    free(result->out);
    result->out = NULL;
    result->out_len = 0;
}
