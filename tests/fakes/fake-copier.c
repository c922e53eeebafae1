/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A copier that copies, or compares, one frozen volume at a time, dies with the
 * daemon, and leaves a checkpoint as it goes.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

struct copy {
    struct copy_spec spec;
    struct fake_volume *from, *to;
    uint64_t writes; /* that the source held when it began */
    uint64_t done, total;
    uint64_t limit;
    bool finished;
    int result;
};

/* --- the rules --------------------------------------------------------- */

static bool is_frozen(const struct fake_world *world,
                      const struct fake_volume *volume)
{
    const struct fake_disk *disk = &world->disks[volume->disk];

    return !world->alive || disk->chain[0] != volume;
}

static bool has_format(const struct fake_volume *volume,
                       enum volume_format format)
{
    return !volume || volume->info.format == format;
}

/* From or to outside of domains: the whole chain goes as one. */
static bool is_flat(const struct fake_world *world)
{
    return world->domains[SRC].outside || world->domains[DST].outside;
}

static bool is_beside(const struct fake_world *world,
                      const struct fake_volume *a, const struct fake_volume *b)
{
    return a->disk == b->disk && a->side == SRC && b->side == DST &&
           (is_flat(world) || strcmp(a->info.id.vol, b->info.id.vol) == 0);
}

static bool has_parents(const struct fake_world *world, const struct copy *copy)
{
    const struct fake_volume *from = copy->from, *under = copy->to->below;
    const struct copy_spec *spec = &copy->spec;

    if (is_flat(world))
        return !under && (!from->below || spec->compact);
    return has_format(from->below, spec->src_backing_format) &&
           has_format(under, spec->dst_backing_format);
}

/* Bytes that the destination must have. */
static uint64_t need(const struct copy *copy)
{
    const struct fake_volume *from = copy->from;
    bool same = copy->spec.src_format == copy->spec.dst_format;

    if (copy->spec.dst_format == VOLUME_RAW)
        return copy->to->info.capacity;
    return from->used + (same && !copy->spec.compact ? from->waste : 0);
}

static void check_room(struct fake_world *world, const struct copy *copy)
{
    const struct fake_volume *to = copy->to;

    world_uses(world, copy->from, "copy");
    world_uses(world, to, "copy");
    if (to->info.block && copy->spec.task == COPY_DATA &&
        to->info.apparent_bytes < need(copy))
        world_break(world, "the copy of %s will meet the end of its LV",
                    to->info.path);
}

static void check_spec(struct fake_world *world, const struct copy *copy)
{
    const struct copy_spec *spec = &copy->spec;
    const struct fake_volume *from = copy->from, *to = copy->to;
    const struct fake_volume *under = to->below;
    const char *path = to->info.path;

    if (!to->exists || !from->exists || !is_beside(world, from, to))
        world_break(world, "copy onto %s from %s", path, from->info.path);
    else if (!is_frozen(world, from))
        world_break(world, "copy of %s, which the guest writes to",
                    from->info.path);
    else if (world_has_open(world, to) && spec->task == COPY_DATA &&
             world->record.kind != JOB_SYNC)
        world_break(world, "copy onto %s, which qemu has open", path);
    else if (!has_format(from, spec->src_format) ||
             !has_format(to, spec->dst_format))
        world_break(world, "copy of %s: wrong format", path);
    else if (strcmp(spec->dst_backing, under ? under->info.id.vol : "") != 0)
        world_break(world, "copy of %s: wrong backing %s", path,
                    spec->dst_backing);
    else if (!has_parents(world, copy))
        world_break(world, "copy of %s: wrong backing format", path);
    check_room(world, copy);
    world_needs(world, "copy or comparison",
                spec->task == COPY_DATA ? IN(JOB_SYNCING) : IN(JOB_VERIFYING));
}

/* --- checkpoints ------------------------------------------------------- */

static bool copier_resumable(void *ctx, const struct copy_spec *spec)
{
    struct fake_world *world = ctx;
    const struct fake_volume *to = world_find_path(world, spec->dst_path);

    return spec->resume_key[0] &&
           strcmp(world->checkpoint.key, spec->resume_key) == 0 && to &&
           world->checkpoint.made == to->made;
}

static void copier_forget(void *ctx, const char *resume_key)
{
    struct fake_world *world = ctx;

    if (!world->dead && strcmp(world->checkpoint.key, resume_key) == 0)
        memset(&world->checkpoint, 0, sizeof(world->checkpoint));
}

static void leave_checkpoint(struct fake_world *world, const struct copy *copy)
{
    if (!copy->spec.resume_key[0])
        return;
    (void)str_copy(world->checkpoint.key, sizeof(world->checkpoint.key),
                   copy->spec.resume_key);
    world->checkpoint.made = copy->to->made;
    world->checkpoint.done = copy->done;
}

/* --- copying ----------------------------------------------------------- */

