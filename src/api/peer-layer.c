/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Peer.layer, fill, end, digest: the other drayd brings the layers that nobody
 * writes to, before the VM comes with the top one. They are visits to the job
 * that receives the VM: while one lasts, the job does not undo what was made.
 *   before (loop)    the job expects it, and it belongs to the job's disks
 *   work   (worker)  the storage's work
 *   after  (loop)    the visit is over, and its outcome told
 */
#include "params.h"
#include "put.h"
#include "verb.h"

#include <dray/rpc/blob.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

struct layer_visit {
    char job_id[UUID_SIZE];
    char life[UUID_SIZE];
    struct volume_id id;
    bool is_template;
    bool may_make; /* it was not there when the job was planned */
    bool made;     /* a template that this job has made */
    struct volume_info info;
    int rc; /* of the work */
};

/* --- before ------------------------------------------------------------ */

static bool belongs(const struct job *job, struct layer_visit *visit)
{
    const struct volume_id *id = &visit->id;

    for (size_t i = 0; i < job->n_disks; i++) {
        const struct job_disk *disk = &job->disks[i];

        if (!str_equal(disk->dst_sd, id->sd))
            continue;
        if (str_equal(disk->img, id->img) && !str_equal(disk->leaf, id->vol))
            visit->may_make = true;
        if (str_equal(disk->template_img, id->img) &&
            str_equal(disk->template_vol, id->vol)) {
            visit->is_template = true;
            visit->may_make = visit->may_make || disk->template_absent;
        }
    }
    return visit->may_make || visit->is_template;
}

static int check_belongs(const struct api_call *call, struct layer_visit *visit,
                         struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(call->api->jobs, visit->job_id, &job, err);

    if (r == 0 && (job->kind != JOB_VM_RECEIVE || !belongs(job, visit)))
        r = err_set_code(err, ERR_VALUE,
                         "job %s expects no layer %s of image %s",
                         visit->job_id, visit->id.vol, visit->id.img);
    return r;
}

/* What an earlier life was given may not have reached the disk. */
static int check_life(const struct api_call *call, const char *life,
                      struct err *err)
{
    const char *told = params_text_if_any(call->params, "life");

    return !told || str_equal(told, life)
               ? 0
               : err_set_code(err, ERR_NOT_READY,
                              "this drayd was restarted: begin the layer anew");
}

int verb_peer_layer_before(struct api_call *call, struct err *err)
{
    struct layer_visit *visit = calloc(1, sizeof(*visit));
    const char *life = NULL;
    int r;

    if (!visit)
        return err_set(err, -ENOMEM, "no memory for the request");
    call->state = visit;
    (void)str_copy(visit->job_id, UUID_SIZE,
                   params_text(call->params, "jobID"));
    (void)str_copy(visit->id.sd, UUID_SIZE,
                   params_text(call->params, "storagedomainID"));
    (void)str_copy(visit->id.img, UUID_SIZE,
                   params_text(call->params, "imageID"));
    (void)str_copy(visit->id.vol, UUID_SIZE,
                   params_text(call->params, "volumeID"));
    r = check_belongs(call, visit, err);
    if (r == 0)
        r = migrate_jobs_visit(call->api->jobs, visit->job_id, &life, err);
    if (r < 0)
        return r;
    (void)str_copy(visit->life, UUID_SIZE, life);
    r = check_life(call, life, err);
    if (r < 0)
        migrate_jobs_leave(call->api->jobs, visit->job_id, NULL);
    return r;
}

/* --- after ------------------------------------------------------------- */

/* The visit ends whatever came of it. */
static int keep(struct api_call *call, int rc)
{
    ((struct layer_visit *)call->state)->rc = rc;
    return 0;
}

int verb_peer_layer_after(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;

    (void)err; /* as the work left it */
    migrate_jobs_leave(call->api->jobs, visit->job_id,
                       visit->made ? visit->id.img : NULL);
    return visit->rc;
}

/* --- Peer.layer -------------------------------------------------------- */

static int refuse_template(const struct layer_visit *visit, const char *problem,
                           struct err *err)
{
    (void)err_set_code(err, ERR_VOLUME_ILLEGAL, "template %s on domain %s %s",
                       visit->id.img, visit->id.sd, problem);
    return err_next(err,
                    "wait for what fills it, or remove it there: drayctl rpc "
                    "Image.delete");
}

static bool is_whole(const struct layer_visit *visit)
{
    return visit->info.legality == VOLUME_LEGAL;
}

/* What is there and not yet whole is written by the job that has made it. */
static int look(const struct api_call *call, struct err *err)
{
    struct layer_visit *visit = call->state;
    int r = API_PORT(call, storage, volume_info, &visit->id, &visit->info, err);

    if (r < 0 || is_whole(visit) || !visit->is_template)
        return r;
    visit->made = migrate_is_maker(visit->job_id, &visit->info);
    return visit->made ? 0
                       : refuse_template(visit,
                                         "is being filled by another job, or "
                                         "was left behind",
                                         err);
}

