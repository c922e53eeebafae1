/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job's lease, and its record there, which tells other hosts how the job
 * stands:
 *
 *   PENDING, held      it runs
 *   PENDING, free      it was not begun, or its host is dead
 *   all else           it ended so
 *
 * A process of the job's own holds the lease and copies (ports/hold.h). Before
 * each act that changes something it is asked for the lease. When it died, it
 * is started again: as long as the record is PENDING and of our generation,
 * nobody was here meanwhile. Else the job is somebody else's, and we touch
 * nothing any more.
 *
 * What the job is about stands beside the record before anything is changed, so
 * that any host can undo it.
 */
#include "data.h"
#include "own.h"

#include <dray/base/log.h>

#include <errno.h>
#include <string.h>

enum {
    BUSY_MS = 1000
};

/* --- which --------------------------------------------------------------- */

static const struct job_end *main_end(const struct job *job)
{
    return job->data.dst.lease[0] ? &job->data.dst : &job->data.src;
}

bool lease_is_there(const struct job *job)
{
    return main_end(job)->lease[0];
}

struct xlease_id lease_name(const struct job_end *end)
{
    struct xlease_id id;

    memcpy(id.sd, end->lease_sd, UUID_SIZE);
    memcpy(id.lease, end->lease, UUID_SIZE);
    return id;
}

static bool has_two(const struct job *job)
{
    const struct job_end *src = &job->data.src, *dst = &job->data.dst;

    return src->lease[0] && dst->lease[0] &&
           (strcmp(src->lease, dst->lease) != 0 ||
            strcmp(src->lease_sd, dst->lease_sd) != 0);
}

/* --- taking it ----------------------------------------------------------- */

static int find(const struct migration *m, const struct job_end *end,
                struct lease_place *ret_place, struct err *err)
{
    const struct xlease_id id = lease_name(end);

    return PORT(&m->ports, xleases, place, &id, ret_place, err);
}

static int write_note(const struct migration *m, char **ret_text,
                      struct err *err)
{
    const struct job_data *data = &m->job.data;

    if (!data->record || data->taken_over)
        return 0; /* what is there is its maker's */
    return PORT(&m->ports, journal, encode, &m->job, ret_text, err);
}

/* As hold_ops.take. */
static int take(const struct migration *m, struct xlease_job *ret_record,
                struct err *err)
{
    _cleanup_free_ char *note = NULL;
    struct lease_place place, also;
    struct hold_task task = {
        .job_id = m->job.id,
        .lease = &place,
        .also = has_two(&m->job) ? &also : NULL,
        .record = m->job.data.record,
        .generation = m->job.data.lease_generation,
        .fenced = m->job.data.fenced,
    };
    int rc = find(m, main_end(&m->job), &place, err);

    if (rc == 0 && task.also)
        rc = find(m, &m->job.data.src, &also, err);
    if (rc == 0)
        rc = write_note(m, &note, err);
    task.note = note;
    return rc ? rc : PORT(&m->ports, hold, take, &task, ret_record, err);
}

static enum job_outcome say_busy(struct migration *m)
{
    const struct xlease_id id = lease_name(main_end(&m->job));
    struct xlease_status status = { .owner_host = 0 };
    struct err err = ERR_INIT;

    if (PORT(&m->ports, xleases, status, &id, &status, &err))
        err_clear(&err);
    (void)err_set_code(&err, ERR_ACQUIRE_LOCK,
                       "lease %s of the job is held by host %u of domain %s",
                       id.lease, (unsigned)status.owner_host, id.sd);
    (void)err_next(&err, "drayctl lease status %s %s", id.sd, id.lease);
    if (!m->job.data.owned)
        return migration_fail(m, &err);

    enum job_outcome outcome = migration_doubt(m, &err, UNDO_PATIENCE_MS);

    if (outcome == JOB_AGAIN)
        m->wait_ms = BUSY_MS;
    else
        m->job.data.owned = false;
    return outcome;
}

enum xlease_job_status lease_status(const struct job *job, bool well)
{
    if (well)
        return XLEASE_SUCCEEDED;
    return job->data.taken_over ? XLEASE_FENCED : XLEASE_FAILED;
}

