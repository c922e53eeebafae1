/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From "just started" to "serving":
 *
 *  1. read the journal (worker);
 *  2. take over the jobs that may have a VM suspended: nothing is waited for;
 *  3. join all domains that were joined before, in parallel (workers);
 *  4. when all have answered, or after JOIN_PATIENCE_MS, take over the other
 *     unfinished jobs and let requests in.
 *
 * A domain that cannot be joined stays "missing" and is tried again every
 * JOIN_RETRY_MS; it holds up nobody else. Domains go missing later too (the
 * same list is looked at), so the retry timer runs as long as the daemon. So
 * often it is also asked whether those that are joined answer.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include <dray/base/list.h>
#include <dray/base/log.h>
#include <dray/base/util.h>

enum {
    JOIN_PATIENCE_MS = 5000, /* a join takes 3 s with I/O timeout 1 */
    JOIN_RETRY_MS = 10000,   /* as VDSM's domain monitor */
};

struct recovery {
    struct daemon *daemon;
    struct job *records;
    size_t n_records;
    size_t joining;    /* joins under way */
    struct list joins; /* they */
    size_t probing;    /* domains that are being asked */
    bool serving;
    struct work_timer *patience;
    struct work_timer *retry;
    struct err err; /* of the worker that reads the journal */
    int rc;
    size_t damaged;
    struct leases_status sanlock;
    struct err sanlock_err;
    int sanlock_rc;
};

struct join {
    struct recovery *recovery;
    struct list link;
    char sd[UUID_SIZE];
    char name[DOMAIN_NAME_SIZE];
    bool first; /* not a retry: its failure is worth a line */
    struct err err;
    int rc;
};

struct probe {
    struct recovery *recovery;
    char sd[UUID_SIZE];
    char name[DOMAIN_NAME_SIZE];
    bool was_lost;
    struct err err;
    int rc;
};

struct hint {
    struct daemon *daemon;
    char vm[UUID_SIZE]; /* empty: all */
};

static void hint_deliver(void *arg)
{
    struct hint *hint = arg;

    migrate_jobs_hint(hint->daemon->jobs, hint->vm[0] ? hint->vm : NULL);
    free(hint);
}

/* On libvirt's event thread. A hint that is lost is made up for by polling. */
static void hint_post(void *arg, const char *vm)
{
    struct hint *hint = calloc(1, sizeof(*hint));

    if (!hint)
        return;
    hint->daemon = arg;
    (void)str_copy(hint->vm, sizeof(hint->vm), vm ? vm : "");
    if (work_post(hint->daemon->work, hint_deliver, hint) < 0)
        free(hint);
}

/* Hands over the records that are (not) suspended. */
static void adopt(struct recovery *recovery, bool suspended)
{
    struct err err = ERR_INIT;

    for (size_t i = 0; i < recovery->n_records; i++) {
        const struct job *job = &recovery->records[i];

        if (job->suspended != suspended)
            continue;
        if (migrate_jobs_adopt(recovery->daemon->jobs, job, 1, &err) < 0)
            log_error("job=%s cannot be taken over: %s", job->id, err.message);
        err_clear(&err);
    }
}

static void serve(struct recovery *recovery)
{
    if (recovery->serving)
        return;
    recovery->serving = true;
    adopt(recovery, false);
    api_set_ready(recovery->daemon->api, recovery->daemon->jobs);
    (void)sd_notify(0, "READY=1"); /* without systemd nobody listens */
    log_info("ready: %zu jobs in the journal", recovery->n_records);
}

static void patience_ended(void *arg)
{
    struct recovery *recovery = arg;

    recovery->patience = NULL;
    serve(recovery);
}

static void join_run(void *arg)
{
    struct join *join = arg;
    const struct storage_port *storage = &join->recovery->daemon->ports.storage;
    const struct domain_place known = { .path = NULL };
    char sd[UUID_SIZE];

    join->rc = storage->ops->domain_join(storage->ctx, join->sd, &known, sd,
                                         &join->err);
}

static void join_done(void *arg)
{
    struct join *join = arg;
    struct recovery *recovery = join->recovery;

    if (join->rc == 0)
        log_info("domain=%s %s joined", join->sd, join->name);
    else if (join->first)
        log_warning("domain=%s %s is missing: %s", join->sd, join->name,
                    join->err.message);
    if (--recovery->joining == 0)
        serve(recovery);
    list_remove(&join->link);
    free(join);
}

/* One that hangs takes no second worker, and nobody else waits for it. */
static bool is_joining(struct recovery *recovery, const char *sd)
{
    list_for_each (item, &recovery->joins) {
        const struct join *join = container_of(item, struct join, link);
        if (str_equal(join->sd, sd))
            return true;
    }
    return false;
}

static void join_start(struct recovery *recovery,
                       const struct domain_info *info)
{
    struct join *join = calloc(1, sizeof(*join));

    if (!join)
        return; /* tried again by the timer */
    join->recovery = recovery;
    join->first = !recovery->serving;
    (void)str_copy(join->sd, sizeof(join->sd), info->sd);
    (void)str_copy(join->name, sizeof(join->name), info->name);
    if (work_submit(recovery->daemon->work, join->sd, join_run, join_done,
                    join) < 0) {
        free(join);
        return;
    }
    list_append(&recovery->joins, &join->link);
    recovery->joining++;
}

/* --- those that are joined --- */

static void probe_run(void *arg)
{
    struct probe *probe = arg;
    const struct storage_port *storage =
        &probe->recovery->daemon->ports.storage;

    probe->rc =
        storage->ops->domain_probe(storage->ctx, probe->sd, &probe->err);
}

