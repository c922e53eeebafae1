/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.snapshot and VM.merge: what must be true of the VM's disks and of the
 * volumes before one becomes the other's child, or goes into it.
 */
#include "ask.h"

#include <inttypes.h>
#include <string.h>

/* The job keeps the path of @vol. Files lie beside the VM's; an LV has many
 * names, and the records know the one that all of the image have alike. */
static int set_path(const struct asking *q, struct job_disk *disk,
                    const char *vol, struct err *err)
{
    struct volume_id id;
    struct volume_info info;
    char *slash = strrchr(disk->src_path, '/');
    size_t room =
        slash ? sizeof(disk->src_path) - (size_t)(slash + 1 - disk->src_path)
              : 0;
    int rc;

    memcpy(id.sd, disk->src_sd, UUID_SIZE);
    memcpy(id.img, disk->img, UUID_SIZE);
    memcpy(id.vol, vol, UUID_SIZE);
    rc = PORT(q->ports, storage, volume_info, &id, &info, err);
    if (rc)
        return rc;
    if (info.block &&
        str_copy(disk->src_path, sizeof(disk->src_path), info.path))
        return 0;
    if (!info.block && slash && str_copy(slash + 1, room, vol))
        return 0;
    return err_set_code(err, ERR_IMAGE_PATH,
                        "disk %s: no place for a volume beside %s",
                        disk->target, disk->src_path);
}

static int drive_problem(const struct asking *q, const struct vm_disk *drive,
                         struct err *err)
{
    const char *problem = ask_drive_problem(drive);

    if (!problem)
        return 0;
    (void)err_set_code(err, ERR_DISK_BUSY, "disk %s of VM %s %s", drive->target,
                       q->vm.name, problem);
    return err_next(err, "see: drayctl vm disks %s", q->vm.name);
}

/* --- snapshot ---------------------------------------------------------- */

static int compare(const struct volume_info *above,
                   const struct volume_info *below, struct err *err)
{
    const char *problem = NULL;

    if (strcmp(above->parent, below->id.vol) != 0)
        problem = "has another parent";
    else if (above->format != VOLUME_COW)
        problem = "is not COW";
    else if (above->legality != VOLUME_LEGAL)
        problem = "is not LEGAL";
    else if (above->role != VOLUME_LEAF)
        problem = "has children";
    else if (above->capacity < below->capacity)
        problem = "is smaller than the volume below";
    if (!problem)
        return 0;
    (void)err_set_code(err, ERR_SNAPSHOT, "volume %s %s", above->id.vol,
                       problem);
    return err_next(err, "make it with Volume.create: COW, srcVolUUID %s",
                    below->id.vol);
}

static int check_new_volume(const struct asking *q,
                            const struct migrate_ask_disk *disk,
                            struct err *err)
{
    struct volume_id id = disk->at;
    struct volume_info above, below;
    int rc = PORT(q->ports, storage, volume_info, &id, &below, err);

    memcpy(id.vol, disk->top, UUID_SIZE);
    if (rc == 0)
        rc = PORT(q->ports, storage, volume_info, &id, &above, err);
    return rc ? rc : compare(&above, &below, err);
}

static int check_not_yet(struct asking *q, size_t i, struct err *err)
{
    const struct migrate_ask_disk *disk = &q->ask->disks[i];
    struct vm_disk drive;
    int rc = ask_find_drive(q, i, disk->at.vol, &drive, err);

    if (rc == 0)
        rc = drive_problem(q, &drive, err);
    return rc ? rc : check_new_volume(q, disk, err);
}

/* A drive that is on its new volume is done: a lost answer, a repetition. */
static int check_one(struct asking *q, size_t i, struct err *err)
{
    const struct migrate_ask_disk *disk = &q->ask->disks[i];
    struct err elsewhere = ERR_INIT;
    struct vm_disk drive;
    int rc = ask_find_drive(q, i, disk->top, &drive, &elsewhere);

    if (rc && elsewhere.code != ERR_NO_DISK)
        *err = elsewhere;
    else if (rc)
        rc = check_not_yet(q, i, err);
    return rc ? rc : set_path(q, &q->job->disks[i], disk->at.vol, err);
}

/* The same disk twice would be asked for two overlays. */
static bool is_named_twice(const struct asking *q, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(q->job->disks[i].img, q->job->disks[j].img) == 0)
            return true;
    }
    return false;
}

int ask_snapshot(struct asking *q, struct err *err)
{
    for (size_t i = 0; i < q->ask->n_disks; i++) {
        struct err cause = ERR_INIT;
        int rc = check_one(q, i, &cause);

        if (rc == 0 && is_named_twice(q, i)) {
            (void)err_set_code(&cause, ERR_SNAPSHOT, "image %s is named twice",
                               q->job->disks[i].img);
            rc = err_next(&cause, "name each disk once");
        }
        if (rc)
            return ask_refuse(err, ERR_SNAPSHOT, &cause);
    }
    return 0;
}

/* --- merge ------------------------------------------------------------- */

