/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ends of SDM's copies: what they are, and whether the copy may be made.
 * Asked when the job is, and again when it begins: meanwhile others had time.
 */
#include "ask.h"
#include "data.h"

#include <inttypes.h>
#include <string.h>

/* --- what they are ----------------------------------------------------- */

static struct volume_id volume(const char *sd, const char *img, const char *vol)
{
    struct volume_id id;

    memcpy(id.sd, sd, UUID_SIZE);
    memcpy(id.img, img, UUID_SIZE);
    memcpy(id.vol, vol, UUID_SIZE);
    return id;
}

struct volume_id data_source(const struct job *job)
{
    const struct job_disk *disk = &job->disks[0];

    return volume(disk->src_sd, disk->img, disk->leaf);
}

struct volume_id data_target(const struct job *job)
{
    const struct job_disk *disk = &job->disks[0];

    return volume(disk->dst_sd, disk->dst_img, disk->dst_vol);
}

unsigned data_next_generation(unsigned generation)
{
    return (generation + 1) % (VOLUME_GENERATION_MAX + 1);
}

static int look_outside(const struct migrate_ports *ports, const char *place,
                        bool cow, struct outside_info *ret, struct err *err)
{
    return PORT(ports, storage, outside_info, place,
                cow ? VOLUME_COW : VOLUME_RAW, ret, err);
}

static int look_at_source(const struct migrate_ports *ports,
                          const struct job *job, struct data_ends *ends,
                          struct err *err)
{
    const struct job_disk *disk = &job->disks[0];

    if (!disk->src_sd[0])
        return look_outside(ports, disk->src_path, job->data.src.cow,
                            &ends->src_outside, err);
    return ask_chain(ports, disk->src_sd, disk->img, disk->leaf, &ends->chain,
                     err);
}

static int look_at_target(const struct migrate_ports *ports,
                          const struct job *job, struct data_ends *ends,
                          struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    const struct volume_id id = data_target(job);

    if (!disk->dst_sd[0])
        return look_outside(ports, disk->dst_path, job->data.dst.cow,
                            &ends->dst_outside, err);
    return PORT(ports, storage, volume_info, &id, &ends->to, err);
}

int data_look(const struct migrate_ports *ports, const struct job *job,
              struct data_ends *ret_ends, struct err *err)
{
    int rc;

    memset(ret_ends, 0, sizeof(*ret_ends));
    rc = look_at_source(ports, job, ret_ends, err);
    if (rc == 0)
        rc = look_at_target(ports, job, ret_ends, err);
    if (rc)
        data_ends_deinit(ret_ends);
    return rc;
}

void data_ends_deinit(struct data_ends *ends)
{
    storage_chain_deinit(&ends->chain);
}

const struct volume_info *data_leaf(const struct data_ends *ends)
{
    return &ends->chain.volumes[ends->chain.n - 1];
}

uint64_t data_capacity(const struct data_ends *ends)
{
    return ends->chain.n ? data_leaf(ends)->capacity
                         : ends->src_outside.capacity;
}

bool data_is_layer(const struct job *job, const struct data_ends *ends)
{
    return job->disks[0].dst_sd[0] && strcmp(ends->to.parent, UUID_BLANK) != 0;
}

uint64_t data_bytes(const struct job *job, const struct data_ends *ends)
{
    uint64_t bytes = 0;

    if (ends->chain.n == 0)
        return ends->src_outside.true_bytes;
    if (data_is_layer(job, ends))
        return data_leaf(ends)->true_bytes;
    for (size_t i = 0; i < ends->chain.n; i++)
        bytes += ends->chain.volumes[i].true_bytes;
    return bytes;
}

/* --- the source -------------------------------------------------------- */

static int check_generation(const struct volume_info *info,
                            const struct job_end *end, struct err *err)
{
    if (!end->checked || info->generation == end->generation)
        return 0;
    (void)err_set_code(err, ERR_GENERATION,
                       "volume %s has generation %u, not %u", info->id.vol,
                       info->generation, end->generation);
    return err_next(err, "somebody else has worked on it: look at it again "
                         "(Volume.getInfo)");
}

