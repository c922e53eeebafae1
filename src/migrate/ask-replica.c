/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.diskReplicateStart and what must be true before a replica may pivot.
 *
 * The destination was made by the engine: the same volumes under the same
 * UUIDs, the leaf empty. Whatever is the matter with it is ERR_REPLICA, as in
 * VDSM, but the text tells what.
 */
#include "ask.h"

#include <inttypes.h>
#include <string.h>

/* --- the start --------------------------------------------------------- */

static int check_names(const struct asking *q, struct err *err)
{
    const struct migrate_ask_disk *disk = &q->ask->disks[0];

    if (strcmp(disk->at.img, disk->to.img) != 0 ||
        strcmp(disk->at.vol, disk->to.vol) != 0)
        return err_set_code(err, ERR_REPLICA,
                            "a replica keeps the image's and the volume's "
                            "UUID: %s and %s, not %s and %s",
                            disk->at.img, disk->at.vol, disk->to.img,
                            disk->to.vol);
    if (strcmp(disk->at.sd, disk->to.sd) != 0)
        return 0;
    (void)err_set_code(err, ERR_REPLICA, "the disk is on domain %s already",
                       disk->to.sd);
    return err_next(err, "name another domain: drayctl domain list");
}

static int check_drive(const struct asking *q, const struct vm_disk *drive,
                       struct err *err)
{
    const char *problem = ask_drive_problem(drive);

    if (drive->transient)
        return err_set_code(err, ERR_TRANSIENT, "disk %s of VM %s is transient",
                            drive->target, q->vm.name);
    if (!problem)
        return 0;
    (void)err_set_code(err, ERR_REPLICA, "disk %s of VM %s %s", drive->target,
                       q->vm.name, problem);
    return err_next(err, "see: drayctl vm disks %s", q->vm.name);
}

static int check_leaf(const struct volume_info *from,
                      const struct volume_info *to, struct err *err)
{
    if (to->capacity < from->capacity)
        return err_set_code(err, ERR_TOO_SMALL,
                            "volume %s has %" PRIu64 " bytes on domain %s, "
                            "%" PRIu64 " are needed",
                            to->id.vol, to->capacity, to->id.sd,
                            from->capacity);
    return 0;
}

static int compare(struct asking *q, const struct storage_chain *from,
                   const struct storage_chain *to, struct err *err)
{
    struct job_disk *disk = &q->job->disks[0];
    struct migrate_users users;
    int rc = ask_compare_chains(from, to, err);

    if (rc == 0)
        rc = check_leaf(&from->volumes[from->n - 1], &to->volumes[to->n - 1],
                        err);
    if (rc == 0)
        rc = migrate_find_users(q->ports, disk->dst_sd, disk->img, &users, err);
    if (rc == 0)
        rc = users_check_unused(&users, to, 0, to->n, err);
    disk->convert = from->volumes[0].format != to->volumes[0].format;
    disk->base_cow = to->volumes[0].format == VOLUME_COW;
    return rc;
}

/* An LV has many names; beside ours are those of the other layers. */
static void name_lv(const struct volume_info *leaf, struct job *job)
{
    struct job_disk *disk = &job->disks[0];

    if (leaf->block)
        (void)str_copy(disk->src_path, sizeof(disk->src_path), leaf->path);
}

/* What its LV lacks of what it must have when the mirror begins. */
static int check_space(const struct asking *q, const struct volume_info *from,
                       const struct volume_info *to, struct err *err)
{
    struct watermark_policy policy;
    struct domain_info target;
    uint64_t bytes = 0;
    int rc = 0;

    if (!to->block || to->format != VOLUME_COW)
        return 0;
    rc = PORT(q->ports, storage, domain_info, to->id.sd, &target, err);
    if (rc == 0)
        rc = thin_measure(q->ports, from, &bytes, err);
    if (rc)
        return rc;
    policy = thin_policy(q->ports, target.extent_bytes);
    bytes = thin_mirrored(&policy, to->capacity, bytes);
    return bytes <= to->apparent_bytes
               ? 0
               : ask_check_room(q->ports, to->id.sd, bytes - to->apparent_bytes,
                                err);
}

