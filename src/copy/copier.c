/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The copier port: one thread per copy, which picks the way by the formats.
 *
 *   same format, same header    same.c and the movers it chooses from
 *   only the parent's format    the same, then the header is changed in place
 *   another format              convert.c
 *
 * A copy's thread does nothing but copy, so a storage that hangs takes only
 * this thread. Signals stay with the main thread. The thread's last act is to
 * set progress.finished; close() joins it, hence nothing writes afterwards.
 */
#include "checkpoint.h"
#include "convert.h"
#include "copy.h"
#include "same.h"
#include "used.h"
#include <assert.h>
#include <dray/base/file.h>
#include <dray/copy.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct copier {
    char qemu_img[PATH_MAX];
    char state_dir[PATH_MAX]; /* of the checkpoints; empty: none */
    const struct copier_guard *guard;
};

static void lock(struct copy *copy)
{
    int rc = pthread_mutex_lock(&copy->lock);
    assert(rc == 0);
    (void)rc;
}

static void unlock(struct copy *copy)
{
    int rc = pthread_mutex_unlock(&copy->lock);
    assert(rc == 0);
    (void)rc;
}

bool copy_is_stopped(const struct copy *copy)
{
    const struct copier_guard *guard = copy->guard;
    return atomic_load(&copy->stop) || (guard && !guard->may_write(guard->arg));
}

uint64_t copy_limit(struct copy *copy)
{
    lock(copy);
    uint64_t limit = copy->limit;
    unlock(copy);
    return limit;
}

void copy_report(struct copy *copy, uint64_t done, uint64_t total)
{
    lock(copy);
    copy->progress.done = done < total ? done : total;
    copy->progress.total = total;
    unlock(copy);
}

void copy_set_mover(struct copy *copy, enum copy_mover mover)
{
    lock(copy);
    copy->progress.mover = mover;
    unlock(copy);
}

void copy_wait(struct copy *copy, struct pollfd *fds, nfds_t n,
               int64_t timeout_ms)
{
    fds[0] = (struct pollfd){ .fd = copy->wake_fd, .events = POLLIN };
    int timeout = timeout_ms > 60000 ? 60000 : (int)timeout_ms;
    if (poll(fds, n, timeout) <= 0 || !fds[0].revents || copy_is_stopped(copy))
        return; /* a stop stays readable: nothing may wait after it */
    eventfd_t count = 0;
    (void)eventfd_read(copy->wake_fd, &count); /* only reset */
}

int copy_await_turn(struct copy *copy, struct bucket *bucket, size_t max,
                    size_t *ret_len)
{
    struct pollfd fds[1];
    for (;;) {
        if (copy_is_stopped(copy))
            return -ECANCELED;
        uint64_t limit = copy_limit(copy);
        int64_t wait_ms = bucket_wait_ms(bucket, time_now_ms(), limit);
        *ret_len = bucket_chunk(limit, max);
        if (wait_ms == 0)
            return 0;
        copy_wait(copy, fds, 1, wait_ms);
    }
}

static void wake(struct copy *copy)
{
    (void)eventfd_write(copy->wake_fd, 1); /* full: it is awake already */
}

int copy_error(struct err *err, int rc, const char *verb, const char *path)
{
    errno = -rc;
    if (rc != -ENOSPC && rc != -EDQUOT)
        return err_set(err, rc, "%s %s: %m", verb, path);
    (void)err_set_code(err, ERR_NO_SPACE, "%s %s: %m", verb, path);
    return err_next(err, "free space on the destination domain, or choose "
                         "another one, and start again");
}

static int forget(const char *state_dir, const char *key, struct err *err)
{
    _cleanup_(checkpoint_deinit) struct checkpoint checkpoint = CHECKPOINT_INIT;
    int rc = checkpoint_init(&checkpoint, state_dir, key, err);
    return rc ? rc : checkpoint_remove(&checkpoint, err);
}

