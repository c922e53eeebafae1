/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the volumes of the fake world hold, and who has them open.
 */
#include "fake-world.h"

#include <string.h>

struct fake_volume *world_find(struct fake_world *world,
                               const struct volume_id *id)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct volume_id *have = &world->volumes[i].info.id;

        if (strcmp(have->sd, id->sd) == 0 && strcmp(have->img, id->img) == 0 &&
            strcmp(have->vol, id->vol) == 0)
            return &world->volumes[i];
    }
    return NULL;
}

/* "/dev/VG/LV". */
static bool is_device(const struct fake_volume *volume, const char *path)
{
    char name[PATH_MAX];

    (void)str_format(name, sizeof(name), "/dev/%s/%s", volume->info.id.sd,
                     volume->info.id.vol);
    return volume->info.block && strcmp(path, name) == 0;
}

struct fake_volume *world_find_path(struct fake_world *world, const char *path)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        const char *name = world->volumes[i].info.path;

        if (strcmp(path, name) == 0 ||
            (strncmp(path, "/run", 4) == 0 && strcmp(path + 4, name) == 0) ||
            is_device(&world->volumes[i], path))
            return &world->volumes[i];
    }
    return NULL;
}

struct fake_disk *world_find_disk(struct fake_world *world, const char *target)
{
    for (size_t i = 0; i < world->n_disks; i++) {
        if (strcmp(world->disks[i].target, target) == 0)
            return &world->disks[i];
    }
    world_break(world, "asked for disk %s", target);
    return &world->disks[0];
}

void world_set_backing(struct fake_world *world, struct fake_volume *volume,
                       const char *vol)
{
    struct volume_id id = volume->info.id;

    (void)str_copy(volume->backing, UUID_SIZE, vol);
    (void)str_copy(id.vol, UUID_SIZE, vol);
    volume->below =
        strcmp(vol, UUID_BLANK) == 0 ? NULL : world_slot(world, &id);
}

uint64_t world_knows(const struct fake_volume *top)
{
    uint64_t known = top->below ? world_knows(top->below) : 0;

    if (top->to == top->from)
        return known; /* it is empty */
    if (top->from > known)
        return known; /* some are nowhere */
    return top->to;   /* should the layers below know more: it hides that */
}

bool world_is_whole(const struct fake_volume *top)
{
    for (; top; top = top->below) {
        if (!top->exists || !top->whole)
            return false;
    }
    return true;
}

bool world_has_open(const struct fake_world *world,
                    const struct fake_volume *volume)
{
    for (size_t i = 0; world->alive && i < world->n_disks; i++) {
        const struct fake_disk *disk = &world->disks[i];

        if (disk->job.kind != VM_JOB_NONE && disk->job.target == volume)
            return true;
        for (size_t k = 0; k < disk->n; k++) {
            if (disk->chain[k] == volume)
                return true;
        }
    }
    return false;
}

bool world_is_named(const struct fake_world *world,
                    const struct fake_volume *volume)
{
    for (size_t i = 0; i < world->n_disks; i++) {
        const struct fake_disk *disk = &world->disks[i];

        if ((world->alive && !world->forgotten && disk->xml == volume) ||
            (world->defined && disk->persistent == volume))
            return true;
    }
    return false;
}

void world_open_chain(struct fake_disk *disk, struct fake_volume *top)
{
    disk->n = 0;
    for (; top && disk->n < CHAIN_MAX; top = top->below)
        disk->chain[disk->n++] = top;
}

void world_empty(struct fake_volume *volume)
{
    volume->from = volume->to = 0;
    volume->whole = false;
    volume->used = FAKE_HEADER;
}

bool world_image_exists(const struct fake_world *world, enum side side)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        if (world->volumes[i].side == side && world->volumes[i].exists)
            return true;
    }
    return false;
}

enum side world_at(const struct fake_world *world)
{
    return world->disks[0].chain[0]->side;
}
