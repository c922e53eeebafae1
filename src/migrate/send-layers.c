/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What lies below the layers that a VM writes to goes to the other host before
 * the VM, byte by byte, since nobody writes to it: the base first, so that each
 * layer finds its parent. A layer is complete there when its drayd marks it
 * LEGAL, which it does last.
 *
 * A template that is there already is compared; one that is not becomes one.
 * When anything fails, or either daemon is another than before, the layer that
 * was on its way is begun anew: nobody knows what of it reached a disk.
 */
#include "offer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 4096,
    DIGEST_BYTES = 64 * 1024 * 1024, /* read at once, on both sides */
};

/* Not of a chain that is copied as a whole. */
static size_t below(const struct disk *d)
{
    return d->of->parent[0] ? d->chain.n - 1 : 0;
}

static const struct volume_info *current(const struct disk *d)
{
    return &d->chain.volumes[d->layer];
}

static bool is_template(const struct disk *d)
{
    return d->layer == 0 && d->of->template_img[0];
}

static enum job_outcome trouble(struct disk *d, const struct err *err)
{
    free(d->sent);
    d->sent = NULL;
    return send_doubt(d->m, err);
}

/* The next piece, as soon as the limit allows it. */
static enum job_outcome go_on(struct disk *d, uint64_t bytes)
{
    struct migration *m = d->m;
    struct job_progress *progress = &m->job.progress;
    enum job_outcome outcome = send_check_time(m);

    d->copied += bytes;
    d->of->done += bytes;
    m->below += bytes;
    progress->done = m->below;
    progress->rate = meter_read(&m->meter, migration_now_ms(m), m->below);
    if (outcome != JOB_OK)
        return outcome;
    return migration_again(
        m, m->job.limit ? (int64_t)(bytes * 1000 / m->job.limit) : 0);
}

static enum job_outcome next_layer(struct disk *d)
{
    free(d->sent);
    d->sent = NULL;
    d->layer++;
    return migration_again(d->m, 0);
}

/* An LV is longer than the qcow2 in it. *ret_bytes: of the layer's file. */
static int find_end(struct disk *d, uint64_t *ret_bytes, struct err *err)
{
    const struct volume_info *from = current(d);

    *ret_bytes = from->apparent_bytes;
    if (!from->block || from->format != VOLUME_COW)
        return 0;
    return PORT(&d->m->ports, copier, measure, from->path, VOLUME_COW,
                ret_bytes, err);
}

/* --- beginning --------------------------------------------------------- */

static void describe(const struct disk *d, struct peer_layer *layer)
{
    const struct volume_info *from = current(d);
    struct volume_create *spec = &layer->spec;

    memcpy(layer->job_id, d->m->job.id, UUID_SIZE);
    layer->is_template = is_template(d);
    layer->block = d->of->dst_block;
    *spec = prepare_like(d, from);
    spec->allocation = from->allocation;
    spec->initial_bytes = d->end;
    if (layer->block && spec->format == VOLUME_RAW)
        spec->allocation = VOLUME_PREALLOCATED;
    if (layer->is_template)
        memcpy(spec->id.img, d->of->template_img, UUID_SIZE);
    if (d->layer == 0)
        return;
    memcpy(spec->parent, d->chain.volumes[d->layer - 1].id.vol, UUID_SIZE);
    memcpy(spec->parent_img,
           d->layer == 1 && d->of->template_img[0] ? d->of->template_img
                                                   : d->of->img,
           UUID_SIZE);
}

static enum job_outcome begin(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    bool complete = false;

    d->sent = calloc(1, sizeof(*d->sent));
    if (!d->sent) {
        (void)err_set(&err, -ENOMEM, "out of memory");
        return trouble(d, &err);
    }
    d->copied = d->gap = 0;
    if (find_end(d, &d->end, &err))
        return trouble(d, &err);
    describe(d, d->sent);
    if (PORT(&m->ports, peer, layer, m->job.peer, d->sent, &complete, &err))
        return trouble(d, &err);
    d->compared = complete;
    return complete && !is_template(d) ? next_layer(d) : migration_again(m, 0);
}

/* --- copying ----------------------------------------------------------- */

static int end(struct disk *d, struct err *err)
{
    return PORT(&d->m->ports, peer, end, d->m->job.peer, d->sent, d->copied,
                err);
}

static int send_piece(struct disk *d, struct volume_piece *piece,
                      struct err *err)
{
    piece->size = piece->n;
    piece->gap = d->gap;
    d->gap = 0;
    return PORT(&d->m->ports, peer, fill, d->m->job.peer, d->sent, piece, err);
}