static int check_source(const struct job *job, const struct data_ends *ends,
                        struct err *err)
{
    const struct job_disk *disk = &job->disks[0];

    if (ends->chain.n == 0 && !ends->src_outside.exists)
        return err_set_code(err, ERR_NO_VOLUME, "%s is not there",
                            disk->src_path);
    if (ends->chain.n == 0 && ends->src_outside.capacity == 0)
        return err_set_code(err, ERR_VOLUME_FORMAT,
                            "%s is empty, or no qcow2 that stands alone",
                            disk->src_path);
    for (size_t i = 0; i < ends->chain.n; i++) {
        const struct volume_info *info = &ends->chain.volumes[i];

        if (info->legality != VOLUME_LEGAL)
            return err_set_code(err, ERR_VOLUME_ILLEGAL,
                                "volume %s of the source is %s", info->id.vol,
                                volume_legality_name(info->legality));
    }
    return ends->chain.n
               ? check_generation(data_leaf(ends), &job->data.src, err)
               : 0;
}

/* --- the destination --------------------------------------------------- */

static int too_small(const char *name, uint64_t have, uint64_t need,
                     struct err *err)
{
    (void)err_set_code(err, ERR_TOO_SMALL,
                       "%s has %" PRIu64 " bytes, which is less than the "
                       "source's %" PRIu64,
                       name, have, need);
    return err_next(err, "take a larger destination, or extend it");
}

static int check_target(const struct job *job, const struct data_ends *ends,
                        struct err *err)
{
    const struct volume_info *to = &ends->to;

    if (to->role == VOLUME_SHARED)
        return err_set_code(err, ERR_VOLUME_NOT_WRITABLE,
                            "volume %s is a template's", to->id.vol);
    if (to->capacity < data_capacity(ends))
        return too_small(to->id.vol, to->capacity, data_capacity(ends), err);
    if (data_is_layer(job, ends) && ends->chain.n < 2)
        return err_set_code(err, ERR_WRONG_PARENT,
                            "volume %s has a parent, and the source has none",
                            to->id.vol);
    return check_generation(to, &job->data.dst, err);
}

static int check_found(const struct job *job, const struct data_ends *ends,
                       struct err *err)
{
    const struct outside_info *out = &ends->dst_outside;
    const char *path = job->disks[0].dst_path;

    if (!out->exists) {
        (void)err_set_code(err, ERR_NO_VOLUME, "%s is not there", path);
        return err_next(err, "let it be made: create");
    }
    if (job->data.dst.cow && out->capacity == 0)
        return err_set_code(err, ERR_VOLUME_FORMAT,
                            "%s is no qcow2 that stands alone", path);
    return out->capacity < data_capacity(ends)
               ? too_small(path, out->capacity, data_capacity(ends), err)
               : 0;
}

/* Files are made; devices and what is beyond the network are there, at most
 * they are formatted. */
static int check_outside(const struct job *job, const struct data_ends *ends,
                         struct err *err)
{
    const struct outside_info *out = &ends->dst_outside;
    const char *path = job->disks[0].dst_path;
    bool file = !out->network && !out->block;

    if (!job->data.make || (!file && !job->data.dst.cow))
        return check_found(job, ends, err);
    if (out->network)
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "%s: a qcow2 cannot be made there, only raw disks",
                            path);
    if (!file || job->disks[0].dst_made || !out->exists || out->bytes == 0)
        return 0; /* qcow2 on a device takes what it needs */
    (void)err_set_code(err, ERR_VOLUME_EXISTS, "%s is there already", path);
    return err_next(err, "take another name, or let the data go into what is "
                         "there: create false (drayctl: --existing)");
}

