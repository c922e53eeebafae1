/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes of the fake world. Guards the rules: LEGAL is only what is complete,
 * a copy is made anew only when nobody has it, and no layer goes that holds
 * what is nowhere else.
 */
#include "fake-storage.h"

#include <errno.h>
#include <string.h>

static int no_volume(const struct volume_id *id, struct err *err)
{
    return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
}

/* What the VM writes to while the job runs, on the destination. */
static bool is_top(const struct fake_world *world,
                   const struct fake_volume *volume)
{
    const struct job_disk *of = &world->record.disks[volume->disk];

    if (!world->record.vm[0])
        return false;
    return strcmp(volume->info.id.vol,
                  of->overlay[0] ? of->overlay : of->leaf) == 0;
}

unsigned fake_folds_source(const struct fake_world *world)
{
    return world->record.keep_source || world->domains[SRC].outside
               ? IN(JOB_RELEASING)
               : 0;
}

void fake_give_back(struct fake_world *world, struct fake_volume *volume)
{
    struct err ignored = ERR_INIT; /* less is always there */

    volume->exists = volume->active = volume->severed = false;
    if (volume->info.block)
        (void)world_resize(world, volume, 0, &ignored);
}

/* --- making ------------------------------------------------------------ */

/* The first size of its LV. */
static uint64_t first_bytes(const struct volume_create *spec)
{
    if (spec->format == VOLUME_RAW)
        return spec->capacity;
    return spec->initial_bytes ? spec->initial_bytes : FAKE_CHUNK;
}

static struct fake_volume *parent_of(struct fake_world *world,
                                     const struct volume_create *spec)
{
    struct volume_id id = spec->id;

    if (strcmp(spec->parent, UUID_BLANK) == 0)
        return NULL;
    (void)str_copy(id.vol, UUID_SIZE, spec->parent);
    return fake_existing(world, &id);
}

static void check_spec(struct fake_world *world,
                       const struct volume_create *spec)
{
    bool to_source = strcmp(spec->id.sd, world->domains[SRC].sd) == 0;
    bool has_parent = strcmp(spec->parent, UUID_BLANK) != 0;

    if (has_parent && !parent_of(world, spec))
        world_break(world, "volume %s before its parent", spec->id.vol);
    if (has_parent && strcmp(spec->parent_img, spec->id.img) != 0)
        world_break(world, "volume %s with a parent elsewhere", spec->id.vol);
    if (spec->format == VOLUME_RAW && has_parent)
        world_break(world, "raw volume %s with a parent", spec->id.vol);
    if (to_source && (spec->clone || spec->legality != VOLUME_LEGAL ||
                      spec->format != VOLUME_COW || !has_parent))
        world_break(world, "%s is no overlay of the source", spec->id.vol);
    if (!to_source && (!spec->clone || spec->legality != VOLUME_ILLEGAL))
        world_break(world, "%s is no clone", spec->id.vol);
}

static bool is_as_asked(const struct fake_volume *volume,
                        const struct volume_create *spec)
{
    return volume->info.format == spec->format &&
           volume->info.capacity == spec->capacity &&
           volume->info.legality == spec->legality &&
           strcmp(volume->info.parent, spec->parent) == 0;
}

static void make(struct fake_world *world, struct fake_volume *volume,
                 const struct volume_create *spec)
{
    struct fake_volume *parent = parent_of(world, spec);

    volume->exists = true;
    volume->made++;
    volume->fresh = true;
    volume->flipped = false;
    world_empty(volume);
    volume->whole = !spec->clone; /* there was nothing to be held */
    volume->info.block = world->domains[volume->side].block;
    volume->waste = 0;
    volume->info.format = spec->format;
    volume->info.allocation = spec->allocation;
    volume->info.role = spec->clone ? spec->role : VOLUME_LEAF;
    volume->info.legality = spec->legality;
    volume->info.capacity = spec->capacity;
    (void)str_copy(volume->info.parent, UUID_SIZE, spec->parent);
    world_set_backing(world, volume, spec->parent);
    if (parent && !spec->clone)
        parent->info.role = VOLUME_INTERNAL;
}

static int create(struct fake_world *world, const struct volume_create *spec,
                  struct err *err)
{
    struct fake_volume *volume = world_slot(world, &spec->id);

    if (volume->exists && is_as_asked(volume, spec))
        return 0;
    if (volume->exists)
        return err_set_code(err, ERR_VOLUME_EXISTS, "volume %s", spec->id.vol);
    if (world->domains[volume->side].free_bytes < 1 << 20)
        return err_set_code(err, ERR_NO_SPACE, "domain is full");
    check_spec(world, spec);
    make(world, volume, spec);
    if (!volume->info.block)
        return 0;
    if (spec->format == VOLUME_RAW && spec->allocation == VOLUME_SPARSE)
        world_break(world, "raw volume %s is sparse on a VG", spec->id.vol);
    volume->info.apparent_bytes = 0;
    volume->exists = false;
    if (world_resize(world, volume, first_bytes(spec), err))
        return err->rc;
    volume->exists = true;
    return 0;
}

int fake_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                        struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "volumes create", err);

    if (rc)
        return rc;
    world_needs(world, "volumes create", IN(JOB_PREPARING));
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (i == (n + 1) / 2 && world_half(world))
            break;
        rc = create(world, &specs[i], err);
    }
    return world_leave(world, rc, err);
}

/* --- looking ----------------------------------------------------------- */

int fake_volume_info(void *ctx, const struct volume_id *id,
                     struct volume_info *ret_info, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume;
    int rc = world_enter(world, "volume info", err);

    if (rc)
        return rc;
    volume = fake_existing(world, id);
    if (!volume)
        return no_volume(id, err);
    *ret_info = volume->info;
    return world_leave(world, 0, err);
}

