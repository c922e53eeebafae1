/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lease.*, as VDSM has it, but that Lease.create and Lease.delete are done when
 * we answer.
 */
#include "params.h"
#include "put.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static struct xlease_id lease_of(const struct api_call *call)
{
    const struct params *lease = params_item(call->params, "lease", 0);
    struct xlease_id id;
    (void)str_copy(id.sd, sizeof(id.sd), params_text(lease, "sd_id"));
    (void)str_copy(id.lease, sizeof(id.lease), params_text(lease, "lease_id"));
    return id;
}

static struct xlease_job job_of(const struct params *metadata)
{
    struct xlease_job job = {
        .generation = (unsigned)params_number(metadata, "generation"),
    };
    (void)str_copy(job.job_id, sizeof(job.job_id),
                   params_text(metadata, "job_id"));
    /* Cannot fail: the table has the same words. */
    (void)xlease_job_status_parse(params_text(metadata, "job_status"),
                                  &job.status);
    return job;
}

int verb_lease_create(struct api_call *call, struct err *err)
{
    const struct xlease_id id = lease_of(call);
    bool has_job = params_count(call->params, "metadata") > 0;
    struct xlease_job job = { .generation = 0 };
    if (has_job)
        job = job_of(params_item(call->params, "metadata", 0));
    int r = API_PORT(call, xleases, create, &id, has_job ? &job : NULL, err);
    return r < 0 ? r : done(call, put_new_text(id.lease), err);
}

int verb_lease_delete(struct api_call *call, struct err *err)
{
    const struct xlease_id id = lease_of(call);
    return API_PORT(call, xleases, remove, &id, err);
}

int verb_lease_info(struct api_call *call, struct err *err)
{
    const struct xlease_id id = lease_of(call);
    struct xlease_place place;
    int r = API_PORT(call, xleases, info, &id, &place, err);
    if (r < 0)
        return r;
    struct json_object *object = json_object_new_object();
    return done(call,
                put_end(object, put_text(object, "sd_id", id.sd) &&
                                    put_text(object, "lease_id", id.lease) &&
                                    put_text(object, "path", place.path) &&
                                    put_u64(object, "offset", place.offset)),
                err);
}

/* --- status --- */

static struct json_object *shape_owners(uint64_t owner)
{
    struct json_object *array = json_object_new_array();
    return put_end(array,
                   array && (owner == 0 ||
                             put_item(array, json_object_new_uint64(owner))));
}

static struct json_object *shape_record(const struct xlease_job *job)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "type", "JOB") &&
                               put_u64(object, "generation", job->generation) &&
                               put_text(object, "job_id", job->job_id) &&
                               put_text(object, "job_status",
                                        xlease_job_status_name(job->status)) &&
                               put_u64(object, "created", job->created_s) &&
                               put_u64(object, "modified", job->modified_s) &&
                               put_text(object, "host_hardware_id",
                                        job->host_hardware_id));
}

/* VDSM gives the record of a free lease only, and {} when it has none. */
static bool put_status(struct json_object *object,
                       const struct xlease_status *status)
{
    if (!put_value(object, "owners", shape_owners(status->owner_host)) ||
        !put_u64(object, "version", status->version))
        return false;
    if (status->owner_host != 0)
        return true;
    return put_value(object, "metadata",
                     status->has_job ? shape_record(&status->job)
                                     : json_object_new_object());
}

int verb_lease_status(struct api_call *call, struct err *err)
{
    const struct xlease_id id = lease_of(call);
    struct xlease_status status;
    int r = API_PORT(call, xleases, status, &id, &status, err);
    if (r < 0)
        return r;
    struct json_object *object = json_object_new_object();
    return done(call, put_end(object, put_status(object, &status)), err);
}

int verb_lease_fence(struct api_call *call, struct err *err)
{
    const struct xlease_id id = lease_of(call);
    const struct xlease_job expected =
        job_of(params_item(call->params, "metadata", 0));
    return API_PORT(call, xleases, fence, &id, &expected, err);
}

/* --- all of them --- */

static struct json_object *shape_item(const struct xlease_item *item)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "lease_id", item->lease) &&
                               put_u64(object, "offset", item->offset) &&
                               (item->problem[0]
                                    ? put_text(object, "problem", item->problem)
                                    : put_status(object, &item->status)));
}

int verb_lease_list(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct xlease_item *items = NULL;
    size_t n = 0;
    int r = API_PORT(call, xleases, list, params_text(call->params, "sd_id"),
                     &items, &n, err);
    if (r < 0)
        return r;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, shape_item(&items[i]));
    return done(call, put_end(array, ok), err);
}

int verb_lease_rebuild(struct api_call *call, struct err *err)
{
    struct xlease_rebuilt rebuilt;
    int r = API_PORT(call, xleases, rebuild, params_text(call->params, "sd_id"),
                     &rebuilt, err);
    if (r < 0)
        return r;
    struct json_object *object = json_object_new_object();
    return done(
        call,
        put_end(object, put_u64(object, "kept", rebuilt.kept) &&
                            put_u64(object, "restored", rebuilt.restored) &&
                            put_u64(object, "made", rebuilt.made) &&
                            put_u64(object, "freed", rebuilt.freed) &&
                            put_u64(object, "cleared", rebuilt.cleared)),
        err);
}
