/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two domains with one image between them. Guards the rules: the source is
 * never touched before the pivot is recorded, nothing that qemu has open is
 * removed, LEGAL is only what is complete.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

static struct fake_domain *domain_of(struct fake_world *world, const char *sd)
{
    for (int i = 0; i < SIDES; i++) {
        if (strcmp(world->domains[i].sd, sd) == 0)
            return &world->domains[i];
    }
    return NULL;
}

static enum side side_of(const struct fake_world *world,
                         const struct fake_domain *domain)
{
    return domain == &world->domains[SRC] ? SRC : DST;
}

static struct fake_volume *volume_of(struct fake_world *world,
                                     const struct volume_id *id)
{
    struct fake_domain *domain = domain_of(world, id->sd);

    for (size_t i = 0; domain && i < world->layers; i++) {
        if (strcmp(domain->volumes[i].info.id.vol, id->vol) == 0)
            return &domain->volumes[i];
    }
    return NULL;
}

static size_t layer_of(const struct fake_world *world,
                       const struct fake_volume *volume)
{
    for (int s = 0; s < SIDES; s++) {
        for (size_t i = 0; i < world->layers; i++) {
            if (&world->domains[s].volumes[i] == volume)
                return i;
        }
    }
    return world->layers;
}

/* --- domains ----------------------------------------------------------- */

static int storage_domain_find(void *ctx, const char *name_or_sd,
                               char ret_sd[UUID_SIZE], struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "domain find", err);

    for (int i = 0; rc == 0 && i < SIDES; i++) {
        const struct fake_domain *domain = &world->domains[i];

        if (strcmp(domain->name, name_or_sd) == 0 ||
            strcmp(domain->sd, name_or_sd) == 0) {
            (void)str_copy(ret_sd, UUID_SIZE, domain->sd);
            return world_leave(world, 0, err);
        }
    }
    return rc ? rc
              : err_set_code(err, ERR_NO_DOMAIN, "no domain %s", name_or_sd);
}

static int storage_domain_info(void *ctx, const char *sd,
                               struct domain_info *ret_info, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = domain_of(world, sd);
    int rc = world_enter(world, "domain info", err);

    if (rc)
        return rc;
    *ret_info = (struct domain_info){ .block_size = domain->block_size,
                                      .status = domain->status,
                                      .read_only = domain->read_only,
                                      .class_name = "Data" };
    (void)str_copy(ret_info->sd, UUID_SIZE, sd);
    (void)str_copy(ret_info->name, sizeof(ret_info->name), domain->name);
    (void)str_copy(ret_info->path, sizeof(ret_info->path), "/srv/domain");
    return world_leave(world, 0, err);
}

static int storage_domain_stats(void *ctx, const char *sd,
                                struct domain_stats *ret_stats, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = domain_of(world, sd);
    int rc = world_enter(world, "domain stats", err);

    if (rc)
        return rc;
    ret_stats->free_bytes = domain->free_bytes;
    ret_stats->total_bytes = domain->free_bytes * 2;
    ret_stats->unwritable = domain->unwritable;
    return world_leave(world, 0, err);
}

static int storage_domain_volumes(void *ctx, const char *sd, const char *img,
                                  struct uuid_list *ret_list, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = domain_of(world, sd);
    int rc = world_enter(world, "domain volumes", err);

    if (rc)
        return rc;
    if (!world_image_exists(world, side_of(world, domain)))
        return world_leave(
            world, err_set_code(err, ERR_NO_IMAGE, "no image %s", img), err);
    ret_list->uuids = calloc(world->layers, UUID_SIZE);
    if (!ret_list->uuids)
        return err_set(err, -ENOMEM, "volumes");
    for (size_t i = 0; i < world->layers; i++) {
        if (domain->volumes[i].exists)
            (void)str_copy(ret_list->uuids[ret_list->n++], UUID_SIZE,
                           domain->volumes[i].info.id.vol);
    }
    rc = world_leave(world, 0, err);
    if (rc)
        uuid_list_deinit(ret_list);
    return rc;
}

/* --- images ------------------------------------------------------------ */

