/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies byte by byte through this host, and keeps holes.
 *
 *   empty      a file becomes one hole of the source's size; one that was
 *              preallocated and never written stays as it is
 *   pump       each stretch of the source's data, in chunks: several are on
 *              their way at once, each first read, then written. Blocks of
 *              zeros are not written where the destination reads zeros
 *              already. Holes of the source are zeroed on a device
 *   save       all the while, without stopping the pump: make durable what was
 *              written, then say so in the checkpoint
 *   settle     cut the padding of the last block, fdatasync
 *
 * Chunks are started in order and end in any order; a checkpoint is the start
 * of the earliest that has not ended. No chunk is started further than
 * COPY_CHECKPOINT_BYTES behind the last checkpoint, so that is the most that
 * has to be copied again, whatever happens.
 *
 * Relies on the source being frozen: nobody writes to an internal volume. A
 * failure leaves a partial destination; the caller removes or resets it, or
 * starts again with its key.
 */
#include "bucket.h"
#include "mover.h"
#include "saver.h"
#include "zero.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CHUNK = 1024 * 1024,
    DEPTH = 16, /* chunks on their way */
    HUGE = 2 * 1024 * 1024,
    ZERO_UNIT = 64 * 1024,
    ZERO_STEP = 256 * 1024 * 1024, /* of a hole; a stop is seen between two */
    REGISTER_FROM = 64 * 1024 * 1024, /* pinning memory costs a few ms */
    FOREVER_MS = 60000,
};

struct slot {
    struct ring_op op;
    char *buffer;
    uint64_t at;
    size_t len;      /* data of the source */
    size_t padded;   /* len, whole blocks at the end of the file */
    size_t written;  /* of padded; what follows is still to be looked at */
    uint64_t before; /* bytes of data that lie before it */
    bool is_busy;
};

struct direct {
    struct move *move;
    struct err *err;
    struct ring *ring;
    char *memory;
    struct slot slots[DEPTH];
    struct saver saver;
    struct bucket bucket;
    struct extent extent; /* what of it is not yet started */
    bool ended;           /* all is started */
    bool reads_zeros;     /* the destination, where nothing was written */
    uint64_t started;     /* bytes of data, what was spared included */
    uint64_t done;
    struct extent behind; /* buffered: written last, not yet waited for */
    int rc;               /* the first failure: nothing more is started */
};

/* --- what to copy --- */

static int zero_hole(struct direct *d, uint64_t start, uint64_t end)
{
    const struct side *dst = &d->move->pair.dst;
    if (start == end)
        return 0;
    /* Only the source's end may be no whole sector. */
    end = (end + SIDE_SECTOR - 1) / SIDE_SECTOR * SIDE_SECTOR;
    while (start < end) {
        if (copy_is_stopped(d->move->copy))
            return -ECANCELED;
        uint64_t n = end - start < ZERO_STEP ? end - start : ZERO_STEP;
        struct extent range = { .start = start, .end = start + n };
        int rc = side_zero(dst, &range);
        if (rc)
            return copy_error(d->err, rc, "zero", dst->path);
        start += n;
    }
    return 0;
}

static int next_extent(struct direct *d)
{
    const struct pair *pair = &d->move->pair;
    uint64_t size = pair->src.size;
    uint64_t from = d->extent.end;
    struct extent next = { .start = size, .end = size };
    int rc = extent_next(pair->src.fd, from, size, &next);
    if (rc < 0)
        return copy_error(d->err, rc, "map of", pair->src.path);
    int zeroed = pair->dst.is_block ? zero_hole(d, from, next.start) : 0;
    if (zeroed)
        return zeroed;
    d->extent = next;
    d->ended = rc == EXTENT_END;
    return 0;
}

/* --- chunks --- */

static size_t pad(const struct pair *pair, uint64_t at, size_t len)
{
    size_t unit = pair->dst.is_block ? SIDE_SECTOR : SIDE_BLOCK;
    return at + len == pair->src.size ? (len + unit - 1) / unit * unit : len;
}

static void start_read(struct direct *d, struct slot *slot, size_t max)
{
    const struct pair *pair = &d->move->pair;
    uint64_t left = d->extent.end - d->extent.start;
    slot->is_busy = true;
    slot->at = d->extent.start;
    slot->len = left < max ? (size_t)left : max;
    slot->padded = pad(pair, slot->at, slot->len);
    slot->written = 0;
    slot->before = d->started;
    slot->op = (struct ring_op){
        .owner = slot,
        .kind = RING_READ,
        .fd = pair->src.fd,
        .data = slot->buffer,
        .len = slot->padded,
        .at = slot->at,
        .need = slot->len,
    };
    d->extent.start += slot->len;
    d->started += slot->len;
    bucket_spend(&d->bucket, slot->len);
    ring_start(d->ring, &slot->op);
}

