/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads, writes and syncs in flight: started, and later reaped in any order.
 * Where the kernel refuses io_uring (an old one, a container's filter), each
 * is done at once when it is started; the caller sees no difference but speed.
 */
#ifndef DRAY_COPY_RING_H
#define DRAY_COPY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ring_kind {
    RING_READ,
    RING_WRITE,
    RING_SYNC, /* fdatasync */
};

enum {
    RING_AGAIN = 1
};

/* The caller's; in flight until ring_settle() says that it is done. */
struct ring_op {
    void *owner; /* the caller's to find its own again */
    enum ring_kind kind;
    int fd;
    char *data;
    size_t len;
    uint64_t at;
    size_t need;          /* of len: less is no end; a read's padding */
    size_t moved;         /* bytes; fewer than needed: the file ended */
    ssize_t result;       /* the ring's: of the last try */
    struct ring_op *next; /* the ring's */
};

struct ring;

/* Room for @depth operations at once. NULL when out of memory. */
struct ring *ring_new(unsigned depth);
/* Nothing may be in flight. */
void ring_free(struct ring *ring);

/* Data between @base and @base + @len moves a little cheaper from now on.
 * May fail silently. */
void ring_register(struct ring *ring, void *base, size_t len);

void ring_start(struct ring *ring, struct ring_op *op);
/* What is to be done with one that was reaped: 0 it is done, RING_AGAIN it was
 * cut short and runs on, negative errno. */
int ring_settle(struct ring *ring, struct ring_op *op);
/* One that came back, NULL: none yet. */
struct ring_op *ring_reap(struct ring *ring);
/* The same, but waits; NULL only when nothing is in flight. */
struct ring_op *ring_wait(struct ring *ring);
unsigned ring_in_flight(const struct ring *ring);
/* Readable when something can be reaped; -1: all is done at once. */
int ring_fd(const struct ring *ring);

#endif
