/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt and qemu of the fake world. Guards the rules of the pivot: suspend
 * only with the record that says so, pivot only while the guest is still,
 * resume on the destination only once that is recorded.
 */
#include "fake-world.h"

#include <errno.h>
#include <string.h>

#define VM "11111111-1111-4111-8111-111111111111"

static int enter(struct fake_world *world, const char *call, struct err *err)
{
    int rc = world_enter(world, call, err);

    if (rc == 0 && world->forgotten && strcmp(call, "path user") != 0)
        return err_set_code(err, ERR_NOT_RESPONDING,
                            "libvirt does not know that the VM runs");
    if (rc || world->now_us >= world->libvirt_back_us)
        return rc;
    rc = err_set(err, -ENOTCONN, "libvirtd is away");
    (void)err_default_code(err, ERR_NOT_RESPONDING);
    return rc;
}

static bool runs(const struct fake_world *world)
{
    return world->alive && !world->forgotten;
}

static int no_vm(struct err *err)
{
    return err_set_code(err, ERR_NO_VM, "no such VM");
}

static void leaf_path(const struct fake_world *world, enum side side,
                      char ret_path[PATH_MAX])
{
    world_path(world, side, world_leaf(world), ret_path);
}

static int hv_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                   struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "vm find", err);

    if (rc)
        return rc;
    if ((!world->defined && !runs(world)) ||
        (strcmp(name_or_uuid, VM) != 0 && strcmp(name_or_uuid, "web1") != 0))
        return world_leave(world, no_vm(err), err);
    *ret_vm = (struct vm_info){ .uuid = VM,
                                .name = "web1",
                                .persistent = world->defined };
    if (!runs(world))
        ret_vm->state = VM_SHUTOFF;
    else
        ret_vm->state = world->paused ? VM_PAUSED : VM_RUNNING;
    return world_leave(world, 0, err);
}

static int hv_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err)
{
    struct fake_world *world = ctx;
    struct vm_disk *disk;
    int rc = enter(world, "vm disks", err);

    (void)vm;
    if (rc)
        return rc;
    if (!world->defined && !runs(world))
        return no_vm(err);
    rc = world_leave(world, 0, err);
    if (rc)
        return rc;
    disk = calloc(1, sizeof(*disk));
    if (!disk)
        return err_set(err, -ENOMEM, "disks");
    *disk = world->disk;
    if (runs(world))
        disk->job = world->disk.job || world->mirror.active;
    leaf_path(world, runs(world) ? world->xml_at : world->persistent_at,
              disk->path);
    if (world->disk.path[0])
        (void)str_copy(disk->path, sizeof(disk->path), world->disk.path);
    *ret_disks = disk;
    *ret_n = 1;
    return 0;
}

static int hv_suspend(void *ctx, const char *vm, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "vm suspend", err);

    (void)vm;
    if (rc)
        return rc;
    if (!runs(world))
        return err_set(err, -EINVAL, "VM does not run");
    world_needs_state(world, "suspend", JOB_PIVOTING, JOB_PIVOTING);
    if (!world->record.suspended)
        world_break(world, "suspend without a record of it");
    /* Two suspends are one: nobody can tell them apart any more. */
    world->paused_by_other = false;
    world->paused = true;
    return world_leave(world, 0, err);
}

/* A guest that goes on on the destination must find it recorded: by the
 * journal, or by the leaf itself. */
static void check_resume(struct fake_world *world)
{
    const struct fake_volume *leaf =
        &world->domains[DST].volumes[world_leaf(world)];

    if (world->paused_by_other)
        world_break(world, "resumed a VM that somebody else had paused");
    if (world->qemu_at == DST && world->record.state != JOB_PIVOTED &&
        leaf->info.legality != VOLUME_LEGAL &&
        !(world->journal_fails && world->domains[DST].legality_fails))
        world_break(world,
                    "the guest runs on the destination, the record "
                    "says %s",
                    job_state_name(world->record.state));
}

static int hv_resume(void *ctx, const char *vm, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "vm resume", err);

    (void)vm;
    if (rc)
        return rc;
    if (!runs(world) || !world->paused)
        return err_set(err, -EINVAL, "VM is not paused");
    check_resume(world);
    world->paused = false;
    world->paused_by_other = false;
    return world_leave(world, 0, err);
}

