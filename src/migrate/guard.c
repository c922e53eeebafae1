/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job that works on storage which other hosts have, too, and that came
 * without a lease, makes one, called as the job, and holds it from before its
 * first act to after its last. So any host can tell how the job stands, a job
 * is only one host's, and who was dead for a while finds out before it changes
 * anything:
 *
 *   entering a state    the lease is ours, and the note beside its record names
 *                       the state: a job that a dead host left in JOB_PIVOTING
 *                       may have pivoted, one in JOB_SYNCING has not
 *   deleting            the same; whoever lost the lease deletes nothing
 *   past the pivot,     forward only, whatever the lease says: qemu has
 * decided. while it converges  But a lease that was lost by accident is taken
 * again a suspended guest   nothing is asked: it waits for us
 *
 * Without a lease that could be made (no room in the index, an engine's domain)
 * a job runs as it would on a disk of this host's own, and says so.
 *
 * SDM's jobs look after theirs themselves, as their copies run under it.
 */
#include "own.h"

#include <dray/base/log.h>

#include <string.h>

enum {
    LOOK_MS = 200, /* from one look at the lease to the next */
    KEEP_MS = 1000,
    END_RETRY_MS = 1000,
};

/* --- the choice -------------------------------------------------------- */

/* What a VM comes to is led, and leased, by the host that sends it. */
static bool works_on_storage(const struct migration *m)
{
    return m->ports.hold.ops && m->job.kind != JOB_VM_RECEIVE &&
           m->ports.leases != MIGRATE_LEASES_NEVER;
}

static bool is_shared(const struct migration *m, const char *sd)
{
    return sd[0] && (m->ports.leases == MIGRATE_LEASES_ALWAYS ||
                     PORT(&m->ports, xleases, is_shared, sd));
}

/* NULL: none. */
static const char *shared_domain(const struct migration *m)
{
    for (size_t i = 0; i < m->job.n_disks; i++) {
        const struct job_disk *disk = &m->job.disks[i];

        if (m->job.kind != JOB_VM_MIGRATE && is_shared(m, disk->dst_sd))
            return disk->dst_sd;
        if (is_shared(m, disk->src_sd))
            return disk->src_sd;
    }
    return NULL;
}

void guard_choose(struct migration *m)
{
    struct job_data *data = &m->job.data;
    const char *sd = NULL;

    if (!works_on_storage(m) || lease_is_there(&m->job))
        return;
    sd = shared_domain(m);
    if (!sd)
        return;
    memcpy(data->dst.lease_sd, sd, UUID_SIZE);
    memcpy(data->dst.lease, m->job.id, UUID_SIZE);
    data->record = true;
    data->lease_generation = 0;
    data->lease_made = true;
    data->host_id = m->ports.host_id;
}

static void do_without(struct migration *m, const struct err *why)
{
    struct job_data *data = &m->job.data;

    data->dst.lease_sd[0] = data->dst.lease[0] = '\0';
    data->record = data->lease_made = false;
    data->host_id = 0;
    m->durable = false;
    migration_warn(m, "other hosts do not see this job: %.200s", why->message);
}

/* --- the first act ----------------------------------------------------- */

static int make(const struct migration *m, struct err *err)
{
    const struct xlease_id id = lease_name(&m->job.data.dst);
    struct xlease_job record = { .status = XLEASE_PENDING };

    memcpy(record.job_id, m->job.id, UUID_SIZE);
    return PORT(&m->ports, xleases, create, &id, &record, err);
}

/* Somebody who was faster has it, or had it: then it is not ours to remove. */
static enum job_outcome make_and_take(struct migration *m)
{
    const struct xlease_id id = lease_name(&m->job.data.dst);
    struct xlease_job record = { .generation = 0 };
    struct err err = ERR_INIT, ignored = ERR_INIT;
    int rc = make(m, &err);

    if (rc == 0)
        rc = lease_try(m, &record, &err);
    if (rc < 0) {
        /* Whoever fails to say so may have it all the same. */
        (void)PORT(&m->ports, hold, release, m->job.id, XLEASE_FAILED,
                   &ignored);
        (void)PORT(&m->ports, xleases, remove, &id, &ignored);
        do_without(m, &err);
        return JOB_OK;
    }

    enum job_outcome outcome = lease_judge(m, rc, &record, &err);

    if (outcome == JOB_FAIL)
        m->job.data.lease_made = false;
    return outcome;
}

/* --- all others -------------------------------------------------------- */

enum need {
    NEEDS_NOTHING,
    NEEDS_KEEPING, /* others should see that the job lives */
    NEEDS_LEASE,
};

static bool deletes(const struct job *job)
{
    return job->state == JOB_REMOVING || job->state == JOB_RELEASING;
}

/* What a copy of SDM's makes is known from JOB_PREPARING on. */
static enum job_state first_of(const struct job *job)
{
    return job->kind == JOB_COPY_DATA || job->kind == JOB_MOVE_DATA
               ? JOB_PREPARING
               : JOB_PLANNED;
}

static enum need need_of(const struct job *job)
{
    enum job_state first = first_of(job);

    if (!job->data.lease_made)
        return NEEDS_NOTHING;
    if (first == JOB_PREPARING)
        return job->state == first ? NEEDS_LEASE : NEEDS_NOTHING;
    if (deletes(job))
        return NEEDS_LEASE;
    if (job->undo || job_is_undo(job->state) || job->state == JOB_CONVERGING ||
        job_next(job, JOB_CANCEL) == job->state)
        return NEEDS_KEEPING;
    return NEEDS_LEASE;
}

static bool looked_lately(const struct migration *m, int64_t ms)
{
    return m->guarded && m->guarded_in == m->job.state &&
           migration_now_ms(m) - m->guarded_ms < ms;
}

static void looked(struct migration *m)
{
    m->guarded = true;
    m->guarded_in = m->job.state;
    m->guarded_ms = migration_now_ms(m);
}

/* Whatever comes of it: it is asked again. Storage that does not answer is not
 * touched, since the guest's block job is looked after by who would wait. */
static void keep(struct migration *m)
{
    struct xlease_job record;
    struct domain_info info;
    struct err err = ERR_INIT;

    if (looked_lately(m, KEEP_MS))
        return;
    looked(m);
    if (m->job.data.owned &&
        PORT(&m->ports, hold, look, m->job.id, &err) == HOLD_NONE &&
        PORT(&m->ports, storage, domain_info, m->job.data.dst.lease_sd, &info,
             &err) == 0)
        (void)lease_try(m, &record, &err);
}

/* What a host that takes the job over has to go by. */
static enum job_outcome leave_note(struct migration *m)
{
    _cleanup_free_ char *text = NULL;
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, journal, encode, &m->job, &text, &err);

    if (rc == 0)
        rc = PORT(&m->ports, hold, note, m->job.id, text, &err);
    if (rc == HOLD_NONE)
        return migration_again(m, LOOK_MS);
    return rc == 0 ? JOB_OK : migration_doubt(m, &err, QUERY_PATIENCE_MS);
}