static int move_same(struct copy *copy, struct err *err)
{
    int rc = same_copy(copy, err);
    if (rc == 0 && !same_header(&copy->spec))
        rc = convert_rebase(copy, err);
    if (rc == 0) /* one that stays would only be no use */
        (void)forget(copy->state_dir, copy->spec.resume_key, NULL);
    return rc;
}

/* No need to look into it. */
static bool is_same(const struct copy_spec *spec)
{
    return spec->src_format == spec->dst_format && !spec->compact &&
           copy_is_path(spec->src_path) && copy_is_path(spec->dst_path);
}

static int run(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    bool same = is_same(spec);
    if (copy->spec.task == COPY_COMPARE)
        return same ? same_compare(copy, err) : convert_compare(copy, err);
    return same ? move_same(copy, err) : convert_copy(copy, err);
}

static void *thread_main(void *arg)
{
    struct copy *copy = arg;
    struct err err = ERR_INIT;
    int rc = run(copy, &err);
    if (rc == -ECANCELED)
        (void)err_set(&err, rc, "copy of %s: stopped", copy->spec.src_path);
    lock(copy);
    copy->err = err;
    copy->progress.result = rc;
    copy->progress.finished = true;
    if (rc == 0)
        copy->progress.done = copy->progress.total;
    unlock(copy);
    return NULL;
}

static void copy_free(struct copy *copy)
{
    if (copy->wake_fd >= 0)
        (void)close(copy->wake_fd);
    (void)pthread_mutex_destroy(&copy->lock); /* cannot be held: joined */
    free(copy);
}

/* The new thread inherits the mask: all blocked. */
static int start_thread(struct copy *copy)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc)
        return -rc;
    int started = pthread_create(&copy->thread, NULL, thread_main, copy);
    rc = pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(rc == 0); /* the mask is our own of before */
    return -started;
}

bool copy_is_path(const char *place)
{
    return place[0] == '/';
}

static bool is_place(const char *text)
{
    return copy_is_path(text) || (text[0] != '-' && strchr(text, ':'));
}

static int check(const struct copy_spec *spec, struct err *err)
{
    if (spec->dst_format == VOLUME_RAW && spec->dst_backing[0])
        return err_set(err, -EINVAL, "copy to %s: a raw volume has no parent",
                       spec->dst_path);
    if (!is_place(spec->src_path) || !is_place(spec->dst_path))
        return err_set(err, -EINVAL, "copy %s to %s: no absolute path or URI",
                       spec->src_path, spec->dst_path);
    if (!checkpoint_key_is_valid(spec->resume_key))
        return err_set(err, -EINVAL, "copy to %s: '%.*s' is no resume key",
                       spec->dst_path, COPY_KEY_SIZE, spec->resume_key);
    return 0;
}

static int op_start(void *ctx, const struct copy_spec *spec,
                    struct copy **ret_copy, struct err *err)
{
    const struct copier *copier = ctx;
    int rc = check(spec, err);
    if (rc)
        return rc;
    struct copy *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return err_set(err, -ENOMEM, "copy %s: out of memory", spec->src_path);
    copy->spec = *spec;
    copy->qemu_img = copier->qemu_img;
    copy->state_dir = copier->state_dir;
    copy->guard = copier->guard;
    copy->limit = spec->bytes_per_s;
    copy->err = (struct err)ERR_INIT;
    (void)pthread_mutex_init(&copy->lock, NULL); /* cannot fail in glibc */
    copy->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = copy->wake_fd < 0 ? -errno : start_thread(copy);
    if (rc) {
        copy_free(copy);
        return copy_error(err, rc, "start the copy of", spec->src_path);
    }
    *ret_copy = copy;
    return 0;
}

static void op_poll(void *ctx, struct copy *copy, struct copy_progress *ret,
                    struct err *err)
{
    (void)ctx;
    lock(copy);
    *ret = copy->progress;
    if (ret->finished && ret->result && err && !err->rc)
        *err = copy->err;
    unlock(copy);
}

