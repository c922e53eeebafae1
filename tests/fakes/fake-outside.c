/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Places outside of all domains: a file, or something that is there already.
 */
#include "fake-storage.h"

#include <errno.h>
#include <string.h>

static struct fake_volume *volume_at(struct fake_world *world,
                                     const char *place)
{
    struct fake_volume *volume = world_find_path(world, place);

    if (!volume)
        world_break(world, "nobody spoke of %s", place);
    return volume ? volume : &world->volumes[0];
}

int fake_outside_info(void *ctx, const char *place, enum volume_format format,
                      struct outside_info *ret, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = volume_at(world, place);
    int rc = world_enter(world, "outside info", err);

    (void)format;
    if (rc)
        return rc;
    const struct fake_domain *domain = &world->domains[volume->side];
    *ret = (struct outside_info){
        .exists = volume->exists,
        .block = domain->device && domain->device_bytes,
        .network = domain->device && !domain->device_bytes,
        .bytes = domain->device_bytes ? domain->device_bytes
                 : volume->exists     ? 1 << 30
                                      : 0,
        .true_bytes = volume->info.true_bytes,
        .free_bytes = domain->device ? UINT64_MAX : domain->free_bytes,
    };
    return world_leave(world, 0, err);
}

int fake_outside_create(void *ctx, const char *place, enum volume_format format,
                        uint64_t capacity, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_at(world, place);
    int rc = world_enter(world, "outside create", err);

    if (rc)
        return rc;
    world_needs(world, "outside create", IN(JOB_PREPARING));
    if (world->domains[volume->side].free_bytes < 1 << 20)
        return err_set_code(err, ERR_NO_SPACE, "%s: no space", place);
    if (volume->side == SRC || capacity != 1 << 30)
        world_break(world, "%s made with %llu bytes", place,
                    (unsigned long long)capacity);
    if (volume->exists && !world->domains[volume->side].device)
        return err_set_code(err, ERR_VOLUME_EXISTS, "%s exists", place);
    volume->exists = true;
    volume->fresh = true;
    volume->made++;
    volume->kept = false;
    volume->info.format = format;
    world_empty(volume);
    return world_leave(world, 0, err);
}

/* --- overlays ---------------------------------------------------------- */

static bool is_overlay(const char *place)
{
    return str_starts_with(place, "/out/drayd-");
}

/* The side that has no domain. */
static struct fake_volume *overlay_at(struct fake_world *world,
                                      const char *place)
{
    struct volume_id id = { .sd = "" };

    if (!is_overlay(place))
        world_break(world, "%s is no overlay", place);
    (void)str_copy(id.img, UUID_SIZE, world->disks[0].img);
    (void)str_format(id.vol, UUID_SIZE, "%.36s", place + strlen("/out/drayd-"));
    return world_slot(world, &id);
}

int fake_outside_overlay(void *ctx, const char *place, const char *backing,
                         enum volume_format backing_format, uint64_t capacity,
                         struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = overlay_at(world, place);
    const struct fake_volume *below = world_find_path(world, backing);
    int rc = world_enter(world, "outside overlay", err);

    if (rc)
        return rc;
    world_needs(world, "outside overlay",
                IN(JOB_PREPARING) |
                    (volume->side == DST ? IN(JOB_STARTING) : 0));
    if (!below || below->info.format != backing_format ||
        below->side != volume->side || capacity != 1 << 30) {
        world_break(world, "overlay %s over %s", place, backing);
        return err_set_code(err, ERR_VOLUME_CREATE, "%s", place);
    }
    if (world->domains[volume->side].free_bytes < 1 << 20)
        return err_set_code(err, ERR_NO_SPACE, "%s: no space", place);
    if (world_has_open(world, volume))
        return err_set_code(err, ERR_VOLUME_BUSY, "%s is in use", place);
    volume->exists = true;
    volume->fresh = true;
    volume->whole = true;
    volume->made++;
    volume->info.format = VOLUME_COW;
    volume->info.legality = VOLUME_LEGAL;
    world_set_backing(world, volume, below->info.id.vol);
    world_empty(volume);
    volume->whole = true;
    return world_leave(world, 0, err);
}

int fake_outside_commit(void *ctx, const char *place, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = overlay_at(world, place);

    if (volume->exists)
        return fake_volume_commit(ctx, &volume->info.id, err);

    int rc = world_enter(world, "outside commit", err);

    return rc ? rc : err_set_code(err, ERR_NO_VOLUME, "%s is not there", place);
}

static int remove_overlay(struct fake_world *world, const char *place,
                          struct err *err)
{
    struct fake_volume *volume = overlay_at(world, place);
    int rc = world_enter(world, "outside remove", err);

    if (rc)
        return rc;
    world_needs(world, "removal of an overlay outside",
                IN(JOB_FOLDED) | IN(JOB_FOLDING) | IN(JOB_RELEASING) |
                    (volume->side == DST ? IN(JOB_REMOVING) : 0));
    if (world_has_open(world, volume) || world_is_named(world, volume))
        world_break(world, "removal of %s, which is in use", place);
    if (volume->exists && volume->to > volume->from &&
        world->record.state != JOB_REMOVING &&
        (!volume->below || world_knows(volume->below) < volume->to))
        world_break(world, "removal of %s, whose data is nowhere else", place);
    volume->exists = false;
    return world_leave(world, 0, err);
}

int fake_outside_keep(void *ctx, const char *place, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_at(world, place);
    int rc = world_enter(world, "outside keep", err);

    if (rc)
        return rc;
    world_needs(world, "outside keep", IN(JOB_PIVOTED));
    volume->kept = true;
    return world_leave(world, 0, err);
}

int fake_outside_remove(void *ctx, const char *place, struct err *err)
{
    struct fake_world *world = ctx;

    if (is_overlay(place))
        return remove_overlay(world, place, err);

    struct fake_volume *volume = volume_at(world, place);
    int rc = world_enter(world, "outside remove", err);

    if (rc)
        return rc;
    world_needs(world, "outside remove", IN(JOB_REMOVING));
    if (volume->side == SRC || world->domains[volume->side].device)
        world_break(world, "%s is not ours to remove", place);
    if (world_has_open(world, volume) || world_is_named(world, volume))
        world_break(world, "removal of %s, which is in use", place);
    if (world->domains[volume->side].deletes_fail)
        return err_set_code(err, ERR_IMAGE_DELETE, "%s: device error", place);
    volume->exists = volume->kept;
    return world_leave(world, 0, err);
}
