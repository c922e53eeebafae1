/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Room for qcow2 on LVs. Before anything writes to one, it has what will be
 * written for sure, and where a guest writes meanwhile, enough that the watch
 * (ports/watch.h) has time: nothing here waits for a "no space".
 *
 *   copied      exactly what the copy writes, measured; a leaf a chunk more
 *   mirrored    the leaf's data, and two chunks
 *   committed   what base and overlay come to, and a chunk for a leaf
 *
 * A qcow2 is copied byte by byte up to its end, unless it has much more
 * clusters than data: then it is converted.
 */
#include "migration.h"

#include <string.h>

struct watermark_policy thin_policy(const struct migrate_ports *ports,
                                    uint64_t extent_bytes)
{
    struct watermark_policy policy = ports->policy;

    if (policy.chunk_bytes == 0)
        policy = watermark_defaults();
    if (extent_bytes)
        policy.extent_bytes = extent_bytes;
    return policy;
}

int thin_measure(const struct migrate_ports *ports,
                 const struct volume_info *volume, uint64_t *ret_bytes,
                 struct err *err)
{
    struct volume_measure measure;
    int rc = PORT(ports, storage, volume_measure, &volume->id, VOLUME_COW, "",
                  &measure, err);

    if (rc)
        return err_wrap(err, "measure volume %s", volume->id.vol);
    *ret_bytes = measure.required + measure.bitmaps;
    return 0;
}

int thin_measure_chain(const struct migrate_ports *ports,
                       const struct volume_id *leaf, uint64_t *ret_bytes,
                       struct err *err)
{
    struct volume_measure measure;
    int rc = PORT(ports, storage, volume_measure, leaf, VOLUME_COW, NULL,
                  &measure, err);

    if (rc)
        return err_wrap(err, "measure the chain of volume %s", leaf->vol);
    *ret_bytes = measure.required + measure.bitmaps;
    return 0;
}

uint64_t thin_raw(const struct watermark_policy *policy,
                  uint64_t capacity_bytes)
{
    uint64_t extent = policy->extent_bytes;

    return (capacity_bytes + extent - 1) / extent * extent;
}

uint64_t thin_copied(const struct watermark_policy *policy,
                     uint64_t capacity_bytes, uint64_t data_bytes, bool leaf)
{
    const struct watermark_layer layer = { .size_bytes = INT64_MAX,
                                           .allocation_bytes = data_bytes,
                                           .capacity_bytes = capacity_bytes };

    return watermark_settled(policy, &layer, leaf);
}

uint64_t thin_mirrored(const struct watermark_policy *policy,
                       uint64_t capacity_bytes, uint64_t data_bytes)
{
    const struct watermark_layer layer = { .capacity_bytes = capacity_bytes };
    const struct watermark_pace pace = { .replicating = true };

    return watermark_first(policy, &layer, data_bytes, &pace);
}

/* --- growing ----------------------------------------------------------- */

static bool is_thin(const struct volume_info *volume)
{
    return volume->block && volume->format == VOLUME_COW;
}

static struct watermark_policy policy_on(const struct disk *d,
                                         bool on_destination)
{
    const struct place *place = on_destination ? &d->dst : &d->src;

    return thin_policy(&d->m->ports, place->extent_bytes);
}

static int grow(const struct disk *d, const struct volume_id *id,
                uint64_t bytes, uint64_t *ret_bytes, struct err *err)
{
    return PORT(&d->m->ports, storage, volume_grow, id, bytes,
                migration_now_ms(d->m) + GROW_MS, ret_bytes, err);
}

/* What the guest has in the layer that is mirrored. An overlay that is on
 * neither side of a domain is measured by nobody: what it takes. */
static int measure_mirrored(const struct disk *d, uint64_t *ret_bytes,
                            struct err *err)
{
    const struct volume_id id = disk_source(d, disk_top(d));
    struct outside_info outside;
    struct volume_info info;
    int rc;

    if (!d->of->src_sd[0]) {
        rc = PORT(&d->m->ports, storage, outside_info, d->of->src_path,
                  VOLUME_RAW, &outside, err);
        *ret_bytes = rc ? 0 : outside.true_bytes;
        return rc;
    }
    rc = PORT(&d->m->ports, storage, volume_info, &id, &info, err);
    return rc ? rc : thin_measure(&d->m->ports, &info, ret_bytes, err);
}

int thin_grow_mirror(struct disk *d, const struct volume_info *top,
                     struct err *err)
{
    const struct watermark_policy policy = policy_on(d, true);
    uint64_t data = 0, size = 0;
    int rc;

    if (!is_thin(top))
        return 0;
    rc = measure_mirrored(d, &data, err);
    if (rc)
        return rc;
    data = thin_mirrored(&policy, top->capacity, data);
    return data > top->apparent_bytes ? grow(d, &top->id, data, &size, err) : 0;
}

