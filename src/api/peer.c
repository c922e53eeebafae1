/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Peer.*: what the drayd of another host asks for when a VM moves here; the
 * client's half is in peer/wire.c. Peer.prepare starts a job of the same id
 * here, Peer.finish and Peer.undo are orders to it, Peer.info has room made for
 * what comes, and each answer says how it stands:
 *   before (loop)    the order
 *   work   (worker)  how far the VM has come; Peer.check, Peer.prepare: the
 *                    checks
 *   after  (loop)    starts the job, tells
 * The other drayd asks again until it hears what it waits for.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

struct visit {
    char job_id[UUID_SIZE];
    char vm[UUID_SIZE];
    bool known; /* there is such a job */
    struct peer_offer offer;
    struct migrate_plan plan;
    enum vm_arrival arrival;
    struct job job; /* with rooms */
    struct peer_room rooms[PEER_DISKS_MAX];
    size_t n_rooms;
};

/* --- the offer --------------------------------------------------------- */

static void read_uuid(const struct params *params, const char *name,
                      char ret[UUID_SIZE])
{
    const char *uuid = params_text_if_any(params, name);

    (void)str_copy(ret, UUID_SIZE, uuid ? uuid : ""); /* checked */
}

static void read_disk(const struct params *params, struct peer_disk *disk)
{
    (void)str_copy(disk->target, sizeof(disk->target),
                   params_text(params, "disk"));
    (void)str_copy(disk->domain, sizeof(disk->domain),
                   params_text(params, "domain"));
    read_uuid(params, "fromDomain", disk->from);
    (void)str_copy(disk->img, UUID_SIZE, params_text(params, "imageID"));
    (void)str_copy(disk->leaf, UUID_SIZE, params_text(params, "volumeID"));
    disk->cow = str_equal(params_text(params, "format"), "COW");
    disk->sparse = params_flag(params, "sparse");
    disk->data = params_number(params, "data");
    disk->capacity = params_number(params, "capacity");
    disk->required = params_number(params, "required");
    disk->template_required = params_number(params, "templateRequired");
    disk->below = params_number(params, "below");
    disk->layers = (size_t)params_number(params, "layers");
    disk->template_size = params_number(params, "templateSize");
    read_uuid(params, "parentID", disk->parent);
    read_uuid(params, "templateImageID", disk->template_img);
    read_uuid(params, "templateID", disk->template_vol);
}

static void read_offer(const struct params *params, struct peer_offer *offer)
{
    (void)str_copy(offer->job_id, UUID_SIZE, params_text(params, "jobID"));
    (void)str_copy(offer->from, sizeof(offer->from),
                   params_text(params, "from"));
    (void)str_copy(offer->vm, UUID_SIZE, params_text(params, "vmID"));
    (void)str_copy(offer->vm_name, sizeof(offer->vm_name),
                   params_text(params, "vmName"));
    offer->xml = params_text(params, "xml");
    offer->filled = params_flag(params, "filled");
    offer->n_disks = params_count(params, "disks");
    for (size_t i = 0; i < offer->n_disks; i++)
        read_disk(params_item(params, "disks", i), &offer->disks[i]);
}

static struct visit *visit_new(struct api_call *call, struct err *err)
{
    struct visit *visit = calloc(1, sizeof(*visit));

    if (!visit)
        (void)err_set(err, -ENOMEM, "no memory for the request");
    call->state = visit;
    return visit;
}

/* --- the job ----------------------------------------------------------- */

static int find(const struct api_call *call, const char *id,
                const struct job **ret_job, struct err *err)
{
    int r = migrate_jobs_get(call->api->jobs, id, ret_job, err);

    if (r == 0 && (*ret_job)->kind != JOB_VM_RECEIVE)
        r = err_set_code(err, ERR_JOB_EXISTS,
                         "job %s receives no VM here: it is %s", id,
                         job_kind_name((*ret_job)->kind));
    return r;
}

static struct json_object *shape_paths(const struct job *job)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < job->n_disks; i++)
        ok = put_item(array, put_new_text(job->disks[i].dst_path));
    return put_end(array, ok);
}

static struct json_object *shape_status(const struct job *job,
                                        enum vm_arrival arrival)
{
    struct json_object *object = json_object_new_object();
    const char *phase = job_state_name(job->failed_in);

    return put_end(
        object,
        put_text(object, "stage",
                 peer_stage_names[migrate_receive_stage(job)]) &&
            put_text(object, "vm", peer_arrival_names[arrival]) &&
            put_value(object, "paths", shape_paths(job)) &&
            put_text(object, "warning", job->warning) &&
            (job->error.rc == 0 ||
             put_value(object, "error", shape_error(&job->error, phase))));
}

/* --- Peer.check -------------------------------------------------------- */

int verb_peer_offer_before(struct api_call *call, struct err *err)
{
    struct visit *visit = visit_new(call, err);
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    if (!visit)
        return -ENOMEM;
    read_offer(call->params, &visit->offer);
    memcpy(visit->job_id, visit->offer.job_id, UUID_SIZE);
    memcpy(visit->vm, visit->offer.vm, UUID_SIZE);
    visit->known =
        migrate_jobs_get(call->api->jobs, visit->job_id, &job, &unknown) == 0;
    return 0;
}

