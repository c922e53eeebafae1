/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making the fake world, and what every call of a port goes through: each takes
 * a millisecond in which the world goes on, and may be the one that fails.
 */
#include "fake-world.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    LAYER_MIB = 64,
};

#define VM "11111111-1111-4111-8111-111111111111"

void world_break(struct fake_world *world, const char *format, ...)
{
    va_list args;

    if (world->violation[0])
        return;
    va_start(args, format);
    (void)vsnprintf(world->violation, sizeof(world->violation), format, args);
    va_end(args);
}

/* --- volumes ----------------------------------------------------------- */

static struct volume_id name_layer(const struct fake_world *world,
                                   enum side side, size_t disk, size_t i)
{
    struct volume_id id;

    (void)str_copy(id.sd, UUID_SIZE, world->domains[side].sd);
    (void)str_copy(id.img, UUID_SIZE, world->disks[disk].img);
    (void)str_format(id.vol, UUID_SIZE,
                     "55555555-5555-4555-8555-5555555555%zu"
                     "%zu",
                     disk ? disk : 5, i);
    return id;
}

static void set_path(struct fake_world *world, struct fake_volume *volume)
{
    const struct fake_domain *domain = &world->domains[volume->side];
    const char *side = volume->side == SRC ? "src" : "dst";
    const char *target = world->disks[volume->disk].target;

    if (domain->outside && !str_starts_with(volume->info.id.vol, "5555"))
        (void)str_format(volume->info.path, PATH_MAX, "/out/drayd-%s.qcow2",
                         volume->info.id.vol);
    else if (domain->outside)
        (void)str_format(volume->info.path, PATH_MAX, "%s/%s-%s",
                         domain->device ? "nbd://host" : "/out", side, target);
    else
        (void)str_format(volume->info.path, PATH_MAX, "/%s/%s/%s", side,
                         volume->info.id.img, volume->info.id.vol);
}

/* What comes from outside is given its image by a plan. */
static size_t disk_of_image(struct fake_world *world, const char *img)
{
    for (size_t i = 0; i < world->n_disks; i++)
        if (strcmp(world->disks[i].img, img) == 0)
            return i;
    if (!world->domains[SRC].outside)
        abort();
    (void)str_copy(world->disks[0].img, UUID_SIZE, img);
    return 0;
}

struct fake_volume *world_slot(struct fake_world *world,
                               const struct volume_id *id)
{
    struct fake_volume *volume = world_find(world, id);

    if (volume)
        return volume;
    if (world->n_volumes == VOLUMES_MAX)
        abort();
    volume = &world->volumes[world->n_volumes++];
    memset(volume, 0, sizeof(*volume));
    volume->info.id = *id;
    volume->side = strcmp(id->sd, world->domains[SRC].sd) == 0 ? SRC : DST;
    volume->disk = disk_of_image(world, id->img);
    (void)str_copy(volume->backing, UUID_SIZE, UUID_BLANK);
    (void)str_copy(volume->info.parent, UUID_SIZE, UUID_BLANK);
    (void)str_copy(volume->info.disk_type, sizeof(volume->info.disk_type),
                   "DATA");
    set_path(world, volume);
    return volume;
}

struct fake_volume *world_make(struct fake_world *world, enum side side,
                               size_t disk, const char *vol, const char *parent)
{
    struct volume_id id = name_layer(world, side, disk, 0);
    struct fake_volume *volume;

    (void)str_copy(id.vol, UUID_SIZE, vol);
    volume = world_slot(world, &id);
    volume->exists = true;
    volume->whole = true;
    volume->fresh = true;
    volume->made++;
    volume->info.format = VOLUME_COW;
    volume->info.allocation = VOLUME_SPARSE;
    volume->info.role = VOLUME_LEAF;
    volume->info.legality = VOLUME_LEGAL;
    volume->info.capacity = 1 << 30;
    volume->info.true_bytes = LAYER_MIB << 20;
    volume->used = LAYER_MIB << 20;
    (void)str_copy(volume->info.parent, UUID_SIZE, parent);
    world_set_backing(world, volume, parent);
    if (world->domains[side].block)
        world_put_on_lv(world, volume);
    return volume;
}

