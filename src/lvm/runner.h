/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: the thread that keeps a VG's dray-lvm running, and what it
 * shares with the callers.
 */
#ifndef DRAY_LVM_RUNNER_H
#define DRAY_LVM_RUNNER_H

#include "message.h"

#include <pthread.h>

struct waiting {
    struct waiting *next;
    uint64_t id;
    const char *text;
    unsigned attempts; /* processes that got it */
    bool in_hold;      /* not for another process */
    bool done;
    unsigned life; /* of the process that answered */
    struct lvm_answer answer;
};

/* One thread's. Lost when the process that granted it is gone. */
struct hold {
    bool taken;
    bool granted;
    unsigned life;
    pthread_t thread;
};

struct lvm {
    char *program;
    char *vg;

    pthread_mutex_t lock; /* of all below */
    char *setup;          /* the first line for each process */
    pthread_cond_t changed;
    struct waiting *waiting;
    uint64_t last_id;
    int fd;        /* to the process; -1: there is none */
    pid_t pid;     /* 0: there is none */
    unsigned life; /* which process it is */
    struct hold hold;
    bool repair; /* one was killed, perhaps at work: start the next one for
                  * what it does at its start */
    bool stop;

    pthread_t thread;
};

/* The thread: until lvm->stop. @arg: the struct lvm. */
void *runner_run(void *arg);

/* A hold is lost. Returns -ESTALE. */
int runner_set_stale(const struct lvm *lvm, struct err *err);

/* Writes it to the process, if there is one. */
void runner_send_locked(struct lvm *lvm, struct waiting *waiting);

#endif