static int make(const struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    const struct params *params = call->params;
    struct volume_create spec = {
        .id = visit->id,
        .format = str_equal(params_text(params, "format"), "COW") ? VOLUME_COW
                                                                  : VOLUME_RAW,
        .allocation = str_equal(params_text(params, "allocation"), "SPARSE")
                          ? VOLUME_SPARSE
                          : VOLUME_PREALLOCATED,
        .legality = VOLUME_ILLEGAL,
        .capacity = params_number(params, "capacity"),
        .sequence = (uint32_t)params_number(params, "sequence"),
        .initial_bytes = params_number(params, "initialSize"),
        .clone = true,
        .role = visit->is_template ? VOLUME_LEAF : VOLUME_INTERNAL,
    };

    (void)str_copy(spec.parent, UUID_SIZE, params_text(params, "parentID"));
    (void)str_copy(spec.parent_img, UUID_SIZE,
                   params_text(params, "parentImageID"));
    (void)str_copy(spec.disk_type, sizeof(spec.disk_type),
                   params_text(params, "diskType"));
    (void)str_copy(spec.description, sizeof(spec.description),
                   params_text(params, "description"));
    if (visit->is_template)
        migrate_maker(visit->job_id, spec.description);
    return API_PORT(call, storage, volumes_create, &spec, 1, err);
}

/* Another may make the same template at the same time: what is written there
 * says who has. */
static int make_unless_there(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    struct err why = ERR_INIT;
    int r = look(call, &why);

    if (r == 0)
        return 0;
    if (why.code != ERR_NO_IMAGE && why.code != ERR_NO_VOLUME) {
        *err = why;
        return r;
    }
    if (!visit->may_make)
        return refuse_template(visit, "has gone", err);
    r = make(call, err);
    return r < 0 ? r : look(call, err);
}

int verb_peer_layer(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    struct json_object *object;
    int r = make_unless_there(call, err);

    if (r < 0)
        return keep(call, r);
    object = json_object_new_object();
    call->result =
        put_end(object, put_flag(object, "complete", is_whole(visit)) &&
                            put_text(object, "life", visit->life));
    return keep(call, call->result
                          ? 0
                          : err_set(err, -ENOMEM, "no memory for the answer"));
}

/* --- Peer.fill, Peer.end, Peer.digest ---------------------------------- */

static int check_made(const struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;

    return visit->may_make
               ? look(call, err)
               : err_set_code(err, ERR_VOLUME_SHARED,
                              "template %s was there before the job",
                              visit->id.img);
}

int verb_peer_fill(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    struct volume_piece piece = {
        .offset = params_number(call->params, "offset"),
        .gap = params_number(call->params, "gap"),
    };
    int r = check_made(call, err);

    if (r == 0 && is_whole(visit))
        r = err_set_code(err, ERR_VOLUME_SHARED,
                         "layer %s of image %s is whole already", visit->id.vol,
                         visit->id.img);
    if (r == 0 && rpc_blob_read(params_text(call->params, "data"), &piece.data,
                                &piece.size) < 0)
        r = err_set_code(err, ERR_PARAMS, "data: is no base64");
    if (r == 0)
        r = API_PORT(call, storage, volume_write, &visit->id, &piece, err);
    free(piece.data);
    return keep(call, r);
}

/* It is what the source is: role, mark and description in one write. */
static int mark(const struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    const struct volume_info *info = &visit->info;
    const struct volume_update update = {
        .expected_generation = info->generation,
        .generation = info->generation,
        .set_legality = true,
        .legality = VOLUME_LEGAL,
        .share = visit->is_template,
        .description = params_text(call->params, "description"),
    };
    struct err ignored = ERR_INIT;

    if (info->allocation == VOLUME_PREALLOCATED)
        (void)API_PORT(call, storage, volume_preallocate, &visit->id,
                       &ignored); /* the file system may be unable to */
    return API_PORT(call, storage, volume_update, &visit->id, &update, err);
}

/* A lost answer is asked for again. */
int verb_peer_end(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    int r = check_made(call, err);

    if (r < 0 || is_whole(visit))
        return keep(call, r);
    r = API_PORT(call, storage, volume_end, &visit->id,
                 params_number(call->params, "size"), err);
    return keep(call, r < 0 ? r : mark(call, err));
}

int verb_peer_digest(struct api_call *call, struct err *err)
{
    const struct layer_visit *visit = call->state;
    struct volume_digest digest = {
        .offset = params_number(call->params, "offset"),
        .size = params_number(call->params, "size"),
    };
    struct json_object *object;
    int r = API_PORT(call, storage, volume_digest, &visit->id, &digest, err);

    if (r < 0)
        return keep(call, r);
    object = json_object_new_object();
    call->result = put_end(object, put_text(object, "digest", digest.hex) &&
                                       put_u64(object, "size", digest.n));
    return keep(call, call->result
                          ? 0
                          : err_set(err, -ENOMEM, "no memory for the answer"));
}
