/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: requests that wait in dray-lvm. Extensions first, then those
 * of the one who holds the lease, then in the order of their verbs, and of
 * their arrival within a verb.
 */
#ifndef DRAY_LVM_QUEUE_H
#define DRAY_LVM_QUEUE_H

#include "message.h"

struct queued {
    struct lvm_request request;
    uint64_t order;
};

/* Zero-initialise. Owns what it holds. */
struct queue {
    struct queued *items;
    size_t n;
    size_t size;
    uint64_t arrived;
};

/* Takes over @request. 0 or -ENOMEM. */
int queue_push(struct queue *queue, struct lvm_request *request);

/* Whose the lease is. */
enum queue_lease {
    QUEUE_NONE, /* there is none: requests that need none */
    QUEUE_ALL,
    QUEUE_HOLD, /* kept for one: of the others' only extensions use it */
};

/* The next one of those that may go; the caller's. Of the extensions of one LV
 * the largest goes first: it does for all. */
bool queue_take(struct queue *queue, enum queue_lease lease,
                struct lvm_request *ret_request);

/* Whether queue_take() has one. */
bool queue_has(const struct queue *queue, enum queue_lease lease);

/* Whether the next one needs the lease. */
bool queue_wants_lease(const struct queue *queue);

/* An extension of the same LV that asks for no more than @bytes, or one of any
 * verb whose deadline has passed. */
bool queue_take_covered(struct queue *queue, const char *lv, uint64_t bytes,
                        struct lvm_request *ret_request);
bool queue_take_late(struct queue *queue, int64_t now_ms,
                     struct lvm_request *ret_request);

void queue_deinit(struct queue *queue);

#endif
