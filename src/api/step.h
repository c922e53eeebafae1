/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Verbs that start one job, as an engine asks for it step by step:
 *   before (loop)    the request, and whether a job is there already
 *   work   (worker)  the checks
 *   after  (loop)    starts the job; the answer comes when kind->over says so
 * A failed check counts only after another look at the job table: the same
 * request may have arrived twice at once.
 */
#ifndef DRAY_API_STEP_H
#define DRAY_API_STEP_H

#include "verb.h"

struct step {
    struct migrate_ask ask;
    const struct wait_kind *wait;
    struct job job;    /* when the checks passed */
    struct err failed; /* rc 0: they did */
};

/* Makes call->state; job's id from the parameter @id_name, or a new one. NULL:
 * *err says why. */
struct step *step_new(struct api_call *call, enum job_kind kind,
                      const char *id_name, const struct wait_kind *wait,
                      struct err *err);
/* The end of a before function: answers when the job is there. */
int step_before(struct api_call *call, struct err *err);
/* The same job, or ERR_JOB_EXISTS; 0: there is none with this id. */
int step_find(struct api_call *call, const struct job **ret_job,
              struct err *err);
/* From a before function: waits as an after function does. */
int step_wait(struct api_call *call, const struct wait_kind *wait,
              const char *job_id, struct err *err);
/* The drive that object @name says. */
void step_drive(const struct api_call *call, const char *name,
                struct volume_id *ret_volume);

#endif
