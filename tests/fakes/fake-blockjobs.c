/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Snapshots, mirrors and commits of the fake qemu. Guards the rules of the
 * pivot: only while the guest is still, only when nothing is left.
 */
#include "fake-hypervisor.h"

#include <errno.h>
#include <string.h>

enum {
    BEGIN_US = 100 * 1000 /* from the start of a commit to its first byte */
};

static const char *format_of(const struct fake_volume *volume)
{
    return volume->info.format == VOLUME_COW ? "qcow2" : "raw";
}

/* --- snapshots --------------------------------------------------------- */

static void check_overlay(struct fake_world *world, struct fake_disk *disk,
                          const struct fake_volume *overlay, const char *path)
{
    if (!overlay || !overlay->exists)
        world_break(world, "no overlay at %s", path);
    else if (!overlay->fresh || overlay->info.format != VOLUME_COW ||
             strcmp(overlay->backing, disk->chain[0]->info.id.vol) != 0)
        world_break(world, "overlay %s is not one of now", path);
}

/* libvirtd dies in the call, and is back in a second. */
static int cut(struct fake_world *world, struct err *err)
{
    if (!world->cuts_calls)
        return world_leave(world, 0, err);
    world->libvirt_back_us = world->now_us + 1000000;
    (void)err_set(err, -ENOTCONN, "libvirtd died");
    (void)err_default_code(err, ERR_NOT_RESPONDING);
    return world_leave(world, -ENOTCONN, err);
}

static void freeze(struct fake_world *world, const struct vm_overlay *overlay)
{
    struct fake_disk *disk = world_find_disk(world, overlay->target);
    struct fake_volume *top = world_find_path(world, overlay->path);

    check_overlay(world, disk, top, overlay->path);
    if (!top)
        return;
    top->fresh = false;
    world_uses(world, top, "snapshot");
    world_open_chain(disk, top);
    disk->xml = top;
    if (!world->cuts_calls)
        disk->persistent = top;
}

int fake_snapshot(void *ctx, const char *vm, const struct vm_overlay *overlays,
                  size_t n, bool quiesce, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = fake_enter(world, "snapshot", err);

    (void)vm;
    (void)quiesce;
    if (rc)
        return rc;
    world_needs(world, "snapshot", IN(JOB_FREEZING));
    if (!fake_runs(world) || world->snapshot_fails)
        return err_set_code(err, ERR_SNAPSHOT, "the agent does not answer");
    for (size_t i = 0; i < n; i++) {
        const struct fake_disk *disk =
            world_find_disk(world, overlays[i].target);

        if (strcmp(disk->chain[0]->info.path, overlays[i].path) == 0)
            return err_set_code(err, ERR_SNAPSHOT, "%s is in use",
                                overlays[i].path);
    }
    for (size_t i = 0; i < n; i++)
        freeze(world, &overlays[i]);
    return cut(world, err);
}

/* --- mirrors ----------------------------------------------------------- */

/* What may be larger than the disk is used in part. */
static uint64_t expected_capacity(const struct fake_world *world,
                                  const struct fake_volume *to)
{
    bool larger = world->domains[to->side].outside ||
                  (to->info.block && to->info.format == VOLUME_RAW);

    return larger ? 1ULL << 30 : 0;
}

/* Raw LVs aside, what the mirror writes to is held back until the watch knows.
 */
static bool must_be_held(const struct fake_world *world,
                         const struct fake_volume *to)
{
    return world->ports.watch.ops && world_is_thin(to);
}

/* A full mirror zeroes its target first: only what has a parent, and what we
 * can, is made anew before. */
static void check_start(struct fake_world *world, struct fake_disk *disk,
                        const struct fake_volume *to,
                        const struct vm_mirror_spec *spec)
{
    const struct fake_domain *domain = &world->domains[to->side];
    bool has_parent = to->below;

    if (to == disk->chain[0])
        world_break(world, "mirror of %s onto itself", spec->path);
    else if (!to->exists || (!domain->outside && !domain->prepared[to->disk]))
        world_break(world, "mirror to %s, which is not prepared", spec->path);
    else if (to->side == DST && !to->fresh && (!domain->outside || to->below))
        world_break(world, "mirror onto a leaf that is not fresh");
    else if (strcmp(spec->format, format_of(to)) != 0)
        world_break(world, "mirror as %s onto %s", spec->format, format_of(to));
    else if (spec->shallow != has_parent)
        world_break(world, "shallow is %d for %s", spec->shallow, spec->path);
    else if (spec->capacity != expected_capacity(world, to))
        world_break(world, "mirror with capacity %llu",
                    (unsigned long long)spec->capacity);
    else if (to->side == SRC && !world->paused)
        world_break(world, "the way back while the guest runs");
    else if (to->disk != (size_t)(disk - world->disks))
        world_break(world, "mirror onto another disk's %s", spec->path);
    else if (to->side == DST && must_be_held(world, to) &&
             spec->bytes_per_s != 1)
        world_break(world, "a mirror that fills an LV is not held back");
    if (world_hung_before(world, to))
        world_break(world, "mirror to %s, which hangs", spec->path);
    world_uses(world, to, "mirror");
}