bool lease_says(const struct job *job, bool well,
                const struct xlease_job *record)
{
    const unsigned generation = job->data.lease_generation;

    if (record->status != lease_status(job, well))
        return false;
    if (record->status == XLEASE_FENCED)
        return true;
    return record->generation ==
           (well ? data_next_generation(generation) : generation);
}

/* An earlier life of ours may have ended it. */
static bool is_our_end(const struct job *job, const struct xlease_job *record)
{
    if (!job_is_data(job)) /* nobody else can have ended it so */
        return lease_says(job, true, record) || lease_says(job, false, record);
    if (job_is_undo(job->state))
        return lease_says(job, false, record);
    return (job->state == JOB_SETTLING || job->state == JOB_RELEASING) &&
           lease_says(job, true, record);
}

static enum job_outcome say_ended(struct migration *m,
                                  const struct xlease_job *record)
{
    struct job_data *data = &m->job.data;

    if (is_our_end(&m->job, record)) {
        m->lease_ended = true;
        return JOB_OK;
    }
    data->owned = false;
    return migration_fail_text(
        m, ERR_JOB_STATUS,
        "the job's record is %s with generation %u, not PENDING with %u: it "
        "is not this host's any more",
        xlease_job_status_name(record->status), record->generation,
        data->lease_generation);
}

/* Who removed it has seen to what the job left. */
static enum job_outcome say_gone(struct migration *m, const struct err *err)
{
    m->job.data.owned = false;
    return migration_fail(m, err);
}

/* Durable before anything is changed: whoever never had the lease undoes
 * nothing. */
static enum job_outcome note_owned(struct migration *m)
{
    if (m->job.data.owned)
        return JOB_OK;
    m->job.data.owned = true;
    if (migration_record(m))
        return JOB_OK;
    m->job.data.owned = false;
    return migration_again(m, BUSY_MS);
}

int lease_try(const struct migration *m, struct xlease_job *ret_record,
              struct err *err)
{
    struct err away = ERR_INIT;

    if (PORT(&m->ports, hold, look, m->job.id, &away) == 0)
        return 0;
    return take(m, ret_record, err);
}

enum job_outcome lease_judge(struct migration *m, int rc,
                             const struct xlease_job *record,
                             const struct err *err)
{
    switch (rc) {
    case 0:
        return note_owned(m);
    case HOLD_BUSY:
        return say_busy(m);
    case HOLD_ENDED:
        return say_ended(m, record);
    default:
        if (err->code == ERR_NO_SUCH_LEASE)
            return say_gone(m, err);
        return migration_doubt(
            m, err,
            err->code == ERR_UNSUPPORTED_STORAGE ? 0 : QUERY_PATIENCE_MS);
    }
}

enum job_outcome lease_own(struct migration *m)
{
    struct xlease_job record = { .generation = 0 };
    struct err err = ERR_INIT;

    if (!lease_is_there(&m->job) || m->lease_ended)
        return JOB_OK;

    int rc = lease_try(m, &record, &err);

    return lease_judge(m, rc, &record, &err);
}

bool lease_owns(const struct migration *m)
{
    struct err err = ERR_INIT;

    return !lease_is_there(&m->job) || m->job.data.owned ||
           PORT(&m->ports, hold, look, m->job.id, &err) == 0;
}

/* --- giving it back ------------------------------------------------------ */

enum job_outcome lease_disown(struct migration *m, bool well)
{
    struct err err = ERR_INIT;

    if (!lease_is_there(&m->job) || m->lease_ended)
        return JOB_OK;

    int rc = PORT(&m->ports, hold, release, m->job.id,
                  lease_status(&m->job, well), &err);

    if (rc == 0) {
        m->lease_ended = true;
        return JOB_OK;
    }
    return rc == HOLD_NONE ? migration_again(m, BUSY_MS)
                           : migration_doubt(m, &err, UNDO_PATIENCE_MS);
}

int lease_forget(const struct migrate_ports *ports, const struct job *job,
                 struct err *err)
{
    const struct xlease_id id = lease_name(&job->data.dst);

    if (!job->data.lease_made || PORT(ports, xleases, remove, &id, err) == 0 ||
        err->code == ERR_NO_DOMAIN)
        return 0; /* with a domain that is gone for good it is, too */
    return err->rc;
}

const char *lease_forget_key(const struct job *job)
{
    return job->data.lease_made ? "forget" : NULL;
}
