/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job table. It lives on the owner loop; a job's steps run on workers, one
 * at a time, and between them the job waits on a timer or for a wake-up:
 *
 *     submit ──worker: migration_step()──▶ stepped ──▶ timer ──▶ submit
 *                                             │  ▲        │ wake (cancel,
 *                                             ▼  └────────┘  limit, hint)
 *                                           ended
 *
 * What others see of a job is the copy that stepped() took after the last
 * finished step; while a step runs, only the worker touches the migration.
 * Ended jobs stay for a while, here and in the journal, so that whoever asked
 * learns how they ended.
 */
#include "clash.h"
#include "own.h"

#include <dray/base/list.h>
#include <dray/base/log.h>
#include <dray/work.h>

#include <errno.h>
#include <string.h>

enum {
    ENDED_MAX = 1000,
    LEASED_MAX = 250, /* of them, whose leases take room on storage */
    SUBMIT_RETRY_MS = 1000,
};

static const int64_t ended_max_ms = 24LL * 3600 * 1000;
struct entry {
    struct list link; /* of migrate_jobs.removals, when it is on its way out */
    struct migrate_jobs *jobs;
    struct job job;                 /* as of the last finished step */
    struct migration *migration;    /* NULL: ended */
    struct migration_orders orders; /* of now */
    struct migration_orders given;  /* what the running step goes by */
    struct work_timer *timer;       /* it waits */
    bool running;                   /* a step is with a worker */
    bool wake;                      /* another one is wanted at once */
    unsigned visitors;              /* the next step waits for their end */
    bool durable;                   /* the journal holds job as it stands */
    int64_t wait_ms;                /* what the step returned */
};

struct migrate_jobs {
    struct work *work;
    struct migrate_ports ports;
    migrate_job_fn changed;
    void *arg;
    struct entry **entries; /* oldest first */
    size_t n, size;
    struct list removals; /* their journal records are being removed */
    uint64_t rate;
    char life[UUID_SIZE];
};

/* --- entries ----------------------------------------------------------- */

static void entry_free(struct entry *entry)
{
    migration_free(entry->migration);
    free(entry);
}

static int grow(struct migrate_jobs *jobs)
{
    size_t size = jobs->size ? jobs->size * 2 : 16;
    struct entry **entries;

    if (jobs->n < jobs->size)
        return 0;
    entries = reallocarray(jobs->entries, size, sizeof(struct entry *));
    if (!entries)
        return -ENOMEM;
    jobs->entries = entries;
    jobs->size = size;
    return 0;
}

/* Behind those that are as old. */
static void insert(struct migrate_jobs *jobs, struct entry *entry)
{
    size_t at = jobs->n;

    while (at > 0 &&
           jobs->entries[at - 1]->job.created_ms > entry->job.created_ms)
        at--;
    memmove(&jobs->entries[at + 1], &jobs->entries[at],
            (jobs->n - at) * sizeof(struct entry *));
    jobs->entries[at] = entry;
    jobs->n++;
}

/* NULL: out of memory. */
static struct entry *add(struct migrate_jobs *jobs, const struct job *job)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry || grow(jobs) ||
        (!job_is_terminal(job->state) &&
         migration_new(&jobs->ports, job, &entry->migration))) {
        free(entry);
        return NULL;
    }
    entry->jobs = jobs;
    entry->job = *job;
    entry->orders.cancel = job->cancel_requested;
    entry->orders.limit = job->limit;
    entry->orders.finish = job->finish_requested;
    insert(jobs, entry);
    return entry;
}

static int no_memory(const struct job *job, struct err *err)
{
    return err_set(err, -ENOMEM, "job %s: out of memory", job->id);
}

static struct entry *find(const struct migrate_jobs *jobs, const char *id)
{
    for (size_t i = 0; i < jobs->n; i++) {
        if (strcmp(jobs->entries[i]->job.id, id) == 0)
            return jobs->entries[i];
    }
    return NULL;
}

static int no_such_job(const char *id, struct err *err)
{
    return err_set_code(err, ERR_NO_JOB, "no job has the id %s", id);
}

/* --- forgetting -------------------------------------------------------- */

static void remove_run(void *arg)
{
    struct entry *entry = arg;
    struct err err = ERR_INIT;

    if (lease_forget(&entry->jobs->ports, &entry->job, &err) ||
        PORT(&entry->jobs->ports, journal, remove, entry->job.id, &err))
        log_warning("job=%s vm=%s its record stays: %s", entry->job.id,
                    entry->job.vm, err.message);
}

