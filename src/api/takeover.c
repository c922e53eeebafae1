/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Job.takeover. Asked for twice it is the same job.
 */
#include "params.h"
#include "verb.h"

#include <errno.h>
#include <stdlib.h>

static const char *job_id_of(const struct api_call *call)
{
    return params_text(call->params, "jobID");
}

static int wait_for_record(struct api_call *call, struct err *err)
{
    static const struct wait_kind begun = { .over = wait_is_recorded,
                                            .answer = wait_answer_job };

    return wait_until(call, &begun, job_id_of(call), err);
}

/* NULL: there is none. */
static const struct job *find(struct api_call *call)
{
    const struct job *job = NULL;

    (void)migrate_jobs_get(call->api->jobs, job_id_of(call), &job, NULL);
    return job;
}

static int check_foreign(const struct job *job, struct err *err)
{
    if (job->data.taken_over)
        return 0;
    (void)err_set_code(err, ERR_JOB_EXISTS, "job %s is this host's own: %s",
                       job->id, job_state_name(job->state));
    return err_next(err, "Job.cancel ends it; when it has ended, "
                         "Host.deleteJobs forgets it");
}

int verb_job_takeover_before(struct api_call *call, struct err *err)
{
    const struct job *job = find(call);
    int r = job ? check_foreign(job, err) : 0;

    if (r < 0)
        return r;
    call->state = calloc(1, sizeof(*job));
    return call->state ? 0 : err_set(err, -ENOMEM, "takeover: out of memory");
}

/* Who asks again finds the job there, whatever became of its record. */
int verb_job_takeover(struct api_call *call, struct err *err)
{
    struct job *job = call->state;
    struct err cause = ERR_INIT;
    int r = migrate_takeover(call->api->ports, job_id_of(call), job, &cause);

    if (r < 0) {
        job->error = cause;
        job->error.rc = r;
    }
    (void)err;
    return 0;
}

int verb_job_takeover_after(struct api_call *call, struct err *err)
{
    const struct job *made = call->state;
    const struct job *job = find(call);
    int r = 0;

    if (job) {
        r = check_foreign(job, err);
    } else if (made->error.rc < 0) {
        *err = made->error;
        r = err->rc;
    } else {
        r = migrate_jobs_start(call->api->jobs, made, &job, err);
    }
    return r < 0 ? r : wait_for_record(call, err);
}
