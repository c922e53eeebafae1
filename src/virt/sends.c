/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See sends.h. A small ring: the oldest that has ended makes room.
 */
#include "sends.h"
#include <dray/base/err.h>
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <errno.h>
#include <stdlib.h>

enum {
    SENDS_MAX = 64
};

struct send {
    char vm[UUID_SIZE]; /* empty: free */
    bool active;
    uint64_t number; /* the larger the younger */
    char failure[ERR_MESSAGE_SIZE];
};

struct sends {
    pthread_mutex_t lock; /* protects what follows */
    struct send all[SENDS_MAX];
    uint64_t next;
};

int sends_new(struct sends **ret_sends)
{
    struct sends *sends = calloc(1, sizeof(*sends));
    if (!sends)
        return -ENOMEM;
    int rc = -pthread_mutex_init(&sends->lock, NULL);
    if (rc < 0) {
        free(sends);
        return rc;
    }
    *ret_sends = sends;
    return 0;
}

void sends_free(struct sends *sends)
{
    if (!sends)
        return;
    (void)pthread_mutex_destroy(&sends->lock); /* nobody holds it any more */
    free(sends);
}

static struct send *find_locked(struct sends *sends, const char *vm)
{
    for (size_t i = 0; i < SENDS_MAX; i++)
        if (str_equal(sends->all[i].vm, vm))
            return &sends->all[i];
    return NULL;
}

static struct send *oldest_locked(struct sends *sends)
{
    struct send *oldest = NULL;
    for (size_t i = 0; i < SENDS_MAX; i++) {
        struct send *send = &sends->all[i];
        if (!send->active && (!oldest || send->number < oldest->number))
            oldest = send;
    }
    return oldest;
}

bool sends_begin(struct sends *sends, const char *vm)
{
    SCOPED_LOCK(&sends->lock);
    struct send *send = find_locked(sends, vm);
    if (!send)
        send = oldest_locked(sends);
    if (!send || send->active)
        return false;
    (void)str_copy(send->vm, sizeof(send->vm), vm); /* a UUID */
    send->active = true;
    send->number = ++sends->next;
    send->failure[0] = '\0';
    return true;
}

void sends_end(struct sends *sends, const char *vm, const char *failure)
{
    SCOPED_LOCK(&sends->lock);
    struct send *send = find_locked(sends, vm);
    if (!send)
        return;
    send->active = false;
    (void)str_copy(send->failure, sizeof(send->failure),
                   failure ? failure : "");
}

bool sends_look(struct sends *sends, const char *vm, char *ret_failure,
                size_t size)
{
    SCOPED_LOCK(&sends->lock);
    const struct send *send = find_locked(sends, vm);
    (void)str_copy(ret_failure, size, send ? send->failure : "");
    return send && send->active;
}
