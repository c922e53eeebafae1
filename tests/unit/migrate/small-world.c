/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ports of the small world: they find things in its tables.
 */
#include "small-world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- names ------------------------------------------------------------- */

struct volume_id small_id(const char *sd, const char *vol)
{
    struct volume_id id = { .img = SMALL_IMG };

    (void)str_copy(id.sd, UUID_SIZE, sd);
    (void)str_copy(id.vol, UUID_SIZE, vol);
    return id;
}

void small_path(char ret_path[PATH_MAX], const char *sd, const char *vol)
{
    (void)str_format(ret_path, PATH_MAX, "/mnt/%s/%s/%s", sd, SMALL_IMG, vol);
}

static struct volume_info *find(struct small_world *world,
                                const struct volume_id *id)
{
    for (size_t i = 0; i < world->n_volumes; i++) {
        if (memcmp(&world->volumes[i].id, id, sizeof(*id)) == 0)
            return &world->volumes[i];
    }
    return NULL;
}

struct volume_info *small_volume(struct small_world *world, const char *sd,
                                 const char *vol)
{
    struct volume_id id = small_id(sd, vol);

    return find(world, &id);
}

struct vm_disk *small_disk(struct small_world *world)
{
    return &world->vms[0].disks[0];
}

/* --- storage ----------------------------------------------------------- */

static struct domain_info *domain(struct small_world *world, const char *sd)
{
    if (strcmp(sd, SMALL_A) == 0)
        return &world->a;
    return strcmp(sd, SMALL_B) == 0 ? &world->b : NULL;
}

static int no_domain(const char *sd, struct err *err)
{
    return err_set_code(err, ERR_NO_DOMAIN, "no domain %s", sd);
}

static int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                       struct err *err)
{
    const struct domain_info *info = domain(ctx, sd);

    if (!info)
        return no_domain(sd, err);
    *ret_info = *info;
    return 0;
}

static int domain_stats(void *ctx, const char *sd, struct domain_stats *ret,
                        struct err *err)
{
    struct small_world *world = ctx;

    (void)sd;
    (void)err;
    *ret = (struct domain_stats){ .free_bytes = world->free_bytes };
    return 0;
}

static size_t count(const struct small_world *world, const char *sd)
{
    size_t n = 0;

    for (size_t i = 0; i < world->n_volumes; i++)
        n += strcmp(world->volumes[i].id.sd, sd) == 0;
    return n;
}

static int no_image(const char *img, struct err *err)
{
    return err_set_code(err, ERR_NO_IMAGE, "no image %s", img);
}

static int domain_volumes(void *ctx, const char *sd, const char *img,
                          struct uuid_list *ret_list, struct err *err)
{
    struct small_world *world = ctx;
    size_t n = count(world, sd);

    if (n == 0)
        return no_image(img, err);
    *ret_list = (struct uuid_list){ n, calloc(n, UUID_SIZE) };
    return ret_list->uuids ? 0 : -ENOMEM;
}

/* The table has them base first; @leaf ends it. */
static int image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err)
{
    struct small_world *world = ctx;
    struct storage_chain chain = { 0, calloc(SMALL_VOLUMES,
                                             sizeof(struct volume_info)) };

    if (!chain.volumes)
        return -ENOMEM;
    for (size_t i = 0; i < world->n_volumes; i++) {
        const struct volume_info *volume = &world->volumes[i];

        if (strcmp(volume->id.sd, sd) != 0)
            continue;
        chain.volumes[chain.n++] = *volume;
        if (leaf && strcmp(volume->id.vol, leaf) == 0)
            break;
    }
    if (chain.n == 0 || strcmp(img, SMALL_IMG) != 0) {
        storage_chain_deinit(&chain);
        return domain(world, sd) ? no_image(img, err) : no_domain(sd, err);
    }
    *ret_chain = chain;
    return 0;
}

static int image_prepare(void *ctx, const struct volume_id *id,
                         bool allow_illegal, char ret_path[PATH_MAX],
                         struct err *err)
{
    struct small_world *world = ctx;

    world->prepared++;
    world->allowed_illegal = allow_illegal;
    if (world->prepare_fails)
        return err_set_code(err, ERR_IMAGE_PATH, "no link");
    small_path(ret_path, id->sd, id->vol);
    return 0;
}

static int volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret_info, struct err *err)
{
    const struct volume_info *volume = find(ctx, id);

    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    *ret_info = *volume;
    return 0;
}

static int volume_set_legality(void *ctx, const struct volume_id *id,
                               enum volume_legality legality, struct err *err)
{
    struct small_world *world = ctx;
    struct volume_info *volume = find(world, id);