static struct json_object *shape_domains(const struct job *job)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < job->n_disks; i++)
        ok = put_item(array, put_new_text(job->disks[i].dst_sd));
    return put_end(array, ok);
}

static struct json_object *shape_flags(const struct job *job,
                                       bool (*is)(const struct job_disk *disk))
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < job->n_disks; i++)
        ok = put_item(array, json_object_new_boolean(is(&job->disks[i])));
    return put_end(array, ok);
}

static bool is_block(const struct job_disk *disk)
{
    return disk->dst_block;
}

static bool is_cow(const struct job_disk *disk)
{
    return disk->base_cow;
}

static struct json_object *shape_verdict(const struct migrate_plan *plan)
{
    struct json_object *object = json_object_new_object();
    const struct job *job = &plan->job;

    return put_end(object,
                   put_value(object, "obstacles", shape_obstacles(plan)) &&
                       put_value(object, "domains", shape_domains(job)) &&
                       put_value(object, "block", shape_flags(job, is_block)) &&
                       put_value(object, "qcow2", shape_flags(job, is_cow)));
}

int verb_peer_check(struct api_call *call, struct err *err)
{
    struct visit *visit = call->state;
    int r = migrate_receive_plan(call->api->ports, &visit->offer, &visit->plan,
                                 err);

    if (r < 0)
        return r;
    call->result = shape_verdict(&visit->plan);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* --- the others -------------------------------------------------------- */

static int look(struct api_call *call, struct err *err)
{
    struct visit *visit = call->state;

    return API_PORT(call, hypervisor, vm_arrival, visit->vm, &visit->arrival,
                    err);
}

int verb_peer_prepare(struct api_call *call, struct err *err)
{
    struct visit *visit = call->state;
    int r = 0;

    if (!visit->known)
        r = migrate_receive_plan(call->api->ports, &visit->offer, &visit->plan,
                                 err);
    if (r == 0 && !visit->known && visit->plan.n_obstacles > 0) {
        *err = visit->plan.obstacles[0];
        return err->rc;
    }
    return r < 0 ? r : look(call, err);
}

static int tell(struct api_call *call, struct err *err)
{
    const struct visit *visit = call->state;
    const struct job *job = NULL;
    int r = find(call, visit->job_id, &job, err);

    if (r < 0)
        return r;
    call->result = shape_status(job, visit->arrival);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_peer_prepare_after(struct api_call *call, struct err *err)
{
    struct visit *visit = call->state;
    const struct job *job = NULL;
    int r = 0;

    if (!visit->known)
        r = migrate_jobs_start(call->api->jobs, &visit->plan.job, &job, err);
    else if (visit->offer.filled)
        migrate_jobs_filled(call->api->jobs, visit->job_id);
    return r < 0 ? r : tell(call, err);
}

static int begin(struct api_call *call, const struct job **ret_job,
                 struct err *err)
{
    struct visit *visit = visit_new(call, err);
    int r = visit ? 0 : -ENOMEM;

    if (r == 0)
        r = find(call, params_text(call->params, "jobID"), ret_job, err);
    if (r < 0)
        return r;
    memcpy(visit->job_id, (*ret_job)->id, UUID_SIZE);
    memcpy(visit->vm, (*ret_job)->vm, UUID_SIZE);
    return 0;
}

int verb_peer_info_before(struct api_call *call, struct err *err)
{
    const struct job *job = NULL;
    int r = begin(call, &job, err);

    if (r < 0)
        return r;

    struct visit *visit = call->state;

    visit->job = *job;
    visit->n_rooms = params_count(call->params, "room");
    for (size_t i = 0; i < visit->n_rooms; i++) {
        const struct params *item = params_item(call->params, "room", i);
        struct peer_room *room = &visit->rooms[i];

        (void)str_copy(room->target, sizeof(room->target),
                       params_text(item, "disk"));
        room->bytes = params_number(item, "bytes");
    }
    return 0;
}

int verb_peer_finish_before(struct api_call *call, struct err *err)
{
    const struct job *job = NULL;
    int r = begin(call, &job, err);

    if (r < 0 || job_is_terminal(job->state) || job->state == JOB_PIVOTED)
        return r;
    if (job->state != JOB_CONVERGING || job->cancel_requested)
        return err_set_code(err, ERR_NOT_READY,
                            "job %s is %s: no VM can have come", job->id,
                            job_state_name(job->state));
    return migrate_jobs_finish(call->api->jobs, job->id, err);
}

int verb_peer_undo_before(struct api_call *call, struct err *err)
{
    const struct job *job = NULL;
    int r = begin(call, &job, err);

    if (r < 0 || job_is_terminal(job->state) || job->undo)
        return r;
    return migrate_jobs_cancel(call->api->jobs, job->id, err);
}

int verb_peer_look(struct api_call *call, struct err *err)
{
    const struct visit *visit = call->state;
    int r = migrate_receive_room(call->api->ports, &visit->job, visit->rooms,
                                 visit->n_rooms, err);

    return r < 0 ? r : look(call, err);
}

int verb_peer_tell(struct api_call *call, struct err *err)
{
    return tell(call, err);
}