static const struct volume_info *find(const struct storage_chain *chain,
                                      const char *vol, struct err *err)
{
    for (size_t i = 0; i < chain->n; i++) {
        if (strcmp(chain->volumes[i].id.vol, vol) == 0)
            return &chain->volumes[i];
    }
    (void)err_set_code(err, ERR_NOT_IN_CHAIN,
                       "volume %s is not in the chain of volume %s", vol,
                       chain->volumes[chain->n - 1].id.vol);
    return NULL;
}

static int check_base(const struct asking *q, const struct volume_info *base,
                      struct err *err)
{
    if (base->role == VOLUME_SHARED ||
        strcmp(base->id.img, q->job->disks[0].img) != 0)
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "volume %s is a template's: other disks need it "
                            "as it is",
                            base->id.vol);
    if (base->legality != VOLUME_LEGAL)
        return err_set_code(err, ERR_VOLUME_ILLEGAL, "volume %s is %s",
                            base->id.vol, volume_legality_name(base->legality));
    return 0;
}

static int check_order(const struct volume_info *base,
                       const struct volume_info *top, struct err *err)
{
    if (strcmp(top->parent, base->id.vol) == 0)
        return 0;
    (void)err_set_code(err, ERR_WRONG_PARENT,
                       "volume %s is not right above volume %s but above %s",
                       top->id.vol, base->id.vol, top->parent);
    return err_next(err, "merge one volume after another, from above");
}

/* qemu makes a base that the leaf goes into as large as the leaf, and the
 * record follows; nobody does that for one in the middle of the chain. */
static int check_size(const struct storage_chain *chain,
                      const struct volume_info *base,
                      const struct volume_info *top, struct err *err)
{
    bool leaf = top == &chain->volumes[chain->n - 1];

    if (leaf || base->format != VOLUME_RAW || base->capacity >= top->capacity)
        return 0;
    (void)err_set_code(err, ERR_TOO_SMALL,
                       "volume %s has %" PRIu64 " bytes, volume %s above has "
                       "%" PRIu64,
                       base->id.vol, base->capacity, top->id.vol,
                       top->capacity);
    return err_next(err, "make it larger first: Volume.extendSize");
}

/* Both together go into one LV, and the leaf's guest writes on. */
static int check_space(const struct asking *q,
                       const struct storage_chain *chain,
                       const struct volume_info *base,
                       const struct volume_info *top, struct err *err)
{
    bool leaf = top == &chain->volumes[chain->n - 1];
    struct volume_measure measure;
    struct watermark_policy policy;
    struct domain_info domain;
    uint64_t bytes;
    int rc;

    if (!base->block || base->format != VOLUME_COW)
        return 0;
    rc = PORT(q->ports, storage, domain_info, base->id.sd, &domain, err);
    if (rc == 0)
        rc = PORT(q->ports, storage, volume_measure, &top->id, VOLUME_COW,
                  base->id.vol, &measure, err);
    if (rc)
        return rc;
    policy = thin_policy(q->ports, domain.extent_bytes);
    bytes = thin_copied(&policy, top->capacity,
                        measure.required + measure.bitmaps, leaf);
    return bytes <= base->apparent_bytes
               ? 0
               : ask_check_room(q->ports, base->id.sd,
                                bytes - base->apparent_bytes, err);
}

static int check_merge(const struct asking *q,
                       const struct storage_chain *chain, struct err *err)
{
    const struct migrate_ask_disk *disk = &q->ask->disks[0];
    const struct volume_info *base = find(chain, disk->base, err);
    const struct volume_info *top = base ? find(chain, disk->top, err) : NULL;
    int rc = 0;

    if (!base || !top)
        return err->rc;
    rc = check_base(q, base, err);
    if (rc == 0)
        rc = check_order(base, top, err);
    if (rc == 0)
        rc = check_size(chain, base, top, err);
    return rc ? rc : check_space(q, chain, base, top, err);
}

static int check_chain(struct asking *q, struct err *err)
{
    const struct volume_id *at = &q->ask->disks[0].at;
    struct storage_chain chain = { 0 };
    int rc = ask_chain(q->ports, at->sd, at->img, at->vol, &chain, err);

    if (rc == 0)
        rc = check_merge(q, &chain, err);
    storage_chain_deinit(&chain);
    return rc;
}

int ask_merge(struct asking *q, struct err *err)
{
    const struct migrate_ask_disk *disk = &q->ask->disks[0];
    struct err cause = ERR_INIT;
    struct vm_disk drive;
    int rc = ask_find_drive(q, 0, disk->at.vol, &drive, err);

    if (rc)
        return rc;
    rc = drive_problem(q, &drive, &cause);
    if (rc == 0)
        rc = check_chain(q, &cause);
    if (rc == 0)
        rc = set_path(q, &q->job->disks[0], disk->base, &cause);
    if (rc == 0)
        return 0;
    return ask_refuse(
        err, cause.code == ERR_TOO_SMALL ? ERR_TOO_SMALL : ERR_MERGE, &cause);
}
