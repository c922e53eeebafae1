/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Starting and ending a program. Between fork() and execve() the child may only
 * call what is async-signal-safe: other threads may have held any lock at the
 * fork. So everything is prepared before, and what fails in the child travels
 * as one errno through a pipe that a successful execve() closes.
 *
 * The program leads its own process group, and the group gets SIGKILL before
 * its leader is reaped: until then nobody else can have that group id.
 */
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    FIRST_FREE_FD = STDERR_FILENO + 1,
    SIGNAL_BASE = 128, /* as shells say it */
    EXIT_NO_EXEC = 127,
    DRAIN_READS = 256, /* of one pass; more waits for the next one */
};

/* What the child needs. The descriptors are its own, the rest is borrowed. */
struct launch {
    const char *const *argv;
    const struct exec_options *options;
    pid_t parent;
    int in_fd;
    int out_fd;
    int err_fd;
    int status_fd;
};

static void launch_deinit(struct launch *launch)
{
    util_closep(&launch->in_fd);
    util_closep(&launch->out_fd);
    util_closep(&launch->err_fd);
    util_closep(&launch->status_fd);
}

static int limit(int resource, uint64_t value)
{
    struct rlimit both = { .rlim_cur = value, .rlim_max = value };
    return setrlimit((__rlimit_resource_t)resource, &both);
}

static int set_limits(const struct exec_options *options)
{
    if (limit(RLIMIT_CORE, 0) < 0) /* cores would hold guests' data */
        return -1;
    if (options->max_cpu_s && limit(RLIMIT_CPU, options->max_cpu_s) < 0)
        return -1;
    if (options->max_mem && limit(RLIMIT_AS, options->max_mem) < 0)
        return -1;
    return 0;
}

/* A handler of ours must not run in the child, and execve() keeps SIG_IGN. */
static int reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;
    for (int signum = 1; signum < NSIG; signum++)
        (void)sigaction(signum, &action, NULL); /* not for KILL and STOP */
    (void)sigemptyset(&none);                   /* cannot fail */
    return pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static int set_stdio(const struct launch *launch)
{
    if (dup2(launch->in_fd, STDIN_FILENO) < 0 ||
        dup2(launch->out_fd, STDOUT_FILENO) < 0 ||
        dup2(launch->err_fd, STDERR_FILENO) < 0)
        return -1;
    /* Libraries open descriptors of their own. Before Linux 5.11 there is no
     * such call; ours are CLOEXEC all the same. */
    (void)close_range(FIRST_FREE_FD, ~0U, CLOSE_RANGE_CLOEXEC);
    return launch->options->also_fd > 0
               ? fcntl(launch->options->also_fd, F_SETFD, 0)
               : 0;
}

/* Kernels forget the wish when the parent died before it was made. */
static int die_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -1;
    if (getppid() != parent)
        _exit(EXIT_NO_EXEC);
    return 0;
}

__attribute__((noreturn)) static void run_child(const struct launch *launch)
{
    static char locale[] = "LC_ALL=C";
    char *const environment[] = { locale, NULL };
    const char *cwd = launch->options->cwd ? launch->options->cwd : "/";

    if ((launch->options->survives || die_with_parent(launch->parent) == 0) &&
        setpgid(0, 0) == 0 && reset_signals() == 0 && set_stdio(launch) == 0 &&
        chdir(cwd) == 0 && set_limits(launch->options) == 0)
        (void)execve(launch->argv[0], (char *const *)launch->argv, environment);
    int cause = errno;
    ssize_t n = write(launch->status_fd, &cause, sizeof(cause));
    (void)n; /* the exit status says it, too */
    _exit(EXIT_NO_EXEC);
}

/* Signals are blocked across the fork, so that none is handled by the child in
 * the parent's name. The caller of fork() is the thread whose end kills it. */
static pid_t fork_child(const struct launch *launch)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* cannot fail, and the next two with this */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        run_child(launch);
    int cause = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = cause;
    return pid;
}

/* A descriptor among 0..2, when those were closed, would be lost in dup2(). */
static int lift(int *fd)
{
    if (*fd >= FIRST_FREE_FD)
        return 0;
    int higher = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (higher < 0)
        return -errno;
    util_closep(fd);
    *fd = higher;
    return 0;
}

static int make_pipe(int *ret_read_fd, int *ret_write_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_read_fd = ends[0];
    *ret_write_fd = ends[1];
    int rc = lift(ret_read_fd);
    return rc < 0 ? rc : lift(ret_write_fd);
}