struct fake_volume *world_volume(struct fake_world *world, enum side side,
                                 size_t disk, size_t i)
{
    const struct volume_id id = name_layer(world, side, disk, i);

    return world_slot(world, &id);
}

/* --- making it --------------------------------------------------------- */

static void make_chain(struct fake_world *world, size_t disk)
{
    struct fake_volume *below = NULL;

    for (size_t i = 0; i < world->layers; i++) {
        const struct volume_id id = name_layer(world, SRC, disk, i);

        if (below)
            below->info.role = VOLUME_INTERNAL;
        below = world_make(world, SRC, disk, id.vol,
                           below ? below->info.id.vol : UUID_BLANK);
        below->fresh = false;
    }
    world_open_chain(&world->disks[disk], below);
    world->disks[disk].xml = world->disks[disk].persistent = below;
    world->domains[SRC].prepared[disk] = true;
}

void world_add_disk(struct fake_world *world)
{
    size_t i = world->n_disks++;
    struct fake_disk *disk = &world->disks[i];

    (void)str_format(disk->target, sizeof(disk->target), "vd%c",
                     (char)('a' + i));
    (void)str_format(disk->img, UUID_SIZE,
                     "44444444-4444-4444-8444-44444444444%zu", 4 + i);
    disk->job.pivot_at_us = -1;
    make_chain(world, i);
    for (size_t k = 0; k < disk->n; k++)
        disk->chain[k]->active = disk->chain[k]->info.block;
}

static void make_domain(struct fake_world *world, enum side side,
                        const char *sd, const char *name)
{
    struct fake_domain *domain = &world->domains[side];

    (void)str_copy(domain->sd, UUID_SIZE, sd);
    (void)str_copy(domain->name, sizeof(domain->name), name);
    domain->status = DOMAIN_JOINED;
    domain->block_size = 512;
    domain->free_bytes = 1ULL << 40;
}

static void set_speeds(struct fake_world *world)
{
    world->writes_per_ms = 1;
    world->write_us = 100;
    world->mirrored_write_us = 250;
    world->mirror_per_ms = 4;
    world->copy_per_ms = 1 << 20;
    world->ready_after_ms = 300;
    world->mover = COPY_BY_DIRECT;
}

void world_init(struct fake_world *world, size_t layers)
{
    memset(world, 0, sizeof(*world));
    world->now_us = 1000000;
    world->layers = layers;
    make_domain(world, SRC, "22222222-2222-4222-8222-222222222222", "old");
    make_domain(world, DST, "33333333-3333-4333-8333-333333333333", "new");
    world->defined = true;
    world->alive = true;
    world_add_disk(world);
    (void)str_copy(world->disk.device, sizeof(world->disk.device), "disk");
    (void)str_copy(world->disk.format, sizeof(world->disk.format), "qcow2");
    world->disk.capacity = 1 << 30;
    world->disk.chain_n = layers;
    set_speeds(world);
    world->ports = (struct migrate_ports){
        .storage = fake_storage(world),
        .hypervisor = fake_hypervisor(world),
        .copier = fake_copier(world),
        .journal = fake_journal(world),
        .clock = fake_clock(world),
        .buffer_bytes = 1 << 20,
    };
}

void world_set_outside(struct fake_world *world, enum side side, bool device)
{
    struct fake_domain *domain = &world->domains[side];

    domain->outside = true;
    domain->device = device;
    domain->sd[0] = '\0';
    for (size_t i = 0; i < world->n_volumes; i++) {
        struct fake_volume *volume = &world->volumes[i];

        if (volume->side != side)
            continue;
        volume->info.id.sd[0] = '\0';
        set_path(world, volume);
    }
    for (size_t i = 0; i < world->n_disks; i++) {
        struct fake_volume *volume = world_volume(world, side, i, 0);

        volume->exists = volume->exists || device;
    }
}

