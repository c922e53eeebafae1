/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verbs with which an engine moves disks itself, but for the replica's
 * (replica.c). What VDSM does in a task or a job is a job here; verbs that give
 * a task's id there give the job's.
 */
#include "params.h"
#include "put.h"
#include "step.h"

#include <errno.h>
#include <json-c/json.h>

/* --- steps ------------------------------------------------------------- */

static void copy_text(const struct params *params, const char *name, char *dst,
                      size_t size)
{
    const char *text = params_text_if_any(params, name);
    (void)str_copy(dst, size, text ? text : ""); /* checked: it fits */
}

struct step *step_new(struct api_call *call, enum job_kind kind,
                      const char *id_name, const struct wait_kind *wait,
                      struct err *err)
{
    struct step *step = calloc(1, sizeof(*step));
    if (!step) {
        (void)err_set(err, -ENOMEM, "no memory for the request");
        return NULL;
    }
    call->state = step;
    step->wait = wait;
    step->ask.kind = kind;
    step->ask.n_disks = 1;
    step->failed = (struct err)ERR_INIT;
    copy_text(call->params, id_name, step->ask.job_id, UUID_SIZE);
    if (!step->ask.job_id[0])
        uuid_new(step->ask.job_id);
    copy_text(call->params, "vmID", step->ask.vm, sizeof(step->ask.vm));
    return step;
}

int step_find(struct api_call *call, const struct job **ret_job,
              struct err *err)
{
    const struct step *step = call->state;
    struct err unknown = ERR_INIT; /* the normal case */
    const struct job *job = NULL;

    *ret_job = NULL;
    if (migrate_jobs_get(call->api->jobs, step->ask.job_id, &job, &unknown) < 0)
        return 0;
    if (migrate_ask_is(&step->ask, job)) {
        *ret_job = job;
        return 0;
    }
    (void)err_set_code(err, ERR_JOB_EXISTS,
                       "job %s is another request: %s of image %s", job->id,
                       job_kind_name(job->kind), job->disks[0].img);
    return err_next(err, "use a new job id, or none");
}

int step_wait(struct api_call *call, const struct wait_kind *wait,
              const char *job_id, struct err *err)
{
    int r = wait_until(call, wait, job_id, err);
    return r == 0 ? VERB_ANSWERED : r;
}

int step_before(struct api_call *call, struct err *err)
{
    const struct step *step = call->state;
    const struct job *job = NULL;

    int r = step_find(call, &job, err);
    if (r < 0 || !job)
        return r;
    return step_wait(call, step->wait, job->id, err);
}

/* What speaks against it is for step_after() to tell. */
int step_work(struct api_call *call, struct err *err)
{
    struct step *step = call->state;
    (void)err;
    int r =
        migrate_ask(call->api->ports, &step->ask, &step->job, &step->failed);
    if (r < 0)
        step->failed.rc = r;
    return 0;
}

/* A verb that changes an image right now is not a job, so nobody else looks. */
static int check_images_free(struct api_call *call, struct err *err)
{
    const struct migrate_ask *ask = &((struct step *)call->state)->ask;

    for (size_t i = 0; i < ask->n_disks; i++) {
        const char *img = ask->disks[i].at.img;
        const struct api_call *other = guard_changing(call->api, img);
        if (!other && job_is_data(&((struct step *)call->state)->job)) {
            img = ask->disks[i].to.img;
            other = guard_changing(call->api, img);
        }
        if (!other)
            continue;
        (void)err_set_code(err, migrate_ask_code(ask->kind),
                           "%s is changing image %s", other->verb->name, img);
        return err_next(err, "try again when it is done");
    }
    return 0;
}

static int start(struct api_call *call, struct err *err)
{
    struct step *step = call->state;
    struct err cause = ERR_INIT;
    const struct job *job = NULL;

    int r = migrate_jobs_start(call->api->jobs, &step->job, &job, &cause);
    if (r == 0)
        return wait_until(call, step->wait, job->id, err);
    if (cause.code == ERR_DISK_BUSY)
        cause.code = migrate_ask_code(step->ask.kind);
    *err = cause;
    return r;
}

int step_after(struct api_call *call, struct err *err)
{
    struct step *step = call->state;
    const struct job *job = NULL;

    int r = step_find(call, &job, err);
    if (r < 0)
        return r;
    if (job)
        return wait_until(call, step->wait, job->id, err);
    if (step->failed.rc < 0) {
        *err = step->failed;
        return err->rc;
    }
    r = check_images_free(call, err);
    return r < 0 ? r : start(call, err);
}

void step_drive(const struct api_call *call, const char *name,
                struct volume_id *ret_volume)
{
    const struct params *drive = params_item(call->params, name, 0);