static int set_nonblocking(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_stdio(struct launch *launch, struct exec_child *child)
{
    if (launch->options->stdin_fd > 0)
        launch->in_fd =
            fcntl(launch->options->stdin_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    else
        launch->in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (launch->in_fd < 0)
        return -errno;
    int rc = lift(&launch->in_fd);
    if (rc == 0)
        rc = make_pipe(&child->out_fd, &launch->out_fd);
    if (rc == 0)
        rc = make_pipe(&child->err_fd, &launch->err_fd);
    if (rc == 0)
        rc = set_nonblocking(child->out_fd);
    return rc < 0 ? rc : set_nonblocking(child->err_fd);
}

/* What stopped the child before its execve(), 0 when it got there. */
static int read_cause(int status_fd)
{
    int cause = 0;
    ssize_t n = 0;
    do {
        n = read(status_fd, &cause, sizeof(cause));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(cause) ? -cause : 0;
}

static void release(struct exec_child *child)
{
    util_closep(&child->pidfd);
    util_closep(&child->out_fd);
    util_closep(&child->err_fd);
    child->pidfd = child->out_fd = child->err_fd = -1;
    child->pid = 0;
}

static int reap(pid_t pid)
{
    siginfo_t info = { 0 };
    int rc = 0;
    (void)kill(-pid, SIGKILL); /* what it left behind; mostly nothing */
    do {
        rc = waitid(P_PID, (id_t)pid, &info, WEXITED);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) /* somebody else reaped our child: its status is lost */
        return SIGNAL_BASE;
    return info.si_code == CLD_EXITED ? info.si_status
                                      : SIGNAL_BASE + info.si_status;
}

static int launch_child(struct launch *launch, struct exec_child *child)
{
    _cleanup_close_ int status_fd = -1;
    int rc = make_stdio(launch, child);
    if (rc == 0)
        rc = make_pipe(&status_fd, &launch->status_fd);
    if (rc < 0)
        return rc;
    child->pid = fork_child(launch);
    if (child->pid < 0)
        return -errno;
    launch_deinit(launch); /* or the pipe would never end */
    launch->in_fd = launch->out_fd = launch->err_fd = launch->status_fd = -1;
    rc = read_cause(status_fd);
    if (rc == 0) {
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
        rc = child->pidfd < 0 ? -errno : 0;
    }
    if (rc < 0)
        (void)reap(child->pid); /* the cause is known */
    return rc;
}

int exec_start(const char *const *argv, const struct exec_options *options,
               struct exec_child *ret_child, struct err *err)
{
    static const struct exec_options defaults = { 0 };
    struct exec_child child = { .pidfd = -1, .out_fd = -1, .err_fd = -1 };
    struct launch launch = {
        .argv = argv,
        .options = options ? options : &defaults,
        .parent = getpid(),
        .in_fd = -1,
        .out_fd = -1,
        .err_fd = -1,
        .status_fd = -1,
    };
    if (argv[0][0] != '/')
        return err_set(err, -EINVAL, "run %s: not an absolute path", argv[0]);
    int rc = launch_child(&launch, &child);
    launch_deinit(&launch);
    if (rc < 0) {
        release(&child);
        errno = -rc;
        return err_set(err, rc, "run %s: %m", argv[0]);
    }
    *ret_child = child;
    return 0;
}

/* Appends to the text that is kept, of which the oldest goes. */
static void keep_last(char *kept, size_t size, char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\0')
            data[i] = ' ';
    }
    size_t used = strlen(kept);
    size_t over = used + len >= size ? used + len - (size - 1) : 0;
    memmove(kept, kept + over, used - over);
    memcpy(kept + used - over, data, len);
    kept[used - over + len] = '\0';
}

/* Reads what is there of stderr, so that the program does not block on it. */
static void drain_stderr(struct exec_child *child)
{
    char data[sizeof(child->err) / 2];
    for (int i = 0; i < DRAIN_READS && child->err_fd >= 0; i++) {
        ssize_t n = read(child->err_fd, data, sizeof(data));
        if (n > 0) {
            keep_last(child->err, sizeof(child->err), data, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            util_closep(&child->err_fd);
            child->err_fd = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

int exec_child_wait(struct exec_child *child, int timeout_ms, int *ret_status)
{
    int64_t until_ms = time_now_ms() + timeout_ms;
    for (;;) {
        struct pollfd fds[] = {
            {.fd = child->pidfd,   .events = POLLIN},
            { .fd = child->err_fd, .events = POLLIN},
        };
        int64_t left_ms = until_ms - time_now_ms();
        int wait_ms = left_ms > 0 ? (int)left_ms : 0;
        (void)poll(fds, ARRAY_SIZE(fds), timeout_ms < 0 ? -1 : wait_ms);
        drain_stderr(child);
        if (fds[0].revents)
            break;
        if (timeout_ms >= 0 && left_ms <= 0)
            return 1;
    }
    *ret_status = reap(child->pid);
    drain_stderr(child); /* what it wrote last */
    str_make_line(child->err);
    release(child);
    return 0;
}

void exec_child_kill(struct exec_child *child)
{
    int status = 0;
    if (child->pid <= 0)
        return;
    (void)kill(-child->pid, SIGKILL); /* not reaped yet: the group is ours */
    (void)exec_child_wait(child, -1, &status); /* always 0 without a timeout */
}
