/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which VMs have an image: as what they write to, as the destination of a
 * mirror, or only in the definition of a VM that is off. The hypervisor knows
 * paths, the storage knows which volume a path is.
 *
 * A path that the storage cannot place (its domain hangs) but that has the
 * image's UUID in it may be the image: then there is no answer.
 */
#include "ask.h"

#include <string.h>

/* --- looking ----------------------------------------------------------- */

struct search {
    const struct migrate_ports *ports;
    const char *sd;
    const char *img;
    struct migrate_users *users;
};

/* 1: @path is volume ret_vol of the image. */
static int place(const struct search *s, const char *path,
                 char ret_vol[UUID_SIZE], struct err *err)
{
    struct err unknown = ERR_INIT;
    struct volume_id id;
    int rc = 0;

    if (!path[0])
        return 0;
    rc = PORT(s->ports, storage, locate, path, &id, &unknown);
    if (rc && unknown.code != ERR_NO_DISK && strstr(path, s->img)) {
        *err = unknown;
        return rc;
    }
    if (rc || strcmp(id.sd, s->sd) != 0 || strcmp(id.img, s->img) != 0)
        return 0;
    memcpy(ret_vol, id.vol, UUID_SIZE);
    return 1;
}

static int look_at_disk(const struct search *s, const struct vm_info *vm,
                        const struct vm_disk *disk, struct err *err)
{
    struct migrate_users *users = s->users;
    char vol[UUID_SIZE];
    int found = place(s, disk->path, vol, err);

    if (found > 0 && vm->state == VM_SHUTOFF) {
        users->owner = *vm;
    } else if (found > 0) {
        users->writer = *vm;
        memcpy(users->written, vol, UUID_SIZE);
    }
    if (found < 0 || !disk->mirror.present)
        return found < 0 ? found : 0;
    found = place(s, disk->mirror.path, vol, err);
    if (found > 0) {
        users->mirror = *vm;
        memcpy(users->mirrored, vol, UUID_SIZE);
    }
    return found < 0 ? found : 0;
}

static int look_at_vm(const struct search *s, const struct vm_info *vm,
                      struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    struct err gone = ERR_INIT;
    size_t n = 0;
    int rc =
        PORT(s->ports, hypervisor, vm_disk_names, vm->uuid, &disks, &n, &gone);

    if (rc && gone.code == ERR_NO_VM)
        return 0; /* meanwhile */
    if (rc)
        *err = gone;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = look_at_disk(s, vm, &disks[i], err);
    return rc;
}

int migrate_find_users(const struct migrate_ports *ports, const char *sd,
                       const char *img, struct migrate_users *ret_users,
                       struct err *err)
{
    _cleanup_free_ struct vm_info *vms = NULL;
    const struct search s = { ports, sd, img, ret_users };
    size_t n = 0;
    int rc = PORT(ports, hypervisor, vm_list, &vms, &n, err);

    memset(ret_users, 0, sizeof(*ret_users));
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = look_at_vm(&s, &vms[i], err);
    return rc ? err_wrap(err, "who has image %s", img) : 0;
}

/* --- drives ------------------------------------------------------------ */

static int is_drive(const struct migrate_ports *ports,
                    const struct vm_disk *disk, const struct volume_id *volume)
{
    struct err ignored = ERR_INIT; /* not one of ours: not it */
    struct volume_id id;

    return disk->path[0] &&
           PORT(ports, storage, locate, disk->path, &id, &ignored) == 0 &&
           strcmp(id.sd, volume->sd) == 0 && strcmp(id.img, volume->img) == 0 &&
           strcmp(id.vol, volume->vol) == 0;
}

/* One that runs without libvirt's knowing must not be started again. */
static int check_not_lost(const struct migrate_ports *ports,
                          const struct vm_info *vm, struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    struct err lost = ERR_INIT;
    size_t n = 0;
    int rc = PORT(ports, hypervisor, vm_disks, vm->uuid, &disks, &n, &lost);

    if (rc == 0 || lost.code != ERR_NOT_RESPONDING)
        return 0;
    *err = lost;
    return rc;
}

static int find_vm(const struct migrate_ports *ports, const char *name,
                   struct vm_info *ret_vm, struct err *err)
{
    int rc = PORT(ports, hypervisor, vm_find, name, ret_vm, err);

    if (rc || ret_vm->state != VM_SHUTOFF)
        return rc;
    rc = check_not_lost(ports, ret_vm, err);
    if (rc)
        return rc;
    rc = err_set_code(err, ERR_NO_VM, "VM %s does not run", ret_vm->name);
    (void)err_next(err, "start it: virsh start %s", ret_vm->name);
    return rc;
}

int migrate_find_drive(const struct migrate_ports *ports, const char *vm,
                       const struct volume_id *volume, struct vm_info *ret_vm,
                       struct vm_disk *ret_drive, struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    size_t n = 0;
    int rc = find_vm(ports, vm, ret_vm, err);

    if (rc == 0)
        rc = PORT(ports, hypervisor, vm_disks, ret_vm->uuid, &disks, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (is_drive(ports, &disks[i], volume)) {
            *ret_drive = disks[i];
            return 0;
        }
    }
    rc = err_set_code(err, ERR_NO_DISK,
                      "VM %s has no disk with volume %s of image %s on domain "
                      "%s",
                      ret_vm->name, volume->vol, volume->img, volume->sd);
    (void)err_next(err, "see: drayctl vm disks %s", ret_vm->name);
    return rc;
}

/* --- answers ----------------------------------------------------------- */

static bool has(const struct storage_chain *chain, size_t first, size_t end,
                const char *vol)
{
    for (size_t i = first; i < end; i++) {
        if (strcmp(chain->volumes[i].id.vol, vol) == 0)
            return true;
    }
    return false;
}

static int in_use(const struct vm_info *vm, const char *how,
                  const struct storage_chain *chain, struct err *err)
{
    const struct volume_id *id = &chain->volumes[0].id;
    int rc =
        err_set_code(err, ERR_VOLUME_BUSY, "VM %s %s image %s on domain %s",
                     vm->name, how, id->img, id->sd);

    (void)err_next(err, "see: drayctl vm disks %s", vm->name);
    return rc;
}

int users_check_unused(const struct migrate_users *users,
                       const struct storage_chain *chain, size_t first,
                       size_t end, struct err *err)
{
    if (users->writer.uuid[0])
        return in_use(&users->writer, "runs on", chain, err);
    if (users->owner.uuid[0])
        return in_use(&users->owner, "is defined with", chain, err);
    if (users->mirror.uuid[0] && has(chain, first, end, users->mirrored))
        return in_use(&users->mirror, "mirrors a disk to", chain, err);
    return 0;
}

int users_check_still(const struct migrate_users *users,
                      const struct storage_chain *chain, size_t first,
                      size_t end, struct err *err)
{
    if (users->writer.uuid[0] && has(chain, first, end, users->written))
        return in_use(&users->writer, "writes to", chain, err);
    if (users->mirror.uuid[0] && has(chain, first, end, users->mirrored))
        return in_use(&users->mirror, "mirrors a disk to", chain, err);
    return 0;
}

int users_check_place(const struct migrate_ports *ports, const char *place,
                      struct err *err)
{
    struct vm_info user = { .uuid = "" };
    int rc = PORT(ports, hypervisor, path_user, place, &user, err);

    if (rc || !user.uuid[0])
        return rc;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "VM %s has %s", user.name, place);
    return err_next(err, "see: drayctl vm disks %s", user.name);
}
