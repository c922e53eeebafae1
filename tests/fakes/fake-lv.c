/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LVs of the fake world, and the watch over them. Guards the rules: an LV is
 * active while it is used, has room for what is written, and a destination
 * grows before a source.
 */
#include "fake-storage.h"

#include <errno.h>
#include <string.h>

bool world_is_thin(const struct fake_volume *volume)
{
    return volume->info.block && volume->info.format == VOLUME_COW;
}

bool world_hangs(const struct fake_world *world,
                 const struct fake_volume *volume)
{
    return world->domains[volume->side].hangs > 0 && !volume->severed;
}

bool world_hung_before(const struct fake_world *world,
                       const struct fake_volume *volume)
{
    return world_hangs(world, volume) &&
           world->now_us - world->domains[volume->side].hangs > 2500;
}

void world_uses(struct fake_world *world, const struct fake_volume *volume,
                const char *deed)
{
    if (volume->info.block && !volume->active)
        world_break(world, "%s: %s is not active", deed, volume->info.path);
}

/* --- sizes ------------------------------------------------------------- */

static uint64_t whole_extents(uint64_t bytes)
{
    return (bytes + FAKE_EXTENT - 1) / FAKE_EXTENT * FAKE_EXTENT;
}

static int no_space(const struct fake_domain *domain, uint64_t bytes,
                    struct err *err)
{
    return err_set_code(
        err, ERR_NO_SPACE, "VG %s has %llu MiB free, %llu MiB more are needed",
        domain->name, (unsigned long long)domain->free_bytes >> 20,
        (unsigned long long)bytes >> 20);
}

int world_resize(struct fake_world *world, struct fake_volume *volume,
                 uint64_t bytes, struct err *err)
{
    struct fake_domain *domain = &world->domains[volume->side];
    uint64_t have = volume->info.apparent_bytes;

    bytes = whole_extents(bytes);
    if (bytes > have && bytes - have > domain->free_bytes)
        return no_space(domain, bytes - have, err);
    domain->free_bytes = domain->free_bytes + have - bytes;
    volume->info.apparent_bytes = volume->info.true_bytes = bytes;
    return 0;
}

bool world_has_room(struct fake_world *world, struct fake_volume *volume,
                    bool watched)
{
    struct err ignored = ERR_INIT;
    uint64_t bytes = volume->used + FAKE_CHUNK;

    if (!world_is_thin(volume))
        return true;
    if (watched && !world->watch_fails &&
        volume->used + FAKE_CHUNK / 2 > volume->info.apparent_bytes)
        (void)world_resize(world, volume, bytes, &ignored);
    return volume->used <= volume->info.apparent_bytes;
}

/* --- operations -------------------------------------------------------- */

/* Growing the source first would leave the mirror without space. */
static void check_order(struct fake_world *world,
                        const struct fake_volume *volume)
{
    const struct fake_job *job = &world->disks[volume->disk].job;

    if (volume->side == SRC && job->kind == VM_JOB_COPY &&
        world_is_thin(job->target) &&
        job->target->info.apparent_bytes < job->target->used + FAKE_CHUNK / 2)
        world_break(world, "the source grows before the destination");
}

int fake_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                     int64_t deadline_ms, uint64_t *ret_bytes, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume grow", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (deadline_ms < world->now_us / 1000)
        world_break(world, "an extension that is late already");
    if (!volume->info.block) {
        *ret_bytes = volume->info.apparent_bytes;
        return world_leave(world, 0, err);
    }
    check_order(world, volume);
    if (bytes > volume->info.apparent_bytes) {
        rc = world_resize(world, volume, bytes, err);
        world->domains[volume->side].grown += rc == 0;
    }
    rc = world_leave(world, rc, err);
    if (rc == 0)
        *ret_bytes = volume->info.apparent_bytes;
    return rc;
}

