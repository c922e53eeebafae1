/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A copier that copies one internal volume at a time and dies with the daemon.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

struct copy {
    size_t layer;
    uint64_t done, total;
    uint64_t limit;
    bool finished;
    int result;
};

/* The layer whose destination @path is; layers when it is none. */
static size_t layer_of(const struct fake_world *world, const char *path)
{
    char mine[PATH_MAX];

    for (size_t i = 0; i < world->layers; i++) {
        world_path(world, DST, i, mine);
        if (strcmp(mine, path) == 0)
            return i;
    }
    return world->layers;
}

static void check_spec(struct fake_world *world, const struct copy_spec *spec,
                       size_t layer)
{
    const struct fake_volume *from = &world->domains[SRC].volumes[layer];
    const struct fake_volume *to = &world->domains[DST].volumes[layer];
    const char *backing = layer ? to->info.parent : "";

    if (layer >= world_leaf(world) || !to->exists || !to->fresh)
        world_break(world, "copy onto layer %zu, which is not fresh", layer);
    else if (strcmp(spec->src_path, from->info.path) != 0 ||
             spec->src_format != from->info.format ||
             spec->dst_format != to->info.format)
        world_break(world, "copy of layer %zu: wrong source or format", layer);
    else if (strcmp(spec->dst_backing, backing) != 0)
        world_break(world, "copy of layer %zu: wrong backing %s", layer,
                    spec->dst_backing);
    else if (layer && (spec->src_backing_format != from[-1].info.format ||
                       spec->dst_backing_format != to[-1].info.format))
        world_break(world, "copy of layer %zu: wrong backing format", layer);
}

static int copier_start(void *ctx, const struct copy_spec *spec,
                        struct copy **ret_copy, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "copier start", err);
    struct copy *copy;

    if (rc)
        return rc;
    world_needs_state(world, "copy of a layer", JOB_SYNCING, JOB_SYNCING);
    if (world->copy)
        world_break(world, "two copies at once");
    copy = calloc(1, sizeof(*copy));
    if (!copy)
        return err_set(err, -ENOMEM, "copy");
    copy->layer = layer_of(world, spec->dst_path);
    copy->limit = spec->bytes_per_s;
    check_spec(world, spec, copy->layer);
    copy->total = world->domains[SRC].volumes[copy->layer].info.true_bytes;
    rc = world_leave(world, 0, err);
    if (rc) { /* a copier that fails to start has no copy */
        free(copy);
        return rc;
    }
    world->domains[DST].volumes[copy->layer].fresh = false;
    world->copy = copy;
    *ret_copy = copy;
    return 0;
}

void fake_copier_pass(struct fake_world *world)
{
    struct copy *copy = world->copy;
    uint64_t step = world->copy_per_ms;

    if (!copy || copy->finished || world->dead)
        return;
    if (copy->limit && copy->limit / 1000 < step)
        step = copy->limit / 1000 + 1;
    copy->done += step;
    if (world->copies_fail && copy->done > copy->total / 2) {
        copy->finished = true;
        copy->result = -EIO;
    } else if (copy->done >= copy->total) {
        copy->done = copy->total;
        copy->finished = true;
        world->domains[DST].volumes[copy->layer].whole = true;
    }
}

static void copier_poll(void *ctx, struct copy *copy, struct copy_progress *ret,
                        struct err *err)
{
    struct fake_world *world = ctx;

    if (world->dead)
        return;
    *ret = (struct copy_progress){ .finished = copy->finished,
                                   .result = copy->result,
                                   .done = copy->done,
                                   .total = copy->total };
    if (copy->result)
        (void)err_set(err, copy->result, "the copy broke off");
}

static void copier_limit(void *ctx, struct copy *copy, uint64_t bytes_per_s)
{
    (void)ctx;
    copy->limit = bytes_per_s;
}

static void copier_close(void *ctx, struct copy *copy)
{
    struct fake_world *world = ctx;

    if (world->copy == copy)
        world->copy = NULL;
    free(copy);
}

struct copier_port fake_copier(struct fake_world *world)
{
    static const struct copier_ops ops = {
        .start = copier_start,
        .poll = copier_poll,
        .limit = copier_limit,
        .close = copier_close,
    };

    return (struct copier_port){ .ctx = world, .ops = &ops };
}
