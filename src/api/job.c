/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Job.*: looking at jobs and steering them. Job.wait is in wait.c. An order is
 * answered when the journal has it: a restart does not forget it then.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? VERB_ANSWERED
                  : err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_job_list(struct api_call *call, struct err *err)
{
    const struct migrate_jobs *jobs = call->api->jobs;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < migrate_jobs_count(jobs); i++)
        ok = put_item(array, shape_job(migrate_jobs_at(jobs, i)));
    return done(call, put_end(array, ok), err);
}

/* What is not a job of this host may be one of another: the worker looks. */
int verb_job_info_before(struct api_call *call, struct err *err)
{
    const struct job *job = NULL;
    if (migrate_jobs_get(call->api->jobs, params_text(call->params, "jobID"),
                         &job, NULL) < 0)
        return 0;
    return done(call, shape_job(job), err);
}

/* The lease of a job is held as long as it runs; a free one that is PENDING was
 * given up by nobody but a death. */
static const char *state_of(const struct xlease_found *found)
{
    static const char *const states[] = {
        [XLEASE_PENDING] = "dead",
        [XLEASE_SUCCEEDED] = "succeeded",
        [XLEASE_FAILED] = "failed",
        [XLEASE_FENCED] = "fenced",
    };
    return found->status.owner_host != 0 ? "running"
                                         : states[found->job.status];
}

static bool put_lease(struct json_object *object, const struct xlease_id *id)
{
    struct json_object *lease = json_object_new_object();
    bool ok = put_text(lease, "sd_id", id->sd) &&
              put_text(lease, "lease_id", id->lease);
    return put_value(object, "lease", put_end(lease, ok));
}

static struct json_object *shape_found(const struct xlease_found *found)
{
    struct json_object *object = json_object_new_object();
    const struct xlease_job *job = &found->job;
    return put_end(
        object, put_text(object, "id", job->job_id) &&
                    put_text(object, "state", state_of(found)) &&
                    put_flag(object, "elsewhere", true) &&
                    (found->status.owner_host == 0 ||
                     put_u64(object, "hostId", found->status.owner_host)) &&
                    put_lease(object, &found->id) &&
                    put_u64(object, "generation", job->generation) &&
                    put_text(object, "hostHardwareId", job->host_hardware_id) &&
                    put_u64(object, "created", job->created_s) &&
                    put_u64(object, "modified", job->modified_s));
}

int verb_job_info(struct api_call *call, struct err *err)
{
    struct xlease_found found;
    int r = API_PORT(call, xleases, find_job,
                     params_text(call->params, "jobID"), &found, err);
    if (r < 0)
        return r;
    call->result = shape_found(&found);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* A cancel that nobody can take any more has not been obeyed: say so. */
static int answer_cancel(struct api_call *call, const char *job_id,
                         struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(call->api->jobs, job_id, &job, err);
    if (r == 0 && !job->cancel_requested)
        r = migrate_jobs_cancel(call->api->jobs, job_id, err);
    return r < 0 ? r : wait_answer_job(call, job_id, err);
}

int job_order_cancel(struct migrate_jobs *jobs, const char *id, struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(jobs, id, &job, err);
    if (r < 0 || job->kind != JOB_VM_RECEIVE || job_is_terminal(job->state))
        return r < 0 ? r : migrate_jobs_cancel(jobs, id, err);
    (void)err_set_code(err, ERR_UNSUPPORTED,
                       "job %s is led by host %s, which VM %s comes from", id,
                       job->peer, job->vm_name);
    return err_next(err, "cancel it there; when that host is off for good: "
                         "drayctl rpc Peer.undo or Peer.finish");
}

int verb_job_cancel(struct api_call *call, struct err *err)
{
    static const struct wait_kind order = { .over = wait_is_recorded,
                                            .answer = answer_cancel };
    const char *id = params_text(call->params, "jobID");
    int r = job_order_cancel(call->api->jobs, id, err);
    return r < 0 ? r : wait_until(call, &order, id, err);
}

int verb_job_limit(struct api_call *call, struct err *err)
{
    static const struct wait_kind order = { .over = wait_is_recorded,
                                            .answer = wait_answer_job };
    const char *id = params_text(call->params, "jobID");
    int r = migrate_jobs_limit(call->api->jobs, id,
                               params_number(call->params, "limit"), err);
    return r < 0 ? r : wait_until(call, &order, id, err);
}
