/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd's side. A job's dray-job listens at RUN_DIR/job-ID; nothing else is
 * known of it, so a drayd that was started again finds it as before. The socket
 * is made here and given to it as stdin: it can be called from the first moment
 * on, and nobody answers there once it has ended.
 *
 * One that does not answer may be stopped, and with it what keeps its tools
 * from writing when the lease is lost: it is killed. That takes less than
 * sanlock waits before it gives the lease to somebody else.
 */
#include "message.h"

#include <dray/base/util.h>
#include <dray/exec.h>
#include <dray/hold.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

enum {
    QUICK_S = 20, /* for what needs no storage */
    SLOW_S = 60,  /* a lease is taken or given back, a copy ended */
    START_MS = 10 * 1000,
    BACKLOG = 16,
    SOCKET_MODE = 0600,
};

struct holds {
    char *program, *run_dir, *qemu_img, *state_dir, *hardware_id;
};

/* --- one call ------------------------------------------------------------ */

static int address_of(const struct holds *holds, const char *job_id,
                      struct sockaddr_un *ret_address, struct err *err)
{
    *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (str_format(ret_address->sun_path, sizeof(ret_address->sun_path),
                   "%s/job-%s", holds->run_dir, job_id))
        return 0;
    return err_set(err, -ENAMETOOLONG, "%s: too long for sockets",
                   holds->run_dir);
}

/* 0 or HOLD_NONE. */
static int dial(const struct sockaddr_un *address, int timeout_s, int *ret_fd,
                struct err *err)
{
    const struct timeval patience = { .tv_sec = timeout_s };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "dray-job: socket: %m");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return errno == ENOENT || errno == ECONNREFUSED
                   ? HOLD_NONE
                   : err_set(err, -errno, "connect to %s: %m",
                             address->sun_path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Who listens there cannot have another process's number: it has the socket
 * open. */
static void end_silent(int fd)
{
    struct ucred peer = { .pid = 0 };
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.pid > 0 && peer.pid != getpid())
        (void)kill(peer.pid, SIGKILL);
}

/* 0 or HOLD_NONE: it ended without an answer. */
static int exchange(int fd, const char *text, char *answer, size_t *ret_size)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);
    if (n >= 0)
        n = recv(fd, answer, ANSWER_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        end_silent(fd);
    *ret_size = n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : HOLD_NONE;
}

static int talk(int fd, const struct hold_request *request,
                struct hold_answer *ret_answer, struct err *err)
{
    _cleanup_free_ char *text = hold_request_text(request);
    char answer[ANSWER_SIZE];
    size_t size = 0;
    if (!text)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    int rc = exchange(fd, text, answer, &size);
    if (rc == 0 && hold_answer_parse(answer, size, ret_answer) < 0)
        return err_set(err, -EBADMSG, "dray-job: its answer is no answer");
    return rc;
}

/* What it answered: 0, an outcome, or its error. HOLD_NONE also when there is
 * no dray-job. */
static int call(const struct holds *holds, const char *job_id,
                const struct hold_request *request, int timeout_s,
                struct hold_answer *ret_answer, struct err *err)
{
    struct sockaddr_un address;
    _cleanup_close_ int fd = -1;
    int rc = address_of(holds, job_id, &address, err);
    if (rc == 0)
        rc = dial(&address, timeout_s, &fd, err);
    if (rc == 0)
        rc = talk(fd, request, ret_answer, err);
    if (rc != 0)
        return rc;
    if (ret_answer->rc < 0 && err && err->rc == 0)
        *err = ret_answer->err;
    return ret_answer->rc;
}

/* Of verbs that are nothing but a word. */
static int call_word(const struct holds *holds, const char *job_id,
                     enum hold_verb verb, struct err *err)
{
    _cleanup_free_ struct hold_request *request = hold_request_new(verb);
    struct hold_answer answer = { .rc = 0 };
    if (!request)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    return call(holds, job_id, request, verb == HOLD_STOP ? SLOW_S : QUICK_S,
                &answer, err);
}

