/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The engine of one migration. A step is
 *
 *   1. the state goes to the journal, durably, unless it is there already;
 *   2. its act: bounded, repeatable, looks at the truth first;
 *   3. the table says what follows; the new state goes to the journal.
 *
 * A crash between any two of these repeats an act, never skips one. Normally a
 * step ends after 3. While a guest is suspended on our account the next act
 * follows at once, so that it does not wait for its turn on a worker.
 *
 * If the journal cannot be written no act is done; only a guest that we
 * suspended is looked after (see without_record()).
 */
#include "data.h"
#include "offer.h"
#include "own.h"

#include <dray/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    RECORD_RETRY_MS = 1000,
    HELD_RETRY_MS = 20, /* while the guest is suspended */
};

typedef enum job_outcome (*act_fn)(struct migration *m);

/* The state is the act that is under way; terminal states have none. */
static const act_fn acts[JOB_STATE_COUNT] = {
    [JOB_PLANNED] = act_plan,        [JOB_PREPARING] = act_prepare,
    [JOB_FREEZING] = act_freeze,     [JOB_SYNCING] = act_sync,
    [JOB_VERIFYING] = act_verify,    [JOB_STARTING] = act_start,
    [JOB_CONVERGING] = act_converge, [JOB_PIVOTING] = act_pivot,
    [JOB_RETURNING] = act_return,    [JOB_PIVOTED] = act_settle,
    [JOB_COMMITTING] = act_commit,   [JOB_FOLDING] = act_fold,
    [JOB_FOLDED] = act_folded,       [JOB_RELEASING] = act_release,
    [JOB_ABORTING] = act_abort,      [JOB_REMOVING] = act_remove,
};

/* Of SDM's jobs, which know no VM. */
static const act_fn data_acts[JOB_STATE_COUNT] = {
    [JOB_PLANNED] = data_plan,    [JOB_PREPARING] = data_prepare,
    [JOB_SYNCING] = data_sync,    [JOB_VERIFYING] = data_verify,
    [JOB_SETTLING] = data_settle, [JOB_RELEASING] = data_release,
    [JOB_REMOVING] = data_remove,
};

/* --- the log ----------------------------------------------------------- */

/* "disk vda,vdb of web1", "image UUID". */
static void name_disks(const struct job *job, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < job->n_disks && used < size; i++) {
        const struct job_disk *disk = &job->disks[i];
        const char *name = disk->target[0] ? disk->target : disk->img;

        if (!name[0])
            name = disk->src_path;

        (void)str_format(text + used, size - used, "%s%s", i ? "," : "", name);
        used += strlen(text + used);
    }
    if (job->vm[0])
        (void)str_format(text + used, size - used, " of %s", job->vm_name);
}

static const char *place(const struct job_disk *disk)
{
    return disk->dst_sd[0] ? disk->dst_sd : disk->dst_path;
}

static void say(const struct migration *m, enum job_state state)
{
    const struct job *job = &m->job;
    const char *name = job_state_name(state);
    char disks[512];

    name_disks(job, disks, sizeof(disks));
    if (job->error.rc && (state == JOB_FAILED || job_is_undo(state)))
        log_info("job=%s vm=%s %s: %s", job->id, job->vm, name,
                 job->error.message);
    else if (state == JOB_DONE && job->progress.pause_us >= 0)
        log_info("job=%s vm=%s %s: disk %s is on %s, the guest stood %" PRId64
                 " us",
                 job->id, job->vm, name, disks, place(&job->disks[0]),
                 job->progress.pause_us);
    else
        log_info("job=%s vm=%s %s: %s, disk %s to %s", job->id, job->vm, name,
                 job_kind_name(job->kind), disks, place(&job->disks[0]));
}

/* Lines about what happened while the guest was suspended are held back: the
 * log may be slow. */