static bool is_written(const struct fake_world *world,
                       const struct fake_volume *volume)
{
    const struct fake_disk *disk = &world->disks[volume->disk];

    return world->alive &&
           (disk->chain[0] == volume ||
            (disk->job.kind != VM_JOB_NONE && disk->job.target == volume));
}

int fake_volume_shrink(void *ctx, const struct volume_id *id,
                       uint64_t spare_bytes, uint64_t *ret_bytes,
                       struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    uint64_t bytes;
    int rc = world_enter(world, "volume shrink", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (is_written(world, volume))
        return err_set_code(err, ERR_VOLUME_BUSY, "volume %s", id->vol);
    if (!world_is_thin(volume))
        return world_leave(world, 0, err);
    world_uses(world, volume, "shrink");
    bytes = whole_extents(volume->used + volume->waste + spare_bytes);
    if (bytes < volume->info.apparent_bytes)
        rc = world_resize(world, volume, bytes, err);
    *ret_bytes = volume->info.apparent_bytes;
    return world_leave(world, rc, err);
}

int fake_volume_measure(void *ctx, const struct volume_id *id,
                        enum volume_format format, const char *base,
                        struct volume_measure *ret_measure, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume measure", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (format != VOLUME_COW)
        world_break(world, "what is raw needs no measure");
    *ret_measure = (struct volume_measure){ .required = volume->used };
    if (base && base[0]) {
        if (!volume->below || strcmp(volume->below->info.id.vol, base) != 0)
            world_break(world, "%s is not below %s", base, id->vol);
        else
            ret_measure->required += volume->below->used;
    }
    return world_leave(world, 0, err);
}

/* --- storage that is dead ---------------------------------------------- */

int fake_volume_probe(void *ctx, const struct volume_id *id, int patience_ms,
                      struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume probe", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (volume->severed)
        return world_leave(world, err_set(err, -EIO, "cut off"), err);
    if (world_hangs(world, volume) && (volume->active || !volume->info.block)) {
        world_pass(world, patience_ms);
        return world_leave(
            world, err_set(err, -ETIMEDOUT, "%s is silent", id->vol), err);
    }
    if (volume->info.block && !volume->active)
        return world_leave(world, err_set(err, -ENOENT, "not active"), err);
    return world_leave(world, 0, err);
}

/* Whoever waits for it gets an error. */
static void fail_jobs(struct fake_world *world, const struct fake_volume *dead)
{
    for (size_t i = 0; i < world->n_disks; i++) {
        struct fake_disk *disk = &world->disks[i];

        if (disk->job.kind == VM_JOB_NONE || disk->job.target != dead)
            continue;
        world_end_job(disk);
        (void)str_copy(disk->failure, sizeof(disk->failure),
                       "Input/output error");
    }
}

int fake_volume_sever(void *ctx, const struct volume_id *id, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_volume *volume = fake_existing(world, id);
    int rc = world_enter(world, "volume sever", err);

    if (rc)
        return rc;
    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    if (!volume->info.block)
        return world_leave(
            world, err_set(err, -EOPNOTSUPP, "%s is a file", id->vol), err);
    if (!world_hangs(world, volume))
        world_break(world, "%s was cut off, which answers", volume->info.path);
    if (world->alive && world->disks[volume->disk].chain[0] == volume)
        world_break(world, "the guest's own disk was cut off");
    volume->severed = true;
    fail_jobs(world, volume);
    return world_leave(world, 0, err);
}

/* --- the watch --------------------------------------------------------- */

static int give_room(struct fake_world *world, struct fake_volume *volume,
                     struct err *err)
{
    uint64_t bytes = volume->used + 2 * FAKE_CHUNK;

    if (!world_is_thin(volume) || bytes <= volume->info.apparent_bytes)
        return 0;
    return world_resize(world, volume, bytes, err);
}

/* A mirror knows its destination, a commit is told of its base. */
static void check_job(struct fake_world *world, const struct fake_disk *disk,
                      const char *base)
{
    const struct fake_job *job = &disk->job;

    if (job->kind == VM_JOB_NONE)
        return; /* it ended meanwhile */
    if ((base != NULL) != (job->kind != VM_JOB_COPY))
        world_break(world, "the watch was told of base %s", base ? base : "");
    if (base && world_find_path(world, base) != job->target)
        world_break(world, "%s is not what the commit writes to", base);
}

static int watch_begins(void *ctx, const char *vm, const char *target,
                        const char *base, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, target);
    int rc = world_enter(world, "watch begins", err);

    (void)vm;
    if (rc)
        return rc;
    check_job(world, disk, base);
    if (world->watch_fails)
        return err_set_code(err, ERR_NO_SPACE, "the VG is full");
    if (disk->job.kind != VM_JOB_NONE)
        rc = give_room(world, disk->job.target, err);
    disk->watched = rc == 0;
    return world_leave(world, rc, err);
}

