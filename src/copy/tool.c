/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs qemu-img, which shows its progress on stdout. A limit is kept from
 * outside, since qemu-img's own cannot be changed while it runs: its process
 * group is stopped while it is ahead of its allowance, by the bytes that
 * /proc/PID/io says it moved. A stopped process still dies of SIGKILL, ours or
 * that of our own death.
 */
#include "tool.h"
#include "bucket.h"
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_MS = 5,       /* runs this long between two looks, limited */
    IDLE_MS = 250,      /* the same without a limit */
    PROC_IO_MAX = 4096, /* size of /proc/PID/io; it is under 300 bytes */
    KILLED = 128 + SIGKILL,
};

struct tool {
    struct copy *copy;
    struct exec_child child;
    struct bucket bucket;
    const char *counter;       /* of /proc/PID/io: what the limit is on */
    uint64_t moved;            /* by the child, counted so far */
    uint64_t total;            /* bytes; what 100 % stands for */
    char text[TOOL_TEXT_SIZE]; /* the end of its stdout */
    size_t text_n;
    bool stopped;
    bool eof; /* of its stdout */
};

/* --- progress: "    (12.34/100%)\r" --- */

static void report_text(struct tool *tool)
{
    const char *open = strrchr(tool->text, '(');
    if (!open)
        return;
    char *end = NULL;
    double percent = strtod(open + 1, &end);
    if (*end != '/' || percent < 0 || percent > 100)
        return;
    uint64_t done = (uint64_t)(percent / 100 * (double)tool->total);
    copy_report(tool->copy, done, tool->total);
    tool->text_n = 0;
    tool->text[0] = '\0';
}

static void keep_text(struct tool *tool, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\r' || tool->text_n + 1 >= sizeof(tool->text)) {
            report_text(tool);
            tool->text_n = 0;
        } else {
            tool->text[tool->text_n++] = data[i];
        }
        tool->text[tool->text_n] = '\0';
    }
}

static void read_progress(struct tool *tool)
{
    char data[512];
    while (!tool->eof) {
        ssize_t n = read(tool->child.out_fd, data, sizeof(data));
        if (n < 0)
            return; /* nothing now */
        keep_text(tool, data, (size_t)n);
        tool->eof = n == 0;
    }
}

/* --- limit --- */

/* Bytes that the child moved. It may be gone: then 0. */
static uint64_t bytes_moved(const struct tool *tool)
{
    char path[64];
    char text[PROC_IO_MAX];
    (void)str_format(path, sizeof(path), "/proc/%d/io", (int)tool->child.pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *line = strstr(text, tool->counter);
    return line ? strtoull(line + strlen(tool->counter), NULL, 10) : 0;
}

static void set_stopped(struct tool *tool, bool stopped)
{
    if (stopped == tool->stopped)
        return;
    tool->stopped = stopped;
    /* The group, as exec/ made one. Gone already: nothing to hold. */
    (void)kill(-tool->child.pid, stopped ? SIGSTOP : SIGCONT);
}

/* Stops or continues the child. Returns for how long that is right. */
static int64_t govern(struct tool *tool)
{
    uint64_t limit = copy_limit(tool->copy);
    uint64_t moved = bytes_moved(tool);
    if (moved > tool->moved) {
        bucket_spend(&tool->bucket, moved - tool->moved);
        tool->moved = moved;
    }
    int64_t wait_ms = bucket_wait_ms(&tool->bucket, time_now_ms(), limit);
    set_stopped(tool, wait_ms > 0);
    if (wait_ms > 0)
        return wait_ms;
    return limit ? SLICE_MS : IDLE_MS;
}

/* --- running --- */

/* Returns when the child ended (0, *ret_status) or after a stop. */
static int attend(struct tool *tool, int *ret_status)
{
    enum {
        WAKE,
        OUT,
        END,
        FDS
    };
    for (;;) {
        if (copy_is_stopped(tool->copy))
            return -ECANCELED;
        int64_t timeout_ms = govern(tool);
        struct pollfd fds[FDS] = {
            [OUT] = {.fd = tool->eof ? -1 : tool->child.out_fd,
                     .events = POLLIN                                           },
            [END] = { .fd = tool->child.pidfd,                  .events = POLLIN},
        };
        copy_wait(tool->copy, fds, FDS, timeout_ms);
        read_progress(tool);
        int rc =
            fds[END].revents ? exec_child_wait(&tool->child, 0, ret_status) : 1;
        if (rc <= 0)
            return rc;
    }
}

static void get_result(const struct tool *tool, int status,
                       struct tool_result *ret)
{
    ret->status = status;
    (void)str_copy(ret->text, sizeof(ret->text), tool->text);
    (void)str_copy(ret->error, sizeof(ret->error), tool->child.err);
}

int tool_run(struct copy *copy, const struct tool_args *args, uint64_t total,
             enum tool_measure measure, struct tool_result *ret,
             struct err *err)
{
    struct tool tool = {
        .copy = copy,
        .total = total,
        .counter = measure == TOOL_READS ? "rchar: " : "wchar: ",
    };
    char dir[PATH_MAX]; /* of the destination; no path: none */
    (void)str_copy(dir, sizeof(dir), copy->spec.dst_path);
    char *slash = copy_is_path(dir) ? strrchr(dir, '/') : dir;
    *slash = '\0';
    struct exec_options options = {
        .cwd = dir[0] ? dir : "/",
        .deadline_ms = INT64_MAX, /* as long as the data takes */
        .also_fd = copy->guard ? copy->guard->fd : 0,
    };
    int rc = exec_start(args->v, &options, &tool.child, err);
    if (rc)
        return rc;
    int status = 0;
    rc = attend(&tool, &status);
    if (rc) {
        exec_child_kill(&tool.child);
        return rc == -ECANCELED ? rc
                                : copy_error(err, rc, "wait for", args->v[0]);
    }
    get_result(&tool, status, ret);
    return 0;
}

bool tool_was_killed(const struct tool_result *result)
{
    return result->status == KILLED;
}

void tool_add(struct tool_args *args, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        args->v[args->n++] = words[i]; /* the longest line fits, and a NULL */
}

const char *tool_cache(const char *path, const char *buffered)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT;
    _cleanup_close_ int fd = open(path, flags);
    return fd < 0 && errno == EINVAL ? buffered : "none";
}

const char *tool_format(enum volume_format format)
{
    return format == VOLUME_RAW ? "raw" : "qcow2";
}
