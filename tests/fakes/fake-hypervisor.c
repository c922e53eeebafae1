/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt and its VM in the fake world. Guards the rules of a guest that is
 * held: suspend only with the record that says so, and resume only when a crash
 * would leave the layer that it writes to the right one.
 */
#include "fake-hypervisor.h"

#include <errno.h>
#include <string.h>

#define VM "11111111-1111-4111-8111-111111111111"

int fake_enter(struct fake_world *world, const char *call, struct err *err)
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

bool fake_runs(const struct fake_world *world)
{
    return world->alive && !world->forgotten;
}

static int no_vm(struct err *err)
{
    return err_set_code(err, ERR_NO_VM, "no such VM");
}

static enum vm_state state_of(const struct fake_world *world)
{
    if (!fake_runs(world))
        return VM_SHUTOFF;
    return world->paused ? VM_PAUSED : VM_RUNNING;
}

static void name_vm(const struct fake_world *world, struct vm_info *ret_vm)
{
    *ret_vm = (struct vm_info){ .uuid = VM,
                                .name = "web1",
                                .state = state_of(world),
                                .persistent = world->defined };
}

static int hv_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err)
{
    struct fake_world *world = ctx;
    struct vm_info *vms;
    int rc = fake_enter(world, "vm list", err);

    if (rc == 0)
        rc = world_leave(world, 0, err);
    if (rc)
        return rc;
    vms = calloc(1, sizeof(*vms));
    if (!vms)
        return err_set(err, -ENOMEM, "VMs");
    name_vm(world, vms);
    *ret_vms = vms;
    *ret_n = world->defined || fake_runs(world);
    return 0;
}

static int hv_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                   struct err *err)
{
    struct fake_world *world = ctx;
    int rc = fake_enter(world, "vm find", err);

    if (rc)
        return rc;
    if ((!world->defined && !fake_runs(world)) ||
        (strcmp(name_or_uuid, VM) != 0 && strcmp(name_or_uuid, "web1") != 0))
        return world_leave(world, no_vm(err), err);
    name_vm(world, ret_vm);
    return world_leave(world, 0, err);
}

static void describe(const struct fake_world *world, size_t i,
                     struct vm_disk *ret_disk)
{
    const struct fake_disk *disk = &world->disks[i];
    const struct fake_volume *leaf =
        fake_runs(world) ? disk->xml : disk->persistent;

    *ret_disk = world->disk;
    (void)str_copy(ret_disk->target, sizeof(ret_disk->target), disk->target);
    if (fake_runs(world) && disk->job.kind != VM_JOB_NONE)
        ret_disk->job = true;
    if (i > 0 || !world->disk.path[0])
        (void)str_copy(ret_disk->path, sizeof(ret_disk->path), leaf->info.path);
}

static int hv_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err)
{
    struct fake_world *world = ctx;
    struct vm_disk *disks;
    int rc = fake_enter(world, "vm disks", err);

    (void)vm;
    if (rc)
        return rc;
    if (!world->defined && !fake_runs(world))
        return no_vm(err);
    rc = world_leave(world, 0, err);
    if (rc)
        return rc;
    disks = calloc(world->n_disks, sizeof(*disks));
    if (!disks)
        return err_set(err, -ENOMEM, "disks");
    for (size_t i = 0; i < world->n_disks; i++)
        describe(world, i, &disks[i]);
    *ret_disks = disks;
    *ret_n = world->n_disks;
    return 0;
}

static int hv_suspend(void *ctx, const char *vm, bool *ret_was_paused,
                      struct err *err)
{
    struct fake_world *world = ctx;
    int rc = fake_enter(world, "vm suspend", err);

    (void)vm;
    if (rc)
        return rc;
    if (!fake_runs(world))
        return err_set(err, -EINVAL, "VM does not run");
    *ret_was_paused = world->paused;
    world_needs(world, "suspend",
                IN(JOB_PIVOTING) | IN(JOB_RETURNING) | IN(JOB_FOLDING));
    if (!world->record.suspended)
        world_break(world, "suspend without a record of it");
    if (world->ports.watch.ops && world->watch_held == 0)
        world_break(world, "suspend while the watch may resume");
    for (size_t i = 0; i < world->n_disks; i++) {
        const struct fake_job *job = &world->disks[i].job;

        if (job->kind == VM_JOB_COPY && world_hangs(world, job->target) &&
            world->now_us - world->domains[job->target->side].hangs > 50000)
            world_break(world, "suspend for a destination that hangs");
    }
    world->paused = true;
    return world_leave(world, 0, err);
}

/* The record names the layer that is written to from now on: itself, or by a
 * mark on the storage; unless neither can be written. */
