/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.diskReplicateStart and VM.diskReplicateFinish. The replica is a job: it is
 * in the journal before qemu hears of it, knows its destination, and outlives
 * restarts. An engine may repeat either verb after a lost answer, and gets the
 * answer that it missed.
 *
 * Finish with the same disk twice is an abort, which is always possible until
 * the guest is on the destination. With another disk it is the pivot: allowed
 * when the mirror has converged and everything below it is there, and answered
 * when the pivot is in the journal. Refused, it changes nothing.
 */
#include "params.h"
#include "step.h"

#include <errno.h>

enum {
    START_WAIT_MS = 60000,
    FINISH_WAIT_MS = 120000, /* below the three minutes of VDSM's clients */
};

/* --- the replica of a disk --------------------------------------------- */

static bool is_vm(const struct job *job, const char *vm)
{
    return str_equal(job->vm, vm) || str_equal(job->vm_name, vm);
}

static bool is_at(const struct job_disk *disk, const struct volume_id *src)
{
    return str_equal(disk->src_sd, src->sd) && str_equal(disk->img, src->img) &&
           str_equal(disk->leaf, src->vol);
}

static bool goes_to(const struct job_disk *disk, const struct volume_id *dst)
{
    return str_equal(disk->dst_sd, dst->sd) && str_equal(disk->img, dst->img) &&
           str_equal(disk->leaf, dst->vol);
}

/* The latest one of the image; older ones say nothing about where it is. */
static const struct job *latest(const struct api_call *call, const char *vm,
                                const char *img)
{
    const struct migrate_jobs *jobs = call->api->jobs;

    for (size_t i = migrate_jobs_count(jobs); i-- > 0;) {
        const struct job *job = migrate_jobs_at(jobs, i);
        if (job->kind == JOB_REPLICATE && is_vm(job, vm) &&
            job_disk_of_image(job, img))
            return job;
    }
    return NULL;
}

static bool runs(const struct job *job)
{
    return job && !job_is_terminal(job->state);
}

static bool ends(const struct job *job)
{
    return job->undo || job->cancel_requested || job_is_undo(job->state);
}

static const struct job *job_of(const struct api_call *call, const char *id)
{
    struct err gone = ERR_INIT; /* forgotten meanwhile */
    const struct job *job = NULL;

    return migrate_jobs_get(call->api->jobs, id, &job, &gone) < 0 ? NULL : job;
}

static int no_answer_yet(const struct job *job, const char *verb,
                         struct err *err)
{
    (void)err_set_code(err, ERR_TIMEOUT,
                       "job %s has not got there yet: it is "
                       "%s",
                       job->id, job_state_name(job->state));
    return err_next(err, "it goes on; repeat %s, or see: drayctl job watch %s",
                    verb, job->id);
}

/* --- start ------------------------------------------------------------- */

static bool is_started(const struct api_call *call, const char *job_id)
{
    const struct job *job = job_of(call, job_id);

    if (!job || job_is_terminal(job->state))
        return true;
    return !ends(job) && job->state >= JOB_CONVERGING;
}

static int answer_start(struct api_call *call, const char *job_id,
                        struct err *err)
{
    const struct job *job = job_of(call, job_id);

    if (!job)
        return err_set_code(err, ERR_REPLICA, "job %s is gone", job_id);
    if (is_started(call, job_id) &&
        (job->state == JOB_DONE || !job_is_terminal(job->state)))
        return 0;
    if (!job_is_terminal(job->state))
        return no_answer_yet(job, call->verb->name, err);
    (void)err_set_code(err, ERR_REPLICA, "the replica has ended: %s",
                       job->error.rc ? job->error.message : "it was aborted");
    return err_next(err, "%s",
                    job->error.next[0] ? job->error.next
                                       : "start it again with another job id");
}

static const struct wait_kind started = { .over = is_started,
                                          .answer = answer_start,
                                          .patience_ms = START_WAIT_MS };

