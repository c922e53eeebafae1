/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies through qemu-img, for a change of the format. Only what this one
 * layer holds is written: with -B qemu-img asks for the layer's own
 * allocation, and zeros over data of a parent stay zeros.
 *
 * It works with direct I/O and shows its progress on stdout. A limit is kept
 * from outside, since qemu-img's own cannot be changed while it runs: its
 * process group is stopped while it is ahead of its allowance, by the bytes
 * that /proc/PID/io says it wrote. A stopped process still dies of SIGKILL,
 * ours or that of our own death.
 *
 * Formats come from our records (-f, -O), never from the data; headers were
 * checked before. The destination's backing name is a bare volume id: it is
 * looked up in the destination's directory.
 */
#include "bucket.h"
#include "copy.h"
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ARGS_MAX = 32,
    SLICE_MS = 5,       /* runs this long between two looks, limited */
    IDLE_MS = 250,      /* the same without a limit */
    PROC_IO_MAX = 4096, /* size of /proc/PID/io; it is under 300 bytes */
};

struct tool {
    struct copy *copy;
    struct exec_child child;
    struct bucket bucket;
    uint64_t written; /* by the child, counted so far */
    uint64_t total;   /* bytes; what 100 % stands for */
    char text[64];    /* the end of its stdout */
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

/* Bytes that the child handed to write calls. It may be gone: then 0. */
static uint64_t bytes_written(pid_t pid)
{
    char path[64];
    char text[PROC_IO_MAX];
    (void)str_format(path, sizeof(path), "/proc/%d/io", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *line = strstr(text, "wchar: ");
    return line ? strtoull(line + strlen("wchar: "), NULL, 10) : 0;
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
    uint64_t written = bytes_written(tool->child.pid);
    if (written > tool->written) {
        bucket_spend(&tool->bucket, written - tool->written);
        tool->written = written;
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

static int tool_error(struct err *err, const struct tool *tool)
{
    const struct copy_spec *spec = &tool->copy->spec;
    const char *text = tool->child.err;
    /* qemu-img has one exit status for all failures. LC_ALL=C. */
    if (strstr(text, "No space left") || strstr(text, "quota exceeded"))
        return copy_error(err, -ENOSPC, "write", spec->dst_path);
    return err_set(err, -EIO, "convert %s to %s: %s", spec->src_path,
                   spec->dst_path, text[0] ? text : "qemu-img failed");
}

static int run_tool(struct tool *tool, const char *const *argv, struct err *err)
{
    char dir[PATH_MAX]; /* of the destination; absolute, op_start() checked */
    (void)str_copy(dir, sizeof(dir), tool->copy->spec.dst_path);
    *strrchr(dir, '/') = '\0';
    struct exec_options options = {
        .cwd = dir[0] ? dir : "/",
        .deadline_ms = INT64_MAX, /* as long as the data takes */
    };
    int rc = exec_start(argv, &options, &tool->child, err);
    if (rc)
        return rc;
    int status = 0;
    rc = attend(tool, &status);
    if (rc) {
        exec_child_kill(&tool->child);
        return rc == -ECANCELED ? rc : copy_error(err, rc, "wait for", argv[0]);
    }
    return status == 0 ? 0 : tool_error(err, tool);
}

static int sync_file(const char *path, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fdatasync(fd) < 0)
        return copy_error(err, -errno, "sync", path);
    return 0;
}

/* qemu-img refuses "none" where the file system has no direct I/O (tmpfs). */
static const char *cache_mode(const char *path)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_DIRECT;
    _cleanup_close_ int fd = open(path, flags);
    return fd < 0 && errno == EINVAL ? "writeback" : "none";
}

static const char *tool_format(enum volume_format format)
{
    return format == VOLUME_RAW ? "raw" : "qcow2";
}

struct args {
    size_t n;
    const char *v[ARGS_MAX];
};

static void add(struct args *args, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        args->v[args->n++] = words[i]; /* ARGS_MAX holds the longest line */
}

#define ADD(args, ...)                                                         \
    add(args, (const char *const[]){ __VA_ARGS__ },                            \
        ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

int convert_copy(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    struct stat st;
    if (stat(spec->src_path, &st) < 0)
        return copy_error(err, -errno, "open", spec->src_path);
    struct tool tool = {
        .copy = copy,
        .total = (uint64_t)st.st_blocks * 512,
    };
    copy_report(copy, 0, tool.total);

    struct args args = { 0 };
    ADD(&args, copy->qemu_img, "convert", "-n", "-p");
    ADD(&args, "-t", cache_mode(spec->dst_path));
    ADD(&args, "-T", cache_mode(spec->src_path));
    if (copy_limit(copy) == 0)
        ADD(&args, "-W", "-m", "8");
    else
        ADD(&args, "-m", "1"); /* fewer in flight are easier to hold */
    ADD(&args, "-f", tool_format(spec->src_format), "-O",
        tool_format(spec->dst_format));
    if (spec->dst_backing[0])
        ADD(&args, "-B", spec->dst_backing, "-F",
            tool_format(spec->dst_backing_format));
    ADD(&args, spec->src_path, spec->dst_path);

    int rc = run_tool(&tool, args.v, err);
    return rc ? rc : sync_file(spec->dst_path, err);
}

int convert_rebase(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    struct tool tool = { .copy = copy, .total = 0 };
    struct args args = { 0 };
    ADD(&args, copy->qemu_img, "rebase", "-u", "-f", "qcow2", "-F",
        tool_format(spec->dst_backing_format), "-b", spec->dst_backing,
        spec->dst_path);
    int rc = run_tool(&tool, args.v, err);
    return rc ? rc : sync_file(spec->dst_path, err);
}
