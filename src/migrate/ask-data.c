/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SDM.copy_data, move_data and update_volume: volumes that an engine made, or
 * places outside of all domains, get the data of others.
 */
#include "ask.h"
#include "data.h"

#include <inttypes.h>
#include <string.h>

/* --- copies ------------------------------------------------------------ */

static int check_apart(const struct job_disk *disk, struct err *err)
{
    bool same = strcmp(disk->src_sd, disk->dst_sd) == 0;

    if (!same)
        return 0;
    same = disk->src_sd[0] ? strcmp(disk->leaf, disk->dst_vol) == 0
                           : strcmp(disk->src_path, disk->dst_path) == 0;
    return same ? err_set_code(err, ERR_VALUE,
                               "source and destination are the same: %s",
                               disk->src_sd[0] ? disk->leaf : disk->src_path)
                : 0;
}

static int check_domains(const struct asking *q, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    int rc = 0;

    if (q->ask->kind == JOB_MOVE_DATA && disk->src_sd[0])
        rc = ask_check_domain(q->ports, disk->src_sd, err);
    if (rc == 0 && disk->dst_sd[0])
        rc = ask_check_domain(q->ports, disk->dst_sd, err);
    return rc;
}

/* What the destination has already is room, too. */
static int check_room(const struct asking *q, const struct data_ends *ends,
                      struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    const struct outside_info *out = &ends->dst_outside;
    uint64_t need = data_bytes(q->job, ends);
    uint64_t have = disk->dst_sd[0] ? ends->to.true_bytes : out->true_bytes;

    if (need > data_capacity(ends))
        need = data_capacity(ends);
    need = need > have ? need - have : 0;
    if (disk->dst_sd[0])
        return ends->to.block && ends->to.format == VOLUME_RAW
                   ? 0
                   : ask_check_room(q->ports, disk->dst_sd, need, err);
    if (out->network || out->block || out->free_bytes >= need)
        return 0;
    return err_set_code(err, ERR_NO_SPACE,
                        "%s: %" PRIu64 " bytes are free there, %" PRIu64
                        " are needed",
                        disk->dst_path, out->free_bytes, need);
}

static int copy_path(char to[JOB_PATH_SIZE], const char *path, struct err *err)
{
    if (str_copy(to, JOB_PATH_SIZE, path))
        return 0;
    return err_set_code(err, ERR_IMAGE_PATH, "the path is too long: %s", path);
}

/* What was found is what the job begins with. */
static int resolve(struct asking *q, const struct data_ends *ends,
                   struct err *err)
{
    struct job_disk *disk = &q->job->disks[0];
    struct job_data *data = &q->job->data;
    int rc = 0;

    disk->capacity = data_capacity(ends);
    if (disk->src_sd[0]) {
        data->src.generation = data_leaf(ends)->generation;
        rc = copy_path(disk->src_path, data_leaf(ends)->path, err);
    }
    if (rc == 0 && disk->dst_sd[0]) {
        data->dst.generation = ends->to.generation;
        rc = copy_path(disk->dst_path, ends->to.path, err);
    }
    return rc;
}

/* --- leases ------------------------------------------------------------ */

static int refuse_record(const struct xlease_id *id,
                         const struct xlease_status *status, struct err *err)
{
    if (!status->has_job)
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "lease %s is not of a job", id->lease);
    return err_set_code(err, ERR_UNSUPPORTED_STORAGE, "lease %s is of job %s",
                        id->lease, status->job.job_id);
}

/* Outside of domains the generation that is named is the record's. */
static int check_record(const struct job_end *end, bool is_volume,
                        const struct xlease_job *record, struct err *err)
{
    if (record->status != XLEASE_PENDING)
        return err_set_code(err, ERR_JOB_STATUS, "job %s is %s, not PENDING",
                            record->job_id,
                            xlease_job_status_name(record->status));
    if (is_volume || !end->checked || end->generation == record->generation)
        return 0;
    return err_set_code(err, ERR_GENERATION, "job %s has generation %u, not %u",
                        record->job_id, record->generation, end->generation);
}

static int look_at_lease(const struct asking *q, const struct xlease_id *id,
                         struct xlease_status *ret_status, struct err *err)
{
    struct lease_place place;
    int rc = PORT(q->ports, xleases, place, id, &place, err);

