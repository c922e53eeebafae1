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
#include "disk-request.h"
#include "put.h"
#include "shape.h"

#include <errno.h>
#include <json-c/json.h>

struct move {
    struct migrate_request request;
    uint64_t rate; /* bytes/s, for the estimate */
    bool known;    /* a job with the id was there before planning */
    struct request_places places; /* then: where it was asked to go */
    struct migrate_plan plan;
};

int verb_disk_plan_before(struct api_call *call, struct err *err)
{
    struct move *move = calloc(1, sizeof(*move));
    if (!move)
        return err_set(err, -ENOMEM, "no memory for a plan");
    call->state = move;
    move->rate = migrate_jobs_rate(call->api->jobs);
    return request_read(call, &move->request, err);
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

    if (!move->known)
        return plan(call, err);
    return request_find_places(call, &move->request, &move->places, err);
}

/* "job X is another request: disk vda of VM web1 to domain Y". */
static int refuse_other(const struct job *job, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];
    char more[32] = "";

    if (job->n_disks > 1)
        (void)str_format(more, sizeof(more), " and %zu more", job->n_disks - 1);
    if (job->kind != JOB_DISK_MIGRATE)
        (void)err_set_code(err, ERR_JOB_EXISTS, "job %s is another request: %s",
                           job->id, job_kind_name(job->kind));
    else
        (void)err_set_code(err, ERR_JOB_EXISTS,
                           "job %s is another request: disk %s%s of VM %s to "
                           "%s%s",
                           job->id, disk->target, more, job->vm_name,
                           disk->dst_sd[0] ? "domain " : "",
                           disk->dst_sd[0] ? disk->dst_sd : disk->dst_path);
    return err_next(err, "use a new jobID, or none");
}

static int answer_if_same(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct job *job = NULL;

    int r = migrate_jobs_get(call->api->jobs, move->request.job_id, &job, err);
    if (r < 0)
        return r;
    if (request_is(&move->request, &move->places, job))
        return wait_for_start(call, job->id, err);
    return refuse_other(job, err);
}

int plan_refuse(struct api_call *call, const struct migrate_plan *plan,
                struct err *err)
{
    const struct err *first = &plan->obstacles[0];
    struct json_object *extra = json_object_new_object();

    call->phase = "plan";
    call->extra =
        put_end(extra, put_value(extra, "obstacles", shape_obstacles(plan)));
    if (plan->n_obstacles == 1)
        (void)err_set_code(err, first->code, "%s", first->message);
    else
        (void)err_set_code(err, ERR_OBSTACLES,
                           "%zu things speak against the move; the first: %s",
                           plan->n_obstacles, first->message);
    return err_next(
        err, "%s", first->next[0] ? first->next : "its plan lists all of them");
}

/* An image from outside gets its UUID with the job: there the VM's disk says
 * what is taken. */
static bool works_on(const struct job *job, const struct job *wish,
                     const struct job_disk *disk)
{
    if (job_disk_of_image(job, disk->img))
        return true;
    for (size_t i = 0; i < job->n_disks; i++)
        if (str_equal(job->vm, wish->vm) &&
            str_equal(job->disks[i].target, disk->target))
            return true;
    return false;
}

static const struct job *job_on(const struct migrate_jobs *jobs,
                                const struct job *wish,
                                const struct job_disk *disk)
{
    for (size_t i = 0; i < migrate_jobs_count(jobs); i++) {
        const struct job *job = migrate_jobs_at(jobs, i);
        if (!job_is_terminal(job->state) && works_on(job, wish, disk))
            return job;
    }
    return NULL;
}

/* A job on a disk is the reason for what the plan stumbled over. */
static int check_no_job(const struct api_call *call, const struct job *wish,
                        struct err *err)
{
    for (size_t i = 0; i < wish->n_disks; i++) {
        const struct job_disk *disk = &wish->disks[i];
        const struct job *job = job_on(call->api->jobs, wish, disk);
        if (!job)
            continue;
        (void)err_set_code(err, ERR_DISK_BUSY,
                           "disk %s of VM %s: job %s works on it", disk->target,
                           wish->vm_name, job->id);
        return err_next(err, "wait for it: drayctl job watch %s", job->id);
    }
    return 0;
}

/* Image.delete and the like check for jobs before they start; here is the
 * other half of that agreement. */
static int check_images_free(const struct api_call *call,
                             const struct job *wish, struct err *err)
{
    for (size_t i = 0; i < wish->n_disks; i++) {
        const char *img = wish->disks[i].img;
        const struct api_call *other = guard_changing(call->api, img);
        if (!other)
            continue;
        (void)err_set_code(err, ERR_DISK_BUSY, "%s is changing image %s",
                           other->verb->name, img);
        return err_next(err, "try again when it is done");
    }
    return 0;
}

int plan_check_free(const struct api_call *call, const struct job *wish,
                    struct err *err)
{
    int r = check_no_job(call, wish, err);
    return r < 0 ? r : check_images_free(call, wish, err);
}

static int start(struct api_call *call, struct err *err)
{
    struct move *move = call->state;
    const struct job *started = NULL;
    struct job *job = &move->plan.job;

    if (!job->id[0])
        uuid_new(job->id);
    int r = migrate_jobs_start(call->api->jobs, job, &started, err);
    return r < 0 ? r : wait_for_start(call, started->id, err);
}

/* The same request arrived twice at once, and the other one was faster. */
static bool is_there_now(struct api_call *call)
{
    struct move *move = call->state;
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    if (!move->request.job_id[0] ||
        migrate_jobs_get(call->api->jobs, move->request.job_id, &job,
                         &unknown) < 0)
        return false;
    for (size_t i = 0; i < move->plan.job.n_disks; i++)
        (void)str_copy(move->places.sd[i], UUID_SIZE,
                       move->plan.job.disks[i].dst_sd);
    return true;
}

int verb_disk_migrate_after(struct api_call *call, struct err *err)
{
    struct move *move = call->state;

    if (move->known || is_there_now(call))
        return answer_if_same(call, err);
    int r = plan_check_free(call, &move->plan.job, err);
    if (r == 0 && move->plan.n_obstacles > 0)
        return plan_refuse(call, &move->plan, err);
    return r < 0 ? r : start(call, err);
}
