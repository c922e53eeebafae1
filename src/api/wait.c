/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers that wait for a job: Job.wait until it has ended, Disk.migrate until
 * its first step is done, for then the job is in the journal and a crash does
 * not forget what was promised. Or until patience ends. Any number of clients
 * may wait for one job.
 */
#include "params.h"
#include "shape.h"
#include "verb.h"

#include <dray/work.h>
#include <errno.h>

enum {
    START_WAIT_MS = 5000, /* longer than a journal on a busy disk takes */
};

struct wait {
    struct list link; /* in api->waits */
    struct api_call *call;
    struct work_timer *timer; /* NULL once it fired */
    char job_id[UUID_SIZE];
    bool for_end; /* else: for its first step */
};

/* Answers with the job as it is now. */
static void wait_end(struct wait *wait, const struct job *job)
{
    struct api_call *call = wait->call;

    work_timer_stop(wait->timer);
    list_remove(&wait->link);
    free(wait);
    if (job)
        call->result = shape_job(job);
    if (job && !call->result)
        call->rc = err_set(&call->err, -ENOMEM, "no memory for the answer");
    call_finish(call);
}

static void on_timeout(void *arg)
{
    struct wait *wait = arg;
    struct api_call *call = wait->call;
    const struct job *job = NULL;

    wait->timer = NULL;
    call->rc =
        migrate_jobs_get(call->api->jobs, wait->job_id, &job, &call->err);
    wait_end(wait, call->rc == 0 ? job : NULL);
}

static int wait_start(struct api_call *call, const char *job_id,
                      int64_t patience_ms, bool for_end, struct err *err)
{
    struct wait *wait = calloc(1, sizeof(*wait));
    int r = wait ? work_after(call->api->work, patience_ms, on_timeout, wait,
                              &wait->timer)
                 : -ENOMEM;
    if (r < 0) {
        free(wait);
        return err_set(err, r, "no memory to wait");
    }
    wait->call = call;
    wait->for_end = for_end;
    (void)str_copy(wait->job_id, sizeof(wait->job_id), job_id); /* a UUID */
    list_append(&call->api->waits, &wait->link);
    return VERB_LATER;
}

int wait_for_start(struct api_call *call, const char *job_id, struct err *err)
{
    return wait_start(call, job_id, START_WAIT_MS, false, err);
}

int verb_job_wait(struct api_call *call, struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(call->api->jobs,
                             params_text(call->params, "jobID"), &job, err);
    if (r < 0)
        return r;
    if (!job_is_terminal(job->state))
        return wait_start(
            call, job->id,
            (int64_t)params_number(call->params, "timeout") * 1000, true, err);
    call->result = shape_job(job);
    return call->result ? VERB_ANSWERED
                        : err_set(err, -ENOMEM, "no memory for the answer");
}

static struct wait *wait_of(struct list *item)
{
    return container_of(item, struct wait, link);
}

void wait_job_changed(struct api *api, const struct job *job)
{
    list_for_each_safe (item, next, &api->waits) {
        struct wait *wait = wait_of(item);
        if (str_equal(wait->job_id, job->id) &&
            (!wait->for_end || job_is_terminal(job->state)))
            wait_end(wait, job);
    }
}

void wait_closed(struct api *api, const struct rpc_conn *conn)
{
    list_for_each_safe (item, next, &api->waits) {
        struct wait *wait = wait_of(item);
        if (rpc_call_conn(wait->call->rpc) == conn)
            wait_end(wait, NULL); /* to nobody */
    }
}

/* The timers went with the work they belong to. */
void wait_drop_all(struct api *api)
{
    list_for_each_safe (item, next, &api->waits) {
        list_remove(item);
        free(wait_of(item)); /* its call is in api->calls */
    }
}
