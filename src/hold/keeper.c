/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A life of dray-job:
 *
 *   1 takes the lease, without waiting for others
 *   2 reads the record on the disk: of this job, PENDING, of this generation
 *   3 leaves the note beside it; from here on others can undo what follows
 *   4 copies, as often as it is told to
 *   5 sets the record, once, gives the lease back, and reads the record
 *
 * Cut off anywhere before 5 it leaves a free lease that is PENDING: dead.
 *
 * sanlock kills us when the lease is lost. Where it cannot (it died, or the
 * whole host stood still), its last word counts for TRUST_MS only: a lease goes
 * to somebody else 60 s after the owner's sanlock saw for the last time that it
 * is right. So nothing is written by who has not asked for so long.
 */
#include "keeper.h"

#include <dray/base/util.h>
#include <dray/format.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum {
    TRUST_MS = 30 * 1000,
    ACQUIRE_MS = 3000, /* for what passes by itself: a lease that is going */
};

struct keeper {
    struct keeper_ports ports;
    struct copier_port copier;
    struct lease_place place;
    struct lease_held *held; /* with the record */
    struct lease_held *also; /* NULL: there is no other */
    bool has_record;
    struct format_job record;
    char hardware_id[FORMAT_JOB_HOST_SIZE];
    struct copy *copy;
    struct copy_spec spec; /* of it */
    _Atomic int64_t trusted_until_ms;
    bool over;
};

#define LEASES(keeper, op, ...)                                                \
    ((keeper)->ports.leases.ops->op((keeper)->ports.leases.ctx, __VA_ARGS__))
#define COPIER(keeper, op, ...)                                                \
    ((keeper)->copier.ops->op((keeper)->copier.ctx, __VA_ARGS__))

/* --- the lease ----------------------------------------------------------- */

bool keeper_may_write(void *arg)
{
    const struct keeper *keeper = arg;

    return time_now_ms() < atomic_load(&keeper->trusted_until_ms);
}

static int confirm(struct keeper *keeper, struct err *err)
{
    int64_t asked_ms = time_now_ms();
    int rc = 0;

    /* A sanlock that stood still as well may believe that all is as before. */
    if (!keeper_may_write(keeper))
        return err_set_code(err, ERR_ACQUIRE_LOCK,
                            "sanlock has not confirmed the lease for %d s",
                            TRUST_MS / 1000);
    rc = keeper->ports.confirm(keeper->held, err);
    if (rc == 0 && keeper->also)
        rc = keeper->ports.confirm(keeper->also, err);
    if (rc == 0)
        atomic_store(&keeper->trusted_until_ms, asked_ms + TRUST_MS);
    return rc;
}

static void close_copy(struct keeper *keeper)
{
    if (keeper->copy)
        COPIER(keeper, close, keeper->copy);
    keeper->copy = NULL;
}

/* The records stay as they are. */
static void let_go(struct keeper *keeper)
{
    struct lease_held *all[] = { keeper->held, keeper->also };

    close_copy(keeper);
    keeper->held = keeper->also = NULL;
    keeper->over = true;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i])
            (void)LEASES(keeper, release, all[i], NULL); /* then sanlock does */
    }
}

/* --- HOLD_TAKE ----------------------------------------------------------- */

static int say_none(const struct lease_place *place, struct err *err)
{
    (void)err_set_code(err, ERR_ACQUIRE_LOCK,
                       "there is no lease %s at %s:%llu, where the index has "
                       "it",
                       place->resource, place->path,
                       (unsigned long long)place->offset);
    return err_next(err, "drayctl lease rebuild %s", place->lockspace);
}

static int understand(int rc, const struct lease_place *place, struct err *err)
{
    if (rc == LEASE_BUSY)
        return HOLD_BUSY;
    if (rc == LEASE_NONE)
        return say_none(place, err);
    return rc < 0 ? err_default_code(err, ERR_ACQUIRE_LOCK) : 0;
}

static int acquire(struct keeper *keeper, const struct hold_request *request,
                   struct err *err)
{
    int64_t began_ms = time_now_ms();
    int64_t until_ms = began_ms + ACQUIRE_MS;
    int rc = request->record ? LEASES(keeper, acquire_lvb, &request->lease,
                                      until_ms, &keeper->held, err)
                             : LEASES(keeper, acquire, &request->lease,
                                      until_ms, &keeper->held, err);

    rc = understand(rc, &request->lease, err);
    if (rc == 0 && request->also.resource[0])
        rc = understand(LEASES(keeper, acquire, &request->also, until_ms,
                               &keeper->also, err),
                        &request->also, err);
    if (rc == 0)
        atomic_store(&keeper->trusted_until_ms, began_ms + TRUST_MS);
    return rc;
}

static bool is_as_expected(const struct format_job *found,
                           const struct hold_request *request)
{
    if (found->status == FORMAT_JOB_FENCED && request->fenced)
        return true;
    return found->status == FORMAT_JOB_PENDING &&
           found->generation == request->generation;
}

/* From the disk: what sanlock has in memory may come from a read that failed.
 */
static int check_record(struct keeper *keeper,
                        const struct hold_request *request,
                        struct hold_answer *answer, struct err *err)
{
    struct format_job *found = &keeper->record;
    char lvb[LEASE_LVB_SIZE];
    int rc = LEASES(keeper, read_lvb, &request->lease, lvb, err);

