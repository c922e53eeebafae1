/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keeps a dray-lvm running while somebody waits: starts it, reads answers, and
 * when it died starts another one and sends it everything that was not
 * answered: requests name wanted states, so doing one twice does no harm.
 *
 * One that was killed may have left an LV suspended: another one is started
 * even when nobody waits, since it resumes it.
 *
 * A request that dray-lvm dies of (or that hangs until its own watch kills it)
 * is given up after ATTEMPTS.
 */
#include "runner.h"
#include "input.h"

#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <sys/socket.h>

enum {
    ATTEMPTS = 10,
    RESTART_MS = 50, /* pause before a restart; doubled each time */
    RESTART_MAX_MS = 400,
    LIVED_MS = 2000, /* long enough to be trusted again */
    SEND_BUFFER = 1024 * 1024,
    SIGNALLED = 128, /* a status above: killed */
    LOOK_MS = 200,   /* for the process's end, when no line comes */
};

int runner_set_stale(const struct lvm *lvm, struct err *err)
{
    return err_set(err, -ESTALE,
                   "VG %s: dray-lvm ended while its lease was held", lvm->vg);
}

/* A process that does not take it dies, and the next one gets it. */
void runner_send_locked(struct lvm *lvm, struct waiting *waiting)
{
    const struct input out = { .fd = lvm->fd };
    if (lvm->fd < 0)
        return;
    waiting->attempts++;
    (void)input_write_line(&out, waiting->text);
}

static void answer_locked(struct lvm *lvm, struct lvm_answer *answer)
{
    struct waiting *waiting = lvm->waiting;
    while (waiting && (waiting->id != answer->id || waiting->done))
        waiting = waiting->next;
    if (!waiting) { /* its caller has gone */
        answer_deinit(answer);
        return;
    }
    waiting->answer = *answer;
    waiting->life = lvm->life;
    waiting->done = true;
    (void)pthread_cond_broadcast(&lvm->changed);
}

static void take_line(struct lvm *lvm, const char *line, size_t size)
{
    struct lvm_answer answer;
    if (lvm_answer_parse(line, size, &answer, NULL) < 0)
        return; /* its caller runs into its deadline */
    SCOPED_LOCK(&lvm->lock);
    answer_locked(lvm, &answer);
}

/* Everyone whose request was tried often enough learns what it came to. */
static void give_up_locked(struct lvm *lvm, const char *last_words)
{
    for (struct waiting *w = lvm->waiting; w; w = w->next) {
        if (w->done || w->attempts < ATTEMPTS)
            continue;
        struct err *err = &w->answer.err;
        *err = (struct err)ERR_INIT;
        (void)err_set_code(err, ERR_STORAGE,
                           "VG %s: dray-lvm ended %u times before it was "
                           "done: %s",
                           lvm->vg, w->attempts,
                           last_words[0] ? last_words : "without a word");
        w->done = true;
    }
    (void)pthread_cond_broadcast(&lvm->changed);
}

static bool is_wanted_locked(const struct lvm *lvm)
{
    for (const struct waiting *w = lvm->waiting; w; w = w->next) {
        if (!w->done)
            return true;
    }
    return false;
}

/* Until somebody waits; false when it is over. */
static bool wait_for_work(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    while (!lvm->stop && !lvm->repair && !is_wanted_locked(lvm))
        (void)pthread_cond_wait(&lvm->changed, &lvm->lock);
    return !lvm->stop;
}

/* Not longer than until the end. */
static void pause_restart(struct lvm *lvm, int pause_ms)
{
    const struct timespec until = time_after_ms(pause_ms);
    int64_t until_ms = time_now_ms() + pause_ms;
    SCOPED_LOCK(&lvm->lock);
    while (!lvm->stop && time_now_ms() < until_ms)
        (void)pthread_cond_timedwait(&lvm->changed, &lvm->lock, &until);
}

/* The new process gets its setup and what is not answered. */
static void introduce(struct lvm *lvm, int fd, pid_t pid)
{
    const struct input out = { .fd = fd };
    SCOPED_LOCK(&lvm->lock);
    lvm->fd = fd;
    lvm->pid = pid;
    (void)input_write_line(&out, lvm->setup);
    for (struct waiting *w = lvm->waiting; w; w = w->next) {
        if (!w->done)
            runner_send_locked(lvm, w);
    }
}

/* With the process went the lease that was held: what somebody else changed
 * since is not known to the holder. */
static void forget(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    lvm->fd = -1;
    lvm->pid = 0;
    lvm->life++;
    for (struct waiting *w = lvm->waiting; w; w = w->next) {
        if (w->done || !w->in_hold)
            continue;
        w->answer.err = (struct err)ERR_INIT;
        (void)runner_set_stale(lvm, &w->answer.err);
        w->done = true;
    }
    (void)pthread_cond_broadcast(&lvm->changed);
}

static int start(struct lvm *lvm, struct exec_child *child, int *ret_fd,
                 struct err *err)
{
    const char *const argv[] = { lvm->program, lvm->vg, NULL };
    int size = SEND_BUFFER;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, -errno, "dray-lvm: socketpair: %m");
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    const struct exec_options options = { .stdin_fd = pair[1],
                                          .survives = true };
    int rc = exec_start(argv, &options, child, err);
    (void)close(pair[1]); /* a socket; the process has its own */
    if (rc < 0) {
        (void)close(pair[0]);
        return rc;
    }
    *ret_fd = pair[0];
    return 0;
}

static void read_answers(struct lvm *lvm, int fd)
{
    struct input input;
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    input_init(&input, fd);
    while (rc == 0) {
        rc = input_fill(&input, -1);
        while (input_line(&input, &line, &size))
            take_line(lvm, line, size);
    }
    input_deinit(&input);
}

/* One life of the process. True when it answered anything worth trusting: it
 * lived for a while. */
static bool run_process(struct lvm *lvm)
{
    struct exec_child child = { .pidfd = -1, .out_fd = -1, .err_fd = -1 };
    struct err err = ERR_INIT;
    int64_t started_ms = time_now_ms();
    int status = 0;
    int fd = -1;
    if (start(lvm, &child, &fd, &err) < 0) {
        SCOPED_LOCK(&lvm->lock);
        lvm->repair = false;
        for (struct waiting *w = lvm->waiting; w; w = w->next)
            w->attempts = ATTEMPTS; /* no program: no sense in trying */
        give_up_locked(lvm, err.message);
        return false;
    }
    introduce(lvm, fd, child.pid);
    read_answers(lvm, fd);
    forget(lvm);
    (void)close(fd); /* a socket */
    /* Until it is gone it may hold the lease, and LVM may write. */
    while (exec_child_wait(&child, LOOK_MS, &status) == 1)
        ;
    SCOPED_LOCK(&lvm->lock);
    give_up_locked(lvm, child.err);
    lvm->repair = status > SIGNALLED;
    return time_now_ms() - started_ms > LIVED_MS;
}

void *runner_run(void *arg)
{
    struct lvm *lvm = arg;
    int pause_ms = RESTART_MS;
    while (wait_for_work(lvm)) {
        if (run_process(lvm))
            pause_ms = RESTART_MS;
        else if (pause_ms < RESTART_MAX_MS)
            pause_ms *= 2;
        pause_restart(lvm, pause_ms);
    }
    return NULL;
}