static int refuse_second(const struct job *job, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];

    (void)err_set_code(err, ERR_REPLICA,
                       ends(job) ? "disk %s of VM %s: job %s ends its replica "
                                   "on domain %s"
                                 : "disk %s of VM %s: job %s replicates it to "
                                   "domain %s already",
                       disk->target, job->vm_name, job->id, disk->dst_sd);
    return err_next(err, "end that first: VM.diskReplicateFinish with the same "
                         "disk twice");
}

/* An engine that lost the answer asks again, with another job id or none. */
static int find_running(struct api_call *call, const struct step *step,
                        struct err *err)
{
    const struct migrate_ask_disk *asked = &step->ask.disks[0];
    const struct job *job = latest(call, step->ask.vm, asked->at.img);

    if (!runs(job) || !is_at(&job->disks[0], &asked->at))
        return 0;
    if (ends(job) || !goes_to(&job->disks[0], &asked->to))
        return refuse_second(job, err);
    return step_wait(call, &started, job->id, err);
}

/* The same request may have arrived twice at once, without a job id. */
int verb_replicate_start_after(struct api_call *call, struct err *err)
{
    const struct step *step = call->state;
    const struct job *job = NULL;

    int r = step_find(call, &job, err);
    if (r == 0 && !job)
        r = find_running(call, step, err);
    if (r == VERB_ANSWERED)
        return 0;
    return r ? r : step_after(call, err);
}

int verb_replicate_start_before(struct api_call *call, struct err *err)
{
    struct step *step = step_new(call, JOB_REPLICATE, "jobID", &started, err);
    if (!step)
        return err->rc;
    step_drive(call, "srcDisk", &step->ask.disks[0].at);
    step_drive(call, "dstDisk", &step->ask.disks[0].to);
    step->ask.limit = params_number(call->params, "limit");
    step->ask.fast = params_flag(call->params, "fast");
    int r = step_before(call, err);
    return r ? r : find_running(call, step, err);
}

/* --- finish ------------------------------------------------------------ */

struct finish {
    char vm[256];
    struct volume_id src, dst;
    bool pivot;
    bool has_replica; /* ... that runs from src to dst: */
    struct job replica;
};

static bool has_ended(const struct api_call *call, const char *job_id)
{
    const struct job *job = job_of(call, job_id);
    return !job || job_is_terminal(job->state);
}

static int answer_pivot(struct api_call *call, const char *job_id,
                        struct err *err)
{
    const struct job *job = job_of(call, job_id);

    if (!job)
        return err_set_code(err, ERR_CHANGE_DISK, "job %s is gone", job_id);
    if (job->state == JOB_DONE)
        return 0;
    if (!job_is_terminal(job->state))
        return no_answer_yet(job, call->verb->name, err);
    /* Of a VM that libvirt has lost nobody knows where it is. */
    bool lost = job->error.rc && job->error.code == ERR_NOT_RESPONDING;
    (void)err_set_code(err, ERR_CHANGE_DISK,
                       "no pivot: %s; the replica has ended%s%s%s",
                       job->error.rc ? job->error.message : "it was aborted",
                       lost ? "" : ", VM ", lost ? "" : job->vm_name,
                       lost ? "" : " is on the source");
    if (lost && job->error.next[0])
        return err_next(err, "%s", job->error.next);
    return err_next(err, "mend the cause, then VM.diskReplicateStart again");
}

static int answer_abort(struct api_call *call, const char *job_id,
                        struct err *err)
{
    const struct job *job = job_of(call, job_id);

    if (job && !job_is_terminal(job->state))
        return no_answer_yet(job, call->verb->name, err);
    if (!job || job->state != JOB_DONE)
        return 0;
    (void)err_set_code(err, ERR_CHANGE_DISK,
                       "too late: VM %s runs on domain %s", job->vm_name,
                       job->disks[0].dst_sd);
    return err_next(err, "see: drayctl job info %s", job->id);
}

static const struct wait_kind pivoted = { .over = has_ended,
                                          .answer = answer_pivot,
                                          .patience_ms = FINISH_WAIT_MS };
static const struct wait_kind aborted = { .over = has_ended,
                                          .answer = answer_abort,
                                          .patience_ms = FINISH_WAIT_MS };

static int abort_replica(struct api_call *call, const struct job *job,
                         struct err *err)
{
    struct err late = ERR_INIT;

