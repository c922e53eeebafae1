/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests that end in time for whoever asks, although what they wait for may
 * hang for ever: libvirt waits for a VM's qemu without any deadline.
 *
 * A request runs on a thread of ours. One that its asker gave up runs on
 * unseen, and until it ends all requests with the same key are refused at once:
 * nothing overtakes what may still happen, and what hangs takes one thread.
 */
#ifndef DRAY_VIRT_BOUNDED_H
#define DRAY_VIRT_BOUNDED_H

#include <dray/base/list.h>
#include <dray/ports/hypervisor.h>
#include <stdbool.h>

struct bounded;

/* On the heap, in what a request needs and finds. */
struct request {
    char key[VM_NAME_SIZE]; /* of those with the same one runs at a time */
    void (*run)(struct request *request);
    void (*free)(struct request *request); /* with all that it has found */
    struct list link;                      /* from here on bounded.c's */
    bool taken, ended, late;
};

/* How it went. */
enum {
    BOUNDED_LATE = 1, /* it has not come back: it frees itself when it does */
    BOUNDED_BUSY = 2, /* not begun: another one with its key has not come back;
                         or there is no thread to be had. The caller's again */
};

int bounded_new(struct bounded **ret_bounded); /* 0 or -errno */

/* Waits a moment for all requests. False: some do not come back; then nothing
 * that they use may be freed. */
bool bounded_free(struct bounded *bounded);

/* 0: it ran, and is the caller's again; or an outcome. Any thread. */
int bounded_run(struct bounded *bounded, struct request *request,
                int patience_ms);

#endif