/* What is left of a gap, by its last block. */
static int close_gap(struct disk *d, void *buffer, struct err *err)
{
    uint64_t end = (d->copied + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct volume_piece piece = { .offset = end - ALIGNMENT,
                                  .data = buffer,
                                  .n = ALIGNMENT };

    if (!d->sent->block || d->gap < ALIGNMENT)
        return 0;
    d->gap -= ALIGNMENT;
    memset(buffer, 0, ALIGNMENT);
    return send_piece(d, &piece, err);
}

/* Where nothing is stored nothing is sent, but for the beginning: that is what
 * empties the copy. */
static int copy_piece(struct disk *d, void *buffer, uint64_t *ret_bytes,
                      struct err *err)
{
    const struct migration *m = d->m;
    struct volume_piece piece = { .offset = d->copied,
                                  .data = buffer,
                                  .size = PEER_PIECE };
    int rc = 0;

    *ret_bytes = 0;
    if (d->copied < d->end)
        rc =
            PORT(&m->ports, storage, volume_read, &current(d)->id, &piece, err);
    if (rc || d->copied >= d->end || piece.next == d->copied)
        return rc ? rc : close_gap(d, buffer, err);
    if (piece.next > d->end) {
        piece.n = piece.n > 0 ? (size_t)(d->end - d->copied) : 0;
        piece.next = d->end;
    }
    if (piece.n == 0 && d->copied == 0 && piece.next > 0) {
        piece.n = piece.next < PEER_PIECE ? (size_t)piece.next : PEER_PIECE;
        piece.next = piece.n;
        memset(buffer, 0, piece.n);
    }
    *ret_bytes = piece.next - d->copied;
    if (piece.n > 0)
        return send_piece(d, &piece, err);
    d->gap += *ret_bytes;
    return 0;
}

static enum job_outcome copy(struct disk *d)
{
    struct err err = ERR_INIT;
    uint64_t bytes = 0;
    void *buffer = NULL;
    int rc;

    if (posix_memalign(&buffer, ALIGNMENT, PEER_PIECE))
        rc = err_set(&err, -ENOMEM, "out of memory");
    else
        rc = copy_piece(d, buffer, &bytes, &err);
    free(buffer);
    if (rc == 0 && bytes > 0)
        return go_on(d, bytes);
    if (rc == 0)
        rc = end(d, &err);
    return rc ? trouble(d, &err) : next_layer(d);
}

/* --- comparing --------------------------------------------------------- */

static enum job_outcome differs(struct disk *d)
{
    struct err err = ERR_INIT;

    (void)err_set_code(&err, ERR_VOLUME_SHARED,
                       "template %s of disk %s is another on host %s: their "
                       "contents differ from byte %" PRIu64 " on",
                       d->of->template_img, d->of->target, d->m->job.peer,
                       d->copied);
    (void)err_next(&err,
                   "remove it there if nothing needs it, then it is copied; or "
                   "choose another domain");
    return migration_fail(d->m, &err);
}

/* What an LV has behind the layer's end is nobody's. */
static uint64_t digest_bytes(const struct disk *d)
{
    uint64_t left = d->end - d->copied;

    return (d->sent->block || current(d)->block) && left < DIGEST_BYTES
               ? left
               : DIGEST_BYTES;
}

static enum job_outcome compare(struct disk *d)
{
    struct migration *m = d->m;
    struct volume_digest here = { .offset = d->copied,
                                  .size = digest_bytes(d) };
    struct volume_digest there = here;
    struct err err = ERR_INIT;
    int rc =
        PORT(&m->ports, storage, volume_digest, &current(d)->id, &here, &err);

    if (rc == 0)
        rc = PORT(&m->ports, peer, digest, m->job.peer, d->sent, &there, &err);
    if (rc)
        return trouble(d, &err);
    if (here.n != there.n || strcmp(here.hex, there.hex) != 0)
        return differs(d);
    if (here.n < DIGEST_BYTES)
        return next_layer(d);
    d->copied += here.n;
    return migration_again(m, 0);
}

/* --- all --------------------------------------------------------------- */

/* The whole disk's, as far as it is known before the VM goes. */
static void expect(struct disk *d)
{
    if (d->below > 0)
        return;
    for (size_t i = 0; i < below(d); i++)
        d->below += d->chain.volumes[i].apparent_bytes;
    d->of->total = d->below + d->chain.volumes[below(d)].true_bytes;
}

static enum job_outcome send_disk(struct disk *d)
{
    struct err err = ERR_INIT;

    if (!d->of->parent[0])
        return JOB_OK;
    if (disk_load_chain(d, &err))
        return migration_doubt(d->m, &err, QUERY_PATIENCE_MS);
    expect(d);
    if (d->layer >= below(d)) {
        d->of->done = d->below;
        return JOB_OK;
    }
    if (!d->sent)
        return begin(d);
    return d->compared ? compare(d) : copy(d);
}

enum job_outcome send_layers(struct migration *m)
{
    for (; m->at < m->job.n_disks; m->at++) {
        enum job_outcome outcome = send_disk(&m->disks[m->at]);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}