static void say_what_is_new(struct migration *m)
{
    if (m->job.suspended)
        return;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (m->unsaid & 1u << i)
            say(m, (enum job_state)i);
    }
    m->unsaid = 0;
}

/* --- the journal ------------------------------------------------------- */

bool migration_record(struct migration *m)
{
    struct err err = ERR_INIT;

    m->job.modified_ms = PORT(&m->ports, clock, wall_ms);
    if (job_is_terminal(m->job.state) && m->job.ended_ms == 0)
        m->job.ended_ms = m->job.modified_ms;
    if (PORT(&m->ports, journal, put, &m->job, &err) == 0) {
        m->durable = true;
        m->record_failed = false;
        return true;
    }
    if (!m->record_failed)
        log_error("job=%s vm=%s waits, its record cannot be written: %s",
                  m->job.id, m->job.vm, err.message);
    m->record_failed = true;
    return false;
}

/* On the storage itself, where recovery finds it. */
static int leave_fact(struct migration *m, struct err *err)
{
    int rc = 0;

    if (m->job.state == JOB_FOLDED)
        return fold_settle_records(m) == JOB_OK ? 0 : -EIO;
    if (m->job.state != JOB_PIVOTED)
        return undo_leave_facts(m, err);
    for_each_disk (d, m) {
        const struct volume_id top = disk_target(d, disk_top(d));

        if (!d->of->dst_sd[0])
            return err_set(err, -EOPNOTSUPP, "%s takes no mark",
                           d->of->dst_path);
        if (rc == 0)
            rc = PORT(&m->ports, storage, volume_set_legality, &top,
                      VOLUME_LEGAL, err);
    }
    return rc;
}

/* The record cannot be written: do nothing, but do not let the guest stand. In
 * JOB_ABORTING it is on the source, as the record says: resume. In JOB_PIVOTED
 * a guest that ran on would write to the destination while the record still
 * names the source (in JOB_FOLDED: to a layer while the record names the one
 * above; of several disks, some may have gone over): so first leave the fact at
 * the storage itself. If even that fails, a guest that lives counts more than
 * the crash that may not come. Returns the time to the next try. */
static int64_t without_record(struct migration *m)
{
    struct err err = ERR_INIT;

    if (!m->job.suspended)
        return RECORD_RETRY_MS;
    if (m->job.state == JOB_PIVOTED || m->job.state == JOB_FOLDED ||
        m->job.n_disks > 1) {
        int rc = leave_fact(m, &err);

        if (rc && !guest_held_too_long(m))
            return HELD_RETRY_MS;
        if (rc)
            migration_warn(m, "the VM was resumed before the end of the pivot "
                              "could be recorded");
        err_clear(&err);
    }
    if (guest_resume(m, &err))
        log_warning("job=%s vm=%s resume: %s", m->job.id, m->job.vm,
                    err.message);
    return m->job.suspended ? HELD_RETRY_MS : RECORD_RETRY_MS;
}

/* --- the step ---------------------------------------------------------- */

static void take_made(struct migration *m, unsigned made)
{
    for (size_t i = 0; i < m->job.n_disks; i++) {
        struct job_disk *of = &m->job.disks[i];

        if (!(made & 1U << i) || of->template_made)
            continue;
        of->template_made = true;
        m->durable = false;
    }
}

/* Not while the guest is suspended: a record would prolong its pause, and a
 * pivot that was asked for cannot be called back. */
static void take_orders(struct migration *m,
                        const struct migration_orders *orders)
{
    if (m->job.suspended || job_is_terminal(m->job.state))
        return;
    if (orders->limit != m->job.limit) {
        m->job.limit = orders->limit;
        for_each_disk (d, m) {
            d->limit_applied = false;
            d->haste = 0;
            d->least_ms = 0;
        }
        m->durable = false;
    }
    if (orders->finish && !m->job.finish_requested) {
        m->job.finish_requested = true;
        m->durable = false;
    }
    take_made(m, orders->made);
    m->filled = m->filled || orders->filled;
    if (orders->visits != m->visits) {
        m->visits = orders->visits;
        m->visited_ms = migration_now_ms(m);
    }
    if (orders->cancel && !m->job.cancel_requested && job_can_cancel(&m->job)) {
        m->job.cancel_requested = true;
        m->durable = false; /* what was promised is not forgotten */
    }
}