static void start(struct fake_disk *disk, struct fake_volume *to,
                  const struct vm_mirror_spec *spec)
{
    const struct fake_volume *from = disk->chain[0];
    bool same = spec->shallow && to->side == SRC && to->from == from->from &&
                to->to == from->to;

    disk->job = (struct fake_job){ .kind = VM_JOB_COPY,
                                   .left = 400,
                                   .limit = spec->bytes_per_s,
                                   .pivot_at_us = -1,
                                   .shallow = spec->shallow,
                                   .target = to,
                                   .floor = to->to,
                                   .used = to->used,
                                   .same = same };
    disk->failure[0] = '\0';
    to->fresh = false;
    if (!same)
        world_empty(to);
}

int fake_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                      struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, spec->target);
    struct fake_volume *to = world_find_path(world, spec->path);
    int rc = fake_enter(world, "mirror start", err);

    if (rc)
        return rc;
    if (!to) {
        world_break(world, "mirror to %s", spec->path);
        return err_set_code(err, ERR_REPLICA, "no such file");
    }
    if (!fake_runs(world) || world->start_fails ||
        (to->side == SRC && disk->return_fails))
        return err_set_code(err, ERR_REPLICA, "mirror refused");
    if (disk->job.kind != VM_JOB_NONE || world->disk.job)
        return err_set_code(err, ERR_DISK_BUSY, "the disk has a job");
    if (spec->from[0] && (world->elsewhere ||
                          world_find_path(world, spec->from) != disk->chain[0]))
        return err_set_code(err, ERR_CHANGE_DISK, "the disk is elsewhere");
    world_needs(world, "mirror start",
                to->side == SRC         ? IN(JOB_RETURNING)
                : disk->failure[0] != 0 ? IN(JOB_STARTING) | IN(JOB_CONVERGING)
                                        : IN(JOB_STARTING));
    check_start(world, disk, to, spec);
    start(disk, to, spec);
    return world_leave(world, 0, err);
}

/* --- commits ----------------------------------------------------------- */

static bool is_above(const struct fake_disk *disk,
                     const struct fake_volume *top,
                     const struct fake_volume *base)
{
    for (size_t i = 0; i + 1 < disk->n; i++) {
        if (disk->chain[i] == top)
            return disk->chain[i + 1] == base;
    }
    return false;
}

int fake_commit_start(void *ctx, const struct vm_commit_spec *spec,
                      struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, spec->target);
    struct fake_volume *base = world_find_path(world, spec->base_path);
    struct fake_volume *top = world_find_path(world, spec->top_path);
    int rc = fake_enter(world, "commit start", err);

    if (rc)
        return rc;
    world_needs(world, "commit", IN(JOB_COMMITTING));
    if (!fake_runs(world) || world->commit_fails)
        return err_set_code(err, ERR_MERGE, "commit refused");
    if (disk->job.kind != VM_JOB_NONE)
        return err_set_code(err, ERR_DISK_BUSY, "the disk has a job");
    if (!is_above(disk, top, base))
        return err_set_code(err, ERR_MERGE, "%s is not above %s",
                            spec->top_path, spec->base_path);
    disk->job = (struct fake_job){
        .kind = disk->chain[0] == top ? VM_JOB_ACTIVE_COMMIT : VM_JOB_COMMIT,
        .left = 400,
        .begins_us = world->now_us + BEGIN_US,
        .limit = spec->bytes_per_s,
        .pivot_at_us = -1,
        .target = base,
        .top = top,
        .floor = base->to,
        .used = base->used,
    };
    disk->failure[0] = '\0';
    world_uses(world, base, "commit");
    if (must_be_held(world, base) && spec->bytes_per_s != 1)
        world_break(world, "a commit that fills an LV is not held back");
    return world_leave(world, 0, err);
}

/* --- any of them ------------------------------------------------------- */

static uint64_t lag(const struct fake_disk *disk)
{
    const struct fake_job *job = &disk->job;
    const struct fake_volume *from = job->top ? job->top : disk->chain[0];
    uint64_t want = job->shallow || job->top ? from->to : world_knows(from);

    if (job->kind == VM_JOB_NONE || want < job->target->to ||
        (job->target->to < from->from && from->to == from->from))
        return 0;
    return want - job->target->to;
}