static void begin(struct fake_world *world, struct copy *copy)
{
    copy->total = copy->from->info.true_bytes;
    copy->writes = copy->from->to;
    copy->limit = copy->spec.bytes_per_s;
    if (copy->spec.task == COPY_COMPARE)
        return;
    if (copier_resumable(world, &copy->spec))
        copy->done = world->checkpoint.done;
    else if (!copy->to->fresh && !world->domains[DST].outside)
        world_break(world, "copy onto %s, which is not fresh",
                    copy->to->info.path);
    copy->to->fresh = false;
}

static int copier_start(void *ctx, const struct copy_spec *spec,
                        struct copy **ret_copy, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "copier start", err);
    struct copy *copy;

    if (rc)
        return rc;
    if (world->copy)
        world_break(world, "two copies at once");
    copy = calloc(1, sizeof(*copy));
    if (!copy)
        return err_set(err, -ENOMEM, "copy");
    copy->spec = *spec;
    copy->from = world_find_path(world, spec->src_path);
    copy->to = world_find_path(world, spec->dst_path);
    if (copy->from && copy->to)
        check_spec(world, copy);
    else
        world_break(world, "copy of %s to %s", spec->src_path, spec->dst_path);
    rc = world_leave(world, 0, err);
    if (rc || !copy->from || !copy->to) { /* then there is no copy */
        free(copy);
        return rc ? rc : -ENOENT;
    }
    begin(world, copy);
    world->copy = copy;
    *ret_copy = copy;
    return 0;
}

static void finish(struct fake_world *world, struct copy *copy)
{
    copy->done = copy->total;
    copy->finished = true;
    if (copy->from->to != copy->writes)
        world_break(world, "%s changed while it was copied",
                    copy->from->info.path);
    if (copy->spec.task == COPY_COMPARE) {
        copy->result = copy->to->flipped || !copy->to->whole ||
                               world_knows(copy->to) != world_knows(copy->from)
                           ? -EBADMSG
                           : 0;
        return;
    }
    copy->to->used = copy->from->used;
    copy->to->waste = need(copy) > copy->from->used ? copy->from->waste : 0;
    copy->to->whole = copy->from->whole;
    copy->to->from = is_flat(world) ? 0 : copy->from->from;
    copy->to->to = is_flat(world) ? world_knows(copy->from) : copy->from->to;
    copier_forget(world, copy->spec.resume_key);
}

void fake_copier_pass(struct fake_world *world)
{
    struct copy *copy = world->copy;
    uint64_t step = world->copy_per_ms;

    if (!copy || copy->finished || world->dead || world_hangs(world, copy->to))
        return;
    if (copy->to->severed) {
        copy->finished = true;
        copy->result = -EIO;
        return;
    }
    if (copy->limit && copy->limit / 1000 < step)
        step = copy->limit / 1000 + 1;
    copy->done += step;
    world->copied += copy->spec.task == COPY_DATA ? step : 0;
    if (world->copies_fail && copy->done > copy->total / 2) {
        copy->finished = true;
        copy->result = -EIO;
    } else if (copy->done >= copy->total) {
        finish(world, copy);
    } else if (copy->spec.task == COPY_DATA) {
        leave_checkpoint(world, copy);
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
                                   .total = copy->total,
                                   .mover = world->mover };
    if (copy->result == -EBADMSG)
        (void)err_set_code(err, ERR_IMAGE_VERIFICATION, "byte 42 differs");
    else if (copy->result)
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

    if (!world->dead && !copy->finished && world_hangs(world, copy->to))
        world_break(world, "the end of a copy whose destination hangs");
    if (world->copy == copy)
        world->copy = NULL;
    free(copy);
}

static int copier_probe(void *ctx, const char *src_path, const char *dst_dir,
                        enum copy_mover *ret_mover, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "copier probe", err);

    (void)src_path;
    (void)dst_dir;
    if (rc)
        return rc;
    *ret_mover = world->mover;
    return world_leave(world, 0, err);
}

static int copier_measure(void *ctx, const char *path,
                          enum volume_format format, uint64_t *ret_bytes,
                          struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = world_find_path(world, path);
    int rc = world_enter(world, "copier measure", err);

    if (rc)
        return rc;
    if (!volume || volume->info.format != format) {
        world_break(world, "measure of %s", path);
        return -ENOENT;
    }
    world_uses(world, volume, "measure");
    *ret_bytes = format == VOLUME_RAW ? volume->info.capacity
                                      : volume->used + volume->waste;
    return world_leave(world, 0, err);
}

struct copier_port fake_copier(struct fake_world *world)
{
    static const struct copier_ops ops = {
        .start = copier_start,
        .poll = copier_poll,
        .limit = copier_limit,
        .close = copier_close,
        .resumable = copier_resumable,
        .forget = copier_forget,
        .probe = copier_probe,
        .measure = copier_measure,
    };

    return (struct copier_port){ .ctx = world, .ops = &ops };
}
