/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What speaks against a move on the side of the VM and of its disk: does it
 * run, is the disk one that can be moved, do all names of its file agree, and
 * is the image what its records say?
 */
#include "plan.h"

#include <inttypes.h>
#include <string.h>

/* --- the VM and its disk ----------------------------------------------- */

static void check_kind(struct question *q)
{
    const struct vm_disk *disk = &q->disk;
    const char *name = disk->target;

    if (strcmp(disk->device, "disk") != 0)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "%s is a %s, not a disk", name,
                      disk->device);
    if (disk->read_only)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "disk %s is read-only", name);
    if (disk->shareable)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "disk %s is shareable: another VM may write to it", name);
    if (disk->transient)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "disk %s is transient", name);
}

static void check_jobs(struct question *q)
{
    if (q->disk.job || q->disk.mirror.present)
        (void)err_next(plan_obstacle(q->plan, ERR_DISK_BUSY,
                                     "disk %s of VM %s has a block job already",
                                     q->disk.target, q->vm->name),
                       "wait for its end: virsh blockjob %s %s", q->vm->name,
                       q->disk.target);
}

/* All names of the disk's file must agree before we change them. */
static void check_truth(struct question *q)
{
    const char *path = q->disk.path;
    struct err err = ERR_INIT;
    struct vm_disk_truth truth;

    if (PORT(q->ports, hypervisor, disk_truth, q->vm->uuid, q->disk.target,
             true, &truth, &err)) {
        plan_obstacle_from(q->plan, &err);
        return;
    }
    if (strcmp(truth.qemu_path, path) != 0)
        plan_obstacle(q->plan, ERR_CHANGE_DISK,
                      "qemu writes disk %s to %s, but libvirt says %s",
                      q->disk.target, truth.qemu_path, path);
    if (truth.persistent_path[0] && strcmp(truth.persistent_path, path) != 0)
        (void)err_next(
            plan_obstacle(
                q->plan, ERR_CHANGE_DISK,
                "the persistent definition of VM %s has %s as disk %s, "
                "the running VM has %s",
                q->vm->name, truth.persistent_path, q->disk.target, path),
            "make them agree: virsh edit %s", q->vm->name);
}

void plan_check_vm(struct question *q)
{
    if (q->vm->state != VM_RUNNING && q->vm->state != VM_PAUSED) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_UNSUPPORTED,
                          "VM %s is not running: only disks of running "
                          "VMs can be moved",
                          q->vm->name),
            "start it: virsh start %s", q->vm->name);
    } else {
        check_jobs(q);
        check_truth(q);
    }
    check_kind(q);
}

/* --- the source -------------------------------------------------------- */

/* What comes from outside becomes an image of its own. */
static void adopt(struct question *q)
{
    struct job_disk *of = q->of;

    uuid_new(of->img);
    uuid_new(of->leaf);
    if (!of->convert)
        of->base_cow = strcmp(q->disk.format, "qcow2") == 0;
    of->convert = true;
}

static void not_in_a_domain(struct question *q)
{
    if (!q->disk.path[0]) {
        (void)err_next(plan_obstacle(q->plan, ERR_NO_DISK,
                                     "disk %s of VM %s is empty: no file is "
                                     "in it",
                                     q->disk.target, q->vm->name),
                       "name another disk: drayctl vm disks %s", q->vm->name);
        return;
    }
    (void)err_next(plan_obstacle(q->plan, ERR_NO_DISK,
                                 "disk %s of VM %s is %s, which is in no "
                                 "domain that this host has joined",
                                 q->disk.target, q->vm->name, q->disk.path),
                   "name a domain to import it to, or join its domain: "
                   "drayctl domain join DIRECTORY");
}

void plan_locate(struct question *q)
{
    struct job_disk *of = q->of;
    struct err err = ERR_INIT;
    struct volume_id id;

    if (q->disk.path[0] != '/')
        (void)err_set_code(&err, ERR_NO_DISK, "no file");
    else
        (void)PORT(q->ports, storage, locate, q->disk.path, &id, &err);
    if (err.rc == 0) {
        q->located = true;
        (void)str_copy(of->src_sd, UUID_SIZE, id.sd);
        (void)str_copy(of->img, UUID_SIZE, id.img);
        (void)str_copy(of->leaf, UUID_SIZE, id.vol);
    } else if (err.code != ERR_NO_DISK) {
        plan_obstacle_from(q->plan, &err);
    } else if (!q->disk.path[0] || !of->dst_sd[0]) {
        not_in_a_domain(q);
    } else {
        adopt(q);
    }
}