static void op_limit(void *ctx, struct copy *copy, uint64_t bytes_per_s)
{
    (void)ctx;
    lock(copy);
    bool changed = copy->limit != bytes_per_s;
    copy->limit = bytes_per_s;
    unlock(copy);
    if (changed)
        wake(copy);
}

static void op_close(void *ctx, struct copy *copy)
{
    (void)ctx;
    if (!copy)
        return;
    atomic_store(&copy->stop, true);
    wake(copy);
    int rc = pthread_join(copy->thread, NULL);
    assert(rc == 0);
    (void)rc;
    copy_free(copy);
}

static bool op_resumable(void *ctx, const struct copy_spec *spec)
{
    const struct copier *copier = ctx;
    return spec->task == COPY_DATA && is_same(spec) && check(spec, NULL) == 0 &&
           same_is_resumable(spec, copier->state_dir);
}

static void op_forget(void *ctx, const char *resume_key)
{
    const struct copier *copier = ctx;
    /* One that stays names files that are gone or changed. */
    (void)forget(copier->state_dir, resume_key, NULL);
}

static int op_probe(void *ctx, const char *src_path, const char *dst_dir,
                    enum copy_mover *ret_mover, struct err *err)
{
    (void)ctx;
    return same_probe(src_path, dst_dir, ret_mover, err);
}

static int op_measure(void *ctx, const char *path, enum volume_format format,
                      uint64_t *ret_bytes, struct err *err)
{
    struct side side = { .fd = -1 };
    (void)ctx;
    int rc = side_open_to_read(&side, path, err);
    if (rc == 0 && format == VOLUME_COW)
        rc = used_end(&side, ret_bytes, err);
    else if (rc == 0)
        *ret_bytes = side.size;
    util_closep(&side.fd);
    return rc;
}

static int set_paths(struct copier *copier, const char *qemu_img,
                     const char *state_dir, struct err *err)
{
    if (!str_copy(copier->qemu_img, sizeof(copier->qemu_img), qemu_img))
        return err_set(err, -ENAMETOOLONG, "path of qemu-img: too long");
    if (!state_dir || !state_dir[0])
        return 0;
    if (!str_format(copier->state_dir, sizeof(copier->state_dir), "%s/copies",
                    state_dir))
        return err_set(err, -ENAMETOOLONG, "%s: too long", state_dir);
    return file_make_dir(copier->state_dir, 0700, err);
}

int copier_new(const char *qemu_img, const char *state_dir,
               struct copier **ret_copier, struct err *err)
{
    struct copier *copier = calloc(1, sizeof(*copier));
    if (!copier)
        return err_set(err, -ENOMEM, "copier: out of memory");
    int rc = set_paths(copier, qemu_img, state_dir, err);
    if (rc) {
        free(copier);
        return rc;
    }
    *ret_copier = copier;
    return 0;
}

void copier_set_guard(struct copier *copier, const struct copier_guard *guard)
{
    copier->guard = guard;
}

void copier_free(struct copier *copier)
{
    free(copier);
}

struct copier_port copier_port(struct copier *copier)
{
    static const struct copier_ops ops = {
        .start = op_start,
        .poll = op_poll,
        .limit = op_limit,
        .close = op_close,
        .resumable = op_resumable,
        .forget = op_forget,
        .probe = op_probe,
        .measure = op_measure,
    };
    return (struct copier_port){ .ctx = copier, .ops = &ops };
}

const char *copy_mover_name(enum copy_mover mover)
{
    static const char *const names[] = {
        [COPY_BY_REFLINK] = "reflink",
        [COPY_BY_SERVER] = "server",
        [COPY_BY_DIRECT] = "direct",
        [COPY_BY_CONVERT] = "convert",
    };
    return names[mover];
}