static void remove_done(void *arg)
{
    struct entry *entry = arg;

    list_remove(&entry->link);
    entry_free(entry);
}

/* The record goes on a worker: it is I/O. If that fails it is back after the
 * next start, as an ended job. */
static void forget(struct migrate_jobs *jobs, size_t i)
{
    struct entry *entry = jobs->entries[i];

    jobs->n--;
    memmove(&jobs->entries[i], &jobs->entries[i + 1],
            (jobs->n - i) * sizeof(struct entry *));
    list_append(&jobs->removals, &entry->link);
    if (work_submit(jobs->work, lease_forget_key(&entry->job), remove_run,
                    remove_done, entry))
        remove_done(entry);
}

static void forget_old(struct migrate_jobs *jobs)
{
    int64_t now_ms = PORT(&jobs->ports, clock, wall_ms);
    size_t ended = 0, leased = 0;

    for (size_t i = jobs->n; i-- > 0;) {
        const struct entry *entry = jobs->entries[i];

        if (entry->migration || job_is_in_doubt(&entry->job))
            continue;
        ended++;
        leased += entry->job.data.lease_made;
        if (ended > ENDED_MAX || leased > LEASED_MAX ||
            now_ms - entry->job.ended_ms > ended_max_ms)
            forget(jobs, i);
    }
}

/* --- stepping ---------------------------------------------------------- */

static void submit(void *arg);

static void step_run(void *arg)
{
    struct entry *entry = arg;

    entry->wait_ms = migration_step(entry->migration, &entry->given);
}

static void wait_for(struct entry *entry, int64_t wait_ms)
{
    if (work_after(entry->jobs->work, wait_ms, submit, entry, &entry->timer))
        log_error("job=%s vm=%s waits for the next event: out of memory",
                  entry->job.id, entry->job.vm);
}

/* An order that the job cannot take any more counts as recorded. */
static bool is_recorded(const struct entry *entry)
{
    const struct migration_orders *orders = &entry->orders;
    const struct job *job = &entry->job;

    if (!entry->migration)
        return true;
    return entry->durable && orders->limit == job->limit &&
           (!orders->finish || job->finish_requested) &&
           (!orders->cancel || job->cancel_requested || !job_can_cancel(job));
}

/* Takes over what the step found; tells the others. */
static void take_over(struct entry *entry)
{
    struct migrate_jobs *jobs = entry->jobs;
    const struct job *now = migration_job(entry->migration);
    bool moved = now->state != entry->job.state;
    bool progressed = memcmp(&now->progress, &entry->job.progress,
                             sizeof(now->progress)) != 0;
    bool was_recorded = is_recorded(entry);

    entry->job = *now;
    entry->durable = entry->migration->durable;
    if (now->progress.rate)
        jobs->rate = now->progress.rate;
    if (entry->wait_ms < 0) {
        migration_free(entry->migration);
        entry->migration = NULL;
    }
    if (moved || progressed || !entry->migration ||
        is_recorded(entry) != was_recorded)
        jobs->changed(jobs->arg, &entry->job, moved || !entry->migration);
}

static void stepped(void *arg)
{
    struct entry *entry = arg;

    entry->running = false;
    take_over(entry);
    if (!entry->migration)
        forget_old(entry->jobs); /* the entry may be gone now */
    else if (entry->wake || entry->wait_ms == 0)
        submit(entry);
    else
        wait_for(entry, entry->wait_ms);
}

/* A guest that is suspended must not wait behind others' slow storage. */
static bool is_urgent(const struct entry *entry)
{
    switch (entry->job.state) {
    case JOB_PIVOTING:
    case JOB_RETURNING:
    case JOB_PIVOTED:
    case JOB_FOLDING:
    case JOB_FOLDED:
        return true;
    default:
        return entry->job.suspended;
    }
}

/* Whose slowness may hold up this job, but no others. */
static const char *storage_of(const struct job *job)
{
    const struct job_disk *disk = &job->disks[0];

    if (disk->dst_sd[0])
        return disk->dst_sd;
    return disk->src_sd[0] ? disk->src_sd : NULL;
}