static void watch_ended(void *ctx, const char *vm, const char *target)
{
    struct fake_world *world = ctx;
    struct err ignored = ERR_INIT; /* it cannot fail */

    (void)vm;
    (void)world_enter(world, "watch ended", &ignored);
    if (!world->dead)
        world_find_disk(world, target)->watched = false;
    (void)world_leave(world, 0, &ignored);
}

static int watch_holds(void *ctx, const char *vm, const char *who,
                       struct err *err)
{
    struct fake_world *world = ctx;
    int rc = world_enter(world, "watch holds", err);

    (void)vm;
    (void)who;
    if (rc)
        return rc;
    world->watch_held++;
    return world_leave(world, 0, err);
}

static void watch_releases(void *ctx, const char *vm, const char *who)
{
    struct fake_world *world = ctx;
    struct err ignored = ERR_INIT; /* it cannot fail */

    (void)vm;
    (void)who;
    (void)world_enter(world, "watch releases", &ignored);
    if (!world->dead && world->watch_held > 0)
        world->watch_held--;
    (void)world_leave(world, 0, &ignored);
}

struct watch_port fake_watch(struct fake_world *world)
{
    static const struct watch_ops ops = {
        .job_begins = watch_begins,
        .job_ended = watch_ended,
        .vm_hold = watch_holds,
        .vm_release = watch_releases,
    };

    return (struct watch_port){ .ctx = world, .ops = &ops };
}

/* --- making it --------------------------------------------------------- */

void world_put_on_lv(struct fake_world *world, struct fake_volume *volume)
{
    struct err err = ERR_INIT;
    uint64_t bytes = volume->info.format == VOLUME_RAW
                         ? volume->info.capacity
                         : volume->used + FAKE_CHUNK;

    if (volume->info.block)
        return;
    volume->info.block = true;
    volume->info.apparent_bytes = volume->info.true_bytes = 0;
    if (volume->info.format == VOLUME_RAW)
        volume->info.allocation = VOLUME_PREALLOCATED;
    volume->active = world_has_open(world, volume);
    if (world_resize(world, volume, bytes, &err))
        abort();
}

void world_set_block(struct fake_world *world, enum side side)
{
    world->domains[side].block = true;
    world->ports.watch = fake_watch(world);
    world->ports.policy = (struct watermark_policy){
        .chunk_bytes = FAKE_CHUNK,
        .utilization_percent = 50,
        .replicate_factor = 2,
        .safety_factor = 4,
    };
    for (size_t i = 0; i < world->n_volumes; i++) {
        if (world->volumes[i].side == side && world->volumes[i].exists)
            world_put_on_lv(world, &world->volumes[i]);
    }
}

void world_activate(struct fake_world *world, enum side side)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        struct fake_volume *volume = &world->volumes[i];

        if (volume->side == side)
            volume->active = volume->exists && volume->info.block;
    }
}

void world_reboot(struct fake_world *world)
{
    world_shut_down(world);
    for (size_t i = 0; i < world->n_volumes; i++)
        world->volumes[i].active = world->volumes[i].severed = false;
}