/* Without direct I/O: keeps at most two chunks of dirty pages, and none of
 * the clean ones. Only a courtesy: the fdatasync at the end counts. */
static void write_behind(struct direct *d, const struct slot *slot)
{
    int fd = d->move->pair.dst.fd;
    if (side_is_direct(fd))
        return;
    (void)sync_file_range(fd, (off_t)slot->at, (off_t)slot->padded,
                          SYNC_FILE_RANGE_WRITE);
    off_t start = (off_t)d->behind.start;
    off_t n = (off_t)(d->behind.end - d->behind.start);
    if (n > 0) {
        (void)sync_file_range(fd, start, n,
                              SYNC_FILE_RANGE_WAIT_BEFORE |
                                  SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(fd, start, n, POSIX_FADV_DONTNEED);
    }
    d->behind =
        (struct extent){ .start = slot->at, .end = slot->at + slot->padded };
}

static void finish(struct direct *d, struct slot *slot)
{
    write_behind(d, slot);
    slot->is_busy = false;
    d->done += slot->len;
    copy_report(d->move->copy, d->done, d->move->total);
}

/* Where the run of units ends that are all zeros, or all not. */
static size_t run_end(const struct slot *slot, size_t from, bool zeros)
{
    while (from < slot->padded) {
        size_t n = slot->padded - from;
        if (n > ZERO_UNIT)
            n = ZERO_UNIT;
        if (is_zero(slot->buffer + from, n) != zeros)
            break;
        from += n;
    }
    return from;
}

static void fail(struct direct *d, int rc)
{
    if (d->rc == 0)
        d->rc = rc;
}

static void write_next(struct direct *d, struct slot *slot)
{
    size_t from = slot->written;
    size_t to = slot->padded;
    if (d->reads_zeros) {
        from = run_end(slot, from, true);
        to = run_end(slot, from, false);
    }
    if (from == slot->padded) {
        finish(d, slot);
        return;
    }
    /* What was read long ago may not be written any more. */
    if (copy_is_stopped(d->move->copy)) {
        fail(d, -ECANCELED);
        return;
    }
    slot->written = to;
    slot->op = (struct ring_op){
        .owner = slot,
        .kind = RING_WRITE,
        .fd = d->move->pair.dst.fd,
        .data = slot->buffer + from,
        .len = to - from,
        .at = slot->at + from,
        .need = to - from,
    };
    ring_start(d->ring, &slot->op);
}

static void on_chunk(struct direct *d, struct slot *slot, int rc)
{
    const struct pair *pair = &d->move->pair;
    bool is_read = slot->op.kind == RING_READ;
    if (rc == 0 && is_read && slot->op.moved < slot->len)
        rc = err_set(d->err, -EIO, "read %s: it shrank while it was copied",
                     pair->src.path);
    else if (rc && is_read)
        rc = copy_error(d->err, rc, "read", pair->src.path);
    else if (rc)
        rc = copy_error(d->err, rc, "write", pair->dst.path);
    if (rc || d->rc) {
        fail(d, rc);
        return; /* it stays busy: what it holds was not written */
    }
    if (is_read)
        memset(slot->buffer + slot->len, 0, slot->padded - slot->len);
    write_next(d, slot);
}

/* --- the pump --- */

/* All before it was written. */
static struct point low_water(const struct direct *d)
{
    struct point low = { .at = d->extent.start, .bytes = d->started };
    for (size_t i = 0; i < DEPTH; i++) {
        const struct slot *slot = &d->slots[i];
        if (slot->is_busy && slot->at < low.at)
            low = (struct point){ .at = slot->at, .bytes = slot->before };
    }
    return low;
}

static void save(struct direct *d)
{
    struct point low = low_water(d);
    if (d->rc == 0)
        saver_advance(&d->saver, &low);
}

static struct slot *free_slot(struct direct *d)
{
    for (size_t i = 0; i < DEPTH; i++)
        if (!d->slots[i].is_busy)
            return &d->slots[i];
    return NULL;
}

/* Starts what may be started. How long to wait for the next turn at most. */
static int64_t feed(struct direct *d)
{
    struct copy *copy = d->move->copy;
    struct slot *slot = NULL;
    while (d->rc == 0 && !d->ended &&
           saver_allows(&d->saver, d->started + CHUNK) &&
           (slot = free_slot(d))) {
        uint64_t limit = copy_limit(copy);
        int64_t wait_ms = bucket_wait_ms(&d->bucket, time_now_ms(), limit);
        if (wait_ms > 0)
            return wait_ms;
        if (d->extent.start < d->extent.end)
            start_read(d, slot, bucket_chunk(limit, CHUNK));
        else
            fail(d, next_extent(d));
    }
    return FOREVER_MS;
}

static void on_save(struct direct *d, const struct ring_op *op, int rc)
{
    rc = saver_settle(&d->saver, op, rc);
    if (rc)
        fail(d, copy_error(d->err, rc, "sync", d->move->pair.dst.path));
}

static void on_op(struct direct *d, struct ring_op *op)
{
    int rc = ring_settle(d->ring, op);
    if (rc == RING_AGAIN)
        return;
    if (op->owner == &d->saver)
        on_save(d, op, rc);
    else
        on_chunk(d, op->owner, rc);
}

/* After a failure only the end of what is on its way is awaited. */
static void attend(struct direct *d, int64_t wait_ms)
{
    struct ring_op *op = ring_reap(d->ring);
    if (!op && d->rc) {
        op = ring_wait(d->ring);
    } else if (!op) {
        struct pollfd fds[2] = {
            [1] = {.fd = ring_fd(d->ring), .events = POLLIN},
        };
        copy_wait(d->move->copy, fds, 2, wait_ms);
        op = ring_reap(d->ring);
    }
    for (; op; op = ring_reap(d->ring))
        on_op(d, op);
    if (copy_is_stopped(d->move->copy))
        fail(d, -ECANCELED);
}

static void pump(struct direct *d)
{
    for (;;) {
        int64_t wait_ms = feed(d);
        save(d);
        if (ring_in_flight(d->ring) == 0 && (d->rc || d->ended))
            return;
        attend(d, wait_ms);
    }
}

/* --- around it --- */

static int direct_init(struct direct *d, struct err *err)
{
    d->ring = ring_new(DEPTH + 2); /* and the saver's */
    d->saver.ring = d->ring;
    d->memory = aligned_alloc(HUGE, (size_t)DEPTH * CHUNK);
    if (!d->ring || !d->memory)
        return err_set(err, -ENOMEM, "copy %s: out of memory",
                       d->move->pair.src.path);
    for (size_t i = 0; i < DEPTH; i++)
        d->slots[i].buffer = d->memory + i * CHUNK;
    /* Fewer pages to pin for each request. Only advice. */
    (void)madvise(d->memory, (size_t)DEPTH * CHUNK, MADV_HUGEPAGE);
    if (d->move->total - d->move->spared >= REGISTER_FROM)
        ring_register(d->ring, d->memory, (size_t)DEPTH * CHUNK);
    return 0;
}

static void direct_deinit(struct direct *d)
{
    ring_free(d->ring); /* before the memory that it knows */
    free(d->memory);
}

/* A guest sees all of a raw device, which has whole extents: nobody's old data
 * shall be at its end. */
static int zero_tail(struct direct *d)
{
    const struct pair *pair = &d->move->pair;
    uint64_t end = (pair->src.size + SIDE_SECTOR - 1) / SIDE_SECTOR *
                   (uint64_t)SIDE_SECTOR;
    if (!pair->dst.is_block || d->move->copy->spec.dst_format != VOLUME_RAW ||
        end >= pair->dst.size)
        return 0;
    return zero_hole(d, end, pair->dst.size);
}

int direct_move(struct move *move, struct err *err)
{
    struct side *dst = &move->pair.dst;
    _cleanup_(direct_deinit) struct direct d = {
        .move = move,
        .err = err,
        .extent = {.start = move->from,                                   .end = move->from},
        .reads_zeros = !dst->is_block,
        .started = move->spared,
        .done = move->spared,
        .saver = { .checkpoint = &move->checkpoint,
                   .dst_fd = dst->fd,
                   .synced = { .at = move->from, .bytes = move->spared },
                   .saved = move->spared },
    };
    copy_set_mover(move->copy, COPY_BY_DIRECT);
    copy_report(move->copy, d.done, move->total);
    int rc = direct_init(&d, err);
    if (rc == 0 && move->from == 0)
        rc = side_empty(dst, move->pair.src.size, err);
    if (rc)
        return rc;
    pump(&d);
    if (d.rc == 0)
        d.rc = zero_tail(&d);
    return d.rc ? d.rc : side_settle(dst, move->pair.src.size, err);
}