static void probe_done(void *arg)
{
    struct probe *probe = arg;

    if (probe->rc < 0 && !probe->was_lost)
        log_warning("domain=%s %s is unreachable: %s", probe->sd, probe->name,
                    probe->err.message);
    else if (probe->rc == 0 && probe->was_lost)
        log_info("domain=%s %s answers again", probe->sd, probe->name);
    probe->recovery->probing--;
    free(probe);
}

/* Under a key of their own: what hangs on the same domain is in nobody's way.
 * One that cannot be asked now is asked the next time. */
static void probe_start(struct recovery *recovery,
                        const struct domain_info *info)
{
    struct probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return;
    probe->recovery = recovery;
    probe->was_lost = info->problem[0];
    (void)str_copy(probe->sd, sizeof(probe->sd), info->sd);
    (void)str_copy(probe->name, sizeof(probe->name), info->name);
    if (work_submit(recovery->daemon->work, "probes", probe_run, probe_done,
                    probe) < 0)
        free(probe);
    else
        recovery->probing++;
}

/* --- all of them --- */

static void look_at_domains(struct recovery *recovery)
{
    const struct storage_port *storage = &recovery->daemon->ports.storage;
    _cleanup_free_ struct domain_info *infos = NULL;
    struct err err = ERR_INIT;
    size_t n = 0;

    if (storage->ops->domain_list(storage->ctx, &infos, &n, &err) < 0) {
        log_error("domains cannot be listed: %s", err.message);
        return;
    }
    bool probing = recovery->probing > 0;
    for (size_t i = 0; i < n; i++) {
        if (infos[i].status == DOMAIN_MISSING &&
            !is_joining(recovery, infos[i].sd))
            join_start(recovery, &infos[i]);
        else if (infos[i].status == DOMAIN_JOINED && !probing)
            probe_start(recovery, &infos[i]);
    }
}

static void look_again(void *arg)
{
    struct recovery *recovery = arg;

    recovery->retry = NULL;
    look_at_domains(recovery);
    if (work_after(recovery->daemon->work, JOIN_RETRY_MS, look_again, recovery,
                   &recovery->retry) < 0)
        log_error("out of memory: domains are not looked at again");
}

static void journal_read(void *arg)
{
    struct recovery *recovery = arg;
    const struct journal_port *journal = &recovery->daemon->ports.journal;

    recovery->rc = journal->ops->load(journal->ctx, &recovery->records,
                                      &recovery->n_records, &recovery->damaged,
                                      &recovery->err);
}

static void sanlock_read(void *arg)
{
    struct recovery *recovery = arg;

    recovery->sanlock_rc = leases_status(
        recovery->daemon->leases, &recovery->sanlock, &recovery->sanlock_err);
}

/* What will hurt later is said now; joining has its own checks. */
static void sanlock_done(void *arg)
{
    const struct recovery *recovery = arg;
    const struct leases_status *sanlock = &recovery->sanlock;
    const char *name = recovery->daemon->config.host_name;

    if (recovery->sanlock_rc < 0) {
        log_warning("%s", recovery->sanlock_err.message);
        return;
    }
    if (!sanlock->use_watchdog)
        log_warning("sanlock runs without a watchdog: leases are no more than "
                    "an agreement");
    if (strcmp(sanlock->host_name, name) != 0)
        log_warning("sanlock calls this host %s, not %s: joining after a crash "
                    "takes minutes while its name changes; set our_host_name "
                    "in sanlock.conf",
                    sanlock->host_name, name);
}

/* A journal that cannot be read ends the start: to go on would mean to forget
 * which copy of a disk is right. */
static void journal_done(void *arg)
{
    struct recovery *recovery = arg;
    struct daemon *daemon = recovery->daemon;

    if (recovery->rc < 0) {
        log_error("the job journal cannot be read: %s", recovery->err.message);
        (void)sd_event_exit(daemon->loop, recovery->rc);
        return;
    }
    if (recovery->damaged)
        log_error("%zu job records are damaged and left as they are: %s",
                  recovery->damaged, recovery->err.message);
    adopt(recovery, true);
    look_at_domains(recovery);
    if (recovery->joining == 0 ||
        work_after(daemon->work, JOIN_PATIENCE_MS, patience_ended, recovery,
                   &recovery->patience) < 0)
        serve(recovery);
    if (work_after(daemon->work, JOIN_RETRY_MS, look_again, recovery,
                   &recovery->retry) < 0)
        log_error("out of memory: domains are not looked at again");
}

int recovery_start(struct daemon *daemon, struct recovery **ret_recovery,
                   struct err *err)
{
    const struct hypervisor_port *hypervisor = &daemon->ports.hypervisor;
    struct recovery *recovery = calloc(1, sizeof(*recovery));

    if (!recovery)
        return err_set(err, -ENOMEM, "recovery: out of memory");
    recovery->daemon = daemon;
    list_init(&recovery->joins);
    hypervisor->ops->set_hint(hypervisor->ctx, hint_post, daemon);
    if (work_submit(daemon->work, NULL, journal_read, journal_done, recovery) <
        0) {
        free(recovery);
        return err_set(err, -ENOMEM, "recovery: out of memory");
    }
    /* If it cannot be done, only warnings are lost. */
    (void)work_submit(daemon->work, NULL, sanlock_read, sanlock_done, recovery);
    *ret_recovery = recovery;
    return 0;
}

/* The workers are gone by now, and their timers with them. */
void recovery_free(struct recovery *recovery)
{
    if (!recovery)
        return;
    free(recovery->records);
    free(recovery);
}