    copy_text(drive, "domainID", ret_volume->sd, UUID_SIZE);
    copy_text(drive, "imageID", ret_volume->img, UUID_SIZE);
    copy_text(drive, "volumeID", ret_volume->vol, UUID_SIZE);
}

/* --- answers ----------------------------------------------------------- */

static int answer_true(struct api_call *call, const char *job_id,
                       struct err *err)
{
    (void)call;
    (void)job_id;
    (void)err;
    return 0;
}

static int answer_id(struct api_call *call, const char *job_id, struct err *err)
{
    call->result = put_new_text(job_id);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static const struct wait_kind gives_true = { .over = wait_is_recorded,
                                             .answer = answer_true };
static const struct wait_kind gives_id = { .over = wait_is_recorded,
                                           .answer = answer_id };

/* --- with a VM --------------------------------------------------------- */

static int refuse_memory(const struct api_call *call, struct err *err)
{
    const char *memory = params_text(call->params, "snapMemory");
    if (!memory || !*memory)
        return 0;
    (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                       "a snapshot of the VM's memory is not supported");
    return err_next(err, "leave snapMemory out: the disks alone are taken");
}

int verb_vm_snapshot_before(struct api_call *call, struct err *err)
{
    if (refuse_memory(call, err) < 0)
        return err->rc;
    struct step *step =
        step_new(call, JOB_SNAPSHOT, "jobUUID", &gives_true, err);
    if (!step)
        return err->rc;
    step->ask.quiesce = !params_flag(call->params, "frozen");
    step->ask.n_disks = params_count(call->params, "snapDrives");
    for (size_t i = 0; i < step->ask.n_disks; i++) {
        const struct params *drive = params_item(call->params, "snapDrives", i);
        struct migrate_ask_disk *disk = &step->ask.disks[i];

        copy_text(drive, "domainID", disk->at.sd, UUID_SIZE);
        copy_text(drive, "imageID", disk->at.img, UUID_SIZE);
        copy_text(drive, "baseVolumeID", disk->at.vol, UUID_SIZE);
        copy_text(drive, "volumeID", disk->top, UUID_SIZE);
    }
    return step_before(call, err);
}

int verb_vm_merge_before(struct api_call *call, struct err *err)
{
    struct step *step = step_new(call, JOB_MERGE, "jobUUID", &gives_true, err);
    if (!step)
        return err->rc;
    step_drive(call, "drive", &step->ask.disks[0].at);
    copy_text(call->params, "baseVolUUID", step->ask.disks[0].base, UUID_SIZE);
    copy_text(call->params, "topVolUUID", step->ask.disks[0].top, UUID_SIZE);
    step->ask.limit = params_number(call->params, "bandwidth") << 20;
    step->ask.delete_top = params_flag(call->params, "deleteTop");
    return step_before(call, err);
}

/* --- without ----------------------------------------------------------- */

static struct step *new_image_step(struct api_call *call, enum job_kind kind,
                                   struct err *err)
{
    struct step *step = step_new(call, kind, "jobID", &gives_id, err);
    if (!step)
        return NULL;
    struct migrate_ask_disk *disk = &step->ask.disks[0];
    copy_text(call->params, "storagedomainID", disk->at.sd, UUID_SIZE);
    copy_text(call->params, "imageID", disk->at.img, UUID_SIZE);
    copy_text(call->params, "dstSdUUID", disk->to.sd, UUID_SIZE);
    return step;
}

int verb_image_clone_before(struct api_call *call, struct err *err)
{
    return new_image_step(call, JOB_CLONE, err) ? step_before(call, err)
                                                : err->rc;
}

int verb_image_sync_before(struct api_call *call, struct err *err)
{
    const char *scope = params_text(call->params, "syncType");
    struct step *step = new_image_step(call, JOB_SYNC, err);

    if (!step)
        return err->rc;
    step->ask.scope = JOB_ALL;
    if (str_equal(scope, job_scope_name(JOB_INTERNAL)))
        step->ask.scope = JOB_INTERNAL;
    else if (str_equal(scope, job_scope_name(JOB_LEAF)))
        step->ask.scope = JOB_LEAF;
    return step_before(call, err);
}

static int begin_copy(struct api_call *call, enum job_kind kind,
                      struct err *err)
{
    struct step *step = new_image_step(call, kind, err);

    if (!step)
        return err->rc;
    step->ask.verify = params_flag(call->params, "verify");
    step->ask.limit = params_number(call->params, "limit");
    return step_before(call, err);
}

int verb_image_copy_before(struct api_call *call, struct err *err)
{
    return begin_copy(call, JOB_COPY, err);
}

int verb_image_move_before(struct api_call *call, struct err *err)
{
    enum job_kind kind =
        params_number(call->params, "operation") == 2 ? JOB_MOVE : JOB_COPY;

    int r = guard_wiping(call, err);
    return r < 0 ? r : begin_copy(call, kind, err);
}
