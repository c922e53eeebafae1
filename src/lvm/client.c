/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd's side of dray-lvm: callers put their request into a list, write it to
 * the socket and wait. What becomes of the process: runner.c.
 */
#include "client.h"
#include "input.h"
#include "runner.h"

#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

enum {
    COMMAND_MS = 30 * 1000,
    WAIT_MS = 2000, /* of one look at the clock */
};

static void append_locked(struct lvm *lvm, struct waiting *waiting)
{
    struct waiting **end = &lvm->waiting;
    while (*end)
        end = &(*end)->next;
    *end = waiting;
}

static void remove_locked(struct lvm *lvm, const struct waiting *waiting)
{
    struct waiting **link = &lvm->waiting;
    while (*link != waiting)
        link = &(*link)->next;
    *link = waiting->next;
}

/* Until something changed, or for a while. False: it is too late. */
static bool nap_locked(struct lvm *lvm, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - time_now_ms();
    if (left_ms <= 0)
        return false;
    const struct timespec until =
        time_after_ms(left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
    (void)pthread_cond_timedwait(&lvm->changed, &lvm->lock, &until);
    return true;
}

static int take_answer(const struct lvm *lvm, struct waiting *waiting,
                       const struct lvm_request *request,
                       struct lvm_answer *ret_answer, struct err *err)
{
    const struct err *cause = &waiting->answer.err;
    if (!waiting->done)
        return err_set_code(err, ERR_TIMEOUT, "VG %s: %s was not done in time",
                            lvm->vg, verb_name(request->verb));
    if (cause->rc < 0) {
        int rc = cause->rc;
        if (err && err->rc == 0)
            *err = *cause;
        answer_deinit(&waiting->answer);
        return rc;
    }
    *ret_answer = waiting->answer;
    return 0;
}

static bool is_holder_locked(const struct lvm *lvm)
{
    return lvm->hold.granted && pthread_equal(lvm->hold.thread, pthread_self());
}

static int call_locked(struct lvm *lvm, struct lvm_request *request,
                       struct lvm_answer *ret_answer, struct err *err)
{
    request->id = ++lvm->last_id;
    request->held = is_holder_locked(lvm);
    bool in_hold = request->held && verb_needs_lease(request->verb);
    if (in_hold && lvm->hold.life != lvm->life)
        return runner_set_stale(lvm, err);
    _cleanup_free_ char *text = request_text(request);
    if (!text)
        return err_set(err, -ENOMEM, "VG %s: out of memory", lvm->vg);
    struct waiting waiting = {
        .id = request->id,
        .text = text,
        .in_hold = in_hold,
    };
    append_locked(lvm, &waiting);
    runner_send_locked(lvm, &waiting);
    (void)pthread_cond_broadcast(&lvm->changed);
    while (!waiting.done && nap_locked(lvm, request->deadline_ms))
        ;
    remove_locked(lvm, &waiting);
    if (request->verb == VERB_HOLD)
        lvm->hold.life = waiting.life;
    return take_answer(lvm, &waiting, request, ret_answer, err);
}

int client_call(struct lvm *lvm, struct lvm_request *request,
                struct lvm_answer *ret_answer, struct err *err)
{
    SCOPED_LOCK(&lvm->lock);
    return call_locked(lvm, request, ret_answer, err);
}

/* For this thread; not granted yet. */
static int take_hold_locked(struct lvm *lvm, int64_t deadline_ms,
                            struct err *err)
{
    while (lvm->hold.taken && nap_locked(lvm, deadline_ms))
        ;
    if (lvm->hold.taken)
        return err_set_code(err, ERR_TIMEOUT,
                            "VG %s: another change of it takes too long",
                            lvm->vg);
    lvm->hold = (struct hold){ .taken = true, .thread = pthread_self() };
    return 0;
}

/* A process that never granted it, and one that is not told, do no harm: the
 * request is too late by then, or the hold ended with the process. */
static void drop_hold_locked(struct lvm *lvm)
{
    struct lvm_request request = { .id = ++lvm->last_id, .verb = VERB_LET_GO };
    _cleanup_free_ char *text = request_text(&request);
    const struct input out = { .fd = lvm->fd };
    if (!text && lvm->fd >= 0)
        (void)shutdown(lvm->fd, SHUT_WR); /* it ends, and so does the hold */
    else if (lvm->fd >= 0)
        (void)input_write_line(&out, text);
    lvm->hold = (struct hold){ .taken = false };
    (void)pthread_cond_broadcast(&lvm->changed);
}

int lvm_hold(struct lvm *lvm, int64_t deadline_ms, struct err *err)
{
    struct lvm_request request = { .verb = VERB_HOLD,
                                   .deadline_ms = deadline_ms };
    struct lvm_answer answer = { .reports = NULL };
    SCOPED_LOCK(&lvm->lock);
    assert(!is_holder_locked(lvm));
    int rc = take_hold_locked(lvm, deadline_ms, err);
    if (rc < 0)
        return rc;
    rc = call_locked(lvm, &request, &answer, err);
    answer_deinit(&answer);
    if (rc < 0)
        drop_hold_locked(lvm);
    else
        lvm->hold.granted = true;
    return rc;
}

void lvm_let_go(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    assert(is_holder_locked(lvm));
    drop_hold_locked(lvm);
}

static char *make_setup(const struct lvm_options *options)
{
    _cleanup_free_ char *dir =
        str_printf("%s/%s", options->run_dir, options->vg);
    if (!dir)
        return NULL;
    struct lvm_setup setup = {
        .vg = options->vg,
        .dir = dir,
        .command_ms =
            options->command_ms > 0 ? options->command_ms : COMMAND_MS,
        .has_lease = options->lease != NULL,
        .devices = {.names = options->devices, .n = options->n_devices},
    };
    if (options->lease)
        setup.lease = *options->lease;
    return setup_text(&setup);
}

static void lvm_free(struct lvm *lvm)
{
    if (!lvm)
        return;
    (void)pthread_cond_destroy(&lvm->changed);
    (void)pthread_mutex_destroy(&lvm->lock);
    free(lvm->program);
    free(lvm->setup);
    free(lvm->vg);
    free(lvm);
}

static int check_devices(const char *vg, struct lvm_names devices,
                         struct err *err)
{
    if (devices.n == 0)
        return err_set_code(err, ERR_VALUE, "VG %s: no devices", vg);
    for (size_t i = 0; i < devices.n; i++) {
        if (!device_is_valid(devices.names[i]))
            return err_set_code(err, ERR_VALUE, "VG %s: \"%.64s\" is no device",
                                vg, devices.names[i]);
    }
    return 0;
}

static int check_options(const struct lvm_options *options, struct err *err)
{
    const struct lvm_names devices = { .names = options->devices,
                                       .n = options->n_devices };
    if (!name_is_valid(options->vg))
        return err_set_code(err, ERR_VALUE, "\"%.64s\" is no name for a VG",
                            options->vg);
    return check_devices(options->vg, devices, err);
}

static struct lvm *lvm_new(const struct lvm_options *options)
{
    struct lvm *lvm = calloc(1, sizeof(*lvm));
    if (!lvm)
        return NULL;
    lvm->fd = -1;
    (void)pthread_mutex_init(&lvm->lock, NULL); /* cannot fail on Linux */
    (void)thread_init_condition(&lvm->changed);
    lvm->program = strdup(options->program);
    lvm->vg = strdup(options->vg);
    lvm->setup = make_setup(options);
    if (lvm->program && lvm->vg && lvm->setup)
        return lvm;
    lvm_free(lvm);
    return NULL;
}

int lvm_open(const struct lvm_options *options, struct lvm **ret_lvm,
             struct err *err)
{
    int rc = check_options(options, err);
    if (rc < 0)
        return rc;
    struct lvm *lvm = lvm_new(options);
    if (!lvm)
        return err_set(err, -ENOMEM, "VG %s: out of memory", options->vg);
    rc = pthread_create(&lvm->thread, NULL, runner_run, lvm);
    if (rc != 0) {
        lvm_free(lvm);
        errno = rc;
        return err_set(err, -rc, "VG %s: cannot start a thread: %m",
                       options->vg);
    }
    *ret_lvm = lvm;
    return 0;
}

/* It reads the end of its socket, and ends itself. */
static void end_process_locked(const struct lvm *lvm)
{
    if (lvm->fd >= 0)
        (void)shutdown(lvm->fd, SHUT_WR);
}

/* The setup with other devices; NULL: out of memory. */
static char *change_setup(const char *text, struct lvm_names devices)
{
    struct lvm_setup setup = { 0 };
    char *changed = NULL;
    if (setup_parse(text, strlen(text), &setup, NULL) == 0) {
        struct lvm_setup other = setup;
        other.devices = devices;
        changed = setup_text(&other);
        setup_deinit(&setup);
    }
    return changed;
}

int lvm_set_devices(struct lvm *lvm, const char *const *devices,
                    size_t n_devices, struct err *err)
{
    const struct lvm_names names = { .names = devices, .n = n_devices };
    int rc = check_devices(lvm->vg, names, err);
    if (rc < 0)
        return rc;
    SCOPED_LOCK(&lvm->lock);
    char *setup = change_setup(lvm->setup, names);
    if (!setup)
        return err_set(err, -ENOMEM, "VG %s: out of memory", lvm->vg);
    if (!str_equal(setup, lvm->setup))
        end_process_locked(lvm);
    free(lvm->setup);
    lvm->setup = setup;
    return 0;
}

void lvm_rest(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    end_process_locked(lvm);
}

static void tell_to_stop(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    lvm->stop = true;
    end_process_locked(lvm);
    (void)pthread_cond_broadcast(&lvm->changed);
}

void lvm_close(struct lvm *lvm)
{
    if (!lvm)
        return;
    tell_to_stop(lvm);
    (void)pthread_join(lvm->thread, NULL);
    assert(!lvm->waiting);
    lvm_free(lvm);
}

pid_t lvm_pid(struct lvm *lvm)
{
    SCOPED_LOCK(&lvm->lock);
    return lvm->pid;
}