    if (rc == 0)
        rc = format_job_parse(lvb, sizeof(lvb), found, err);
    if (rc < 0)
        return err_wrap(err, "lease %s", request->lease.resource);
    if (rc == FORMAT_JOB_NONE)
        return err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                            "lease %s is not of a job",
                            request->lease.resource);
    if (!str_equal(found->job_id, request->job_id))
        return err_set_code(
            err, ERR_UNSUPPORTED_STORAGE, "lease %s is of job %s, not %s",
            request->lease.resource, found->job_id, request->job_id);
    answer->status = (int)found->status;
    answer->generation = found->generation;
    return is_as_expected(found, request) ? 0 : HOLD_ENDED;
}

static int set_up(struct keeper *keeper, const struct hold_request *request,
                  struct hold_answer *answer, struct err *err)
{
    int rc = acquire(keeper, request, err);

    if (rc == 0 && request->record)
        rc = check_record(keeper, request, answer, err);
    if (rc == 0 && request->note[0])
        rc = keeper->ports.write_note(&request->lease, request->note, err);
    if (rc == 0)
        rc = keeper->ports.open_copier(keeper->ports.arg, request, keeper->held,
                                       &keeper->copier, err);
    keeper->place = request->lease;
    keeper->has_record = request->record;
    (void)str_copy(keeper->hardware_id, sizeof(keeper->hardware_id),
                   request->hardware_id);
    return rc;
}

static int take(struct keeper *keeper, const struct hold_request *request,
                struct hold_answer *answer, struct err *err)
{
    if (keeper->held)
        return confirm(keeper, err);
    int rc = set_up(keeper, request, answer, err);
    if (rc != 0)
        let_go(keeper);
    return rc;
}

/* --- the copy ------------------------------------------------------------ */

static bool is_running(const struct keeper *keeper,
                       const struct copy_spec *spec)
{
    return keeper->copy && keeper->spec.task == spec->task &&
           str_equal(keeper->spec.src_path, spec->src_path) &&
           str_equal(keeper->spec.dst_path, spec->dst_path);
}

static int start_copy(struct keeper *keeper, const struct copy_spec *spec,
                      struct err *err)
{
    if (is_running(keeper, spec))
        return 0;
    close_copy(keeper);
    keeper->spec = *spec;
    return COPIER(keeper, start, spec, &keeper->copy, err);
}

static int poll_copy(struct keeper *keeper, struct hold_answer *answer,
                     struct err *err)
{
    if (!keeper->copy)
        return HOLD_NONE;
    COPIER(keeper, poll, keeper->copy, &answer->progress, err);
    return 0;
}

bool keeper_is_copying(const struct keeper *keeper)
{
    struct copy_progress progress = { .finished = true };

    if (keeper->copy)
        COPIER(keeper, poll, keeper->copy, &progress, NULL);
    return !progress.finished;
}

/* --- HOLD_RELEASE -------------------------------------------------------- */

static int set_record(struct keeper *keeper, enum format_job_status status,
                      struct err *err)
{
    struct format_job *record = &keeper->record;
    char lvb[LEASE_LVB_SIZE];

    record->status = status;
    if (status == FORMAT_JOB_SUCCEEDED || status == FORMAT_JOB_FENCED)
        record->generation = format_generation_next(record->generation);
    record->modified_s = (uint64_t)time_wall_ms() / 1000;
    (void)str_copy(record->host, sizeof(record->host), keeper->hardware_id);
    int rc = format_job_build(record, lvb, err);
    return rc < 0 ? rc
                  : LEASES(keeper, release_lvb, TAKE(keeper->held), lvb, err);
}

/* What somebody fenced meanwhile stays so. */
static int release(struct keeper *keeper, int status, struct err *err)
{
    int rc = 0;

    close_copy(keeper);
    if (keeper->has_record && keeper->record.status == FORMAT_JOB_PENDING &&
        status != HOLD_SET_NOTHING)
        rc = set_record(keeper, (enum format_job_status)status, err);
    let_go(keeper);
    return rc;
}

/* --- the door ------------------------------------------------------------ */

static int do_it(struct keeper *keeper, const struct hold_request *request,
                 struct hold_answer *answer)
{
    struct err *err = &answer->err;

    if (request->verb == HOLD_TAKE)
        return keeper->over ? HOLD_NONE : take(keeper, request, answer, err);
    if (!keeper->held || !keeper_may_write(keeper))
        return HOLD_NONE;
    switch (request->verb) {
    case HOLD_COPY:
        return start_copy(keeper, &request->copy, err);
    case HOLD_RESUMABLE:
        return is_running(keeper, &request->copy) ||
                       COPIER(keeper, resumable, &request->copy)
                   ? 0
                   : HOLD_NONE;
    case HOLD_POLL:
        return poll_copy(keeper, answer, err);
    case HOLD_LIMIT:
        if (keeper->copy)
            COPIER(keeper, limit, keeper->copy, request->bytes_per_s);
        return 0;
    case HOLD_STOP:
        close_copy(keeper);
        return 0;
    case HOLD_RELEASE:
        return release(keeper, request->status, err);
    case HOLD_NOTE:
        return keeper->ports.write_note(&keeper->place, request->note, err);
    default:
        return 0;
    }
}

void keeper_answer(struct keeper *keeper, const struct hold_request *request,
                   struct hold_answer *ret_answer)
{
    *ret_answer = (struct hold_answer){ .err = ERR_INIT };
    ret_answer->rc = do_it(keeper, request, ret_answer);
}

int keeper_look_after(struct keeper *keeper, struct err *err)
{
    return keeper->held ? confirm(keeper, err) : 0;
}

bool keeper_is_over(const struct keeper *keeper)
{
    return keeper->over;
}

struct keeper *keeper_new(const struct keeper_ports *ports)
{
    struct keeper *keeper = calloc(1, sizeof(*keeper));

    if (keeper)
        keeper->ports = *ports;
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    let_go(keeper);
    free(keeper);
}
