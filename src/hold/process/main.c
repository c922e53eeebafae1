/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-job: one job's lease, and the copying under it. Started by drayd with a
 * listening socket as stdin, on which drayd calls it, one request per
 * connection. It leaves drayd's session at once and outlives it; with nobody
 * calling and nothing to copy it ends after a while, and the job is dead.
 *
 * sanlock's SIGTERM is not caught: it ends who writes. qemu-img inherits the
 * lease's connection and dies with us, so the lease is free no sooner than the
 * last writer has ended.
 */
#include "../keeper.h"

#include <dray/base/util.h>
#include <dray/copy.h>
#include <dray/lease.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    LOOK_MS = 1000,
    LONELY_MS = 10 * 60 * 1000,
    CALL_S = 5, /* drayd sends at once, or died */
    BACKLOG = 16,
};

struct process {
    int fd;
    struct keeper *keeper;
    struct copier *copier;
    struct copier_guard guard;
    int64_t heard_ms;
    char buffer[MESSAGE_SIZE];
    struct hold_request request;
};

static int open_copier(void *arg, const struct hold_request *take,
                       const struct lease_held *held,
                       struct copier_port *ret_copier, struct err *err)
{
    struct process *process = arg;
    int rc = copier_new(take->qemu_img, take->state_dir, &process->copier, err);
    if (rc < 0)
        return rc;
    process->guard = (struct copier_guard){
        .may_write = keeper_may_write,
        .arg = process->keeper,
        .fd = lease_descriptor(held),
    };
    copier_set_guard(process->copier, &process->guard);
    *ret_copier = copier_port(process->copier);
    return 0;
}

static void answer_one(struct process *process, int fd)
{
    const struct timeval patience = { .tv_sec = CALL_S };
    struct hold_answer answer = { .rc = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    ssize_t n = recv(fd, process->buffer, sizeof(process->buffer), 0);
    if (n <= 0 ||
        hold_request_parse(process->buffer, (size_t)n, &process->request) < 0)
        return; /* the connection's end says it */
    keeper_answer(process->keeper, &process->request, &answer);
    _cleanup_free_ char *text = hold_answer_text(&answer);
    if (text)
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    process->heard_ms = time_now_ms();
}

static void hear(struct process *process, int timeout_ms)
{
    struct pollfd call = { .fd = process->fd, .events = POLLIN };
    if (poll(&call, 1, timeout_ms) <= 0)
        return;
    _cleanup_close_ int fd = accept4(process->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        answer_one(process, fd);
}

static bool is_lonely(const struct process *process)
{
    return time_now_ms() - process->heard_ms > LONELY_MS &&
           !keeper_is_copying(process->keeper);
}

/* Who lost the lease ends as if killed: no thread writes on. */
static void serve(struct process *process)
{
    int64_t look_ms = time_now_ms() + LOOK_MS;
    while (!keeper_is_over(process->keeper) && !is_lonely(process)) {
        int64_t left_ms = look_ms - time_now_ms();
        hear(process, left_ms > 0 ? (int)left_ms : 0);
        if (time_now_ms() < look_ms)
            continue;
        if (keeper_look_after(process->keeper, NULL) < 0)
            _exit(1);
        look_ms = time_now_ms() + LOOK_MS;
    }
}

static int run(struct process *process)
{
    static const struct leases_options options = {
        .sanlock = "/usr/sbin/sanlock",
        .io_timeout_s = 10, /* neither is used by who only holds */
        .host_name = "",
    };
    struct leases *leases = NULL;
    if (leases_new(&options, &leases, NULL) < 0)
        return 1;
    const struct keeper_ports ports = {
        .leases = leases_port(leases),
        .confirm = lease_confirm,
        .write_note = lease_write_note,
        .open_copier = open_copier,
        .arg = process,
    };
    process->keeper = keeper_new(&ports);
    process->heard_ms = time_now_ms();
    if (process->keeper)
        serve(process);
    keeper_free(process->keeper);
    copier_free(process->copier);
    leases_free(leases);
    return 0;
}

/* The first process ends when the second is out of its group: who started us
 * ends all of that. */
static int stand_alone(void)
{
    int ends[2];
    char byte = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid > 0) {
        (void)close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
    }
    if (setsid() < 0)
        return -errno;
    (void)close(ends[0]);
    ssize_t n = write(ends[1], &byte, 1);
    (void)close(ends[1]);
    return n == 1 ? 0 : -EPIPE;
}

/* The socket, and nothing where it and drayd's pipes were. */
static int take_stdin(int *ret_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0 || null_fd < 0)
        return -errno;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (dup2(null_fd, i) < 0)
            return -errno;
    }
    /* Again, so that drayd learns from the socket who we are. */
    if (listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    static struct process process; /* too large for the stack */
    if (stand_alone() < 0 || take_stdin(&process.fd) < 0)
        return 1;
    int status = run(&process);
    (void)close(process.fd);
    return status;
}