static bool is_raw(const struct data_ends *ends, const struct job *job,
                   bool destination)
{
    const struct job_disk *disk = &job->disks[0];

    if (destination)
        return disk->dst_sd[0] ? ends->to.format == VOLUME_RAW
                               : !job->data.dst.cow;
    return disk->src_sd[0] ? data_leaf(ends)->format == VOLUME_RAW
                           : !job->data.src.cow;
}

static int check_bitmaps(const struct job *job, const struct data_ends *ends,
                         struct err *err)
{
    if (!job->data.bitmaps ||
        (!is_raw(ends, job, false) && !is_raw(ends, job, true)))
        return 0;
    return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                        "raw volumes have no bitmaps to copy");
}

int data_check(const struct migrate_ports *ports, const struct job *job,
               const struct data_ends *ends, struct err *err)
{
    int rc = check_source(job, ends, err);

    if (rc == 0)
        rc = job->disks[0].dst_sd[0] ? check_target(job, ends, err)
                                     : check_outside(job, ends, err);
    if (rc == 0)
        rc = check_bitmaps(job, ends, err);
    return rc ? rc : data_check_users(ports, job, ends, err);
}

/* --- who has them ------------------------------------------------------ */

static int check_source_users(const struct migrate_ports *ports,
                              const struct job *job,
                              const struct data_ends *ends, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct migrate_users users;
    int rc;

    if (ends->chain.n == 0)
        return users_check_place(ports, disk->src_path, err);
    rc = migrate_find_users(ports, disk->src_sd, disk->img, &users, err);
    if (rc)
        return rc;
    return users_check_still(&users, &ends->chain, 0, ends->chain.n, err);
}

static int check_target_users(const struct migrate_ports *ports,
                              const struct job *job,
                              const struct data_ends *ends, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct volume_info to = ends->to;
    const struct storage_chain alone = { .n = 1, .volumes = &to };
    struct migrate_users users;
    int rc;

    if (!disk->dst_sd[0])
        return users_check_place(ports, disk->dst_path, err);
    rc = migrate_find_users(ports, disk->dst_sd, disk->dst_img, &users, err);
    return rc ? rc : users_check_unused(&users, &alone, 0, 1, err);
}

int data_check_users(const struct migrate_ports *ports, const struct job *job,
                     const struct data_ends *ends, struct err *err)
{
    int rc = check_source_users(ports, job, ends, err);

    return rc ? rc : check_target_users(ports, job, ends, err);
}

/* --- removing the source ----------------------------------------------- */

/* The whole image goes: then nothing else is in it. */
static int check_alone(const struct migrate_ports *ports, const struct job *job,
                       const struct data_ends *ends, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct uuid_list vols = { 0 };
    size_t own = 0;
    int rc = PORT(ports, storage, domain_volumes, disk->src_sd, disk->img,
                  &vols, err);

    for (size_t i = 0; i < ends->chain.n; i++)
        own += strcmp(ends->chain.volumes[i].id.img, disk->img) == 0;
    if (rc == 0 && vols.n > own)
        rc = err_set_code(err, ERR_VOLUME_CHILDREN,
                          "image %s has other volumes than those below %s",
                          disk->img, disk->leaf);
    uuid_list_deinit(&vols);
    return rc;
}

int data_check_removable(const struct migrate_ports *ports,
                         const struct job *job, const struct data_ends *ends,
                         struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    struct migrate_users users;
    int rc;

    if (ends->chain.n == 0) {
        (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                           "%s is outside of all domains, so it is not ours to "
                           "remove",
                           disk->src_path);
        return err_next(err, "copy it, then remove it");
    }
    if (data_leaf(ends)->role != VOLUME_LEAF)
        return err_set_code(err, ERR_VOLUME_CHILDREN,
                            "volume %s is no leaf: others stand on it",
                            disk->leaf);
    rc = migrate_find_users(ports, disk->src_sd, disk->img, &users, err);
    if (rc == 0)
        rc = users_check_unused(&users, &ends->chain, 0, ends->chain.n, err);
    if (rc || data_is_layer(job, ends))
        return rc;
    return check_alone(ports, job, ends, err);
}
