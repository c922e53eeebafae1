/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The queue is short (what the threads of one drayd ask at once), so it is an
 * array that is searched.
 */
#include "queue.h"

#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

int queue_push(struct queue *queue, struct lvm_request *request)
{
    if (queue->n == queue->size) {
        size_t size = queue->size ? queue->size * 2 : 16;
        struct queued *items = realloc(queue->items, size * sizeof(*items));
        if (!items)
            return -ENOMEM;
        queue->items = items;
        queue->size = size;
    }
    queue->items[queue->n++] =
        (struct queued){ .request = *request, .order = queue->arrived++ };
    *request = (struct lvm_request){ 0 };
    return 0;
}

static struct lvm_request take(struct queue *queue, size_t i)
{
    struct lvm_request request = queue->items[i].request;
    queue->n--;
    memmove(&queue->items[i], &queue->items[i + 1],
            (queue->n - i) * sizeof(queue->items[0]));
    return request;
}

static bool goes_before(const struct queued *a, const struct queued *b)
{
    bool extends =
        a->request.verb == VERB_EXTEND || b->request.verb == VERB_EXTEND;
    if (!extends && a->request.held != b->request.held)
        return a->request.held;
    if (a->request.verb != b->request.verb)
        return a->request.verb < b->request.verb;
    return a->order < b->order;
}

static bool extends(const struct lvm_request *request, const char *lv)
{
    return request->verb == VERB_EXTEND && str_equal(request->lvs.names[0], lv);
}

/* Of the extensions of @i's LV the largest. */
static size_t find_largest(const struct queue *queue, size_t i)
{
    size_t largest = i;
    for (size_t k = 0; k < queue->n; k++) {
        const struct lvm_request *other = &queue->items[k].request;
        if (extends(other, queue->items[i].request.lvs.names[0]) &&
            other->size_bytes > queue->items[largest].request.size_bytes)
            largest = k;
    }
    return largest;
}

static bool may_go(const struct lvm_request *request, enum queue_lease lease)
{
    if (!verb_needs_lease(request->verb))
        return true;
    if (lease == QUEUE_HOLD)
        return request->held || request->verb == VERB_EXTEND;
    return lease == QUEUE_ALL;
}

/* queue->n when there is none. */
static size_t find_next(const struct queue *queue, enum queue_lease lease)
{
    size_t best = queue->n;
    for (size_t i = 0; i < queue->n; i++) {
        if (!may_go(&queue->items[i].request, lease))
            continue;
        if (best == queue->n ||
            goes_before(&queue->items[i], &queue->items[best]))
            best = i;
    }
    return best;
}

bool queue_has(const struct queue *queue, enum queue_lease lease)
{
    return find_next(queue, lease) < queue->n;
}

bool queue_wants_lease(const struct queue *queue)
{
    size_t next = find_next(queue, QUEUE_ALL);
    return next < queue->n && verb_needs_lease(queue->items[next].request.verb);
}

bool queue_take(struct queue *queue, enum queue_lease lease,
                struct lvm_request *ret_request)
{
    size_t next = find_next(queue, lease);
    if (next == queue->n)
        return false;
    if (queue->items[next].request.verb == VERB_EXTEND)
        next = find_largest(queue, next);
    *ret_request = take(queue, next);
    return true;
}

bool queue_take_covered(struct queue *queue, const char *lv, uint64_t bytes,
                        struct lvm_request *ret_request)
{
    for (size_t i = 0; i < queue->n; i++) {
        const struct lvm_request *request = &queue->items[i].request;
        if (extends(request, lv) && request->size_bytes <= bytes) {
            *ret_request = take(queue, i);
            return true;
        }
    }
    return false;
}

bool queue_take_late(struct queue *queue, int64_t now_ms,
                     struct lvm_request *ret_request)
{
    for (size_t i = 0; i < queue->n; i++) {
        if (queue->items[i].request.deadline_ms <= now_ms) {
            *ret_request = take(queue, i);
            return true;
        }
    }
    return false;
}

void queue_deinit(struct queue *queue)
{
    for (size_t i = 0; i < queue->n; i++)
        request_deinit(&queue->items[i].request);
    free(queue->items);
    *queue = (struct queue){ 0 };
}