    if (!volume)
        return err_set_code(err, ERR_NO_VOLUME, "no volume %s", id->vol);
    volume->legality = legality;
    world->marked++;
    return 0;
}

static int locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    struct small_world *world = ctx;

    if (world->storage_hangs)
        return err_set_code(err, ERR_STORAGE, "the storage does not answer");
    for (size_t i = 0; i < world->n_volumes; i++) {
        if (strcmp(world->volumes[i].path, path) != 0)
            continue;
        *ret_id = world->volumes[i].id;
        return 0;
    }
    return err_set_code(err, ERR_NO_DISK, "%s is not ours", path);
}

static void keep(void *ctx, const char *sd)
{
    (void)ctx;
    (void)sd;
}

static const struct storage_ops storage = {
    .domain_info = domain_info,
    .domain_keep = keep,
    .domain_keep_no_more = keep,
    .domain_soon = keep,
    .domain_stats = domain_stats,
    .domain_volumes = domain_volumes,
    .image_chain = image_chain,
    .image_prepare = image_prepare,
    .volume_info = volume_info,
    .volume_set_legality = volume_set_legality,
    .locate = locate,
};

/* --- VMs --------------------------------------------------------------- */

static int is_away(const struct small_world *world, struct err *err)
{
    if (!world->libvirt_away)
        return 0;
    (void)err_set_code(err, ERR_NOT_RESPONDING, "libvirtd is away");
    return err->rc = -ENOTCONN;
}

static int vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err)
{
    struct small_world *world = ctx;

    if (is_away(world, err))
        return err->rc;
    *ret_vms = calloc(SMALL_VMS, sizeof(struct vm_info));
    for (size_t i = 0; i < world->n_vms; i++)
        (*ret_vms)[i] = world->vms[i].info;
    *ret_n = world->n_vms;
    return 0;
}

static const struct small_vm *find_vm(const struct small_world *world,
                                      const char *name)
{
    for (size_t i = 0; i < world->n_vms; i++) {
        if (strcmp(world->vms[i].info.uuid, name) == 0 ||
            strcmp(world->vms[i].info.name, name) == 0)
            return &world->vms[i];
    }
    return NULL;
}

static int vm_find(void *ctx, const char *name, struct vm_info *ret_vm,
                   struct err *err)
{
    struct small_world *world = ctx;
    const struct small_vm *vm = find_vm(world, name);

    if (is_away(world, err))
        return err->rc;
    if (!vm)
        return err_set_code(err, ERR_NO_VM, "no VM %s", name);
    *ret_vm = vm->info;
    return 0;
}

static int vm_disks(void *ctx, const char *name, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err)
{
    struct small_world *world = ctx;
    const struct small_vm *vm = find_vm(world, name);

    if (is_away(world, err))
        return err->rc;
    if (!vm)
        return err_set_code(err, ERR_NO_VM, "no VM %s", name);
    if (world->vm_lost && vm->info.state == VM_SHUTOFF)
        return err_set_code(err, ERR_NOT_RESPONDING, "%s runs unknown", name);
    *ret_disks = calloc(SMALL_DISKS, sizeof(struct vm_disk));
    memcpy(*ret_disks, vm->disks, sizeof(vm->disks));
    *ret_n = vm->n_disks;
    return 0;
}

static int mirror_info(void *ctx, const char *vm, const char *target,
                       struct vm_mirror_info *ret_info, struct err *err)
{
    struct small_world *world = ctx;

    (void)vm;
    (void)target;
    if (is_away(world, err))
        return err->rc;
    *ret_info = world->mirror;
    return 0;
}

static struct vm_disk *find_disk(struct small_world *world, const char *target)
{
    for (size_t i = 0; i < world->vms[0].n_disks; i++) {
        if (strcmp(world->vms[0].disks[i].target, target) == 0)
            return &world->vms[0].disks[i];
    }
    return NULL;
}

static int disk_truth(void *ctx, const char *vm, const char *target,
                      bool persistent, struct vm_disk_truth *ret_truth,
                      struct err *err)
{
    const struct vm_disk *disk = find_disk(ctx, target);

    (void)vm;
    (void)persistent;
    if (!disk)
        return err_set_code(err, ERR_NO_DISK, "no disk %s", target);
    memset(ret_truth, 0, sizeof(*ret_truth));
    ret_truth->state = VM_RUNNING;
    (void)str_copy(ret_truth->xml_path, PATH_MAX, disk->path);
    (void)str_copy(ret_truth->qemu_path, PATH_MAX, disk->path);
    return 0;
}

static int snapshot(void *ctx, const char *vm,
                    const struct vm_overlay *overlays, size_t n, bool quiesce,
                    struct err *err)
{
    struct small_world *world = ctx;

