/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Makes the image's structure on the destination: the same volumes with the
 * same UUIDs, all ILLEGAL until their data is there.
 *
 * JOB_PLANNED checks that the destination has no such image; from the record of
 * JOB_PREPARING on, what is there is ours. Should somebody have been faster, a
 * volume in the way is not one that we make, and is left alone (undo.c too).
 */
#include "migration.h"

enum job_outcome act_plan(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, storage, domain_volumes, move->dst_sd, move->img,
                  &volumes, &err);
    size_t n = rc ? 0 : volumes.n;

    uuid_list_deinit(&volumes);
    if (rc && err.code != ERR_NO_IMAGE)
        return migration_doubt(m, &err, 0);
    if (n > 0)
        return migration_fail_text(m, ERR_VOLUME_EXISTS,
                                   "image %s exists on domain %s already",
                                   move->img, move->dst_sd);
    return JOB_OK;
}

static void describe(const struct migration *m, size_t i,
                     struct volume_create *ret_spec)
{
    const struct volume_info *from = &m->chain.volumes[i];
    bool leaf = i + 1 == m->chain.n;
    const char *parent = i ? m->chain.volumes[i - 1].id.vol : UUID_BLANK;

    *ret_spec = (struct volume_create){
        .id = migration_target(m, from->id.vol),
        .format = migration_format(m, i),
        .allocation = VOLUME_SPARSE,
        .legality = VOLUME_ILLEGAL,
        .capacity = from->capacity,
        .sequence = from->sequence,
        .clone = true,
        .role = leaf ? VOLUME_LEAF : VOLUME_INTERNAL,
    };
    if (ret_spec->format == VOLUME_RAW)
        ret_spec->allocation = from->allocation;
    (void)str_copy(ret_spec->parent, UUID_SIZE, parent);
    (void)str_copy(ret_spec->parent_img, UUID_SIZE,
                   i ? m->job.move.img : UUID_BLANK);
    (void)str_copy(ret_spec->disk_type, sizeof(ret_spec->disk_type),
                   from->disk_type);
    (void)str_copy(ret_spec->description, sizeof(ret_spec->description),
                   from->description);
}

/* A volume stands where ours should be: is it what an earlier try made? */
static enum job_outcome recognise(struct migration *m,
                                  const struct volume_create *spec)
{
    struct err err = ERR_INIT;
    struct volume_info info;

    if (PORT(&m->ports, storage, volume_info, &spec->id, &info, &err))
        return migration_storage_failed(m, &err);
    if (info.legality != VOLUME_ILLEGAL || info.format != spec->format ||
        info.capacity != spec->capacity)
        return migration_fail_text(
            m, ERR_VOLUME_EXISTS,
            "volume %s of image %s on domain %s was made by somebody else",
            spec->id.vol, spec->id.img, spec->id.sd);
    return JOB_OK;
}

static enum job_outcome make_volume(struct migration *m)
{
    struct volume_create spec;
    struct err err = ERR_INIT;
    enum job_outcome outcome = JOB_OK;

    describe(m, m->layer, &spec);
    if (PORT(&m->ports, storage, volume_create, &spec, &err))
        outcome = err.code == ERR_VOLUME_EXISTS
                      ? recognise(m, &spec)
                      : migration_storage_failed(m, &err);
    if (outcome != JOB_OK)
        return outcome;
    m->layer++;
    return migration_again(m, 0);
}

enum job_outcome act_prepare(struct migration *m)
{
    const struct volume_id leaf = migration_target(m, m->job.move.leaf);
    struct err err = ERR_INIT;

    if (migration_load_chain(m, &err))
        return migration_storage_failed(m, &err);
    if (m->layer < m->chain.n)
        return make_volume(m);
    if (PORT(&m->ports, storage, image_prepare, &leaf, true,
             m->job.move.dst_path, &err))
        return migration_storage_failed(m, &err);
    return JOB_OK;
}