static void submit(void *arg)
{
    struct entry *entry = arg;
    const char *key = is_urgent(entry) ? NULL : storage_of(&entry->job);

    entry->timer = NULL;
    if (entry->visitors) {
        entry->wake = true; /* the last one to leave submits */
        return;
    }
    entry->wake = false;
    entry->given = entry->orders;
    entry->running = true;
    if (work_submit(entry->jobs->work, key, step_run, stepped, entry)) {
        entry->running = false;
        wait_for(entry, SUBMIT_RETRY_MS);
    }
}

static void wake(struct entry *entry)
{
    if (!entry->migration)
        return;
    if (entry->running || entry->visitors) {
        entry->wake = true;
        return;
    }
    work_timer_stop(entry->timer);
    submit(entry);
}

/* --- the table --------------------------------------------------------- */

int migrate_jobs_new(struct work *work, const struct migrate_ports *ports,
                     migrate_job_fn changed, void *arg,
                     struct migrate_jobs **ret_jobs, struct err *err)
{
    struct migrate_jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs)
        return err_set(err, -ENOMEM, "job table: out of memory");
    jobs->work = work;
    jobs->ports = *ports;
    jobs->changed = changed;
    jobs->arg = arg;
    list_init(&jobs->removals);
    uuid_new(jobs->life);
    *ret_jobs = jobs;
    return 0;
}

void migrate_jobs_free(struct migrate_jobs *jobs)
{
    if (!jobs)
        return;
    for (size_t i = 0; i < jobs->n; i++)
        entry_free(jobs->entries[i]);
    list_for_each_safe (item, tmp, &jobs->removals)
        entry_free(container_of(item, struct entry, link));
    free(jobs->entries);
    free(jobs);
}

static int adopt(struct migrate_jobs *jobs, const struct job *record,
                 struct err *err)
{
    struct entry *entry = add(jobs, record);

    if (!entry)
        return no_memory(record, err);
    if (!entry->migration)
        return 0;
    log_info("job=%s vm=%s taken over: it was %s", record->id, record->vm,
             job_state_name(record->state));
    submit(entry);
    return 0;
}

int migrate_jobs_adopt(struct migrate_jobs *jobs, const struct job *records,
                       size_t n, struct err *err)
{
    int result = 0;

    for (int suspended = 1; suspended >= 0; suspended--) {
        for (size_t i = 0; i < n; i++) {
            if (records[i].suspended != suspended || find(jobs, records[i].id))
                continue;

            int rc = adopt(jobs, &records[i], err);

            result = result ? result : rc;
        }
    }
    forget_old(jobs);
    return result;
}

static int check_free(const struct migrate_jobs *jobs, const struct job *wish,
                      struct err *err)
{
    for (size_t i = 0; i < jobs->n; i++) {
        const struct entry *entry = jobs->entries[i];
        const struct job_disk *disk =
            entry->migration
                ? clash_find(wish, &entry->job, entry->orders.finish)
                : NULL;

        if (disk)
            return clash_say(wish, disk, &entry->job, err);
    }
    return 0;
}

int migrate_jobs_start(struct migrate_jobs *jobs, const struct job *job,
                       const struct job **ret_job, struct err *err)
{
    struct entry *entry = find(jobs, job->id);
    int rc = 0;

    if (entry) {
        if (!job_same_request(&entry->job, job))
            return err_set_code(err, ERR_JOB_EXISTS,
                                "job %s exists and was asked for something "
                                "else",
                                job->id);
        *ret_job = &entry->job;
        return 0;
    }
    rc = check_free(jobs, job, err);
    if (rc)
        return rc;
    entry = add(jobs, job);
    if (!entry)
        return no_memory(job, err);
    *ret_job = &entry->job;
    submit(entry);
    return 0;
}

int migrate_jobs_get(struct migrate_jobs *jobs, const char *id,
                     const struct job **ret_job, struct err *err)
{
    struct entry *entry = find(jobs, id);

    if (!entry)
        return no_such_job(id, err);
    *ret_job = &entry->job;
    return 0;
}

size_t migrate_jobs_count(const struct migrate_jobs *jobs)
{
    return jobs->n;
}

const struct job *migrate_jobs_at(const struct migrate_jobs *jobs, size_t i)
{
    return i < jobs->n ? &jobs->entries[i]->job : NULL;
}

static int has_ended(const struct job *job, struct err *err)
{
    return err_set_code(err, ERR_JOB_NOT_ACTIVE, "job %s has ended: %s",
                        job->id, job_state_name(job->state));
}

int migrate_jobs_cancel(struct migrate_jobs *jobs, const char *id,
                        struct err *err)
{
    struct entry *entry = find(jobs, id);