static int check_chains(struct asking *q, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    struct storage_chain from = { 0 };
    struct storage_chain to = { 0 };
    int rc =
        ask_chain(q->ports, disk->src_sd, disk->img, disk->leaf, &from, err);

    if (rc == 0)
        rc = ask_chain(q->ports, disk->dst_sd, disk->img, disk->leaf, &to, err);
    if (rc == 0)
        rc = compare(q, &from, &to, err);
    if (rc == 0)
        rc = check_space(q, &from.volumes[from.n - 1], &to.volumes[to.n - 1],
                         err);
    if (rc == 0)
        name_lv(&from.volumes[from.n - 1], q->job);
    storage_chain_deinit(&from);
    storage_chain_deinit(&to);
    return rc;
}

static int prepare(struct asking *q, struct err *err)
{
    struct job_disk *disk = &q->job->disks[0];
    struct volume_id id;
    char path[PATH_MAX];

    memcpy(id.sd, disk->dst_sd, UUID_SIZE);
    memcpy(id.img, disk->img, UUID_SIZE);
    memcpy(id.vol, disk->leaf, UUID_SIZE);

    int rc = PORT(q->ports, storage, image_prepare, &id, true, path, err);

    if (rc == 0 && !str_copy(disk->dst_path, sizeof(disk->dst_path), path))
        rc =
            err_set_code(err, ERR_IMAGE_PATH, "the path is too long: %s", path);
    return rc;
}

static int check_destination(struct asking *q, struct err *err)
{
    int rc = ask_check_domain(q->ports, q->job->disks[0].dst_sd, err);

    if (rc == 0)
        rc = check_chains(q, err);
    return rc ? rc : prepare(q, err);
}

int ask_replicate(struct asking *q, struct err *err)
{
    struct err cause = ERR_INIT;
    struct vm_disk drive;
    int rc = ask_find_drive(q, 0, q->ask->disks[0].at.vol, &drive, err);

    if (rc == 0)
        rc = check_drive(q, &drive, err);
    if (rc == 0)
        rc = check_names(q, err);
    if (rc || check_destination(q, &cause) == 0)
        return rc;
    (void)err_wrap(&cause, "replica of disk %s of VM %s", drive.target,
                   q->vm.name);
    return ask_refuse(err, ERR_REPLICA, &cause);
}

/* --- before its pivot -------------------------------------------------- */

/* That it is there and has converged; whether it is ours the pivot looks. */
static int check_mirror(const struct migrate_ports *ports,
                        const struct job *job, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct vm_mirror_info info = { .job = false };
    int rc =
        PORT(ports, hypervisor, mirror_info, job->vm, disk->target, &info, err);

    if (rc)
        return rc;
    if (job->state >= JOB_CONVERGING && !info.job) {
        rc = err_set_code(err, ERR_REPLICA,
                          "the mirror of disk %s of VM %s has ended",
                          disk->target, job->vm_name);
        (void)err_next(err, "see: drayctl job info %s", job->id);
        return rc;
    }
    if (info.job && info.ready)
        return 0;
    rc = err_set_code(err, ERR_NOT_READY,
                      "the replica of disk %s of VM %s has not converged yet",
                      disk->target, job->vm_name);
    (void)err_next(err, "ask again later; see: drayctl job watch %s", job->id);
    return rc;
}

static int check_volume(const struct volume_info *volume, struct err *err)
{
    int rc = 0;

    if (volume->legality == VOLUME_LEGAL)
        return 0;
    rc = err_set_code(err, ERR_VOLUME_ILLEGAL,
                      "volume %s of image %s on domain %s is %s: its data is "
                      "not there",
                      volume->id.vol, volume->id.img, volume->id.sd,
                      volume_legality_name(volume->legality));
    (void)err_next(err, "copy it (Image.syncData INTERNAL), then repeat "
                        "VM.diskReplicateFinish");
    return rc;
}

int migrate_check_finish(const struct migrate_ports *ports,
                         const struct job *job, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct storage_chain chain = { 0 };
    int rc = check_mirror(ports, job, err);

    if (rc == 0)
        rc = ask_chain(ports, disk->dst_sd, disk->img, disk->leaf, &chain, err);
    for (size_t i = 0; rc == 0 && i + 1 < chain.n; i++)
        rc = check_volume(&chain.volumes[i], err);
    storage_chain_deinit(&chain);
    return rc;
}