static bool cancels_now(const struct migration *m)
{
    return m->job.cancel_requested &&
           job_next(&m->job, JOB_CANCEL) != m->job.state;
}

static enum job_outcome run_act(struct migration *m)
{
    enum job_outcome outcome = JOB_AGAIN;

    if (!guard_allows(m, &outcome))
        return outcome;
    if (m->job.data.taken_over && !job_is_data(&m->job))
        return takeover_act(m);
    switch (m->job.kind) {
    case JOB_VM_MIGRATE:
        return send_act(m);
    case JOB_VM_RECEIVE:
        return receive_act(m);
    default:
        return job_is_data(&m->job) ? data_acts[m->job.state](m)
                                    : acts[m->job.state](m);
    }
}

static enum job_outcome act(struct migration *m)
{
    enum job_outcome outcome = JOB_CANCEL;

    if (m->entered_ms < 0)
        m->entered_ms = migration_now_ms(m);
    if (!cancels_now(m)) {
        m->wait_ms = 0;
        m->troubled = false;
        outcome = run_act(m);
        if (!m->troubled)
            m->trouble_ms = -1;
    }
    return outcome;
}

/* The undo found that there is nothing to undo: the guest is over there. */
static void forget_failure(struct migration *m)
{
    if (m->job.error.rc)
        migration_warn(m, "qemu had switched although: %s",
                       m->job.error.message);
    else if (m->job.cancel_requested)
        migration_warn(m, "the cancel came too late: qemu had switched");
    memset(&m->job.error, 0, sizeof(m->job.error));
    m->job.cancel_requested = false;
}

static void enter(struct migration *m, enum job_state state)
{
    bool landed = state == JOB_PIVOTED ||
                  (state == JOB_FOLDED && m->job.kind == JOB_MERGE);

    m->job.state = state;
    if (landed) {
        forget_failure(m);
        m->job.undo = false;
    } else if (job_is_undo(state)) {
        m->job.undo = true;
    }
    m->unsaid |= 1u << state;
    m->durable = false;
    m->entered_ms = -1;
    m->trouble_ms = -1;
    m->at = 0;
    for_each_disk (d, m) {
        d->layer = 0;
        d->pivot_asked = false;
        d->haste = 0;
        d->least_ms = 0;
    }
}

/* A copy that waits for a dead storage cannot be ended; whoever tried would
 * wait, too. */
static bool end_copies(struct migration *m)
{
    for_each_disk (d, m) {
        if (d->copy && !job_is_data(&m->job) && hang_free(d) == JOB_AGAIN)
            return false;
    }
    return sync_close_copies(m) == 0;
}

/* The place that a VM goes to is another host's. */
static bool keeps_target(const struct disk *d)
{
    return d->of->dst_sd[0] && d->m->job.kind != JOB_VM_MIGRATE;
}

/* Its acts change the domains one after another. */
static void keep_domains(struct migration *m)
{
    if (m->keeps || job_is_terminal(m->job.state))
        return;
    for_each_disk (d, m) {
        if (d->of->src_sd[0])
            PORT(&m->ports, storage, domain_keep, d->of->src_sd);
        if (keeps_target(d))
            PORT(&m->ports, storage, domain_keep, d->of->dst_sd);
    }
    m->keeps = true;
}

static void keep_domains_no_more(struct migration *m)
{
    for_each_disk (d, m) {
        if (d->of->src_sd[0])
            PORT(&m->ports, storage, domain_keep_no_more, d->of->src_sd);
        if (keeps_target(d))
            PORT(&m->ports, storage, domain_keep_no_more, d->of->dst_sd);
    }
    m->keeps = false;
}

