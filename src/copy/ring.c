/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * io_uring, or plain calls in its place. Operations are submitted one by one:
 * each moves a megabyte or so, and what a system call costs is nothing to it.
 */
#include "ring.h"
#include "side.h"
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>

struct ring {
    struct io_uring uring;
    bool plain;
    unsigned in_flight;
    char *base; /* of what is registered */
    size_t base_len;
    struct ring_op *done; /* plain: not yet reaped */
};

struct ring *ring_new(unsigned depth)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return NULL;
    ring->plain = io_uring_queue_init(depth, &ring->uring, 0) < 0;
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    assert(ring->in_flight == 0);
    if (!ring->plain)
        io_uring_queue_exit(&ring->uring);
    free(ring);
}

void ring_register(struct ring *ring, void *base, size_t len)
{
    struct iovec all = { .iov_base = base, .iov_len = len };
    if (ring->plain || io_uring_register_buffers(&ring->uring, &all, 1) < 0)
        return; /* the limit of locked memory, mostly */
    ring->base = base;
    ring->base_len = len;
}

static bool is_registered(const struct ring *ring, const struct ring_op *op)
{
    return ring->base && op->data >= ring->base &&
           op->data + op->len <= ring->base + ring->base_len;
}

/* --- plain --- */

static ssize_t run_once(const struct ring_op *op)
{
    switch (op->kind) {
    case RING_READ:
        return pread(op->fd, op->data, op->len, (off_t)op->at);
    case RING_WRITE:
        return pwrite(op->fd, op->data, op->len, (off_t)op->at);
    case RING_SYNC:
        return fdatasync(op->fd);
    }
    return -1;
}

static void start_plain(struct ring *ring, struct ring_op *op)
{
    ssize_t n = 0;
    do {
        n = run_once(op);
    } while (n < 0 && errno == EINTR);
    op->result = n < 0 ? -errno : n;
    op->next = ring->done;
    ring->done = op;
}

static struct ring_op *reap_plain(struct ring *ring)
{
    struct ring_op *op = ring->done;
    if (op)
        ring->done = op->next;
    return op;
}

/* --- io_uring --- */

static void prepare(const struct ring *ring, struct io_uring_sqe *sqe,
                    struct ring_op *op)
{
    bool fixed = is_registered(ring, op);
    unsigned len = (unsigned)op->len; /* a chunk, far under 4 GiB */
    if (op->kind == RING_SYNC)
        io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
    else if (op->kind == RING_READ && fixed)
        io_uring_prep_read_fixed(sqe, op->fd, op->data, len, op->at, 0);
    else if (op->kind == RING_READ)
        io_uring_prep_read(sqe, op->fd, op->data, len, op->at);
    else if (fixed)
        io_uring_prep_write_fixed(sqe, op->fd, op->data, len, op->at, 0);
    else
        io_uring_prep_write(sqe, op->fd, op->data, len, op->at);
    io_uring_sqe_set_data(sqe, op);
}

static void submit(struct ring *ring)
{
    for (;;) {
        int rc = io_uring_submit(&ring->uring);
        if (rc >= 0)
            return;
        /* Short of memory: the request stays queued. */
        assert(rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc == -ENOMEM);
        (void)poll(NULL, 0, 1);
    }
}

static void start(struct ring *ring, struct ring_op *op)
{
    ring->in_flight++;
    if (ring->plain) {
        start_plain(ring, op);
        return;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    assert(sqe); /* one at a time is queued */
    prepare(ring, sqe, op);
    submit(ring);
}

static struct ring_op *take(struct ring *ring, struct io_uring_cqe *cqe)
{
    struct ring_op *op = io_uring_cqe_get_data(cqe);
    op->result = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    return op;
}

struct ring_op *ring_reap(struct ring *ring)
{
    struct ring_op *op = NULL;
    struct io_uring_cqe *cqe = NULL;
    if (ring->plain)
        op = reap_plain(ring);
    else if (io_uring_peek_cqe(&ring->uring, &cqe) == 0)
        op = take(ring, cqe);
    if (op)
        ring->in_flight--;
    return op;
}

struct ring_op *ring_wait(struct ring *ring)
{
    struct io_uring_cqe *cqe = NULL;
    while (!ring->plain && ring->in_flight > 0) {
        int rc = io_uring_wait_cqe(&ring->uring, &cqe);
        assert(rc == 0 || rc == -EINTR || rc == -EAGAIN);
        if (rc == 0)
            break;
    }
    return ring_reap(ring);
}

void ring_start(struct ring *ring, struct ring_op *op)
{
    op->moved = 0;
    start(ring, op);
}

/* A file system that took O_DIRECT at open and refuses the request itself gets
 * it through the page cache. */
static int retry(struct ring *ring, struct ring_op *op)
{
    int rc = (int)op->result;
    if (rc == -EINVAL && side_is_direct(op->fd))
        rc = side_set_buffered(op->fd);
    else if (rc == -EINTR || rc == -EAGAIN)
        rc = 0;
    if (rc)
        return rc;
    start(ring, op);
    return RING_AGAIN;
}

int ring_settle(struct ring *ring, struct ring_op *op)
{
    if (op->result < 0)
        return retry(ring, op);
    size_t n = (size_t)op->result;
    op->moved += n;
    if (op->kind == RING_SYNC || op->moved >= op->need)
        return 0;
    if (n == 0)
        return op->kind == RING_READ ? 0 : -EIO;
    op->data += n;
    op->len -= n;
    op->at += n;
    start(ring, op);
    return RING_AGAIN;
}

unsigned ring_in_flight(const struct ring *ring)
{
    return ring->in_flight;
}

int ring_fd(const struct ring *ring)
{
    return ring->plain ? -1 : ring->uring.ring_fd;
}