static void check_layer(struct question *q, size_t i)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    bool leaf = i + 1 == q->chain.n;

    if (volume->legality != VOLUME_LEGAL)
        plan_obstacle(q->plan, ERR_VOLUME_ILLEGAL,
                      "volume %s of the source is not legal", volume->id.vol);
    if ((volume->role == VOLUME_SHARED && !(q->abroad && i == 0 && !leaf)) ||
        strcmp(volume->id.img, q->of->img) != 0)
        plan_obstacle(
            q->plan, ERR_VOLUME_SHARED,
            "volume %s is a template's: moving disks made from templates "
            "is not supported",
            volume->id.vol);
    if (leaf && volume->role == VOLUME_INTERNAL)
        plan_obstacle(q->plan, ERR_IMAGE_CHAIN,
                      "VM %s writes to volume %s, which has children",
                      q->vm->name, volume->id.vol);
    if (q->abroad && volume->capacity % 4096 != 0)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "volume %s has %" PRIu64 " bytes, no multiple of 4096",
                      volume->id.vol, volume->capacity);
}

/* A raw LV has whole extents, and so may its record: the VM sees all of them,
 * or what it saw where the disk came from. */
static bool is_capacity_of(uint64_t capacity, const struct volume_info *leaf,
                           uint64_t extent_bytes)
{
    bool raw_lv = leaf->block && leaf->format == VOLUME_RAW;

    return capacity == leaf->capacity ||
           (raw_lv && capacity <= leaf->apparent_bytes &&
            capacity + extent_bytes > leaf->capacity);
}

/* Does the record describe the disk that the VM has? */
static void check_against_vm(struct question *q)
{
    const struct volume_info *leaf = &q->chain.volumes[q->chain.n - 1];
    const char *format = leaf->format == VOLUME_COW ? "qcow2" : "raw";

    if (q->disk.capacity &&
        !is_capacity_of(q->disk.capacity, leaf, q->source.extent_bytes))
        plan_obstacle(q->plan, ERR_METADATA_INVALID,
                      "disk %s has %" PRIu64
                      " bytes in the VM, its record says "
                      "%" PRIu64,
                      q->disk.target, q->disk.capacity, leaf->capacity);
    if (q->disk.format[0] && strcmp(q->disk.format, format) != 0)
        plan_obstacle(q->plan, ERR_VOLUME_FORMAT,
                      "VM %s opens disk %s as %s, its record says %s",
                      q->vm->name, q->disk.target, q->disk.format, format);
    if (q->disk.chain_n && q->disk.chain_n != q->chain.n)
        plan_obstacle(q->plan, ERR_IMAGE_CHAIN,
                      "disk %s has %zu layers in the VM, %zu in its records",
                      q->disk.target, q->disk.chain_n, q->chain.n);
}

/* An LV has many names; beside ours are those of the other layers. */
static void name_lv(struct question *q)
{
    const struct volume_info *leaf = &q->chain.volumes[q->chain.n - 1];

    if (leaf->block)
        (void)str_copy(q->of->src_path, sizeof(q->of->src_path), leaf->path);
}

void plan_check_source(struct question *q)
{
    const struct job_disk *of = q->of;
    struct err err = ERR_INIT;

    if (PORT(q->ports, storage, domain_info, of->src_sd, &q->source, &err)) {
        plan_obstacle_from(q->plan, &err);
        err_clear(&err);
    } else if (q->source.read_only && !q->request->keep_source) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_DOMAIN_ATTACHED,
                          "domain %s belongs to an oVirt pool: its copy "
                          "cannot be deleted",
                          q->source.name),
            "keep the source (--keep-source), or detach the domain");
    }
    if (PORT(q->ports, storage, image_chain, of->src_sd, of->img, of->leaf,
             &q->chain, &err)) {
        plan_obstacle_from(q->plan, &err);
        return;
    }
    q->out->chain_n = q->chain.n;
    for (size_t i = 0; i < q->chain.n; i++)
        check_layer(q, i);
    if (q->chain.n > 0) {
        check_against_vm(q);
        name_lv(q);
    }
}