void world_deinit(struct fake_world *world)
{
    if (world->copy)
        world_break(world, "a copy was left open");
}

void world_set_format(struct fake_world *world, size_t i,
                      enum volume_format format)
{
    for (size_t k = 0; k < world->n_disks; k++)
        world_volume(world, SRC, k, i)->info.format = format;
    if (i + 1 == world->layers)
        (void)str_copy(world->disk.format, sizeof(world->disk.format),
                       format == VOLUME_RAW ? "raw" : "qcow2");
}

static void fill_disk(const struct fake_world *world, size_t i,
                      struct job_disk *of)
{
    /* Only looked at: the slots of all layers of the source are there. */
    struct fake_world *w = (struct fake_world *)(uintptr_t)world;
    const struct fake_volume *leaf = world_volume(w, SRC, i, world->layers - 1);

    (void)str_copy(of->target, sizeof(of->target), world->disks[i].target);
    (void)str_copy(of->src_sd, UUID_SIZE, world->domains[SRC].sd);
    (void)str_copy(of->dst_sd, UUID_SIZE, world->domains[DST].sd);
    (void)str_copy(of->img, UUID_SIZE, world->disks[i].img);
    (void)str_copy(of->leaf, UUID_SIZE, leaf->info.id.vol);
    (void)str_copy(of->src_path, sizeof(of->src_path), leaf->info.path);
    of->capacity = leaf->info.capacity;
    if (world->domains[SRC].outside || world->domains[DST].outside) {
        of->convert = true;
        of->base_cow = leaf->info.format == VOLUME_COW;
        of->src_cow = of->base_cow;
    }
    if (world->domains[DST].outside)
        (void)str_copy(of->dst_path, sizeof(of->dst_path),
                       world_volume(w, DST, i, 0)->info.path);
}

struct job world_job(const struct fake_world *world)
{
    struct job job;

    job_init(&job, "66666666-6666-4666-8666-666666666666", JOB_DISK_MIGRATE,
             world->now_us / 1000);
    (void)str_copy(job.vm, sizeof(job.vm), VM);
    (void)str_copy(job.vm_name, sizeof(job.vm_name), "web1");
    job.n_disks = world->n_disks;
    for (size_t i = 0; i < world->n_disks; i++)
        fill_disk(world, i, &job.disks[i]);
    return job;
}

/* --- calls ------------------------------------------------------------- */

int world_enter(struct fake_world *world, const char *call, struct err *err)
{
    if (world->dead)
        return err_set(err, -EIO, "%s: the daemon is dead", call);
    world_pass(world, 1);
    world->calls++;
    if (world->on_call)
        world->on_call(world->on_call_arg);
    if (world->calls != world->fault_at)
        return 0;
    (void)str_copy(world->faulted_call, sizeof(world->faulted_call), call);
    if (world->fault == FAULT_FAIL)
        return err_set(err, -EIO, "%s: injected failure", call);
    if (world->fault == FAULT_KILL_BEFORE) {
        world->dead = true;
        return err_set(err, -EIO, "%s: killed", call);
    }
    return 0;
}

bool world_half(struct fake_world *world)
{
    return world->calls == world->fault_at && world->fault == FAULT_KILL_HALF;
}

int world_leave(struct fake_world *world, int rc, struct err *err)
{
    if (world->calls != world->fault_at || world->fault == FAULT_FAIL)
        return rc;
    if (world->fault == FAULT_FAIL_AFTER) {
        err_clear(err);
        return err_set(err, -EIO, "%s: injected failure afterwards",
                       world->faulted_call);
    }
    if (world->fault == FAULT_KILL_HALF || world->fault == FAULT_KILL_AFTER) {
        world->dead = true;
        err_clear(err);
        return err_set(err, -EIO, "killed");
    }
    return rc;
}

void world_needs(struct fake_world *world, const char *deed, unsigned states)
{
    if (!world->has_record)
        world_break(world, "%s without any record", deed);
    else if (!(states & IN(world->record.state)))
        world_break(world, "%s while the record says %s", deed,
                    job_state_name(world->record.state));
}
