/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The acts of SDM's jobs around the copying, after VDSM's rules: a volume that
 * is written to is ILLEGAL from before the first byte, and one write makes it
 * LEGAL and counts its generation up. So what is read afterwards tells: LEGAL
 * and g, nothing was begun; ILLEGAL and g, running or failed; LEGAL and g + 1,
 * done. Each of these writes compares the generation first, so whoever was
 * fenced by another generation loses.
 *
 * A copy that fails leaves its volume ILLEGAL, for whoever made it; a file that
 * we made outside is removed.
 */
#include "data.h"

#include <string.h>

enum {
    FENCE_STEP = 3 /* VDSM's */
};

/* --- before ------------------------------------------------------------ */

/* A file that is not there, or is empty, is ours to make and to delete. */
enum job_outcome data_plan(struct migration *m)
{
    struct job_disk *disk = &m->job.disks[0];
    struct outside_info info;
    struct err err = ERR_INIT;

    if (m->job.kind == JOB_UPDATE || m->job.data.taken_over ||
        disk->dst_sd[0] || !m->job.data.make)
        return JOB_OK;
    if (PORT(&m->ports, storage, outside_info, disk->dst_path, VOLUME_RAW,
             &info, &err))
        return migration_doubt(m, &err, 0);
    disk->dst_made = !info.network && !info.block;
    if (disk->dst_made && info.exists && info.bytes > 0)
        return migration_fail_text(m, ERR_VOLUME_EXISTS, "%s exists already",
                                   disk->dst_path);
    return JOB_OK;
}

static int check(const struct migration *m, struct err *err)
{
    struct data_ends ends;
    int rc = data_look(&m->ports, &m->job, &ends, err);

    if (rc)
        return rc;
    rc = data_check(&m->ports, &m->job, &ends, err);
    data_ends_deinit(&ends);
    return rc;
}

/* --- the job of a dead host ---------------------------------------------- */

/* 1: all was copied, and the volume says so. */
static int see_settled(const struct migration *m, struct err *err)
{
    const struct volume_id id = data_target(&m->job);
    struct volume_info info;
    int rc;

    if (!id.sd[0] || m->job.data.fenced)
        return 0;
    rc = PORT(&m->ports, storage, volume_info, &id, &info, err);
    if (rc)
        return rc;
    return info.legality == VOLUME_LEGAL &&
           info.generation == data_next_generation(m->job.data.dst.generation);
}

static enum job_outcome finish_or_undo(struct migration *m)
{
    struct err err = ERR_INIT;
    int rc = see_settled(m, &err);

    if (rc < 0)
        return migration_storage_failed(m, &err);
    return rc ? JOB_LANDED
              : migration_fail_text(m, ERR_JOB_STATUS,
                                    "the host of the job died before it was "
                                    "done: the job was undone");
}

/* As the engine fences volumes: so its generation says neither that the copy
 * was made nor that it may still be. */
static int fence_target(const struct migration *m, struct err *err)
{
    const struct volume_id id = data_target(&m->job);
    const unsigned generation = m->job.data.dst.generation;
    const struct volume_update update = {
        .expected_generation = generation,
        .generation = (generation + FENCE_STEP) % (VOLUME_GENERATION_MAX + 1),
    };
    int rc;

    if (!id.sd[0] || !m->job.data.taken_over)
        return 0;
    rc = PORT(&m->ports, storage, volume_update, &id, &update, err);
    if (rc == 0 || err->code == ERR_GENERATION || err->code == ERR_NO_VOLUME ||
        err->code == ERR_NO_IMAGE)
        return 0; /* it is done, or nobody can write there any more */
    return rc;
}

/* --- prepare ------------------------------------------------------------- */

static enum job_outcome mark_target(struct migration *m)
{
    const struct volume_id id = data_target(&m->job);
    const unsigned generation = m->job.data.dst.generation;
    const struct volume_update update = {
        .expected_generation = generation,
        .generation = generation,
        .set_legality = true,
        .legality = VOLUME_ILLEGAL,
    };
    struct err err = ERR_INIT;
    int rc = check(m, &err);

    if (rc == 0 && id.sd[0])
        rc = PORT(&m->ports, storage, volume_update, &id, &update, &err);
    if (rc == 0)
        return JOB_OK;
    return err.code == ERR_GENERATION ? migration_fail(m, &err)
                                      : migration_storage_failed(m, &err);
}

enum job_outcome data_prepare(struct migration *m)
{
    enum job_outcome outcome = lease_own(m);

    if (outcome != JOB_OK)
        return outcome;
    return m->job.data.taken_over ? finish_or_undo(m) : mark_target(m);
}

/* --- the one write ----------------------------------------------------- */

/* 1: it is done already, by an earlier life. */
static int see_update(const struct migration *m, const struct volume_id *id,
                      const struct volume_update *update, struct err *err)
{
    struct volume_info info;
    int rc = PORT(&m->ports, storage, volume_info, id, &info, err);

    if (rc)
        return rc;
    return update->generation != update->expected_generation &&
           info.generation == update->generation &&
           (!update->set_legality || info.legality == update->legality);
}

static enum job_outcome write_once(struct migration *m,
                                   const struct volume_id *id,
                                   const struct volume_update *update)
{
    struct err err = ERR_INIT;
    int rc = see_update(m, id, update, &err);

    if (rc == 0)
        rc = PORT(&m->ports, storage, volume_update, id, update, &err);
    if (rc >= 0)
        return JOB_OK;
    return err.code == ERR_GENERATION || err.code == ERR_VOLUME_UPDATE
               ? migration_fail(m, &err)
               : migration_doubt(m, &err, UNDO_PATIENCE_MS);
}