int thin_grow_full(struct disk *d, const struct volume_info *top,
                   struct err *err)
{
    const struct watermark_policy policy = policy_on(d, true);
    uint64_t bytes = thin_mirrored(&policy, top->capacity, top->apparent_bytes);
    uint64_t size = 0;

    if (!is_thin(top) || bytes <= top->apparent_bytes)
        return 1;
    return grow(d, &top->id, bytes, &size, err);
}

/* --- copies ------------------------------------------------------------ */

int thin_is_compact(struct disk *d, const struct volume_info *from,
                    const struct volume_info *to, bool *ret_compact,
                    struct err *err)
{
    uint64_t end = 0;
    int rc;

    *ret_compact = false;
    if (!is_thin(to) || from->format != VOLUME_COW)
        return 0;
    rc = PORT(&d->m->ports, copier, measure, from->path, VOLUME_COW, &end, err);
    *ret_compact = rc == 0 && end > to->apparent_bytes;
    return rc;
}

/* Bytes that @to must have. */
static int measure_copy(struct disk *d, const struct volume_info *from,
                        const struct volume_info *to, uint64_t *ret_bytes,
                        struct err *err)
{
    const struct watermark_policy policy = policy_on(d, true);
    uint64_t end = 0;
    int rc = 0;

    if (from->format == VOLUME_COW)
        rc = PORT(&d->m->ports, copier, measure, from->path, VOLUME_COW, &end,
                  err);
    *ret_bytes = end;
    if (rc || (end && end <= to->apparent_bytes))
        return rc;
    rc = thin_measure(&d->m->ports, from, ret_bytes, err);
    if (rc == 0 && end && end <= *ret_bytes + policy.chunk_bytes)
        *ret_bytes = end;
    return rc;
}

int thin_grow_copy(struct disk *d, const struct volume_info *from,
                   struct volume_info *to, bool *ret_compact, struct err *err)
{
    uint64_t bytes = 0;
    int rc;

    *ret_compact = false;
    if (!is_thin(to))
        return 0;
    rc = measure_copy(d, from, to, &bytes, err);
    if (rc == 0 && bytes > to->apparent_bytes)
        rc = grow(d, &to->id, bytes, &to->apparent_bytes, err);
    return rc ? rc : thin_is_compact(d, from, to, ret_compact, err);
}

/* --- commits ----------------------------------------------------------- */

/* The overlay and the leaf together, as one qcow2. */
static int measure_commit(const struct disk *d, const struct volume_id *top,
                          uint64_t *ret_bytes, struct err *err)
{
    struct volume_measure measure;
    int rc = PORT(&d->m->ports, storage, volume_measure, top, VOLUME_COW,
                  d->of->leaf, &measure, err);

    if (rc == 0)
        *ret_bytes = measure.required + measure.bitmaps;
    return rc;
}

int thin_grow_base(struct disk *d, bool on_destination, bool active,
                   struct err *err)
{
    const struct volume_id top = on_destination
                                     ? disk_target(d, d->of->overlay)
                                     : disk_source(d, d->of->overlay);
    struct volume_id base = top;
    struct watermark_policy policy;
    struct volume_info info;
    uint64_t bytes = 0, size = 0;
    int rc = disk_learn_places(d, err);

    if (rc || !(on_destination ? &d->dst : &d->src)->block)
        return rc;
    memcpy(base.vol, d->of->leaf, UUID_SIZE);
    rc = PORT(&d->m->ports, storage, volume_info, &base, &info, err);
    if (rc || !is_thin(&info))
        return rc;
    rc = measure_commit(d, &top, &bytes, err);
    if (rc)
        return rc;
    policy = policy_on(d, on_destination);
    if (info.capacity < d->of->capacity)
        info.capacity = d->of->capacity; /* it becomes as large as the leaf */
    bytes = thin_copied(&policy, info.capacity, bytes, active);
    return bytes > info.apparent_bytes ? grow(d, &base, bytes, &size, err) : 0;
}

/* --- afterwards -------------------------------------------------------- */

void thin_shrink(struct disk *d, bool on_destination, const char *vol)
{
    const struct place *place = on_destination ? &d->dst : &d->src;
    const struct volume_id id =
        on_destination ? disk_target(d, vol) : disk_source(d, vol);
    struct watermark_policy policy = policy_on(d, on_destination);
    struct err ignored = ERR_INIT; /* it has more than it needs then */
    struct volume_info info;
    uint64_t size = 0;

    if (!place->block ||
        PORT(&d->m->ports, storage, volume_info, &id, &info, &ignored) ||
        !is_thin(&info))
        return;
    (void)PORT(&d->m->ports, storage, volume_shrink, &id,
               info.role == VOLUME_LEAF ? policy.chunk_bytes : 0, &size,
               &ignored);
}