    if (rc == 0)
        rc = PORT(q->ports, xleases, status, id, ret_status, err);
    if (rc || ret_status->owner_host == 0)
        return rc;
    (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                       "lease %s is held by host %u of domain %s", id->lease,
                       (unsigned)ret_status->owner_host, id->sd);
    return err_next(err, "drayctl lease status %s %s", id->sd, id->lease);
}

/* A source may have a lease that is nobody's record: then it is only held. */
static int check_lease(const struct asking *q, bool destination,
                       struct err *err)
{
    struct job *job = q->job;
    const struct job_end *end = destination ? &job->data.dst : &job->data.src;
    const char *sd = destination ? job->disks[0].dst_sd : job->disks[0].src_sd;
    const struct xlease_id id = lease_name(end);
    struct xlease_status status;
    int rc;

    if (!end->lease[0])
        return 0;
    rc = look_at_lease(q, &id, &status, err);
    if (rc || job->data.record)
        return rc;
    if (!status.has_job || strcmp(status.job.job_id, job->id) != 0)
        return destination ? refuse_record(&id, &status, err) : 0;
    job->data.record = true;
    job->data.lease_generation = status.job.generation;
    return check_record(end, sd[0], &status.job, err);
}

int ask_data(struct asking *q, struct err *err)
{
    struct data_ends ends;
    int rc = check_apart(&q->job->disks[0], err);

    if (rc == 0)
        rc = check_domains(q, err);
    if (rc == 0)
        rc = check_lease(q, true, err);
    if (rc == 0)
        rc = check_lease(q, false, err);
    if (rc == 0)
        rc = data_look(q->ports, q->job, &ends, err);
    if (rc)
        return rc;
    rc = data_check(q->ports, q->job, &ends, err);
    if (rc == 0 && q->ask->kind == JOB_MOVE_DATA)
        rc = data_check_removable(q->ports, q->job, &ends, err);
    if (rc == 0)
        rc = check_room(q, &ends, err);
    if (rc == 0)
        rc = resolve(q, &ends, err);
    data_ends_deinit(&ends);
    return rc;
}

/* --- updates ----------------------------------------------------------- */

static int check_change(const struct job *job, const struct volume_info *info,
                        struct err *err)
{
    if (!job->data.src.checked)
        return err_set_code(err, ERR_GENERATION,
                            "no generation of volume %s is named, which none "
                            "can match",
                            info->id.vol);
    if (info->generation != job->data.src.generation)
        return err_set_code(err, ERR_GENERATION,
                            "volume %s has generation %u, not %u", info->id.vol,
                            info->generation, job->data.src.generation);
    if (job->data.legality == (int)info->legality)
        return err_set_code(err, ERR_VOLUME_UPDATE, "volume %s is %s already",
                            info->id.vol, volume_legality_name(info->legality));
    if (job->data.share &&
        (info->role != VOLUME_LEAF || strcmp(info->parent, UUID_BLANK) != 0))
        return err_set_code(err, ERR_VOLUME_UPDATE,
                            "volume %s cannot become a template: it is no "
                            "leaf, or has a parent",
                            info->id.vol);
    return 0;
}

static int check_writers(const struct asking *q, const struct volume_info *info,
                         struct err *err)
{
    struct volume_info volume = *info;
    const struct storage_chain alone = { .n = 1, .volumes = &volume };
    struct migrate_users users;
    int rc =
        migrate_find_users(q->ports, info->id.sd, info->id.img, &users, err);

    return rc ? rc : users_check_still(&users, &alone, 0, 1, err);
}

int ask_update(struct asking *q, struct err *err)
{
    const struct volume_id id = data_source(q->job);
    struct volume_info info;
    int rc = ask_check_domain(q->ports, id.sd, err);

    if (rc == 0)
        rc = PORT(q->ports, storage, volume_info, &id, &info, err);
    if (rc == 0)
        rc = check_change(q->job, &info, err);
    if (rc == 0)
        rc = check_writers(q, &info, err);
    return rc ? rc : copy_path(q->job->disks[0].src_path, info.path, err);
}