int fake_mirror_info(void *ctx, const char *vm, const char *target,
                     struct vm_mirror_info *ret_info, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_disk *disk = world_find_disk(world, target);
    const struct fake_job *job = &disk->job;
    int rc = fake_enter(world, "mirror info", err);

    (void)vm;
    if (rc)
        return rc;
    if (!world->defined && !fake_runs(world))
        return err_set_code(err, ERR_NO_VM, "no such VM");
    memset(ret_info, 0, sizeof(*ret_info));
    if (!fake_runs(world))
        return world_leave(world, 0, err);
    (void)str_copy(ret_info->disk_path, PATH_MAX, disk->xml->info.path);
    if (job->kind == VM_JOB_NONE && world->now_us < disk->lingers_until_us)
        ret_info->kind = disk->lingering;
    ret_info->job = ret_info->kind == VM_JOB_COPY;
    if (job->kind != VM_JOB_NONE) {
        ret_info->kind = job->kind;
        ret_info->job = job->kind == VM_JOB_COPY;
        ret_info->ready = job->ready && job->pivot_at_us < 0 && !job->aborting;
        ret_info->done = job->done << 10;
        ret_info->total = world->now_us < job->begins_us
                              ? 1
                              : (job->done + job->left + lag(disk)) << 10;
        (void)str_copy(ret_info->mirror_path, PATH_MAX, job->target->info.path);
    }
    return world_leave(world, 0, err);
}

int fake_mirror_limit(void *ctx, const char *vm, const char *target,
                      uint64_t bytes_per_s, struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, target);
    int rc = fake_enter(world, "mirror limit", err);

    (void)vm;
    if (rc)
        return rc;
    if (!fake_runs(world) || disk->job.kind == VM_JOB_NONE)
        return err_set_code(err, ERR_REPLICA, "no mirror");
    if (disk->job.limit == 1 && bytes_per_s != 1 && !disk->watched &&
        must_be_held(world, disk->job.target))
        world_break(world, "it runs before the watch knows");
    disk->job.limit = bytes_per_s;
    return world_leave(world, 0, err);
}

int fake_mirror_abort(void *ctx, const char *vm, const char *target,
                      struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, target);
    int rc = fake_enter(world, "mirror abort", err);

    (void)vm;
    if (rc)
        return rc;
    world_needs(world, "abort",
                IN(JOB_ABORTING) | IN(JOB_RETURNING) | IN(JOB_COMMITTING) |
                    IN(JOB_FOLDING) | IN(JOB_FOLDED));
    if (disk->job.kind != VM_JOB_NONE && disk->job.pivot_at_us >= 0)
        return err_set_code(err, ERR_DISK_BUSY, "its pivot is under way");
    if (disk->job.kind != VM_JOB_NONE &&
        world_hung_before(world, disk->job.target))
        world_break(world, "abort while the destination hangs: the VM stands");
    disk->job.aborting = true;
    return world_leave(world, 0, err);
}

static void check_pivot(struct fake_world *world, const struct fake_disk *disk)
{
    world_needs(world, "pivot",
                disk->job.kind == VM_JOB_COPY
                    ? IN(JOB_PIVOTING) | IN(JOB_RETURNING)
                    : IN(JOB_FOLDING));
    if (!world->paused)
        world_break(world, "pivot while the guest runs");
    if (lag(disk) > 0 || disk->job.left > 0)
        world_break(world, "pivot while the mirror lags behind");
}

int fake_mirror_pivot(void *ctx, const char *vm, const char *target,
                      struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, target);
    struct fake_job *job = &disk->job;
    int rc = fake_enter(world, "mirror pivot", err);

    (void)vm;
    if (rc)
        return rc;
    if (!fake_runs(world) || job->kind == VM_JOB_NONE)
        return err_set_code(err, ERR_CHANGE_DISK, "no mirror to pivot");
    if (job->pivot_at_us >= 0)
        return world_leave(world, 0, err);
    if (!job->ready || world->pivot_refusals > 0) {
        world->pivot_refusals -= job->ready;
        return err_set_code(err, ERR_NOT_READY, "not ready");
    }
    check_pivot(world, disk);
    job->pivot_at_us = world->now_us + 10000;
    disk->lingers_until_us = world->cuts_calls ? world->now_us + 3000000 : 0;
    disk->lingering = job->kind;
    return cut(world, err);
}

void fake_mirror_failure(void *ctx, const char *vm, const char *target,
                         char *ret_text, size_t size)
{
    const struct fake_disk *disk = world_find_disk(ctx, target);

    (void)vm;
    (void)str_copy(ret_text, size,
                   disk->failure[0] ? disk->failure
                                    : "No space left on device");
}