    (void)vm;
    world->snapshots++;
    if (quiesce && !world->agent)
        return err_set_code(err, ERR_SNAPSHOT, "no agent answers");
    if (world->snapshots_fail)
        return err_set_code(err, ERR_SNAPSHOT, "qemu would not");
    world->overlays = n;
    world->quiesced = quiesce;
    for (size_t i = 0; i < n; i++) {
        struct vm_disk *disk = find_disk(world, overlays[i].target);

        (void)str_copy(disk->path, PATH_MAX, overlays[i].path);
    }
    return 0;
}

/* It wrote nothing. */
static int disk_io(void *ctx, const char *vm, const char *target,
                   struct vm_disk_io *ret_io, struct err *err)
{
    (void)ctx;
    (void)vm;
    (void)target;
    (void)err;
    memset(ret_io, 0, sizeof(*ret_io));
    return 0;
}

static int connected(void *ctx)
{
    return ((struct small_world *)ctx)->libvirt_away ? -ENOTCONN : 0;
}

static const struct hypervisor_ops hypervisor = {
    .vm_list = vm_list,
    .vm_find = vm_find,
    .vm_disk_names = vm_disks,
    .vm_disks = vm_disks,
    .mirror_info = mirror_info,
    .disk_truth = disk_truth,
    .snapshot = snapshot,
    .disk_io = disk_io,
    .connected = connected,
};

/* --- the rest ---------------------------------------------------------- */

static int64_t time_stands_still(void *ctx)
{
    (void)ctx;
    return 1000;
}

static int put(void *ctx, const struct job *job, struct err *err)
{
    (void)ctx;
    (void)job;
    (void)err;
    return 0;
}

static void forget(void *ctx, const char *resume_key)
{
    (void)resume_key;
    ((struct small_world *)ctx)->forgotten++;
}

static const struct copier_ops copier = { .forget = forget };
static const struct clock_ops clock_ops = { .now_ms = time_stands_still,
                                            .now_us = time_stands_still,
                                            .wall_ms = time_stands_still };
static const struct journal_ops journal = { .put = put };

/* --- making it --------------------------------------------------------- */

static void add(struct small_world *world, const char *vol, const char *parent,
                enum volume_format format)
{
    struct volume_info *volume = &world->volumes[world->n_volumes++];

    *volume = (struct volume_info){ .id = small_id(SMALL_A, vol),
                                    .format = format,
                                    .legality = VOLUME_LEGAL,
                                    .role = VOLUME_INTERNAL,
                                    .capacity = 1 << 30,
                                    .true_bytes = 1 << 20 };
    (void)str_copy(volume->parent, UUID_SIZE, parent);
    small_path(volume->path, SMALL_A, vol);
}

static void add_domain(struct domain_info *info, const char *sd,
                       const char *name)
{
    *info =
        (struct domain_info){ .status = DOMAIN_JOINED, .class_name = "Data" };
    (void)str_copy(info->sd, UUID_SIZE, sd);
    (void)str_copy(info->name, sizeof(info->name), name);
}

void small_init(struct small_world *world)
{
    *world = (struct small_world){
        .ports = {.storage = { world, &storage },
                  .hypervisor = { world, &hypervisor },
                  .copier = { world, &copier },
                  .journal = { world, &journal },
                  .clock = { world, &clock_ops }},
        .free_bytes = 1 << 30,
        .n_vms = 1,
    };
    add_domain(&world->a, SMALL_A, "old");
    add_domain(&world->b, SMALL_B, "new");
    add(world, SMALL_V0, UUID_BLANK, VOLUME_RAW);
    add(world, SMALL_V1, SMALL_V0, VOLUME_COW);
    add(world, SMALL_V2, SMALL_V1, VOLUME_COW);
    world->volumes[2].role = VOLUME_LEAF;
    world->vms[0] = (struct small_vm){
        .info = {.uuid = SMALL_VM,     .name = "web1", .state = VM_RUNNING },
        .disks = { { .target = "vda", .device = "disk", .capacity = 1 << 30 }},
        .n_disks = 1,
    };
    small_path(small_disk(world)->path, SMALL_A, SMALL_V2);
}

void small_copy(struct small_world *world, const char *sd, size_t n,
                enum volume_legality legality)
{
    for (size_t i = 0; i < n; i++) {
        struct volume_info *volume = &world->volumes[world->n_volumes++];

        *volume = world->volumes[i];
        (void)str_copy(volume->id.sd, UUID_SIZE, sd);
        volume->legality = legality;
        small_path(volume->path, sd, volume->id.vol);
    }
}