static bool is_recorded(const struct fake_world *world,
                        const struct fake_volume *top)
{
    const struct job *job = &world->record;
    const struct job_disk *of = &job->disks[top->disk];
    bool over = IN(job->state) & (IN(JOB_PIVOTED) | IN(JOB_COMMITTING) |
                                  IN(JOB_FOLDING) | IN(JOB_FOLDED));

    if (job->kind == JOB_MERGE || job->kind == JOB_SNAPSHOT)
        return true;
    if (world->journal_fails && (world->domains[top->side].legality_fails ||
                                 world->domains[top->side].outside))
        return true;
    if (top->side == SRC)
        return job->undo || !(over || job->state == JOB_RELEASING);
    return over || (of->dst_sd[0] && top->info.legality == VOLUME_LEGAL);
}

/* An overlay that was folded: as long as the record says "folding", whoever
 * finds no qemu takes it for the right one. */
static bool fold_is_recorded(const struct fake_world *world,
                             const struct fake_volume *top)
{
    const struct job *job = &world->record;
    const struct job_disk *of = &job->disks[top->disk];

    return job->state != JOB_FOLDING ||
           strcmp(top->info.id.vol, of->leaf) != 0 ||
           top->info.role == VOLUME_LEAF || world->defined;
}

static void check_resume(struct fake_world *world)
{
    if (world->paused_by_other)
        world_break(world, "resumed a VM that somebody else had paused");
    for (size_t i = 0; i < world->n_disks; i++) {
        const struct fake_volume *top = world->disks[i].chain[0];

        if (!is_recorded(world, top) || !fold_is_recorded(world, top))
            world_break(world, "the guest runs on %s, the record says %s",
                        top->info.path, job_state_name(world->record.state));
    }
}

static int hv_resume(void *ctx, const char *vm, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = fake_enter(world, "vm resume", err);

    (void)vm;
    if (rc)
        return rc;
    if (!fake_runs(world) || !world->paused)
        return err_set(err, -EINVAL, "VM is not paused");
    check_resume(world);
    world->paused = false;
    world->paused_by_other = false;
    return world_leave(world, 0, err);
}

/* --- who uses what ----------------------------------------------------- */

static bool is_below(const char *path, const char *directory)
{
    size_t n = strlen(directory);

    return strncmp(path, directory, n) == 0 &&
           (path[n] == '\0' || path[n] == '/');
}

static bool is_used(struct fake_world *world, const char *path)
{
    const struct fake_volume *lv =
        strncmp(path, "/dev/", 5) == 0 ? world_find_path(world, path) : NULL;

    if (lv)
        return (fake_runs(world) && world_has_open(world, lv)) ||
               world_is_named(world, lv);
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct fake_volume *volume = &world->volumes[i];
        bool open = fake_runs(world) && world_has_open(world, volume);

        if (volume->exists && is_below(volume->info.path, path) &&
            (open || world_is_named(world, volume)))
            return true;
    }
    return (world->other_user && strncmp(path, "/src/", 5) == 0) ||
           (world->place_user &&
            world_find_path(world, path) == world_volume(world, DST, 0, 0));
}

/* Asked for are the directory of an image, or a place outside. */
static int hv_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                        struct err *err)
{
    struct fake_world *world = ctx;
    bool used = is_used(world, path);
    int rc = fake_enter(world, "path user", err);

    if (rc)
        return rc;
    if (strncmp(path, "/out", 4) != 0 && strncmp(path, "/dev/", 5) != 0 &&
        strncmp(path, "nbd:", 4) != 0 && strchr(path + 5, '/'))
        world_break(world, "path_user(%s) is not an image's directory", path);
    memset(ret_vm, 0, sizeof(*ret_vm));
    if (used) {
        (void)str_copy(ret_vm->uuid, sizeof(ret_vm->uuid), VM);
        (void)str_copy(ret_vm->name, sizeof(ret_vm->name), "web1");
    }
    return world_leave(world, 0, err);
}

/* --- the truth --------------------------------------------------------- */

static void spell(const struct fake_world *world,
                  const struct fake_volume *volume, char ret_path[PATH_MAX])
{
    (void)str_format(ret_path, PATH_MAX, "%s%s",
                     world->other_spelling ? "/run" : "", volume->info.path);
}

static int hv_truth(void *ctx, const char *vm, const char *target,
                    bool persistent, struct vm_disk_truth *ret_truth,
                    struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_disk *disk = world_find_disk(world, target);
    int rc = fake_enter(world, "disk truth", err);

    (void)vm;
    if (rc)
        return rc;
    if (!world->defined && !fake_runs(world))
        return no_vm(err);
    memset(ret_truth, 0, sizeof(*ret_truth));
    if (fake_runs(world)) {
        spell(world, disk->chain[0], ret_truth->qemu_path);
        if (world->elsewhere)
            (void)str_copy(ret_truth->qemu_path, PATH_MAX, "/other/file");
        (void)str_copy(ret_truth->xml_path, PATH_MAX, disk->xml->info.path);
    }
    ret_truth->state = state_of(world);
    if (world->defined && (persistent || ret_truth->state == VM_SHUTOFF))
        (void)str_copy(ret_truth->persistent_path, PATH_MAX,
                       disk->persistent->info.path);
    return world_leave(world, 0, err);
}

