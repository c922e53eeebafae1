/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job table: starting, waking, cancelling, adopting, forgetting.
 */
#include "table.h"

#include <dray/base/log.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    PATIENCE_MS = 20000
};

static void runs_a_job_to_its_end(void **state)
{
    struct fixture f;
    const struct job *job;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    const struct job wish = world_job(&f.world);

    assert_string_equal(start_job(&f, &wish)->id, wish.id);
    run_until(&f, &f.done);
    assert_int_equal(migrate_jobs_count(f.jobs), 1);
    assert_int_equal(migrate_jobs_get(f.jobs, wish.id, &job, &err), 0);
    assert_ptr_equal(migrate_jobs_at(f.jobs, 0), job);
    assert_null(migrate_jobs_at(f.jobs, 1));
    assert_int_equal(job->state, JOB_DONE);
    assert_true(f.changes >= f.state_changes && f.state_changes >= 5);
    assert_null(migrate_jobs_of_image(f.jobs, wish.disks[0].img));
    stop(&f);
}

static void the_same_request_is_the_same_job(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    struct job wish = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    assert_ptr_equal(start_job(&f, &wish), job);
    assert_int_equal(migrate_jobs_count(f.jobs), 1);
    wish.keep_source = true;
    assert_int_equal(start_error(&f, &wish), ERR_JOB_EXISTS);
    wish.keep_source = false;
    run_until(&f, &f.done);
    assert_ptr_equal(start_job(&f, &wish), job); /* ended: still the same */
    assert_int_equal(job->state, JOB_DONE);
    stop(&f);
}

static void a_disk_or_image_has_one_job(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    const struct job first = world_job(&f.world);
    struct job other = first;

    (void)start_job(&f, &first);
    assert_string_equal(migrate_jobs_of_image(f.jobs, first.disks[0].img)->id,
                        first.id);
    other.id[0] = '7';
    assert_int_equal(start_error(&f, &other), ERR_DISK_BUSY);
    (void)str_copy(other.disks[0].img, UUID_SIZE, OTHER_UUID);
    assert_int_equal(start_error(&f, &other), ERR_DISK_BUSY); /* the disk */
    other = first;
    other.id[0] = '7';
    (void)str_copy(other.vm, UUID_SIZE, OTHER_UUID);
    assert_int_equal(start_error(&f, &other), ERR_DISK_BUSY); /* the image */
    assert_int_equal(migrate_jobs_count(f.jobs), 1);
    stop(&f);
}

static void unknown_jobs_are_said_to_be(void **state)
{
    struct fixture f;
    const struct job *job;
    struct err err[5] = { ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT };

    (void)state;
    start(&f);
    assert_true(migrate_jobs_get(f.jobs, OTHER_UUID, &job, &err[0]) < 0);
    assert_true(migrate_jobs_cancel(f.jobs, OTHER_UUID, &err[1]) < 0);
    assert_true(migrate_jobs_limit(f.jobs, OTHER_UUID, 1, &err[2]) < 0);
    assert_true(migrate_jobs_delete(f.jobs, OTHER_UUID, &err[3]) < 0);
    assert_true(migrate_jobs_finish(f.jobs, OTHER_UUID, &err[4]) < 0);
    for (size_t i = 0; i < ARRAY_SIZE(err); i++)
        assert_int_equal(err[i].code, ERR_NO_JOB);
    stop(&f);
}

static int cannot_drop(void *ctx, const char *vm, bool stop, struct err *err)
{
    (void)ctx;
    (void)vm;
    (void)stop;
    return err_set(err, -EIO, "it hangs");
}

/* A VM's arrival that waits for a layer. */
static struct job arrival_of(const struct fixture *f)
{
    struct job job = world_job(&f->world);

    (void)str_copy(job.id, UUID_SIZE, OTHER_UUID);
    job.kind = JOB_VM_RECEIVE;
    (void)str_copy(job.vm, UUID_SIZE, OTHER_UUID);
    (void)str_copy(job.disks[0].img, UUID_SIZE, OTHER_UUID);
    (void)str_copy(job.disks[0].leaf, UUID_SIZE, OTHER_UUID);
    (void)str_copy(job.disks[0].parent, UUID_SIZE, OTHER_UUID);
    return job;
}

