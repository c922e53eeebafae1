/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Image.reconcileVolumeChain and the Volume.* verbs about sizes and records
 * that an engine uses around a move.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static const char *text(const struct api_call *call, const char *name)
{
    return params_text(call->params, name);
}

static void fill_id(const struct api_call *call, const char *vol_name,
                    struct volume_id *ret_id)
{
    (void)str_copy(ret_id->sd, UUID_SIZE, text(call, "storagedomainID"));
    (void)str_copy(ret_id->img, UUID_SIZE, text(call, "imageID"));
    (void)str_copy(ret_id->vol, UUID_SIZE, text(call, vol_name));
}

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* --- reconcile --------------------------------------------------------- */

/* What a running VM has open is not to be read from headers. */
static int check_no_writer(struct api_call *call, const struct volume_id *id,
                           struct err *err)
{
    struct migrate_users users;

    int r = migrate_find_users(call->api->ports, id->sd, id->img, &users, err);
    if (r < 0 || !users.writer.uuid[0])
        return r;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "VM %s runs on image %s",
                       users.writer.name, id->img);
    return err_next(err, "shut VM %s down first", users.writer.name);
}

/* A leaf that was merged away is no part of the chain any more. */
static int drop_illegal_leaf(struct api_call *call, const struct volume_id *id,
                             struct uuid_list *vols, struct err *err)
{
    struct volume_info leaf;

    int r = API_PORT(call, storage, volume_info, id, &leaf, err);
    if (r < 0 || leaf.legality == VOLUME_LEGAL)
        return r;
    if (vols->n < 2)
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "volume %s is %s and the only one of image %s",
                            id->vol, volume_legality_name(leaf.legality),
                            id->img);
    vols->n--;
    return 0;
}

static int reconcile(struct api_call *call, struct uuid_list *vols,
                     struct err *err)
{
    struct volume_id id;

    fill_id(call, "leafVolID", &id);
    int r = check_no_writer(call, &id, err);
    if (r == 0)
        r = API_PORT(call, storage, image_header_chain, id.sd, id.img, id.vol,
                     vols, err);
    if (r == 0)
        r = drop_illegal_leaf(call, &id, vols, err);
    if (r == 0)
        r = API_PORT(call, storage, image_sync_chain, id.sd, id.img, vols, err);
    return r;
}

int verb_image_reconcile(struct api_call *call, struct err *err)
{
    struct uuid_list vols = { 0 };

    int r = reconcile(call, &vols, err);
    if (r == 0)
        r = done(call, shape_uuids(&vols), err);
    uuid_list_deinit(&vols);
    return r;
}

/* --- sizes ------------------------------------------------------------- */

int verb_volume_extend(struct api_call *call, struct err *err)
{
    struct volume_id id;

    fill_id(call, "volumeID", &id);
    int r = API_PORT(call, storage, volume_extend, &id,
                     params_number(call->params, "newSize"), err);
    if (r < 0)
        return err_default_code(err, ERR_VOLUME_EXTEND);
    return done(call, put_new_text(id.vol), err);
}

static struct json_object *shape_measure(const struct volume_measure *measure)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_u64(object, "required", measure->required) &&
                               put_u64(object, "fully-allocated",
                                       measure->fully_allocated) &&
                               (!measure->bitmaps ||
                                put_u64(object, "bitmaps", measure->bitmaps)));
}

int verb_volume_measure(struct api_call *call, struct err *err)
{
    const char *base = text(call, "baseID");
    struct volume_measure measure;
    struct volume_id id;

    fill_id(call, "volumeID", &id);
    if (!params_flag(call->params, "backing_chain"))
        base = "";
    int r = API_PORT(call, storage, volume_measure, &id,
                     str_equal(text(call, "dstVolFormat"), "COW") ? VOLUME_COW
                                                                  : VOLUME_RAW,
                     base, &measure, err);
    return r < 0 ? r : done(call, shape_measure(&measure), err);
}

static struct json_object *shape_bitmaps(const struct volume_qemu_info *info)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < info->n_bitmaps; i++) {
        struct json_object *bitmap = json_object_new_object();
        ok = put_item(
            array, put_end(bitmap, put_text(bitmap, "name", info->bitmaps[i])));
    }
    return put_end(array, ok);
}

static struct json_object *shape_info(const struct volume_qemu_info *info)
{
    struct json_object *object = json_object_new_object();
    bool cow = info->format == VOLUME_COW;
    return put_end(
        object,
        put_text(object, "format", cow ? "qcow2" : "raw") &&
            put_u64(object, "virtualsize", info->virtual_size) &&
            (!info->cluster_size ||
             put_u64(object, "clustersize", info->cluster_size)) &&
            (!info->backing_file[0] ||
             put_text(object, "backingfile", info->backing_file)) &&
            (!info->compat[0] || put_text(object, "compat", info->compat)) &&
            put_value(object, "bitmaps", shape_bitmaps(info)));
}

int verb_volume_qemu_info(struct api_call *call, struct err *err)
{
    struct volume_qemu_info info;
    struct volume_id id;

    memset(&info, 0, sizeof(info));
    fill_id(call, "volumeID", &id);
    int r = API_PORT(call, storage, volume_qemu_info, &id, &info, err);
    if (r == 0)
        r = done(call, shape_info(&info), err);
    free(info.bitmaps);
    return r;
}

/* --- legality ---------------------------------------------------------- */

/* An engine that copies what is below a replica itself says so when it is
 * there. */
static bool may_change(const struct api_call *call, const struct job *job)
{
    return job->kind == JOB_REPLICATE && !job->finish_requested &&
           migrate_jobs_recorded(call->api->jobs, job->id) &&
           str_equal(job->disks[0].dst_sd, text(call, "storagedomainID")) &&
           !str_equal(job->disks[0].leaf, text(call, "volumeID"));
}

int verb_volume_set_legality_before(struct api_call *call, struct err *err)
{
    const struct migrate_jobs *jobs = call->api->jobs;
    const char *img = text(call, "imageID");

    for (size_t i = 0; i < migrate_jobs_count(jobs); i++) {
        const struct job *job = migrate_jobs_at(jobs, i);
        if (!job_is_terminal(job->state) && job_disk_of_image(job, img) &&
            !may_change(call, job))
            return guard_image_before(call, err);
    }
    return guard_doubt_before(call, err);
}

int verb_volume_set_legality(struct api_call *call, struct err *err)
{
    enum volume_legality legality = str_equal(text(call, "legality"), "LEGAL")
                                        ? VOLUME_LEGAL
                                        : VOLUME_ILLEGAL;
    struct volume_id id;
    int r = guard_doubt(call, err);

    fill_id(call, "volumeID", &id);
    if (r == 0 && legality == VOLUME_ILLEGAL)
        r = check_no_writer(call, &id, err);
    return r < 0 ? r
                 : API_PORT(call, storage, volume_set_legality, &id, legality,
                            err);
}
