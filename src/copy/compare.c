/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compares two files or devices byte by byte, from the storage: what the page
 * cache says may never have arrived there.
 *
 * Where both have a hole nothing is read; where one has, the other must read
 * zeros. Several chunks of both sides are read at once; on a difference
 * nothing more is started, but what is on its way lies before or behind it, so
 * the first difference is known when all of it has come back.
 */
#include "compare.h"
#include "bucket.h"
#include "ring.h"
#include "zero.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SRC,
    DST,
    SIDES,
    CHUNK = 1024 * 1024,
    DEPTH = 8, /* chunks of each side on their way */
    HUGE = 2 * 1024 * 1024,
    REGISTER_FROM = 64 * 1024 * 1024,
    FOREVER_MS = 60000,
};

/* A stretch in which neither side changes between data and hole. */
struct segment {
    uint64_t start;
    uint64_t end;
    bool has_data[SIDES];
};

struct walk {
    const struct side *sides[SIDES];
    struct extent next[SIDES]; /* the data at or behind the segment */
    uint64_t size;
};

struct slot {
    struct ring_op ops[SIDES];
    char *buffers[SIDES];
    struct segment segment; /* at most a chunk */
    unsigned missing;       /* reads that have not come back */
};

struct comparison {
    struct copy *copy;
    struct err *err;
    struct ring *ring;
    char *memory;
    struct slot slots[DEPTH];
    struct walk walk;
    struct segment segment; /* what of it is not yet started */
    bool ended;
    struct bucket bucket;
    uint64_t done, total;
    uint64_t differs_at; /* UINT64_MAX: nowhere yet */
    int rc;
};

/* --- what to compare --- */

static int find_data(struct walk *walk, int i, uint64_t from)
{
    struct extent *next = &walk->next[i];
    if (next->end > from)
        return 0;
    *next = (struct extent){ .start = walk->size, .end = walk->size };
    int rc = extent_next(walk->sides[i]->fd, from, walk->size, next);
    return rc < 0 ? rc : 0;
}

/* The next segment behind @segment with data on any side. EXTENT_END when
 * there is none; *ret_bad_side with a negative errno. */
static int next_segment(struct walk *walk, struct segment *segment,
                        int *ret_bad_side)
{
    uint64_t at = segment->end;
    while (at < walk->size) {
        struct segment found = { .start = at, .end = walk->size };
        for (int i = 0; i < SIDES; i++) {
            int rc = find_data(walk, i, at);
            *ret_bad_side = i;
            if (rc)
                return rc;
            const struct extent *next = &walk->next[i];
            found.has_data[i] = next->start <= at && next->end > at;
            uint64_t end = found.has_data[i] ? next->end : next->start;
            if (end < found.end)
                found.end = end;
        }
        if (found.has_data[SRC] || found.has_data[DST]) {
            *segment = found;
            return 0;
        }
        at = found.end;
    }
    return EXTENT_END;
}

static int map_error(const struct comparison *c, int rc, int side)
{
    return copy_error(c->err, rc, "map of", c->walk.sides[side]->path);
}

static int sum_up(struct comparison *c, uint64_t from)
{
    struct walk walk = c->walk;
    struct segment segment = { .end = from };
    int side = 0;
    int rc = 0;
    while ((rc = next_segment(&walk, &segment, &side)) == 0)
        c->total += segment.end - segment.start;
    return rc < 0 ? map_error(c, rc, side) : 0;
}

/* --- chunks --- */

static void start_reads(struct comparison *c, struct slot *slot, size_t max)
{
    struct segment *segment = &slot->segment;
    *segment = c->segment;
    if (segment->end - segment->start > max)
        segment->end = segment->start + max;
    c->segment.start = segment->end;
    size_t len = (size_t)(segment->end - segment->start);
    bool last = segment->end == c->walk.size;
    bucket_spend(&c->bucket, len);
    slot->missing = segment->has_data[SRC] + segment->has_data[DST];
    for (int i = 0; i < SIDES; i++) {
        if (!segment->has_data[i])
            continue;
        slot->ops[i] = (struct ring_op){
            .owner = slot,
            .kind = RING_READ,
            .fd = c->walk.sides[i]->fd,
            .data = slot->buffers[i],
            .len =
                last ? (len + SIDE_BLOCK - 1) / SIDE_BLOCK * SIDE_BLOCK : len,
            .at = segment->start,
            .need = len,
        };
        ring_start(c->ring, &slot->ops[i]);
    }
}

/* The first byte that differs; @len when none does. */
static size_t find_difference(const char *a, const char *b, size_t len)
{
    size_t at = 0;
    if (memcmp(a, b, len) == 0)
        return len;
    while (a[at] == b[at])
        at++;
    return at;
}

static size_t find_nonzero(const char *data, size_t len)
{
    size_t at = 0;
    if (is_zero(data, len))
        return len;
    while (data[at] == 0)
        at++;
    return at;
}

static void judge(struct comparison *c, const struct slot *slot)
{
    const struct segment *segment = &slot->segment;
    size_t len = (size_t)(segment->end - segment->start);
    size_t at = 0;
    if (segment->has_data[SRC] && segment->has_data[DST])
        at = find_difference(slot->buffers[SRC], slot->buffers[DST], len);
    else
        at = find_nonzero(slot->buffers[segment->has_data[SRC] ? SRC : DST],
                          len);
    if (at < len && segment->start + at < c->differs_at)
        c->differs_at = segment->start + at;
    c->done += len;
    copy_report(c->copy, c->done, c->total);
}