    if (!entry)
        return no_such_job(id, err);
    if (job_is_terminal(entry->job.state))
        return has_ended(&entry->job, err);
    if (!job_can_cancel(&entry->job))
        return clash_say_past_pivot(&entry->job, err);
    entry->orders.cancel = true;
    wake(entry);
    return 0;
}

int migrate_jobs_limit(struct migrate_jobs *jobs, const char *id,
                       uint64_t bytes_per_s, struct err *err)
{
    struct entry *entry = find(jobs, id);

    if (!entry)
        return no_such_job(id, err);
    if (job_is_terminal(entry->job.state))
        return has_ended(&entry->job, err);
    entry->orders.limit = bytes_per_s;
    wake(entry);
    return 0;
}

static int check_no_sync(const struct migrate_jobs *jobs,
                         const struct job *replica, struct err *err)
{
    for (size_t i = 0; i < jobs->n; i++) {
        const struct entry *entry = jobs->entries[i];

        if (entry->migration && clash_fills(&entry->job, replica))
            return clash_say_filling(&entry->job, replica, err);
    }
    return 0;
}

int migrate_jobs_finish(struct migrate_jobs *jobs, const char *id,
                        struct err *err)
{
    struct entry *entry = find(jobs, id);

    if (!entry)
        return no_such_job(id, err);
    if (job_is_terminal(entry->job.state))
        return has_ended(&entry->job, err);

    int rc = check_no_sync(jobs, &entry->job, err);

    if (rc)
        return rc;
    entry->orders.finish = true;
    wake(entry);
    return 0;
}

int migrate_jobs_visit(struct migrate_jobs *jobs, const char *id,
                       const char **ret_life, struct err *err)
{
    struct entry *entry = find(jobs, id);

    if (!entry)
        return no_such_job(id, err);
    if (entry->job.state != JOB_PREPARING || entry->orders.cancel)
        return err_set_code(err, ERR_NOT_READY, "job %s is %s", id,
                            entry->orders.cancel
                                ? "cancelled"
                                : job_state_name(entry->job.state));
    entry->visitors++;
    entry->orders.visits++;
    *ret_life = jobs->life;
    return 0;
}

void migrate_jobs_leave(struct migrate_jobs *jobs, const char *id,
                        const char *made)
{
    struct entry *entry = find(jobs, id);

    for (size_t i = 0; made && entry && i < entry->job.n_disks; i++)
        entry->orders.made |= str_equal(entry->job.disks[i].template_img, made)
                              << i;
    if (!entry || --entry->visitors > 0 || entry->running)
        return;
    if (!entry->timer || entry->wake)
        wake(entry);
}

void migrate_jobs_filled(struct migrate_jobs *jobs, const char *id)
{
    struct entry *entry = find(jobs, id);

    if (!entry || entry->orders.filled)
        return;
    entry->orders.filled = true;
    wake(entry);
}

bool migrate_jobs_recorded(const struct migrate_jobs *jobs, const char *id)
{
    const struct entry *entry = find(jobs, id);

    return !entry || is_recorded(entry);
}

int migrate_jobs_delete(struct migrate_jobs *jobs, const char *id,
                        struct err *err)
{
    for (size_t i = 0; i < jobs->n; i++) {
        if (strcmp(jobs->entries[i]->job.id, id) != 0)
            continue;
        if (jobs->entries[i]->migration)
            return err_set_code(err, ERR_JOB_NOT_DONE,
                                "job %s has not ended: it is %s", id,
                                job_state_name(jobs->entries[i]->job.state));
        forget(jobs, i);
        return 0;
    }
    return no_such_job(id, err);
}

const struct job *migrate_jobs_of_image(const struct migrate_jobs *jobs,
                                        const char *img)
{
    for (size_t i = 0; i < jobs->n; i++) {
        const struct entry *entry = jobs->entries[i];

        if (entry->migration && job_disk_of_image(&entry->job, img))
            return &entry->job;
    }
    return NULL;
}

void migrate_jobs_hint(struct migrate_jobs *jobs, const char *vm)
{
    for (size_t i = 0; i < jobs->n; i++) {
        struct entry *entry = jobs->entries[i];

        if (!vm || strcmp(entry->job.vm, vm) == 0)
            wake(entry);
    }
}

uint64_t migrate_jobs_rate(const struct migrate_jobs *jobs)
{
    return jobs->rate;
}