/* --- the process --------------------------------------------------------- */

static int open_socket(const struct holds *holds, const char *job_id,
                       int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    int rc = address_of(holds, job_id, &address, err);
    if (rc < 0)
        return rc;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)unlink(address.sun_path); /* of a dray-job that ended */
    if (fd < 0 || fchmod(fd, SOCKET_MODE) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return err_set(err, -errno, "listen at %s: %m", address.sun_path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Back as soon as it stands on its own. */
static int start(const struct holds *holds, const char *job_id, struct err *err)
{
    const char *argv[] = { holds->program, job_id, NULL };
    _cleanup_close_ int fd = -1;
    int rc = open_socket(holds, job_id, &fd, err);
    if (rc < 0)
        return rc;
    const struct exec_options options = {
        .stdin_fd = fd,
        .survives = true,
        .deadline_ms = time_now_ms() + START_MS,
    };
    struct exec_result result = { .status = 0 };
    rc = exec_check(argv, &options, &result, err);
    exec_result_deinit(&result);
    return rc;
}

/* --- the port ------------------------------------------------------------ */

static struct hold_request *make_take(const struct holds *holds,
                                      const struct hold_task *task)
{
    struct hold_request *request = hold_request_new(HOLD_TAKE);
    if (!request)
        return NULL;
    request->lease = *task->lease;
    if (task->also)
        request->also = *task->also;
    request->record = task->record;
    request->generation = task->generation;
    request->fenced = task->fenced;
    if (str_copy(request->job_id, UUID_SIZE, task->job_id) &&
        str_copy(request->note, sizeof(request->note),
                 task->note ? task->note : "") &&
        str_copy(request->hardware_id, sizeof(request->hardware_id),
                 holds->hardware_id) &&
        str_copy(request->qemu_img, PATH_MAX, holds->qemu_img) &&
        str_copy(request->state_dir, PATH_MAX, holds->state_dir))
        return request;
    free(request);
    return NULL;
}

static int take(void *ctx, const struct hold_task *task,
                struct xlease_job *ret_record, struct err *err)
{
    _cleanup_free_ struct hold_request *request = make_take(ctx, task);
    struct hold_answer answer = { .rc = 0 };
    struct sockaddr_un address;
    if (!request)
        return err_set(err, -EMSGSIZE, "job %s: too long for dray-job",
                       task->job_id);
    int rc = call(ctx, task->job_id, request, SLOW_S, &answer, err);
    if (rc == HOLD_NONE) {
        rc = start(ctx, task->job_id, err);
        if (rc == 0)
            rc = call(ctx, task->job_id, request, SLOW_S, &answer, err);
    }
    if (rc == HOLD_NONE)
        return err_set_code(err, ERR_ACQUIRE_LOCK,
                            "job %s: dray-job ended before it had the lease",
                            task->job_id);
    if ((rc == HOLD_ENDED || rc == HOLD_BUSY) &&
        address_of(ctx, task->job_id, &address, NULL) == 0)
        (void)unlink(address.sun_path); /* it has ended */
    if (rc == HOLD_ENDED)
        *ret_record = (struct xlease_job){
            .status = (enum xlease_job_status)answer.status,
            .generation = answer.generation,
        };
    return rc;
}

static int look(void *ctx, const char *job_id, struct err *err)
{
    return call_word(ctx, job_id, HOLD_LOOK, err);
}

static int note(void *ctx, const char *job_id, const char *text,
                struct err *err)
{
    _cleanup_free_ struct hold_request *request = hold_request_new(HOLD_NOTE);
    struct hold_answer answer = { .rc = 0 };
    if (!request || !str_copy(request->note, sizeof(request->note), text))
        return err_set(err, -EMSGSIZE, "job %s: its note is too long", job_id);
    return call(ctx, job_id, request, SLOW_S, &answer, err);
}

static int call_copy(const struct holds *holds, const char *job_id,
                     enum hold_verb verb, const struct copy_spec *spec,
                     struct err *err)
{
    _cleanup_free_ struct hold_request *request = hold_request_new(verb);
    struct hold_answer answer = { .rc = 0 };
    if (!request)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    request->copy = *spec;
    return call(holds, job_id, request, SLOW_S, &answer, err);
}

static int copy(void *ctx, const char *job_id, const struct copy_spec *spec,
                struct err *err)
{
    return call_copy(ctx, job_id, HOLD_COPY, spec, err);
}

static bool resumable(void *ctx, const char *job_id,
                      const struct copy_spec *spec)
{
    return call_copy(ctx, job_id, HOLD_RESUMABLE, spec, NULL) == 0;
}

static int poll_copy(void *ctx, const char *job_id, struct copy_progress *ret,
                     struct err *err)
{
    _cleanup_free_ struct hold_request *request = hold_request_new(HOLD_POLL);
    struct hold_answer answer = { .rc = 0 };
    if (!request)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    int rc = call(ctx, job_id, request, QUICK_S, &answer, err);
    if (rc != 0)
        return rc;
    *ret = answer.progress;
    if (answer.err.rc < 0 && err && err->rc == 0)
        *err = answer.err;
    return 0;
}

/* One that does not get there is sent again with the next copy. */
static void limit(void *ctx, const char *job_id, uint64_t bytes_per_s)
{
    _cleanup_free_ struct hold_request *request = hold_request_new(HOLD_LIMIT);
    struct hold_answer answer = { .rc = 0 };
    if (!request)
        return;
    request->bytes_per_s = bytes_per_s;
    (void)call(ctx, job_id, request, QUICK_S, &answer, NULL);
}

static int stop(void *ctx, const char *job_id, struct err *err)
{
    int rc = call_word(ctx, job_id, HOLD_STOP, err);
    return rc == HOLD_NONE ? 0 : rc;
}

static int release(void *ctx, const char *job_id, enum xlease_job_status status,
                   struct err *err)
{
    _cleanup_free_ struct hold_request *request =
        hold_request_new(HOLD_RELEASE);
    struct hold_answer answer = { .rc = 0 };
    struct sockaddr_un address;
    if (!request)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    request->status = (int)status;
    int rc = call(ctx, job_id, request, SLOW_S, &answer, err);
    if (rc <= 0 && address_of(ctx, job_id, &address, NULL) == 0)
        (void)unlink(address.sun_path); /* one that stays does no harm */
    return rc;
}

struct hold_port holds_port(struct holds *holds)
{
    static const struct hold_ops ops = {
        .take = take,
        .look = look,
        .note = note,
        .copy = copy,
        .resumable = resumable,
        .poll = poll_copy,
        .limit = limit,
        .stop = stop,
        .release = release,
    };

    return (struct hold_port){ .ctx = holds, .ops = &ops };
}

/* --- life ---------------------------------------------------------------- */

int holds_new(const struct holds_options *options, struct holds **ret_holds,
              struct err *err)
{
    struct holds *holds = calloc(1, sizeof(*holds));
    if (!holds)
        return err_set(err, -ENOMEM, "dray-job: out of memory");
    holds->program = strdup(options->program);
    holds->run_dir = strdup(options->run_dir);
    holds->qemu_img = strdup(options->qemu_img);
    holds->state_dir = strdup(options->state_dir);
    holds->hardware_id = strdup(options->hardware_id);
    if (holds->program && holds->run_dir && holds->qemu_img &&
        holds->state_dir && holds->hardware_id) {
        *ret_holds = holds;
        return 0;
    }
    holds_free(holds);
    return err_set(err, -ENOMEM, "dray-job: out of memory");
}

void holds_free(struct holds *holds)
{
    if (!holds)
        return;
    free(holds->program);
    free(holds->run_dir);
    free(holds->qemu_img);
    free(holds->state_dir);
    free(holds->hardware_id);
    free(holds);
}
