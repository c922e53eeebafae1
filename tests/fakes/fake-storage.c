/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domains and images of the fake world. Guards the rules: the source is never
 * touched before the pivot is recorded, nothing that qemu has open is removed,
 * records drop no layer whose data is nowhere else.
 */
#include "fake-storage.h"

#include <errno.h>
#include <string.h>

static enum side side_of(const struct fake_world *world, const char *sd)
{
    return strcmp(world->domains[SRC].sd, sd) == 0 ? SRC : DST;
}

static bool is_in(const struct fake_volume *volume, const char *sd,
                  const char *img)
{
    return volume->exists && strcmp(volume->info.id.sd, sd) == 0 &&
           strcmp(volume->info.id.img, img) == 0;
}

static size_t count_volumes(const struct fake_world *world, const char *sd,
                            const char *img)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_volumes; i++)
        n += is_in(&world->volumes[i], sd, img);
    return n;
}

static int no_image(const char *img, struct err *err)
{
    return err_set_code(err, ERR_NO_IMAGE, "no image %s", img);
}

/* --- domains ----------------------------------------------------------- */

static int domain_find(void *ctx, const char *name_or_sd,
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

static int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                       struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = &world->domains[side_of(world, sd)];
    int rc = world_enter(world, "domain info", err);

    if (rc)
        return rc;
    *ret_info =
        (struct domain_info){ .block_size = domain->block_size,
                              .status = domain->status,
                              .read_only = domain->read_only,
                              .block = domain->block,
                              .extent_bytes = domain->block ? FAKE_EXTENT : 0,
                              .class_name = "Data" };
    (void)str_copy(ret_info->sd, UUID_SIZE, sd);
    (void)str_copy(ret_info->name, sizeof(ret_info->name), domain->name);
    (void)str_copy(ret_info->path, sizeof(ret_info->path), "/srv/domain");
    return world_leave(world, 0, err);
}

static int domain_stats(void *ctx, const char *sd,
                        struct domain_stats *ret_stats, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_domain *domain = &world->domains[side_of(world, sd)];
    int rc = world_enter(world, "domain stats", err);

    if (rc)
        return rc;
    ret_stats->free_bytes = domain->free_bytes;
    ret_stats->total_bytes = 2ULL << 40;
    ret_stats->unwritable = domain->unwritable;
    return world_leave(world, 0, err);
}

static int domain_volumes(void *ctx, const char *sd, const char *img,
                          struct uuid_list *ret_list, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "domain volumes", err);
    size_t n = count_volumes(world, sd, img);

    if (rc)
        return rc;
    if (n == 0)
        return world_leave(world, no_image(img, err), err);
    ret_list->uuids = calloc(n, UUID_SIZE);
    if (!ret_list->uuids)
        return err_set(err, -ENOMEM, "volumes");
    for (size_t i = 0; i < world->n_volumes; i++) {
        if (is_in(&world->volumes[i], sd, img))
            (void)str_copy(ret_list->uuids[ret_list->n++], UUID_SIZE,
                           world->volumes[i].info.id.vol);
    }
    rc = world_leave(world, 0, err);
    if (rc)
        uuid_list_deinit(ret_list);
    return rc;
}

/* --- chains ------------------------------------------------------------ */

static struct fake_volume *find_in(struct fake_world *world, const char *sd,
                                   const char *img, const char *vol)
{
    struct volume_id id;

    (void)str_copy(id.sd, UUID_SIZE, sd);
    (void)str_copy(id.img, UUID_SIZE, img);
    (void)str_copy(id.vol, UUID_SIZE, vol);
    return fake_existing(world, &id);
}

/* The one leaf; what was merged away lies ILLEGAL above it. NULL: none, or two.
 */
static struct fake_volume *find_leaf(struct fake_world *world, const char *sd,
                                     const char *img, bool dropped)
{
    struct fake_volume *leaf = NULL;

    for (size_t i = 0; i < world->n_volumes; i++) {
        struct fake_volume *volume = &world->volumes[i];
        bool illegal = volume->info.legality == VOLUME_ILLEGAL;

        if (!is_in(volume, sd, img) || volume->info.role == VOLUME_INTERNAL ||
            illegal != dropped)
            continue;
        if (leaf)
            return NULL;
        leaf = volume;
    }
    return leaf || dropped ? leaf : find_leaf(world, sd, img, true);
}

static int broken(const char *img, const char *what, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_CHAIN, "image %s: %s", img, what);
}

/* Leaf first. */
static int walk(struct fake_world *world, struct fake_volume *leaf,
                struct storage_chain *chain, struct err *err)
{
    const struct volume_id *id = &leaf->info.id;

    for (struct fake_volume *volume = leaf;;) {
        bool is_base = strcmp(volume->info.parent, UUID_BLANK) == 0;

        if (chain->n == CHAIN_MAX)
            return broken(id->img, "an endless chain", err);
        if (volume->info.format == VOLUME_COW &&
            strcmp(volume->info.parent, volume->backing) != 0)
            return broken(id->img, "a header names another parent", err);
        chain->volumes[chain->n++] = volume->info;
        if (is_base)
            return 0;
        volume = find_in(world, id->sd, id->img, volume->info.parent);
        if (!volume)
            return broken(id->img, "a layer lacks", err);
    }
}