static int storage_image_chain(void *ctx, const char *sd, const char *img,
                               const char *leaf,
                               struct storage_chain *ret_chain, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = domain_of(world, sd);
    int rc = world_enter(world, "image chain", err);

    (void)leaf;
    for (size_t i = 0; rc == 0 && i < world->layers; i++) {
        if (!domain->volumes[i].exists)
            rc = err_set_code(err, ERR_IMAGE_CHAIN, "image %s: layer %zu lacks",
                              img, i);
    }
    if (rc)
        return rc;
    rc = world_leave(world, 0, err);
    if (rc)
        return rc;
    ret_chain->volumes = calloc(world->layers, sizeof(struct volume_info));
    if (!ret_chain->volumes)
        return err_set(err, -ENOMEM, "chain");
    ret_chain->n = world->layers;
    for (size_t i = 0; i < world->layers; i++)
        ret_chain->volumes[i] = domain->volumes[i].info;
    return 0;
}

static int storage_image_prepare(void *ctx, const struct volume_id *id,
                                 bool allow_illegal, char ret_path[PATH_MAX],
                                 struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_domain *domain = domain_of(world, id->sd);
    const struct fake_volume *volume = volume_of(world, id);
    int rc = world_enter(world, "image prepare", err);

    if (rc)
        return rc;
    if (!volume->exists)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (volume->info.legality != VOLUME_LEGAL && !allow_illegal)
        return err_set_code(err, ERR_VOLUME_ILLEGAL, "volume %s", id->vol);
    domain->prepared = true;
    rc = world_leave(world, 0, err);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, volume->info.path);
    return rc;
}

static int storage_image_teardown(void *ctx, const char *sd, const char *img,
                                  struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_domain *domain = domain_of(world, sd);
    int rc = world_enter(world, "image teardown", err);

    (void)img;
    if (rc)
        return rc;
    if (world_qemu_has(world, side_of(world, domain)) && !world->forgotten)
        world_break(world, "teardown of an image that qemu has open");
    if (world->alive && !world->forgotten &&
        world->xml_at == side_of(world, domain))
        world_break(world, "teardown of an image that the live XML names");
    domain->prepared = false;
    return world_leave(world, 0, err);
}

/* What must be true before a copy may go. */
static void check_delete(struct fake_world *world, enum side side)
{
    if (side == SRC)
        world_needs_state(world, "delete of the source", JOB_RELEASING,
                          JOB_RELEASING);
    else
        world_needs_state(world, "delete of the destination", JOB_REMOVING,
                          JOB_REMOVING);
    if (world_qemu_has(world, side) && !world->forgotten)
        world_break(world, "delete of an image that qemu has open");
    if (world->alive && !world->forgotten && world->xml_at == side)
        world_break(world, "delete of an image that the live XML names");
    if (world->defined && world->persistent_at == side)
        world_break(world, "delete of an image that the definition names");
    if (world->copy && side == DST)
        world_break(world, "delete under a running copy");
}

static int storage_image_delete(void *ctx, const char *sd, const char *img,
                                struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_domain *domain = domain_of(world, sd);
    enum side side = side_of(world, domain);
    int rc = world_enter(world, "image delete", err);

    if (rc)
        return rc;
    if (!world_image_exists(world, side))
        return err_set_code(err, ERR_NO_IMAGE, "no image %s", img);
    check_delete(world, side);
    if (world_qemu_has(world, side))
        return err_set_code(err, ERR_VOLUME_BUSY, "image %s: qemu has it open",
                            img);
    if (domain->deletes_fail)
        return err_set_code(err, ERR_IMAGE_DELETE, "image %s: device error",
                            img);
    for (size_t i = world->layers; i-- > 0;) {
        domain->volumes[i].exists = false;
        if (world_half(world))
            break;
    }
    return world_leave(world, 0, err);
}

/* --- volumes ----------------------------------------------------------- */

static int storage_volume_create(void *ctx, const struct volume_create *spec,
                                 struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_of(world, &spec->id);
    int rc = world_enter(world, "volume create", err);
    size_t layer = layer_of(world, volume);

    if (rc)
        return rc;
    world_needs_state(world, "volume create", JOB_PREPARING, JOB_PREPARING);
    if (volume != &world->domains[DST].volumes[layer])
        world_break(world, "volume create on the source");
    if (volume->exists)
        return err_set_code(err, ERR_VOLUME_EXISTS, "volume %s", spec->id.vol);
    if (world->domains[DST].free_bytes < 1 << 20)
        return err_set_code(err, ERR_NO_SPACE, "domain is full");
    if (!spec->clone || spec->legality != VOLUME_ILLEGAL ||
        strcmp(spec->parent, volume->info.parent) != 0 ||
        (spec->role == VOLUME_LEAF) != (layer == world_leaf(world)) ||
        (layer && !volume[-1].exists))
        world_break(world, "layer %zu is not a clone's", layer);
    volume->exists = true;
    volume->fresh = true;
    volume->whole = false;
    volume->info.format = spec->format;
    volume->info.allocation = spec->allocation;
    volume->info.role = spec->role;
    volume->info.legality = spec->legality;
    volume->info.capacity = spec->capacity;
    if (layer == world_leaf(world))
        world->domains[DST].writes = 0;
    return world_leave(world, 0, err);
}