static bool is_first(const struct migration *m)
{
    return m->job.state == first_of(&m->job);
}

/* The first note goes with the lease. */
static enum job_outcome make_sure(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    if (looked_lately(m, LOOK_MS) && !deletes(&m->job))
        return JOB_OK;
    if (is_first(m) && !m->job.data.owned && !m->job.data.taken_over)
        outcome = make_and_take(m);
    else
        outcome = lease_own(m);
    if (outcome == JOB_OK && !is_first(m) && !m->job.data.taken_over &&
        !(m->guarded && m->guarded_in == m->job.state))
        outcome = leave_note(m);
    if (outcome == JOB_OK)
        looked(m);
    return outcome;
}

/* What cannot be shown to be still ours to delete is left. */
static enum job_outcome delete_nothing(struct migration *m,
                                       const struct err *before)
{
    if (m->job.state == JOB_REMOVING)
        migration_warn(m, "destination left: the job's lease is not this "
                          "host's any more, and who has it may have gone on");
    else
        migration_warn(m, "the source is kept: the job's lease is not this "
                          "host's any more");
    m->job.error = *before;
    return JOB_OK;
}

/* --- a host that comes back -------------------------------------------- */

/* 1: qemu has one of the job's disks; 0: its VM is gone. */
static int see_vm(struct migration *m, struct err *err)
{
    if (!m->job.vm[0])
        return 0;
    for_each_disk (d, m) {
        struct sight sight;
        int rc = disk_look(d, &sight, err);

        if (rc || sight.where != VM_GONE)
            return rc ? rc : 1;
    }
    return 0;
}

