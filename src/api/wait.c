/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers that wait for jobs: Job.wait until the job has ended; what starts or
 * steers one (Disk.migrate, Job.cancel, ...) until the journal has it, for then
 * a crash does not forget what was promised. Or until patience ends. Any number
 * of clients may wait for one job.
 */
#include "params.h"
#include "shape.h"
#include "verb.h"

#include <dray/work.h>
#include <errno.h>

enum {
    RECORD_WAIT_MS = 5000, /* longer than a journal on a busy disk takes */
};

struct wait {
    struct list link; /* in api->waits */
    struct api_call *call;
    struct work_timer *timer; /* NULL once it fired */
    char job_id[UUID_SIZE];   /* empty: several */
    const struct wait_kind *kind;
};

/* The call may have gone with its client: then there is nobody to answer. */
static void wait_end(struct wait *wait, bool answer)
{
    struct api_call *call = wait->call;

    work_timer_stop(wait->timer);
    list_remove(&wait->link);
    if (answer)
        call->rc = wait->kind->answer(call, wait->job_id, &call->err);
    free(wait);
    call_finish(call);
}

static void on_timeout(void *arg)
{
    struct wait *wait = arg;

    wait->timer = NULL;
    wait_end(wait, true);
}

static int wait_start(struct api_call *call, const struct wait_kind *kind,
                      const char *job_id, int64_t patience_ms, struct err *err)
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
    wait->kind = kind;
    (void)str_copy(wait->job_id, sizeof(wait->job_id), job_id); /* a UUID */
    list_append(&call->api->waits, &wait->link);
    return VERB_LATER;
}

static int wait_for(struct api_call *call, const struct wait_kind *kind,
                    const char *job_id, int64_t patience_ms, struct err *err)
{
    if (kind->over(call, job_id))
        return kind->answer(call, job_id, err);
    return wait_start(call, kind, job_id, patience_ms, err);
}

int wait_until(struct api_call *call, const struct wait_kind *kind,
               const char *job_id, struct err *err)
{
    int64_t patience_ms = kind->patience_ms;
    return wait_for(call, kind, job_id,
                    patience_ms ? patience_ms : RECORD_WAIT_MS, err);
}

bool wait_is_recorded(const struct api_call *call, const char *job_id)
{
    return migrate_jobs_recorded(call->api->jobs, job_id);
}

int wait_answer_job(struct api_call *call, const char *job_id, struct err *err)
{
    const struct job *job = NULL;
    int r = migrate_jobs_get(call->api->jobs, job_id, &job, err);
    if (r < 0)
        return r;
    call->result = shape_job(job);
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

int wait_for_start(struct api_call *call, const char *job_id, struct err *err)
{
    static const struct wait_kind start = { .over = wait_is_recorded,
                                            .answer = wait_answer_job };
    return wait_until(call, &start, job_id, err);
}

static bool has_ended(const struct api_call *call, const char *job_id)
{
    struct err gone = ERR_INIT; /* the answer will say so */
    const struct job *job = NULL;
    return migrate_jobs_get(call->api->jobs, job_id, &job, &gone) < 0 ||
           job_is_terminal(job->state);
}

int verb_job_wait(struct api_call *call, struct err *err)
{
    static const struct wait_kind end = { .over = has_ended,
                                          .answer = wait_answer_job };
    int64_t timeout_s = (int64_t)params_number(call->params, "timeout");
    return wait_for(call, &end, params_text(call->params, "jobID"),
                    timeout_s * 1000, err);
}

static struct wait *wait_of(struct list *item)
{
    return container_of(item, struct wait, link);
}

void wait_job_changed(struct api *api, const struct job *job)
{
    list_for_each_safe (item, next, &api->waits) {
        struct wait *wait = wait_of(item);
        bool concerned = !wait->job_id[0] || str_equal(wait->job_id, job->id);
        if (concerned && wait->kind->over(wait->call, wait->job_id))
            wait_end(wait, true);
    }
}

void wait_closed(struct api *api, const struct rpc_conn *conn)
{
    list_for_each_safe (item, next, &api->waits) {
        struct wait *wait = wait_of(item);
        if (rpc_call_conn(wait->call->rpc) == conn)
            wait_end(wait, false);
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