static int storage_volume_info(void *ctx, const struct volume_id *id,
                               struct volume_info *ret_info, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = volume_of(world, id);
    int rc = world_enter(world, "volume info", err);

    if (rc)
        return rc;
    if (!volume->exists)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    *ret_info = volume->info;
    return world_leave(world, 0, err);
}

static void check_legal(struct fake_world *world,
                        const struct fake_volume *volume)
{
    size_t layer = layer_of(world, volume);

    if (volume == &world->domains[SRC].volumes[layer])
        return;
    if (layer != world_leaf(world)) {
        if (!volume->whole)
            world_break(world, "layer %zu is LEGAL but incomplete", layer);
        return;
    }
    if (world->alive && world->qemu_at != DST)
        world_break(world, "the leaf is LEGAL while qemu is on the source");
    else
        world_needs_state(world, "LEGAL for the leaf", JOB_PIVOTING,
                          JOB_PIVOTED);
}

static int storage_set_legality(void *ctx, const struct volume_id *id,
                                enum volume_legality legality, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_of(world, id);
    int rc = world_enter(world, "set legality", err);

    if (rc)
        return rc;
    if (!volume->exists)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (domain_of(world, id->sd)->legality_fails)
        return err_set_code(err, ERR_METADATA_WRITE, "volume %s", id->vol);
    if (legality == VOLUME_LEGAL)
        check_legal(world, volume);
    else
        world_break(world, "a volume was made illegal");
    volume->info.legality = legality;
    return world_leave(world, 0, err);
}

static int storage_volume_reset(void *ctx, const struct volume_id *id,
                                struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_of(world, id);
    int rc = world_enter(world, "volume reset", err);
    bool leaf = layer_of(world, volume) == world_leaf(world);

    if (rc)
        return rc;
    if (volume == &world->domains[SRC].volumes[layer_of(world, volume)])
        world_break(world, "reset of a source volume");
    if (!volume->exists)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (volume->info.legality != VOLUME_ILLEGAL)
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s is legal",
                            id->vol);
    if (leaf && world_qemu_has(world, DST)) {
        world_break(world, "reset of the mirror's destination");
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s", id->vol);
    }
    volume->fresh = true;
    volume->whole = false;
    if (leaf)
        world->domains[DST].writes = 0;
    return world_leave(world, 0, err);
}

static int storage_volume_preallocate(void *ctx, const struct volume_id *id,
                                      struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = volume_of(world, id);
    int rc = world_enter(world, "volume preallocate", err);

    if (rc)
        return rc;
    if (!volume->exists)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    return world_leave(world, 0, err);
}

static int storage_locate(void *ctx, const char *path, struct volume_id *ret_id,
                          struct err *err)
{
    struct fake_world *world = ctx;
    char other[PATH_MAX];
    int rc = world_enter(world, "locate", err);

    for (int s = 0; rc == 0 && s < SIDES; s++) {
        for (size_t i = 0; i < world->layers; i++) {
            const struct volume_info *info = &world->domains[s].volumes[i].info;

            (void)str_format(other, sizeof(other), "/run%s", info->path);
            if (!world->domains[s].volumes[i].exists ||
                (strcmp(path, info->path) != 0 && strcmp(path, other) != 0))
                continue;
            *ret_id = info->id;
            return world_leave(world, 0, err);
        }
    }
    return rc ? rc : err_set_code(err, ERR_NO_DISK, "%s: not ours", path);
}

struct storage_port fake_storage(struct fake_world *world)
{
    static const struct storage_ops ops = {
        .domain_find = storage_domain_find,
        .domain_info = storage_domain_info,
        .domain_stats = storage_domain_stats,
        .domain_volumes = storage_domain_volumes,
        .image_chain = storage_image_chain,
        .image_prepare = storage_image_prepare,
        .image_teardown = storage_image_teardown,
        .image_delete = storage_image_delete,
        .volume_create = storage_volume_create,
        .volume_info = storage_volume_info,
        .volume_set_legality = storage_set_legality,
        .volume_reset = storage_volume_reset,
        .volume_preallocate = storage_volume_preallocate,
        .locate = storage_locate,
    };

    return (struct storage_port){ .ctx = world, .ops = &ops };
}