    /* Past the pivot: the answer says so. */
    if (migrate_jobs_cancel(call->api->jobs, job->id, &late) < 0 &&
        late.code != ERR_UNSUPPORTED) {
        *err = late;
        return err->rc;
    }
    return step_wait(call, &aborted, job->id, err);
}

static int refuse_destination(const struct job *job, struct err *err)
{
    const struct job_disk *disk = &job->disks[0];

    (void)err_set_code(err, ERR_REPLICA,
                       "the replica of disk %s of VM %s is on domain %s, not "
                       "there: nothing was changed",
                       disk->target, job->vm_name, disk->dst_sd);
    return err_next(err, "name the destination that VM.diskReplicateStart was "
                         "given");
}

/* The replica runs from the disk that was named. */
static int finish_running(struct api_call *call, const struct job *job,
                          struct err *err)
{
    struct finish *finish = call->state;

    if (!finish->pivot)
        return abort_replica(call, job, err);
    if (!goes_to(&job->disks[0], &finish->dst))
        return refuse_destination(job, err);
    if (ends(job))
        return refuse_second(job, err);
    if (job->finish_requested || job->state >= JOB_PIVOTING)
        return step_wait(call, &pivoted, job->id, err);
    finish->has_replica = true;
    finish->replica = *job;
    return 0; /* to the checks */
}

/* A finish that is repeated: the disk is where it was to be. */
static bool was_finished(const struct finish *finish, const struct job *job)
{
    const struct job_disk *disk = &job->disks[0];

    if (!is_at(disk, &finish->src))
        return false;
    if (finish->pivot)
        return job->state == JOB_DONE && goes_to(disk, &finish->dst);
    return job->state == JOB_CANCELLED || job->state == JOB_FAILED;
}

int verb_replicate_finish_before(struct api_call *call, struct err *err)
{
    struct finish *finish = calloc(1, sizeof(*finish));
    if (!finish)
        return err_set(err, -ENOMEM, "no memory for the request");
    call->state = finish;
    (void)str_copy(finish->vm, sizeof(finish->vm),
                   params_text(call->params, "vmID"));
    step_drive(call, "srcDisk", &finish->src);
    step_drive(call, "dstDisk", &finish->dst);
    finish->pivot = !str_equal(finish->src.sd, finish->dst.sd) ||
                    !str_equal(finish->src.img, finish->dst.img) ||
                    !str_equal(finish->src.vol, finish->dst.vol);

    const struct job *job = latest(call, finish->vm, finish->src.img);
    if (!job)
        return 0;
    if (runs(job))
        return is_at(&job->disks[0], &finish->src)
                   ? finish_running(call, job, err)
                   : 0;
    return was_finished(finish, job) ? VERB_ANSWERED : 0;
}

int verb_replicate_finish(struct api_call *call, struct err *err)
{
    const struct finish *finish = call->state;
    struct vm_info vm;
    struct vm_disk drive;

    if (finish->has_replica)
        return migrate_check_finish(call->api->ports, &finish->replica, err);
    int r = migrate_find_drive(call->api->ports, finish->vm, &finish->src, &vm,
                               &drive, err);
    if (r < 0)
        return r;
    (void)err_set_code(err, ERR_NO_REPLICATION,
                       "disk %s of VM %s is not being replicated", drive.target,
                       vm.name);
    return err_next(err, "start it: VM.diskReplicateStart");
}

/* The checks passed. */
int verb_replicate_finish_after(struct api_call *call, struct err *err)
{
    const struct finish *finish = call->state;
    const char *img = finish->replica.disks[0].img;
    const struct api_call *other = guard_changing(call->api, img);

    if (other) {
        (void)err_set_code(err, ERR_NOT_READY, "%s is changing image %s",
                           other->verb->name, img);
        return err_next(err, "try again when it is done");
    }
    struct err ended = ERR_INIT;
    if (migrate_jobs_finish(call->api->jobs, finish->replica.id, &ended) < 0 &&
        ended.code != ERR_JOB_NOT_ACTIVE) {
        *err = ended;
        return err->rc;
    }
    return wait_until(call, &pivoted, finish->replica.id, err);
}