/* Nobody will ask for this job again. A sync has no JOB_REMOVING. */
static void leave(struct migration *m, enum job_state next)
{
    watch_end(m);
    watch_release(m);
    for_each_disk (d, m) {
        if (m->job.kind == JOB_SYNC)
            sync_forget(d);
        if (!m->job.vm[0] && !m->job.data.src.prepared)
            disk_let_go(d, false);
        if (!m->job.vm[0] && !m->job.data.dst.prepared)
            disk_let_go(d, true);
        /* The other copy is the engine's. */
        if (m->job.kind == JOB_REPLICATE && !m->job.data.taken_over)
            disk_let_go(d, next != JOB_DONE);
    }
    keep_domains_no_more(m);
}

static void move_on(struct migration *m, enum job_outcome outcome)
{
    enum job_state next = job_next(&m->job, outcome);

    if (next == m->job.state)
        return;
    if (!end_copies(m))
        return;
    if (job_is_terminal(next)) {
        if (!guard_end(m, next == JOB_DONE))
            return;
        leave(m, next);
    }
    enter(m, next);
}

static int64_t step(struct migration *m)
{
    bool moved;

    if (!m->durable && !migration_record(m))
        return without_record(m);
    do {
        if (job_is_terminal(m->job.state))
            return -1;

        enum job_state before = m->job.state;

        move_on(m, act(m));
        moved = m->job.state != before;
        if (moved) {
            m->wait_ms = 0;
            if (!migration_record(m))
                return without_record(m);
        }
    } while (moved && m->job.suspended);
    return job_is_terminal(m->job.state) ? -1 : m->wait_ms;
}

int64_t migration_step(struct migration *m,
                       const struct migration_orders *orders)
{
    take_orders(m, orders);
    keep_domains(m);
    if (m->job.state == JOB_PLANNED && !m->durable)
        guard_choose(m);

    int64_t wait_ms = step(m);

    say_what_is_new(m);
    return wait_ms;
}

/* --- life -------------------------------------------------------------- */

/* When an earlier life suspended the guest: its record was the last deed
 * before, so the record's time is the pause's beginning. */
static int64_t held_since_us(const struct migrate_ports *ports,
                             const struct job *job)
{
    int64_t ago_ms = PORT(ports, clock, wall_ms) - job->modified_ms;

    return PORT(ports, clock, now_us) - (ago_ms > 0 ? ago_ms : 0) * 1000;
}

int migration_new(const struct migrate_ports *ports, const struct job *job,
                  struct migration **ret_migration)
{
    struct migration *m = calloc(1, sizeof(*m));

    if (!m)
        return -ENOMEM;
    m->ports = *ports;
    m->job = *job;
    for (size_t i = 0; i < job->n_disks; i++) {
        m->disks[i].m = m;
        m->disks[i].of = &m->job.disks[i];
    }
    /* A new job is in JOB_PLANNED; recording that once more does no harm. */
    m->adopted = job->state != JOB_PLANNED;
    m->durable = m->adopted;
    m->unsaid = m->adopted ? 0 : 1u << JOB_PLANNED;
    m->resume_first = job->suspended;
    m->entered_ms = -1;
    m->trouble_ms = -1;
    m->held_us = job->suspended ? held_since_us(ports, job) : -1;
    *ret_migration = m;
    return 0;
}

void migration_free(struct migration *m)
{
    if (!m)
        return;
    for_each_disk (d, m)
        d->held_copy = false; /* goes on without us */
    (void)sync_close_copies(m);
    for_each_disk (d, m) {
        storage_chain_deinit(&d->chain);
        free(d->sent);
    }
    free(m);
}

const struct job *migration_job(const struct migration *m)
{
    return &m->job;
}