/* --- changing ---------------------------------------------------------- */

static void check_legal(struct fake_world *world,
                        const struct fake_volume *volume)
{
    const struct fake_disk *disk = &world->disks[volume->disk];

    if (volume->side == SRC) {
        world_break(world, "the source was made legal");
    } else if (!is_top(world, volume)) {
        if (!volume->whole)
            world_break(world, "%s is LEGAL but incomplete", volume->info.path);
    } else if (world->alive && disk->chain[0]->side != DST) {
        world_break(world, "the top is LEGAL while qemu is on the source");
    } else if (!world->alive && world->record.n_disks == 1) {
        world_needs(world, "LEGAL for the top", IN(JOB_PIVOTED));
    } else if (world_knows(volume) != disk->acknowledged) {
        world_break(world, "the top is LEGAL, but lacks writes");
    }
}

/* Those two fill what an engine made. */
static bool is_engines(const struct fake_world *world)
{
    return world->record.kind == JOB_REPLICATE ||
           world->record.kind == JOB_SYNC;
}

int fake_set_legality(void *ctx, const struct volume_id *id,
                      enum volume_legality legality, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "set legality", err);

    if (rc)
        return rc;
    if (!volume)
        return no_volume(id, err);
    if (world->domains[volume->side].legality_fails)
        return err_set_code(err, ERR_METADATA_WRITE, "volume %s", id->vol);
    if (legality == VOLUME_LEGAL)
        check_legal(world, volume);
    else if (world->record.state == JOB_RETURNING && world->paused)
        ; /* its disk comes back */
    else if (!is_engines(world) || volume->side == SRC ||
             world_has_open(world, volume))
        world_break(world, "%s was made illegal", volume->info.path);
    volume->info.legality = legality;
    return world_leave(world, 0, err);
}

int fake_volume_reset(void *ctx, const struct volume_id *id, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume reset", err);

    if (rc)
        return rc;
    if (!volume)
        return no_volume(id, err);
    if (volume->side == SRC)
        world_break(world, "reset of a source volume");
    if (volume->info.legality != VOLUME_ILLEGAL)
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s is legal",
                            id->vol);
    if (world_has_open(world, volume)) {
        world_break(world, "reset of the mirror's destination");
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s", id->vol);
    }
    volume->fresh = true;
    volume->made++;
    volume->flipped = false;
    world_empty(volume);
    return world_leave(world, 0, err);
}

int fake_volume_preallocate(void *ctx, const struct volume_id *id,
                            struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume preallocate", err);

    if (rc)
        return rc;
    return volume ? world_leave(world, 0, err) : no_volume(id, err);
}

static bool has_child(const struct fake_world *world,
                      const struct fake_volume *parent)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct fake_volume *child = &world->volumes[i];

        if (child->exists && child->side == parent->side &&
            child->disk == parent->disk &&
            strcmp(child->info.parent, parent->info.id.vol) == 0)
            return true;
    }
    return false;
}

static void check_delete(struct fake_world *world, struct fake_volume *volume)
{
    const struct fake_volume *below = volume->below;

    world_needs(world, "delete of a layer",
                IN(JOB_FOLDED) | fake_folds_source(world));
    if (world_has_open(world, volume) && !world->forgotten)
        world_break(world, "delete of %s, which qemu has open",
                    volume->info.path);
    if (world_is_named(world, volume))
        world_break(world, "delete of %s, which the VM's definition names",
                    volume->info.path);
    if (volume->to > volume->from &&
        (!below || world_knows(below) < volume->to))
        world_break(world, "delete of %s, whose data is nowhere else",
                    volume->info.path);
}

int fake_volume_delete(void *ctx, const struct volume_id *id, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    struct fake_volume *parent;
    int rc = world_enter(world, "volume delete", err);

    if (rc)
        return rc;
    if (!volume)
        return no_volume(id, err);
    if (has_child(world, volume))
        return err_set_code(err, ERR_VOLUME_CHILDREN, "volume %s", id->vol);
    check_delete(world, volume);
    if (world_has_open(world, volume))
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s", id->vol);
    if (world->domains[volume->side].deletes_fail)
        return err_set_code(err, ERR_IMAGE_DELETE, "volume %s", id->vol);
    fake_give_back(world, volume);
    parent = volume->below;
    if (parent && volume->info.role == VOLUME_LEAF)
        parent->info.role = VOLUME_LEAF;
    return world_leave(world, 0, err);
}

/* Half a commit leaves the layer below torn; the one above hides it. */
int fake_volume_commit(void *ctx, const struct volume_id *id, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *top = fake_existing(world, id);
    struct fake_volume *base;
    int rc = world_enter(world, "volume commit", err);

    if (rc)
        return rc;
    world_needs(world, "offline commit",
                IN(JOB_COMMITTING) | IN(JOB_FOLDING) |
                    fake_folds_source(world));
    if (!top)
        return no_volume(id, err);
    base = top->below;
    if (world_has_open(world, top) || world_has_open(world, base))
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s", id->vol);
    if (world->commit_fails)
        return err_set_code(err, ERR_MERGE, "volume %s: device error", id->vol);
    if (top->to > top->from && base->to > top->to)
        world_break(world, "commit of %s over what is newer", top->info.path);
    world_uses(world, top, "commit");
    world_uses(world, base, "commit");
    if (world_half(world))
        return world_leave(world, 0, err);
    base->used += top->used;
    top->used = FAKE_HEADER; /* repeated, it takes no more */
    if (!world_has_room(world, base, false))
        world_break(world, "no space in %s for a commit", base->info.path);
    if (top->to > top->from) {
        if (base->to == base->from)
            base->from = top->from;
        base->to = top->to;
    }
    return world_leave(world, 0, err);
}