static void turn_round(struct storage_chain *chain)
{
    for (size_t i = 0; i < chain->n / 2; i++) {
        struct volume_info other = chain->volumes[i];

        chain->volumes[i] = chain->volumes[chain->n - 1 - i];
        chain->volumes[chain->n - 1 - i] = other;
    }
}

static int image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err)
{
    struct fake_world *world = ctx;
    struct storage_chain chain = { 0 };
    struct fake_volume *top;
    int rc = world_enter(world, "image chain", err);

    if (rc)
        return rc;
    if (count_volumes(world, sd, img) == 0)
        return no_image(img, err);
    top =
        leaf ? find_in(world, sd, img, leaf) : find_leaf(world, sd, img, false);
    if (!top)
        return broken(img, "no leaf", err);
    chain.volumes = calloc(CHAIN_MAX, sizeof(*chain.volumes));
    if (!chain.volumes)
        return err_set(err, -ENOMEM, "chain");
    rc = world_leave(world, walk(world, top, &chain, err), err);
    if (rc) {
        storage_chain_deinit(&chain);
        return rc;
    }
    turn_round(&chain);
    *ret_chain = chain;
    return 0;
}

/* --- records that follow a merge --------------------------------------- */

static bool lists(const struct uuid_list *vols,
                  const struct fake_volume *volume)
{
    for (size_t i = 0; i < vols->n; i++) {
        if (strcmp(vols->uuids[i], volume->info.id.vol) == 0)
            return true;
    }
    return false;
}

/* What is dropped must not be in use, nor hold what the rest does not. */
static void check_dropped(struct fake_world *world, const char *sd,
                          const char *img, const struct uuid_list *vols,
                          const struct fake_volume *top)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct fake_volume *volume = &world->volumes[i];

        if (!is_in(volume, sd, img) || lists(vols, volume))
            continue;
        if (world_has_open(world, volume) && !world->forgotten)
            world_break(world, "records drop %s, which qemu has open",
                        volume->info.path);
        if (volume->to > volume->from && world_knows(top) < volume->to)
            world_break(world, "records drop %s, whose data is nowhere else",
                        volume->info.path);
    }
}

static void put_old_leaves(struct fake_world *world, const char *sd,
                           const char *img, const struct uuid_list *vols)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        struct fake_volume *volume = &world->volumes[i];

        if (is_in(volume, sd, img) && !lists(vols, volume) &&
            volume->info.role == VOLUME_LEAF)
            volume->info.legality = VOLUME_ILLEGAL;
    }
}

static int put_parents(struct fake_world *world, const char *sd,
                       const char *img, const struct uuid_list *vols,
                       struct err *err)
{
    const char *below = UUID_BLANK;

    for (size_t i = 0; i < vols->n; i++) {
        struct fake_volume *volume = find_in(world, sd, img, vols->uuids[i]);

        if (!volume)
            return broken(img, "the chain is no part of it", err);
        (void)str_copy(volume->info.parent, UUID_SIZE, below);
        below = vols->uuids[i];
        if (i + 1 < vols->n)
            volume->info.role = VOLUME_INTERNAL;
    }
    return 0;
}

static int image_sync_chain(void *ctx, const char *sd, const char *img,
                            const struct uuid_list *vols, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *top;
    int rc = world_enter(world, "image sync chain", err);

    if (rc)
        return rc;
    world_needs(world, "records follow a merge",
                IN(JOB_FOLDING) | IN(JOB_FOLDED) | fake_folds_source(world));
    top = vols->n ? find_in(world, sd, img, vols->uuids[vols->n - 1]) : NULL;
    if (!top)
        return broken(img, "no such leaf", err);
    check_dropped(world, sd, img, vols, top);
    rc = put_parents(world, sd, img, vols, err);
    if (rc)
        return rc;
    put_old_leaves(world, sd, img, vols);
    if (world_half(world))
        return world_leave(world, 0, err);
    top->info.role = VOLUME_LEAF;
    top->info.legality = VOLUME_LEGAL;
    return world_leave(world, 0, err);
}

/* --- images ------------------------------------------------------------ */

static int image_prepare(void *ctx, const struct volume_id *id,
                         bool allow_illegal, char ret_path[PATH_MAX],
                         struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "image prepare", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (volume->info.legality != VOLUME_LEGAL && !allow_illegal)
        return err_set_code(err, ERR_VOLUME_ILLEGAL, "volume %s", id->vol);
    world->domains[volume->side].prepared[volume->disk] = true;
    for (struct fake_volume *layer = volume; layer; layer = layer->below)
        layer->active = layer->info.block;
    rc = world_leave(world, 0, err);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, volume->info.path);
    return rc;
}

static void unprepare(struct fake_world *world, const char *sd, const char *img)
{
    for (size_t i = 0; i < world->n_disks; i++) {
        if (strcmp(world->disks[i].img, img) == 0)
            world->domains[side_of(world, sd)].prepared[i] = false;
    }
}