/* Only the directory of an image is ever asked for. */
static int hv_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                        struct err *err)
{
    struct fake_world *world = ctx;
    enum side side = strncmp(path, "/src/", 5) == 0 ? SRC : DST;
    bool live = runs(world) && world->xml_at == side;
    int rc = enter(world, "path user", err);

    if (rc)
        return rc;
    if (strchr(path + 5, '/'))
        world_break(world, "path_user(%s) is not an image's directory", path);
    memset(ret_vm, 0, sizeof(*ret_vm));
    if (live || (world->defined && world->persistent_at == side) ||
        (side == SRC && world->other_user)) {
        (void)str_copy(ret_vm->uuid, sizeof(ret_vm->uuid), VM);
        (void)str_copy(ret_vm->name, sizeof(ret_vm->name), "web1");
    }
    return world_leave(world, 0, err);
}

/* --- the mirror -------------------------------------------------------- */

static void check_start(struct fake_world *world,
                        const struct vm_mirror_spec *spec)
{
    const struct fake_domain *dst = &world->domains[DST];
    const struct fake_volume *leaf = &dst->volumes[world_leaf(world)];
    const char *format = leaf->info.format == VOLUME_COW ? "qcow2" : "raw";
    char path[PATH_MAX];

    leaf_path(world, DST, path);
    world_needs_state(world, "mirror start", JOB_STARTING, JOB_STARTING);
    if (!leaf->exists || !dst->prepared || strcmp(spec->path, path) != 0)
        world_break(world, "mirror to %s, which is not prepared", spec->path);
    else if (!leaf->fresh)
        world_break(world, "mirror onto a leaf that is not fresh");
    else if (strcmp(spec->format, format) != 0)
        world_break(world, "mirror as %s onto %s", spec->format, format);
    else if (spec->shallow != (world->layers > 1))
        world_break(world, "shallow is %d with %zu layers", spec->shallow,
                    world->layers);
    else if (spec->buffer_bytes != 1 << 20)
        world_break(world, "mirror without the configured buffer");
}

static int hv_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                           struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "mirror start", err);

    if (rc)
        return rc;
    if (!runs(world) || world->start_fails)
        return err_set_code(err, ERR_REPLICA, "mirror refused");
    if (world->mirror.active || world->disk.job)
        return err_set_code(err, ERR_DISK_BUSY, "the disk has a job");
    check_start(world, spec);
    world->mirror = (struct fake_mirror){ .active = true,
                                          .left = 400,
                                          .limit = spec->bytes_per_s,
                                          .pivot_at_us = -1,
                                          .shallow = spec->shallow };
    world->domains[DST].volumes[world_leaf(world)].fresh = false;
    return world_leave(world, 0, err);
}

