/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.planMigrate and VM.migrate: as Disk.plan and Disk.migrate (disk.c), for a
 * whole VM that goes to another host.
 */
#include "params.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

struct journey {
    struct migrate_send_request request;
    bool known; /* a job with the id was there before planning */
    struct migrate_plan plan;
};

static void copy_text(const struct params *params, const char *name, char *dst,
                      size_t size)
{
    const char *text = params_text_if_any(params, name);

    (void)str_copy(dst, size, text ? text : ""); /* checked: it fits */
}

static void read_request(const struct api_call *call,
                         struct migrate_send_request *request)
{
    const struct params *params = call->params;

    copy_text(params, "vmID", request->vm, sizeof(request->vm));
    copy_text(params, "jobID", request->job_id, sizeof(request->job_id));
    copy_text(params, "host", request->peer, sizeof(request->peer));
    copy_text(params, "domain", request->to, sizeof(request->to));
    request->keep_source = params_flag(params, "keepSource");
    request->flatten = params_flag(params, "flatten");
    request->limit = params_number(params, "limit");
    request->wait_s = params_has(params, "timeout")
                          ? (int64_t)params_number(params, "timeout")
                          : call->api->options.migration_wait_s;
    request->n_wishes = params_count(params, "disks");
    for (size_t i = 0; i < request->n_wishes; i++) {
        const struct params *item = params_item(params, "disks", i);
        struct migrate_wish *wish = &request->wishes[i];

        copy_text(item, "disk", wish->disk, sizeof(wish->disk));
        copy_text(item, "domain", wish->to, sizeof(wish->to));
    }
}

int verb_vm_plan_before(struct api_call *call, struct err *err)
{
    struct journey *journey = calloc(1, sizeof(*journey));

    if (!journey)
        return err_set(err, -ENOMEM, "no memory for a plan");
    call->state = journey;
    read_request(call, &journey->request);
    return 0;
}

static int plan(struct api_call *call, struct err *err)
{
    struct journey *journey = call->state;

    return migrate_send_plan(call->api->ports, &journey->request,
                             &journey->plan, err);
}

int verb_vm_plan(struct api_call *call, struct err *err)
{
    struct journey *journey = call->state;
    int r = plan(call, err);

    if (r < 0)
        return r;
    call->result = shape_plan(&journey->plan);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static const struct job *find(const struct api_call *call)
{
    const struct journey *journey = call->state;
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    if (journey->request.job_id[0])
        (void)migrate_jobs_get(call->api->jobs, journey->request.job_id, &job,
                               &unknown);
    return job;
}

int verb_vm_migrate_before(struct api_call *call, struct err *err)
{
    int r = verb_vm_plan_before(call, err);

    if (r == 0)
        ((struct journey *)call->state)->known = find(call) != NULL;
    return r;
}

int verb_vm_migrate(struct api_call *call, struct err *err)
{
    return ((struct journey *)call->state)->known ? 0 : plan(call, err);
}

/* Where each disk was to go is not compared: the names are the other host's.
 * A job may keep its source without being asked to: in doubt. */
static int answer_if_same(struct api_call *call, const struct job *job,
                          struct err *err)
{
    const struct migrate_send_request *request =
        &((struct journey *)call->state)->request;

    if (job->kind == JOB_VM_MIGRATE && str_equal(job->peer, request->peer) &&
        (str_equal(job->vm, request->vm) ||
         str_equal(job->vm_name, request->vm)) &&
        (job->keep_source || !request->keep_source))
        return wait_for_start(call, job->id, err);
    (void)err_set_code(err, ERR_JOB_EXISTS, "job %s is another request: %s",
                       job->id, job_kind_name(job->kind));
    return err_next(err, "use a new jobID, or none");
}

int verb_vm_migrate_after(struct api_call *call, struct err *err)
{
    struct journey *journey = call->state;
    const struct job *job = find(call);
    int r = 0;

    if (job)
        return answer_if_same(call, job, err);
    r = plan_check_free(call, &journey->plan.job, err);
    if (r == 0 && journey->plan.n_obstacles > 0)
        r = plan_refuse(call, &journey->plan, err);
    if (r < 0)
        return r;
    r = migrate_jobs_start(call->api->jobs, &journey->plan.job, &job, err);
    return r < 0 ? r : wait_for_start(call, job->id, err);
}