static int image_teardown(void *ctx, const char *sd, const char *img,
                          struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "image teardown", err);

    if (rc)
        return rc;
    for (size_t i = 0; i < world->n_volumes && !world->forgotten; i++) {
        const struct fake_volume *volume = &world->volumes[i];

        if (is_in(volume, sd, img) &&
            (world_has_open(world, volume) || world_is_named(world, volume)))
            world_break(world, "teardown of %s, which is in use",
                        volume->info.path);
    }
    unprepare(world, sd, img);
    for (size_t i = 0; i < world->n_volumes; i++) {
        struct fake_volume *volume = &world->volumes[i];

        if (is_in(volume, sd, img) && volume->active &&
            world_hangs(world, volume))
            world_break(world, "teardown of %s, which hangs",
                        volume->info.path);
        if (is_in(volume, sd, img))
            volume->active = volume->severed = false;
    }
    return world_leave(world, 0, err);
}

/* What must be true before a copy may go. */
static void check_delete(struct fake_world *world,
                         const struct fake_volume *volume)
{
    if (volume->side == SRC)
        world_needs(world, "delete of the source", IN(JOB_RELEASING));
    else
        world_needs(world, "delete of the destination", IN(JOB_REMOVING));
    if (world_has_open(world, volume) && !world->forgotten)
        world_break(world, "delete of %s, which qemu has open",
                    volume->info.path);
    if (world_is_named(world, volume))
        world_break(world, "delete of %s, which the VM's definition names",
                    volume->info.path);
    if (world->copy && volume->side == DST)
        world_break(world, "delete under a running copy");
}

static int image_delete(void *ctx, const char *sd, const char *img,
                        struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "image delete", err);

    if (rc)
        return rc;
    if (count_volumes(world, sd, img) == 0)
        return no_image(img, err);
    world_needs_lease(world, "image delete");
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct fake_volume *volume = &world->volumes[i];

        if (!is_in(volume, sd, img))
            continue;
        check_delete(world, volume);
        if (world_has_open(world, volume))
            return err_set_code(err, ERR_VOLUME_BUSY,
                                "image %s: qemu has it open", img);
    }
    if (world->domains[side_of(world, sd)].deletes_fail)
        return err_set_code(err, ERR_IMAGE_DELETE, "image %s: device error",
                            img);
    for (size_t i = world->n_volumes; i-- > 0;) {
        if (!is_in(&world->volumes[i], sd, img))
            continue;
        fake_give_back(world, &world->volumes[i]);
        if (world_half(world))
            break;
    }
    return world_leave(world, 0, err);
}

static int locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = world_find_path(world, path);
    int rc = world_enter(world, "locate", err);

    if (rc)
        return rc;
    if (!volume || !volume->exists || !volume->info.id.sd[0])
        return err_set_code(err, ERR_NO_DISK, "%s: not ours", path);
    *ret_id = volume->info.id;
    return world_leave(world, 0, err);
}

static void domain_keep(void *ctx, const char *sd)
{
    struct fake_world *world = ctx;

    (void)sd;
    world->kept += !world->dead;
}

static void domain_keep_no_more(void *ctx, const char *sd)
{
    struct fake_world *world = ctx;

    (void)sd;
    world->kept -= !world->dead;
}

static void domain_soon(void *ctx, const char *sd)
{
    struct fake_world *world = ctx;

    if (!world->dead && (world->kept <= 0 || !sd[0]))
        world_break(world, "domain '%s' is not kept", sd);
}

struct fake_volume *fake_existing(struct fake_world *world,
                                  const struct volume_id *id)
{
    struct fake_volume *volume = world_find(world, id);

    return volume && volume->exists ? volume : NULL;
}

struct storage_port fake_storage(struct fake_world *world)
{
    static const struct storage_ops ops = {
        .domain_find = domain_find,
        .domain_info = domain_info,
        .domain_stats = domain_stats,
        .domain_keep = domain_keep,
        .domain_keep_no_more = domain_keep_no_more,
        .domain_soon = domain_soon,
        .domain_volumes = domain_volumes,
        .image_chain = image_chain,
        .image_sync_chain = image_sync_chain,
        .image_prepare = image_prepare,
        .image_teardown = image_teardown,
        .image_delete = image_delete,
        .volumes_create = fake_volumes_create,
        .volume_delete = fake_volume_delete,
        .volume_info = fake_volume_info,
        .volume_set_legality = fake_set_legality,
        .volume_reset = fake_volume_reset,
        .volume_preallocate = fake_volume_preallocate,
        .volume_commit = fake_volume_commit,
        .volume_grow = fake_volume_grow,
        .volume_shrink = fake_volume_shrink,
        .volume_measure = fake_volume_measure,
        .volume_probe = fake_volume_probe,
        .volume_sever = fake_volume_sever,
        .outside_info = fake_outside_info,
        .outside_create = fake_outside_create,
        .outside_overlay = fake_outside_overlay,
        .outside_commit = fake_outside_commit,
        .outside_keep = fake_outside_keep,
        .outside_remove = fake_outside_remove,
        .locate = locate,
    };

    return (struct storage_port){ .ctx = world, .ops = &ops };
}
