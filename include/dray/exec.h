/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs one program: argv array, absolute path, empty environment plus
 * LC_ALL=C, stdin from /dev/null, stdout and stderr captured and bounded, a
 * deadline after which its process group gets SIGKILL. No shell. Blocking;
 * any thread. The child dies with us (PR_SET_PDEATHSIG), so no tool writes on
 * after drayd is gone. The kernel ties that to the thread which started the
 * child: one that ends takes its programs along. Workers live until
 * work_free().
 */
#ifndef DRAY_EXEC_H
#define DRAY_EXEC_H

#include <dray/base/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    EXEC_OUTPUT_MAX = 1024 * 1024
};

struct exec_result {
    int status; /* exit status; 128 + signal when killed */
    char *out;  /* stdout, NUL-terminated; the caller's */
    size_t out_len;
    char err[512]; /* the last of stderr, one line, for messages */
};

struct exec_options {
    const char *cwd;     /* NULL: / */
    int64_t deadline_ms; /* time_now_ms() based; 0: 30 s from now */
    uint64_t max_cpu_s;  /* RLIMIT_CPU, 0: none. Tools on guests' data */
    uint64_t max_mem;    /* RLIMIT_AS in bytes, 0: none */
    int stdin_fd;        /* becomes its stdin; 0: /dev/null. Stays ours */
    int also_fd;         /* is open in it as well; 0: none. Stays ours */
    bool survives;       /* does not die with us: it sees our end itself */
};

/* Runs argv[0] to its end. 0 even when the program failed: see status.
 * -ETIMEDOUT after the deadline, -EFBIG when stdout exceeds EXEC_OUTPUT_MAX,
 * other negative errno when it could not run. */
int exec_run(const char *const *argv, const struct exec_options *options,
             struct exec_result *ret_result, struct err *err);

/* exec_run(), and a status other than 0 is an error that quotes stderr. */
int exec_check(const char *const *argv, const struct exec_options *options,
               struct exec_result *ret_result, struct err *err);
void exec_result_deinit(struct exec_result *result);

/* A program that runs on: progress is read from its stdout by the caller, who
 * calls exec_child_wait() now and then as well: it also takes what comes on
 * stderr, on which the program would block in the end. No deadline of ours. */
struct exec_child {
    pid_t pid;
    int pidfd;
    int out_fd;    /* its stdout, non-blocking */
    char err[512]; /* filled by exec_child_wait() */
    int err_fd;
};

int exec_start(const char *const *argv, const struct exec_options *options,
               struct exec_child *ret_child, struct err *err);
/* 0: ended, *ret_status as above, everything released, out_fd too: read it to
 * its end before. 1: still runs after @timeout_ms (negative: no limit). */
int exec_child_wait(struct exec_child *child, int timeout_ms, int *ret_status);
/* SIGKILL to its group, waits for the end, releases everything. Nothing to do
 * after exec_child_wait() gave 0. */
void exec_child_kill(struct exec_child *child);

#endif