static enum job_outcome update_volume(struct migration *m)
{
    const struct job_data *data = &m->job.data;
    const struct volume_id id = data_source(&m->job);
    const struct volume_update update = {
        .expected_generation = data->src.generation,
        .generation = data->generation >= 0
                          ? (unsigned)data->generation
                          : data_next_generation(data->src.generation),
        .set_legality = data->legality >= 0,
        .legality = (enum volume_legality)data->legality,
        .share = data->share,
        .description = data->describe ? data->description : NULL,
    };

    return write_once(m, &id, &update);
}

static enum job_outcome keep_outside(struct migration *m)
{
    const struct job_disk *disk = &m->job.disks[0];
    struct err err = ERR_INIT;

    if (disk->dst_made &&
        PORT(&m->ports, storage, outside_keep, disk->dst_path, &err))
        return migration_doubt(m, &err, UNDO_PATIENCE_MS);
    return JOB_OK;
}

enum job_outcome data_settle(struct migration *m)
{
    const struct volume_id id = data_target(&m->job);
    const unsigned generation = m->job.data.dst.generation;
    const struct volume_update update = {
        .expected_generation = generation,
        .generation = data_next_generation(generation),
        .set_legality = true,
        .legality = VOLUME_LEGAL,
    };

    if (m->job.kind == JOB_UPDATE)
        return update_volume(m);

    enum job_outcome outcome = lease_own(m);

    if (outcome == JOB_OK && id.sd[0])
        outcome = write_once(m, &id, &update);
    if (outcome == JOB_OK && m->job.kind == JOB_COPY_DATA)
        outcome = lease_disown(m, true);
    return outcome == JOB_OK && !id.sd[0] ? keep_outside(m) : outcome;
}

/* --- the source of a move ---------------------------------------------- */

static bool is_gone(const struct err *err)
{
    return err->code == ERR_NO_IMAGE || err->code == ERR_NO_VOLUME;
}

static enum job_outcome keep(struct migration *m, const char *why)
{
    migration_warn(m, "the source is kept: %.300s", why);
    return JOB_OK;
}

/* Before the last other copy goes. */
static int see_copy(const struct migration *m, struct err *err)
{
    const struct volume_id id = data_target(&m->job);
    struct volume_info info;
    int rc;

    if (!id.sd[0])
        return 0; /* nothing there could say more than it did */
    rc = PORT(&m->ports, storage, volume_info, &id, &info, err);
    if (rc ||
        (info.legality == VOLUME_LEGAL &&
         info.generation == data_next_generation(m->job.data.dst.generation)))
        return rc;
    return err_set_code(err, ERR_GENERATION,
                        "volume %s was changed since it was copied", id.vol);
}

static int delete_source(struct migration *m, bool layer, struct err *err)
{
    const struct volume_id id = data_source(&m->job);
    int rc;

    if (layer)
        return PORT(&m->ports, storage, volume_delete, &id, err);
    rc = PORT(&m->ports, storage, image_teardown, id.sd, id.img, err);
    return rc ? rc : PORT(&m->ports, storage, image_delete, id.sd, id.img, err);
}

static enum job_outcome release_source(struct migration *m)
{
    struct err err = ERR_INIT;
    struct data_ends ends;
    bool layer = false;
    int rc = see_copy(m, &err);

    if (rc)
        return keep(m, err.message);
    rc = data_look(&m->ports, &m->job, &ends, &err);
    if (rc == 0) {
        layer = data_is_layer(&m->job, &ends);
        rc = data_check_removable(&m->ports, &m->job, &ends, &err);
        data_ends_deinit(&ends);
    }
    if (rc == 0)
        rc = delete_source(m, layer, &err);
    if (rc == 0 || is_gone(&err))
        return JOB_OK;
    if (migration_trouble(m, &err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return keep(m, err.message);
}

enum job_outcome data_release(struct migration *m)
{
    enum job_outcome outcome = m->lease_ended ? JOB_OK : lease_own(m);

    if (outcome == JOB_FAIL)
        return keep(m, m->job.error.message);
    if (outcome == JOB_OK && !m->lease_ended)
        outcome = release_source(m);
    return outcome == JOB_OK ? lease_disown(m, true) : outcome;
}

/* --- undo -------------------------------------------------------------- */

static enum job_outcome remove_target(struct migration *m)
{
    const struct job_disk *disk = &m->job.disks[0];
    struct err err = ERR_INIT;

    if (disk->dst_made && m->job.data.taken_over)
        migration_warn(m,
                       "destination left: %.160s: the dead host made it, and "
                       "it is not known whether it is the same file here",
                       disk->dst_path);
    if (!disk->dst_made || m->job.data.taken_over ||
        PORT(&m->ports, storage, outside_remove, disk->dst_path, &err) == 0)
        return JOB_OK;
    if (migration_trouble(m, &err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "destination left: %.160s: %.200s", disk->dst_path,
                   err.message);
    return JOB_OK;
}

/* Whoever lost the lease, or never had it, leaves all as it is. */
enum job_outcome data_remove(struct migration *m)
{
    struct err err = ERR_INIT;
    enum job_outcome outcome = JOB_OK;

    data_forget(m);
    if (!lease_owns(m))
        return JOB_OK;
    outcome = lease_own(m);
    if (outcome == JOB_OK && fence_target(m, &err))
        outcome = migration_trouble(m, &err, TIDY_PATIENCE_MS);
    if (outcome == JOB_OK)
        outcome = remove_target(m);
    if (outcome == JOB_OK)
        outcome = lease_disown(m, false);
    if (outcome == JOB_FAIL)
        migration_warn(m, "not all could be undone: %.300s",
                       err.rc ? err.message : m->job.error.message);
    return outcome == JOB_AGAIN ? JOB_AGAIN : JOB_OK;
}