/* Meanwhile another host may have taken the job over, or all that it was about:
 * nothing is read off the storage before that is known. Where the VM lives on
 * its block jobs are ours to end, but no more. */
static bool see_if_lost(struct migration *m, enum job_outcome *ret_outcome)
{
    struct err err = ERR_INIT;
    int rc = 0;

    *ret_outcome = lease_own(m);
    if (*ret_outcome == JOB_AGAIN)
        return false;
    if (*ret_outcome == JOB_FAIL) {
        rc = see_vm(m, &err);
        if (rc < 0) {
            *ret_outcome = migration_trouble(m, &err, INT64_MAX);
            return false;
        }
        m->job.data.owned = false;
        m->job.data.lost = rc == 0;
        m->durable = false;
    }
    m->came_back = true;
    return true;
}

bool guard_allows(struct migration *m, enum job_outcome *ret_outcome)
{
    const struct err before = m->job.error;
    enum need need = need_of(&m->job);

    if (need == NEEDS_NOTHING || m->job.suspended)
        return true;
    if (m->adopted && !m->came_back && m->job.data.owned &&
        !see_if_lost(m, ret_outcome))
        return false;
    if (m->lease_ended) { /* all but the journal's last word was done */
        *ret_outcome = JOB_OK;
        return !deletes(&m->job);
    }
    if (m->job.data.lost) {
        migration_warn(m, "nothing more was done here: another host may have "
                          "gone on with what the job left");
        *ret_outcome = JOB_FAIL;
        return false;
    }
    if (need == NEEDS_KEEPING) {
        keep(m);
        return true;
    }
    *ret_outcome = make_sure(m);
    if (*ret_outcome == JOB_FAIL && deletes(&m->job))
        *ret_outcome = delete_nothing(m, &before);
    else if (*ret_outcome == JOB_OK)
        return true;
    return false;
}

/* --- the end ----------------------------------------------------------- */

static int set_record(struct migration *m, bool well, struct err *err)
{
    struct xlease_job record = { .generation = 0 };
    int rc = lease_try(m, &record, err);

    if (rc == 0)
        rc = PORT(&m->ports, hold, release, m->job.id,
                  lease_status(&m->job, well), err);
    if (rc == HOLD_ENDED && !lease_says(&m->job, well, &record))
        rc = err_set_code(err, ERR_JOB_STATUS, "its record is %s",
                          xlease_job_status_name(record.status));
    return rc == HOLD_ENDED ? 0 : rc;
}

/* A record that is somebody else's by now stays what it is. */
static bool is_hopeless(const struct err *err)
{
    return err->code == ERR_JOB_STATUS || err->code == ERR_NO_SUCH_LEASE ||
           err->code == ERR_UNSUPPORTED_STORAGE;
}

bool guard_end(struct migration *m, bool well)
{
    int64_t now_ms = migration_now_ms(m);
    struct err err = ERR_INIT;

    if (!m->job.data.lease_made || !m->job.data.owned || m->lease_ended)
        return true;
    if (set_record(m, well, &err) == 0) {
        m->lease_ended = true;
        return true;
    }
    if (m->ending_ms == 0)
        m->ending_ms = now_ms;
    if (!is_hopeless(&err) && now_ms - m->ending_ms < UNDO_PATIENCE_MS) {
        m->wait_ms = END_RETRY_MS;
        return false;
    }
    migration_warn(m, "other hosts do not learn how this job ended: %.200s",
                   err.rc ? err.message : "somebody else has its lease");
    return true;
}
