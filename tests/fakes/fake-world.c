/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fake world's laws of nature: the guest writes, qemu mirrors and pivots,
 * and each call of a port takes a millisecond in which all that goes on.
 */
#include "fake-world.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    LAYER_MIB = 64,
    HELD_MAX_US = 8000000,
};

#define IMG "44444444-4444-4444-8444-444444444444"
#define VM  "11111111-1111-4111-8111-111111111111"

void world_break(struct fake_world *world, const char *format, ...)
{
    va_list args;

    if (world->violation[0])
        return;
    va_start(args, format);
    (void)vsnprintf(world->violation, sizeof(world->violation), format, args);
    va_end(args);
}

size_t world_leaf(const struct fake_world *world)
{
    return world->layers - 1;
}

void world_path(const struct fake_world *world, enum side side, size_t layer,
                char ret_path[PATH_MAX])
{
    const struct fake_domain *domain = &world->domains[side];

    (void)str_format(ret_path, PATH_MAX, "/%s/" IMG "/%s",
                     side == SRC ? "src" : "dst",
                     domain->volumes[layer].info.id.vol);
}

bool world_image_exists(const struct fake_world *world, enum side side)
{
    for (size_t i = 0; i < world->layers; i++) {
        if (world->domains[side].volumes[i].exists)
            return true;
    }
    return false;
}

bool world_qemu_has(const struct fake_world *world, enum side side)
{
    return world->alive &&
           (world->qemu_at == side || (world->mirror.active && side == DST));
}

/* --- making it --------------------------------------------------------- */

static void name_volume(struct fake_world *world, enum side side, size_t i)
{
    struct fake_domain *domain = &world->domains[side];
    struct volume_info *info = &domain->volumes[i].info;

    (void)str_copy(info->id.sd, UUID_SIZE, domain->sd);
    (void)str_copy(info->id.img, UUID_SIZE, IMG);
    (void)str_format(info->id.vol, UUID_SIZE,
                     "55555555-5555-4555-8555-55555555555%zu", i);
    (void)str_format(info->parent, UUID_SIZE,
                     "55555555-5555-4555-8555-55555555555%zu", i - 1);
    if (i == 0)
        (void)str_copy(info->parent, UUID_SIZE, UUID_BLANK);
    world_path(world, side, i, info->path);
}