static int hv_mirror_info(void *ctx, const char *vm, const char *target,
                          struct vm_mirror_info *ret_info, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_mirror *mirror = &world->mirror;
    uint64_t lag = world->domains[SRC].writes - world->domains[DST].writes;
    int rc = enter(world, "mirror info", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    if (!world->defined && !runs(world))
        return no_vm(err);
    memset(ret_info, 0, sizeof(*ret_info));
    if (!runs(world))
        return world_leave(world, 0, err);
    leaf_path(world, world->xml_at, ret_info->disk_path);
    if (mirror->active) {
        ret_info->job = true;
        ret_info->ready =
            mirror->ready && mirror->pivot_at_us < 0 && !mirror->aborting;
        ret_info->done = mirror->done << 10;
        ret_info->total = (mirror->done + mirror->left + lag) << 10;
        leaf_path(world, DST, ret_info->mirror_path);
    }
    return world_leave(world, 0, err);
}

static int hv_mirror_limit(void *ctx, const char *vm, const char *target,
                           uint64_t bytes_per_s, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "mirror limit", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    if (!runs(world) || !world->mirror.active)
        return err_set_code(err, ERR_REPLICA, "no mirror");
    world->mirror.limit = bytes_per_s;
    return world_leave(world, 0, err);
}

static int hv_mirror_abort(void *ctx, const char *vm, const char *target,
                           struct err *err)
{
    struct fake_world *world = ctx;
    int rc = enter(world, "mirror abort", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    world_needs_state(world, "mirror abort", JOB_ABORTING, JOB_ABORTING);
    if (world->mirror.active && world->mirror.pivot_at_us >= 0)
        return err_set_code(err, ERR_DISK_BUSY, "its pivot is under way");
    world->mirror.aborting = true;
    return world_leave(world, 0, err);
}

static int hv_mirror_pivot(void *ctx, const char *vm, const char *target,
                           struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_mirror *mirror = &world->mirror;
    int rc = enter(world, "mirror pivot", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    if (!runs(world) || !mirror->active)
        return err_set_code(err, ERR_CHANGE_DISK, "no mirror to pivot");
    if (mirror->pivot_at_us >= 0)
        return world_leave(world, 0, err);
    if (!mirror->ready || world->pivot_refusals > 0) {
        world->pivot_refusals -= mirror->ready;
        return err_set_code(err, ERR_NOT_READY, "not ready");
    }
    world_needs_state(world, "pivot", JOB_PIVOTING, JOB_PIVOTING);
    if (!world->paused)
        world_break(world, "pivot while the guest runs");
    if (world->domains[DST].writes != world->domains[SRC].writes)
        world_break(world, "pivot while the mirror lags behind");
    mirror->pivot_at_us = world->now_us + 10000;
    return world_leave(world, 0, err);
}

static void hv_mirror_failure(void *ctx, const char *vm, const char *target,
                              char *ret_text, size_t size)
{
    (void)ctx;
    (void)vm;
    (void)target;
    (void)str_copy(ret_text, size, "No space left on device");
}

/* --- the truth --------------------------------------------------------- */

static int hv_truth(void *ctx, const char *vm, const char *target,
                    struct vm_disk_truth *ret_truth, struct err *err)
{
    struct fake_world *world = ctx;
    char path[PATH_MAX];
    int rc = enter(world, "disk truth", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    if (!world->defined && !runs(world))
        return no_vm(err);
    memset(ret_truth, 0, sizeof(*ret_truth));
    if (runs(world)) {
        leaf_path(world, world->qemu_at, path);
        (void)str_format(ret_truth->qemu_path, PATH_MAX, "%s%s",
                         world->other_spelling ? "/run" : "", path);
        if (world->elsewhere)
            (void)str_copy(ret_truth->qemu_path, PATH_MAX, "/other/file");
        leaf_path(world, world->xml_at, ret_truth->xml_path);
    }
    if (world->defined)
        leaf_path(world, world->persistent_at, ret_truth->persistent_path);
    return world_leave(world, 0, err);
}

static int hv_set_persistent(void *ctx, const char *vm, const char *target,
                             const char *path, const char *format,
                             struct err *err)
{
    struct fake_world *world = ctx;
    char dst[PATH_MAX];
    enum side side = SRC;
    const struct fake_volume *leaf;
    int rc = enter(world, "set persistent", err);

    (void)vm;
    (void)target;
    if (rc)
        return rc;
    leaf_path(world, DST, dst);
    if (strcmp(path, dst) == 0)
        side = DST;
    leaf = &world->domains[side].volumes[world_leaf(world)];
    if (strcmp(format, leaf->info.format == VOLUME_COW ? "qcow2" : "raw") != 0)
        world_break(world, "definition says %s", format);
    if (side == DST)
        world_needs_state(world, "definition", JOB_PIVOTED, JOB_PIVOTED);
    world->persistent_at = side;
    return world_leave(world, 0, err);
}

static int hv_connected(void *ctx)
{
    const struct fake_world *world = ctx;

    return world->now_us >= world->libvirt_back_us ? 0 : -ENOTCONN;
}

struct hypervisor_port fake_hypervisor(struct fake_world *world)
{
    static const struct hypervisor_ops ops = {
        .vm_find = hv_find,
        .vm_disks = hv_disks,
        .vm_suspend = hv_suspend,
        .vm_resume = hv_resume,
        .path_user = hv_path_user,
        .mirror_start = hv_mirror_start,
        .mirror_info = hv_mirror_info,
        .mirror_limit = hv_mirror_limit,
        .mirror_abort = hv_mirror_abort,
        .mirror_pivot = hv_mirror_pivot,
        .mirror_failure = hv_mirror_failure,
        .disk_truth = hv_truth,
        .disk_set_persistent = hv_set_persistent,
        .connected = hv_connected,
    };

    return (struct hypervisor_port){ .ctx = world, .ops = &ops };
}