static void fail(struct comparison *c, int rc)
{
    if (c->rc == 0)
        c->rc = rc;
}

static void on_read(struct comparison *c, struct ring_op *op)
{
    struct slot *slot = op->owner;
    const char *path = c->walk.sides[op == &slot->ops[SRC] ? SRC : DST]->path;
    int rc = ring_settle(c->ring, op);
    if (rc == RING_AGAIN)
        return;
    if (rc)
        rc = copy_error(c->err, rc, "read", path);
    else if (op->moved < op->need)
        rc = err_set(c->err, -EIO, "read %s: it shrank while it was compared",
                     path);
    fail(c, rc);
    if (--slot->missing == 0 && c->rc == 0)
        judge(c, slot);
}

/* --- the pump --- */

static bool is_over(const struct comparison *c)
{
    return c->rc || c->ended || c->differs_at != UINT64_MAX;
}

static struct slot *free_slot(struct comparison *c)
{
    for (size_t i = 0; i < DEPTH; i++)
        if (c->slots[i].missing == 0)
            return &c->slots[i];
    return NULL;
}

static void advance(struct comparison *c)
{
    int side = 0;
    int rc = next_segment(&c->walk, &c->segment, &side);
    c->ended = rc == EXTENT_END;
    if (rc < 0)
        fail(c, map_error(c, rc, side));
}

static int64_t feed(struct comparison *c)
{
    struct slot *slot = NULL;
    while (!is_over(c) && (slot = free_slot(c))) {
        uint64_t limit = copy_limit(c->copy);
        int64_t wait_ms = bucket_wait_ms(&c->bucket, time_now_ms(), limit);
        if (wait_ms > 0)
            return wait_ms;
        if (c->segment.start < c->segment.end)
            start_reads(c, slot, bucket_chunk(limit, CHUNK));
        else
            advance(c);
    }
    return FOREVER_MS;
}

static void attend(struct comparison *c, int64_t wait_ms)
{
    struct ring_op *op = ring_reap(c->ring);
    if (!op && is_over(c)) {
        op = ring_wait(c->ring);
    } else if (!op) {
        struct pollfd fds[2] = {
            [1] = {.fd = ring_fd(c->ring), .events = POLLIN},
        };
        copy_wait(c->copy, fds, 2, wait_ms);
        op = ring_reap(c->ring);
    }
    for (; op; op = ring_reap(c->ring))
        on_read(c, op);
    if (copy_is_stopped(c->copy))
        fail(c, -ECANCELED);
}

static void pump(struct comparison *c)
{
    for (;;) {
        int64_t wait_ms = feed(c);
        if (ring_in_flight(c->ring) == 0 && is_over(c))
            return;
        attend(c, wait_ms);
    }
}

/* --- around it --- */

int compare_differs(struct err *err, const struct copy_spec *spec,
                    const char *where)
{
    (void)err_set_code(err, ERR_IMAGE_VERIFICATION,
                       "%s differs from its source %s: %s", spec->dst_path,
                       spec->src_path, where);
    return err_next(err, "the source is unchanged and still in use; remove the "
                         "copy, check the destination's storage, and copy "
                         "again");
}

static int comparison_init(struct comparison *c)
{
    size_t size = (size_t)SIDES * DEPTH * CHUNK;
    c->ring = ring_new(SIDES * DEPTH);
    c->memory = aligned_alloc(HUGE, size);
    if (!c->ring || !c->memory)
        return err_set(c->err, -ENOMEM, "compare %s: out of memory",
                       c->walk.sides[DST]->path);
    for (size_t i = 0; i < (size_t)DEPTH * SIDES; i++)
        c->slots[i / SIDES].buffers[i % SIDES] = c->memory + i * CHUNK;
    (void)madvise(c->memory, size, MADV_HUGEPAGE); /* only advice */
    if (c->total >= REGISTER_FROM)
        ring_register(c->ring, c->memory, size);
    for (int i = 0; i < SIDES; i++) /* without direct I/O: nearly as good */
        (void)posix_fadvise(c->walk.sides[i]->fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

static void comparison_deinit(struct comparison *c)
{
    ring_free(c->ring); /* before the memory that it knows */
    free(c->memory);
}

int compare_bytes(struct copy *copy, const struct pair *pair, uint64_t from,
                  struct err *err)
{
    _cleanup_(comparison_deinit) struct comparison c = {
        .copy = copy,
        .err = err,
        .walk = {.sides = { &pair->src, &pair->dst }, .size = pair->src.size},
        .segment = { .start = from,                      .end = from           },
        .differs_at = UINT64_MAX,
    };
    char where[64];
    int rc = sum_up(&c, from);
    if (rc == 0)
        rc = comparison_init(&c);
    if (rc)
        return rc;
    copy_report(copy, 0, c.total);
    pump(&c);
    if (c.rc || c.differs_at == UINT64_MAX)
        return c.rc;
    (void)str_format(where, sizeof(where), "the byte at offset %llu",
                     (unsigned long long)c.differs_at);
    return compare_differs(err, &copy->spec, where);
}