static void make_source(struct fake_world *world)
{
    for (size_t i = 0; i < world->layers; i++) {
        struct fake_volume *volume = &world->domains[SRC].volumes[i];

        volume->exists = true;
        volume->whole = true;
        volume->info.format = VOLUME_COW;
        volume->info.allocation = VOLUME_SPARSE;
        volume->info.role =
            i + 1 == world->layers ? VOLUME_LEAF : VOLUME_INTERNAL;
        volume->info.legality = VOLUME_LEGAL;
        volume->info.capacity = 1 << 30;
        volume->info.true_bytes = LAYER_MIB << 20;
        (void)str_copy(volume->info.disk_type, sizeof(volume->info.disk_type),
                       "DATA");
        name_volume(world, SRC, i);
        name_volume(world, DST, i);
    }
    world->domains[SRC].prepared = true;
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

void world_init(struct fake_world *world, size_t layers)
{
    memset(world, 0, sizeof(*world));
    world->now_us = 1000000;
    world->layers = layers;
    make_domain(world, SRC, "22222222-2222-4222-8222-222222222222", "old");
    make_domain(world, DST, "33333333-3333-4333-8333-333333333333", "new");
    make_source(world);
    world->defined = true;
    world->alive = true;
    (void)str_copy(world->disk.target, sizeof(world->disk.target), "vda");
    (void)str_copy(world->disk.device, sizeof(world->disk.device), "disk");
    (void)str_copy(world->disk.format, sizeof(world->disk.format), "qcow2");
    world->disk.capacity = 1 << 30;
    world->disk.chain_n = layers;
    world->writes_per_ms = 1;
    world->mirror_per_ms = 4;
    world->copy_per_ms = 1 << 20;
    world->ready_after_ms = 300;
    world->mirror.pivot_at_us = -1;
    world->ports = (struct migrate_ports){
        .storage = fake_storage(world),
        .hypervisor = fake_hypervisor(world),
        .copier = fake_copier(world),
        .journal = fake_journal(world),
        .clock = fake_clock(world),
        .buffer_bytes = 1 << 20,
    };
}

void world_deinit(struct fake_world *world)
{
    if (world->copy)
        world_break(world, "a copy was left open");
}

void world_set_format(struct fake_world *world, size_t i,
                      enum volume_format format)
{
    world->domains[SRC].volumes[i].info.format = format;
    if (i + 1 == world->layers)
        (void)str_copy(world->disk.format, sizeof(world->disk.format),
                       format == VOLUME_RAW ? "raw" : "qcow2");
}

struct job world_job(const struct fake_world *world)
{
    struct job_disk_move move = { .vm = VM, .vm_name = "web1", .img = IMG };
    struct job job;

    (void)str_copy(move.target, sizeof(move.target), "vda");
    (void)str_copy(move.src_sd, UUID_SIZE, world->domains[SRC].sd);
    (void)str_copy(move.dst_sd, UUID_SIZE, world->domains[DST].sd);
    (void)str_copy(move.leaf, UUID_SIZE,
                   world->domains[SRC].volumes[world_leaf(world)].info.id.vol);
    world_path(world, SRC, world_leaf(world), move.src_path);
    job_init(&job, "66666666-6666-4666-8666-666666666666", &move, 0,
             world->now_us / 1000);
    return job;
}

/* --- time -------------------------------------------------------------- */

static void guest_writes(struct fake_world *world)
{
    struct fake_domain *at = &world->domains[world->qemu_at];

    if (!world->alive || world->paused || world->writes_per_ms == 0)
        return;
    if (!at->volumes[world_leaf(world)].exists)
        world_break(world, "the guest's disk is gone");
    if (at->writes != world->acknowledged)
        world_break(world, "the guest runs on a copy with %llu of %llu writes",
                    (unsigned long long)at->writes,
                    (unsigned long long)world->acknowledged);
    world->acknowledged += world->writes_per_ms;
    at->writes = world->acknowledged;
}

static void mirror_copies(struct fake_world *world)
{
    struct fake_mirror *mirror = &world->mirror;
    uint64_t budget = world->mirror_per_ms;
    uint64_t *dst = &world->domains[DST].writes;
    uint64_t lag;

    if (!mirror->active || !world->alive || mirror->stuck)
        return;
    if (mirror->limit && mirror->limit >> 10 < budget * 1000)
        budget = (mirror->limit >> 10) / 1000 + 1;
    mirror->done += budget;
    if (mirror->left > budget) {
        mirror->left -= budget;
        return;
    }
    budget -= mirror->left;
    mirror->left = 0;
    lag = world->domains[SRC].writes - *dst;
    *dst += lag < budget ? lag : budget;
    if (*dst == world->domains[SRC].writes &&
        ++mirror->equal_ms >= world->ready_after_ms)
        mirror->ready = true;
}

static void check_layers(struct fake_world *world)
{
    for (size_t i = 0; i + 1 < world->layers; i++) {
        const struct fake_volume *volume = &world->domains[DST].volumes[i];

        if (!volume->exists || !volume->whole)
            world_break(world, "pivot onto an incomplete layer %zu", i);
    }
}

static void pivot_ends(struct fake_world *world)
{
    struct fake_mirror *mirror = &world->mirror;

    if (!mirror->active || mirror->pivot_at_us < 0 || world->pivot_hangs ||
        world->now_us < mirror->pivot_at_us)
        return;
    memset(mirror, 0, sizeof(*mirror));
    mirror->pivot_at_us = -1;
    if (world->pivot_fails)
        return;
    check_layers(world);
    world->qemu_at = DST;
    if (world->pivot_forgets) {
        world->forgotten = true;
        return;
    }
    if (world->pivot_leaves_xml)
        return;
    world->xml_at = DST;
    world->persistent_at = DST;
}

static void abort_ends(struct fake_world *world)
{
    if (!world->mirror.active || !world->mirror.aborting || world->mirror.stuck)
        return;
    memset(&world->mirror, 0, sizeof(world->mirror));
    world->mirror.pivot_at_us = -1;
}

static void count_pause(struct fake_world *world)
{
    bool reachable = world->now_us >= world->libvirt_back_us;

    if (!world->alive || !world->paused || world->paused_by_other ||
        world->forgotten)
        world->held_us = 0;
    else if (reachable)
        world->held_us += 1000;
    if (world->held_us > HELD_MAX_US)
        world_break(world, "the guest was suspended for more than 8 s");
}

void world_pass(struct fake_world *world, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        world->now_us += 1000;
        guest_writes(world);
        mirror_copies(world);
        pivot_ends(world);
        abort_ends(world);
        fake_copier_pass(world);
        count_pause(world);
    }
}

void world_shut_down(struct fake_world *world)
{
    if (world->mirror.active)
        world->domains[DST].writes = 0; /* what it held was not flushed */
    memset(&world->mirror, 0, sizeof(world->mirror));
    world->mirror.pivot_at_us = -1;
    world->alive = false;
    world->paused = false;
    world->paused_by_other = false;
    world->forgotten = false;
}

void world_pause_by_other(struct fake_world *world)
{
    if (!world->alive || world->paused)
        return;
    world->paused = true;
    world->paused_by_other = true;
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

void world_needs_state(struct fake_world *world, const char *deed,
                       enum job_state from, enum job_state to)
{
    if (!world->has_record)
        world_break(world, "%s without any record", deed);
    else if (world->record.state < from || world->record.state > to)
        world_break(world, "%s while the record says %s", deed,
                    job_state_name(world->record.state));
}