static int hv_persistent(void *ctx, const char *vm, const char *target,
                         char ret_path[PATH_MAX], struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_disk *disk = world_find_disk(world, target);
    int rc = fake_enter(world, "disk persistent", err);

    (void)vm;
    if (rc)
        return rc;
    if (!world->defined && !fake_runs(world))
        return no_vm(err);
    (void)str_copy(ret_path, PATH_MAX,
                   world->defined ? disk->persistent->info.path : "");
    return world_leave(world, 0, err);
}

static int hv_layers(void *ctx, const char *vm, const char *target,
                     struct vm_layers *ret_layers, struct err *err)
{
    struct fake_world *world = ctx;
    const struct fake_disk *disk = world_find_disk(world, target);
    struct vm_layers layers = { 0 };
    int rc = fake_enter(world, "disk layers", err);

    (void)vm;
    if (rc == 0 && !world->defined && !fake_runs(world))
        rc = no_vm(err);
    if (rc)
        return rc;
    rc = world_leave(world, 0, err);
    if (rc)
        return rc;
    layers.state = state_of(world);
    if (layers.state == VM_SHUTOFF) {
        *ret_layers = layers;
        return 0;
    }
    layers.paths = calloc(disk->n, sizeof(layers.paths[0]));
    if (!layers.paths)
        return err_set(err, -ENOMEM, "layers");
    for (; layers.n < disk->n; layers.n++)
        spell(world, disk->chain[layers.n], layers.paths[layers.n]);
    *ret_layers = layers;
    return 0;
}

static int hv_place(void *ctx, const char *text, char ret_place[PATH_MAX],
                    struct err *err)
{
    (void)ctx;
    if (strchr(text, ' '))
        return err_set_code(err, ERR_PARAMETER, "%s is no place", text);
    (void)str_copy(ret_place, PATH_MAX, text);
    return 0;
}

static int hv_io(void *ctx, const char *vm, const char *target,
                 struct vm_disk_io *ret_io, struct err *err)
{
    struct fake_world *world = ctx;
    int rc = fake_enter(world, "disk io", err);

    (void)vm;
    (void)target;
    if (rc == 0 && !fake_runs(world))
        rc = no_vm(err);
    if (rc)
        return rc;
    *ret_io = world->io;
    return world_leave(world, 0, err);
}

static void check_definition(struct fake_world *world,
                             const struct fake_volume *top, const char *format)
{
    const char *right = top->info.format == VOLUME_COW ? "qcow2" : "raw";
    const struct fake_disk *disk = &world->disks[top->disk];

    if (!top->exists)
        world_break(world, "the definition names %s", top->info.path);
    if (strcmp(format, right) != 0)
        world_break(world, "the definition says %s", format);
    if (world->alive && !world->forgotten && disk->chain[0] != top)
        world_break(world, "the definition names %s, qemu has %s",
                    top->info.path, disk->chain[0]->info.path);
    if (world_knows(top) != disk->acknowledged)
        world_break(world, "the definition names %s, which lacks writes",
                    top->info.path);
}

static int hv_set_persistent(void *ctx, const char *vm, const char *target,
                             const char *path, const char *format,
                             struct err *err)
{
    struct fake_world *world = ctx;
    struct fake_disk *disk = world_find_disk(world, target);
    struct fake_volume *top = world_find_path(world, path);
    int rc = fake_enter(world, "set persistent", err);

    (void)vm;
    if (rc)
        return rc;
    if (!top) {
        world_break(world, "the definition names %s", path);
        return world_leave(world, 0, err);
    }
    check_definition(world, top, format);
    disk->persistent = top;
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
        .vm_list = hv_list,
        .vm_find = hv_find,
        .vm_disk_names = hv_disks,
        .vm_disks = hv_disks,
        .vm_suspend = hv_suspend,
        .vm_resume = hv_resume,
        .path_user = hv_path_user,
        .mirror_start = fake_mirror_start,
        .mirror_info = fake_mirror_info,
        .mirror_limit = fake_mirror_limit,
        .mirror_abort = fake_mirror_abort,
        .mirror_pivot = fake_mirror_pivot,
        .mirror_failure = fake_mirror_failure,
        .disk_truth = hv_truth,
        .disk_persistent = hv_persistent,
        .disk_set_persistent = hv_set_persistent,
        .connected = hv_connected,
        .snapshot = fake_snapshot,
        .commit_start = fake_commit_start,
        .disk_layers = hv_layers,
        .disk_io = hv_io,
        .place = hv_place,
    };

    return (struct hypervisor_port){ .ctx = world, .ops = &ops };
}
