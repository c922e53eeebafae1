/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One running copy, as the files of this room see it. Its thread does the
 * work; others change its limit, ask for its end, and read its progress.
 */
#ifndef DRAY_COPY_COPY_H
#define DRAY_COPY_COPY_H

#include "bucket.h"
#include <dray/copy.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct copy {
    struct copy_spec spec;
    const char *qemu_img;             /* the copier's */
    const char *state_dir;            /* the same; empty: no checkpoints */
    const struct copier_guard *guard; /* the same; NULL: none */
    pthread_t thread;
    int wake_fd;      /* eventfd: the limit changed, or stop */
    atomic_bool stop; /* set once, never cleared */

    pthread_mutex_t lock; /* protects the rest */
    uint64_t limit;
    struct copy_progress progress;
    struct err err;
};

/* --- copier.c: for the copy's own thread --- */

bool copy_is_stopped(const struct copy *copy);
uint64_t copy_limit(struct copy *copy);
void copy_report(struct copy *copy, uint64_t done, uint64_t total);

void copy_set_mover(struct copy *copy, enum copy_mover mover);

/* Waits for one of @fds, for a change of the limit, for the stop, or for
 * @timeout_ms. fds[0] is filled in here. */
void copy_wait(struct copy *copy, struct pollfd *fds, nfds_t n,
               int64_t timeout_ms);

/* Waits until the limit lets the next piece go; its size, at most @max, in
 * *ret_len. 0 or -ECANCELED. */
int copy_await_turn(struct copy *copy, struct bucket *bucket, size_t max,
                    size_t *ret_len);

/* A file or device; else qemu alone can reach it. */
bool copy_is_path(const char *place);

/* "<verb> <path>: <cause>"; a full storage gets its number and a next step.
 * @rc: negative errno. */
int copy_error(struct err *err, int rc, const char *verb, const char *path);

#endif