static void nothing_is_undone_under_a_visitors_hands(void **state)
{
    struct fixture f;
    struct hypervisor_ops ops;
    const char *life = NULL;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    ops = *f.world.ports.hypervisor.ops;
    ops.vm_drop = cannot_drop;
    f.world.ports.hypervisor.ops = &ops;
    migrate_jobs_free(f.jobs);
    open_table(&f);
    const struct job wish = arrival_of(&f), other = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    assert_true(migrate_jobs_visit(f.jobs, OTHER_UUID, &life, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY); /* it is planned only */
    run_until_state(&f, job, JOB_PREPARING);
    err_clear(&err);
    assert_int_equal(migrate_jobs_visit(f.jobs, job->id, &life, &err), 0);
    assert_true(uuid_is_valid(life));
    assert_int_equal(migrate_jobs_visit(f.jobs, job->id, &life, &err), 0);
    assert_int_equal(migrate_jobs_cancel(f.jobs, job->id, &err), 0);
    assert_true(migrate_jobs_visit(f.jobs, job->id, &life, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY);
    migrate_jobs_leave(f.jobs, job->id, NULL);
    (void)start_job(&f, &other);
    run_until(&f, &f.done); /* time enough for what must not happen */
    assert_int_equal(job->state, JOB_PREPARING);
    migrate_jobs_leave(f.jobs, job->id, NULL);
    run_until_state(&f, job, JOB_ABORTING);
    stop(&f);
}

static void cancel_brings_the_disk_back(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    f.world.mirror_per_ms = 0; /* never ready */
    const struct job wish = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    run_until_state(&f, job, JOB_CONVERGING);
    assert_int_equal(migrate_jobs_delete(f.jobs, job->id, &err), -EBUSY);
    assert_int_equal(err.code, ERR_JOB_NOT_DONE);
    err_clear(&err);
    assert_int_equal(migrate_jobs_cancel(f.jobs, job->id, &err), 0);
    assert_int_equal(migrate_jobs_cancel(f.jobs, job->id, &err), 0);
    run_until(&f, &f.done);
    assert_int_equal(job->state, JOB_CANCELLED);
    assert_false(world_image_exists(&f.world, DST));
    assert_true(migrate_jobs_cancel(f.jobs, job->id, &err) < 0);
    assert_int_equal(err.code, ERR_JOB_NOT_ACTIVE);
    err_clear(&err);
    assert_true(migrate_jobs_limit(f.jobs, job->id, 1, &err) < 0);
    assert_int_equal(err.code, ERR_JOB_NOT_ACTIVE);
    stop(&f);
}

/* libvirtd is away, the job looks again in half a second; a limit, a cancel
 * and a hint each make it look now. */
static void orders_and_hints_wake_a_waiting_job(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    f.world.libvirt_back_us = INT64_MAX;
    const struct job wish = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    run_until_state(&f, job, JOB_SYNCING);
    for (int i = 0; i < 3; i++) {
        int64_t fastest_ms = PATIENCE_MS;

        for (int attempt = 0; attempt < 5; attempt++) {
            unsigned calls;
            int64_t begin_ms;

            (void)sd_event_run(f.loop, 600000); /* it waits now */
            while (sd_event_run(f.loop, 20000) > 0)
                ;
            calls = f.world.calls;
            begin_ms = time_now_ms();
            if (i == 0)
                migrate_jobs_hint(f.jobs, attempt % 2 ? NULL : job->vm);
            else if (i == 1)
                (void)migrate_jobs_limit(f.jobs, job->id, 1 + (uint64_t)attempt,
                                         &err);
            else
                (void)migrate_jobs_cancel(f.jobs, job->id, &err);
            (void)sd_event_run(f.loop, 5000000);
            assert_true(f.world.calls > calls);
            if (time_now_ms() - begin_ms < fastest_ms)
                fastest_ms = time_now_ms() - begin_ms;
        }
        assert_in_range(fastest_ms, 0, 200);
    }
    stop(&f);
}

static void a_hint_for_another_vm_wakes_nobody(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    f.world.libvirt_back_us = INT64_MAX;
    const struct job wish = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    run_until_state(&f, job, JOB_SYNCING);
    (void)sd_event_run(f.loop, 600000);
    while (sd_event_run(f.loop, 20000) > 0)
        ;
    unsigned calls = f.world.calls;

    migrate_jobs_hint(f.jobs, OTHER_UUID);
    (void)sd_event_run(f.loop, 50000);
    assert_int_equal(f.world.calls, calls);
    stop(&f);
}

static void forgets_a_deleted_job(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;
    const struct job *job;

    (void)state;
    start(&f);
    const struct job wish = world_job(&f.world);

    (void)start_job(&f, &wish);
    run_until(&f, &f.done);
    assert_true(f.world.has_record);
    assert_int_equal(migrate_jobs_delete(f.jobs, wish.id, &err), 0);
    assert_int_equal(migrate_jobs_count(f.jobs), 0);
    assert_int_equal(migrate_jobs_get(f.jobs, wish.id, &job, &err),
                     err_code_errno(ERR_NO_JOB));
    while (sd_event_run(f.loop, 500000) > 0)
        ; /* until the worker that removes it is back */
    stop(&f);
    assert_false(f.world.has_record);
}

/* --- adopting ---------------------------------------------------------- */

static void goes_on_with_an_adopted_job(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    struct job record = world_job(&f.world);

    record.state = JOB_PREPARING;
    f.world.record = record;
    f.world.has_record = true;
    assert_int_equal(migrate_jobs_adopt(f.jobs, &record, 1, &err), 0);
    run_until(&f, &f.done);
    assert_int_equal(migrate_jobs_at(f.jobs, 0)->state, JOB_DONE);
    stop(&f);
}

static void cancel_is_refused_once_pivoted(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    f.world.libvirt_back_us = INT64_MAX; /* it cannot go on */
    struct job record = world_job(&f.world);

    record.state = JOB_PIVOTED;
    assert_int_equal(migrate_jobs_adopt(f.jobs, &record, 1, &err), 0);
    assert_true(migrate_jobs_cancel(f.jobs, record.id, &err) < 0);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    stop(&f);
}

struct asked {
    char vms[4][UUID_SIZE];
    _Atomic size_t n;
    bool all;
};

static void note(struct asked *asked, const char *vm)
{
    if (asked->n < ARRAY_SIZE(asked->vms)) {
        (void)str_copy(asked->vms[asked->n], UUID_SIZE, vm);
        asked->n++;
    }
}

static int note_find(void *ctx, const char *vm, struct vm_info *ret_vm,
                     struct err *err)
{
    (void)ret_vm;
    note(ctx, vm);
    return err_set(err, -EIO, "not now");
}

static int note_truth(void *ctx, const char *vm, const char *target,
                      bool persistent, struct vm_disk_truth *ret_truth,
                      struct err *err)
{
    (void)target;
    (void)persistent;
    (void)ret_truth;
    note(ctx, vm);
    return err_set(err, -EIO, "not now");
}

static int note_resume(void *ctx, const char *vm, struct err *err)
{
    (void)ctx;
    (void)vm;
    return err_set(err, -EIO, "not now");
}

static int always_connected(void *ctx)
{
    (void)ctx;
    return 0;
}

static void suspended_guests_come_first(void **state)
{
    static const struct hypervisor_ops ops = { .vm_find = note_find,
                                               .disk_truth = note_truth,
                                               .vm_resume = note_resume,
                                               .connected = always_connected };
    struct asked asked = { .n = 0 };
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start_with(&f, 1); /* one worker: what is first stays first */
    f.world.ports.hypervisor =
        (struct hypervisor_port){ .ctx = &asked, .ops = &ops };
    open_table(&f);
    struct job records[2] = { world_job(&f.world), world_job(&f.world) };

    records[0].state = records[1].state = JOB_ABORTING;
    (void)str_copy(records[1].id, UUID_SIZE, OTHER_UUID);
    (void)str_copy(records[1].vm, UUID_SIZE, OTHER_UUID);
    records[1].suspended = true;
    records[0].created_ms = 1;
    records[1].created_ms = 2;
    assert_int_equal(migrate_jobs_adopt(f.jobs, records, 2, &err), 0);
    for (int i = 0; i < 100 && asked.n < 3; i++)
        (void)sd_event_run(f.loop, 50000);
    assert_string_equal(asked.vms[0], OTHER_UUID);
    /* The list is by age all the same. */
    assert_string_equal(migrate_jobs_at(f.jobs, 0)->id, records[0].id);
    assert_string_equal(migrate_jobs_at(f.jobs, 1)->id, records[1].id);
    stop(&f);
}

static struct job ended_job(const struct fixture *fixture, unsigned i,
                            int64_t ended_ms)
{
    struct job job = fixture->wish;

    job.state = JOB_DONE;
    job.created_ms = i;
    job.ended_ms = ended_ms;
    (void)str_format(job.id, UUID_SIZE, "%08u-0000-4000-8000-000000000000", i);
    return job;
}

static void keeps_a_thousand_ended_jobs(void **state)
{
    struct fixture f;
    const struct job *job;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 1003; i++) {
        const struct job record = ended_job(&f, i, f.wall_ms);

        assert_int_equal(migrate_jobs_adopt(f.jobs, &record, 1, &err), 0);
    }
    assert_int_equal(migrate_jobs_count(f.jobs), 1000);
    assert_int_equal(migrate_jobs_at(f.jobs, 0)->created_ms, 3);
    assert_int_equal(migrate_jobs_get(f.jobs,
                                      "00001002-0000-4000-8000-000000000000",
                                      &job, &err),
                     0);
    assert_int_equal(f.changes, 0);
    stop(&f);
}

static void forgets_ended_jobs_after_a_day(void **state)
{
    const int64_t day_ms = 24LL * 3600 * 1000;
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    f.wall_ms = 10 * day_ms;
    const struct job old = ended_job(&f, 1, 9 * day_ms - 1);
    const struct job fresh = ended_job(&f, 2, 9 * day_ms + 60000);
    struct job doubtful = ended_job(&f, 3, 9 * day_ms - 1);

    doubtful.disks[0].in_doubt = true;
    assert_int_equal(migrate_jobs_adopt(f.jobs, &old, 1, &err), 0);
    assert_int_equal(migrate_jobs_adopt(f.jobs, &doubtful, 1, &err), 0);
    assert_int_equal(migrate_jobs_adopt(f.jobs, &fresh, 1, &err), 0);
    assert_int_equal(migrate_jobs_count(f.jobs), 2);
    assert_int_equal(migrate_jobs_at(f.jobs, 0)->created_ms, 2);
    assert_true(job_is_in_doubt(migrate_jobs_at(f.jobs, 1)));
    stop(&f);
}

static void a_stop_leaves_the_mirror_alone(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    f.world.mirror_per_ms = 0;
    const struct job wish = world_job(&f.world);
    const struct job *job = start_job(&f, &wish);

    run_until_state(&f, job, JOB_CONVERGING);
    stop(&f);
    assert_true(f.world.disks[0].job.kind == VM_JOB_COPY);
    assert_int_equal(f.world.record.state, JOB_CONVERGING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_a_job_to_its_end),
        cmocka_unit_test(the_same_request_is_the_same_job),
        cmocka_unit_test(a_disk_or_image_has_one_job),
        cmocka_unit_test(unknown_jobs_are_said_to_be),
        cmocka_unit_test(nothing_is_undone_under_a_visitors_hands),
        cmocka_unit_test(cancel_brings_the_disk_back),
        cmocka_unit_test(orders_and_hints_wake_a_waiting_job),
        cmocka_unit_test(a_hint_for_another_vm_wakes_nobody),
        cmocka_unit_test(forgets_a_deleted_job),
        cmocka_unit_test(goes_on_with_an_adopted_job),
        cmocka_unit_test(cancel_is_refused_once_pivoted),
        cmocka_unit_test(suspended_guests_come_first),
        cmocka_unit_test(keeps_a_thousand_ended_jobs),
        cmocka_unit_test(forgets_ended_jobs_after_a_day),
        cmocka_unit_test(a_stop_leaves_the_mirror_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
