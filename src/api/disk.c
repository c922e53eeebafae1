/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disk.plan and Disk.migrate.
 *
 * Disk.migrate, step by step:
 *   before (loop)    a job with this id is there: no plan, only a comparison
 *   work   (worker)  plan, or find the domain's UUID for the comparison
 *   after  (loop)    compare, or refuse with the obstacles, or start the job;
 *                    the answer comes when the job is in the journal
 * The same request may arrive twice at once: the second one's plan then meets
 * what the first one's job does, so the job table is looked at again before
 * obstacles count.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

struct move {
    struct migrate_request request;
    uint64_t rate;          /* bytes/s, for the estimate */
    bool known;             /* a job with the id was there before planning */
    char dst_sd[UUID_SIZE]; /* then: the domain asked for */
    struct migrate_plan plan;
};

static void copy_text(const struct api_call *call, const char *name, char *dst,
                      size_t size)
{
    const char *text = params_text_if_any(call->params, name);
    (void)str_copy(dst, size, text ? text : "");
}

static void fill_request(const struct api_call *call,
                         struct migrate_request *request)
{
    const char *format = params_text(call->params, "format");

    copy_text(call, "vmID", request->vm, sizeof(request->vm));
    copy_text(call, "disk", request->disk, sizeof(request->disk));
    copy_text(call, "domain", request->domain, sizeof(request->domain));
    copy_text(call, "jobID", request->job_id, sizeof(request->job_id));
    request->convert = format;
    request->base_cow = str_equal(format, "COW");
    request->keep_source = params_flag(call->params, "keepSource");
    request->limit = params_number(call->params, "limit");
}

int verb_disk_plan_before(struct api_call *call, struct err *err)
{
    struct move *move = calloc(1, sizeof(*move));
    if (!move)
        return err_set(err, -ENOMEM, "no memory for a plan");
    call->state = move;
    fill_request(call, &move->request);
    move->rate = migrate_jobs_rate(call->api->jobs);
    return 0;
}

static int plan(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    return migrate_plan(call->api->ports, &move->request, move->rate,
                        &move->plan, err);
}

int verb_disk_plan(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    int r = plan(call, err);
    if (r < 0)
        return r;
    call->result = shape_plan(&move->plan);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_disk_migrate_before(struct api_call *call, struct err *err)
{
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    int r = verb_disk_plan_before(call, err);
    if (r < 0)
        return r;
    struct move *move = call->state;
    move->known = move->request.job_id[0] &&
                  migrate_jobs_get(call->api->jobs, move->request.job_id, &job,
                                   &unknown) == 0;
    return 0;
}

int verb_disk_migrate(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const char *domain = move->request.domain;

    if (!move->known)
        return plan(call, err);
    if (!uuid_is_valid(domain))
        return API_PORT(call, storage, domain_find, domain, move->dst_sd, err);
    (void)str_copy(move->dst_sd, sizeof(move->dst_sd), domain);
    return 0;
}

/* The request names things as people do, the job by what they are. The limit
 * may have been changed since and does not count. */
static bool asks_for(const struct move *move, const struct job *job)
{
    const struct migrate_request *request = &move->request;
    const struct job_disk_move *of = &job->move;

    return (str_equal(request->vm, of->vm) ||
            str_equal(request->vm, of->vm_name)) &&
           (str_equal(request->disk, of->target) ||
            str_equal(request->disk, of->img) ||
            str_equal(request->disk, of->src_path) ||
            str_equal(request->disk, of->dst_path)) &&
           str_equal(move->dst_sd, of->dst_sd) &&
           request->keep_source == of->keep_source &&
           request->convert == of->convert &&
           (!request->convert || request->base_cow == of->base_cow);
}

static int answer(struct api_call *call, const struct job *job, struct err *err)
{
    call->result = shape_job(job);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static int answer_if_same(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct job *job = NULL;

    int r = migrate_jobs_get(call->api->jobs, move->request.job_id, &job, err);
    if (r < 0)
        return r;
    if (asks_for(move, job))
        return answer(call, job, err);
    (void)err_set_code(err, ERR_JOB_EXISTS,
                       "job %s is another request: disk %s of VM %s to "
                       "domain %s",
                       job->id, job->move.target, job->move.vm_name,
                       job->move.dst_sd);
    return err_next(err, "use a new jobID, or none");
}

static int refuse(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct err *first = &move->plan.obstacles[0];
    struct json_object *extra = json_object_new_object();

    call->phase = "plan";
    call->extra = put_end(
        extra, put_value(extra, "obstacles", shape_obstacles(&move->plan)));
    if (move->plan.n_obstacles == 1)
        (void)err_set_code(err, first->code, "%s", first->message);
    else
        (void)err_set_code(err, ERR_OBSTACLES,
                           "%zu things speak against the move; the first: %s",
                           move->plan.n_obstacles, first->message);
    return err_next(err, "%s",
                    first->next[0] ? first->next
                                   : "Disk.plan lists all of them");
}

/* A job on the image is the reason for what the plan stumbled over. */
static int check_no_job(struct api_call *call, struct err *err)
{
    const struct job_disk_move *wish = &((struct move *)call->state)->plan.move;
    const struct job *job =
        wish->img[0] ? migrate_jobs_of_image(call->api->jobs, wish->img) : NULL;
    if (!job)
        return 0;
    (void)err_set_code(err, ERR_DISK_BUSY,
                       "disk %s of VM %s: job %s works on it", wish->target,
                       wish->vm_name, job->id);
    return err_next(err, "wait for it: drayctl job watch %s", job->id);
}

/* Image.delete and the like check for jobs before they start; here is the
 * other half of that agreement. */
static int check_image_free(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct api_call *other =
        guard_changing(call->api, move->plan.move.img);
    if (!other)
        return 0;
    (void)err_set_code(err, ERR_DISK_BUSY, "%s is changing image %s",
                       other->verb->name, move->plan.move.img);
    return err_next(err, "try again when it is done");
}

static int start(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct clock_port *clock = &call->api->ports->clock;
    const struct job *started = NULL;
    struct job job;
    char id[UUID_SIZE];

    if (move->request.job_id[0])
        (void)str_copy(id, sizeof(id), move->request.job_id);
    else
        uuid_new(id);
    job_init(&job, id, &move->plan.move, move->request.limit,
             clock->ops->wall_ms(clock->ctx));
    job.progress.total = move->plan.bytes;
    int r = migrate_jobs_start(call->api->jobs, &job, &started, err);
    return r < 0 ? r : wait_for_start(call, started->id, err);
}

int verb_disk_migrate_after(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    if (move->known)
        return answer_if_same(call, err);
    if (move->request.job_id[0] &&
        migrate_jobs_get(call->api->jobs, move->request.job_id, &job,
                         &unknown) == 0) {
        (void)str_copy(move->dst_sd, sizeof(move->dst_sd),
                       move->plan.move.dst_sd);
        return answer_if_same(call, err);
    }
    int r = check_no_job(call, err);
    if (r == 0 && move->plan.n_obstacles > 0)
        return refuse(call, err);
    if (r == 0)
        r = check_image_free(call, err);
    return r < 0 ? r : start(call, err);
}
