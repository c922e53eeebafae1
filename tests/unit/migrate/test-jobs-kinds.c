/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job table and jobs that are not one disk's move: several disks, and an
 * engine's replica with what may run beside it.
 */
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void each_disk_of_a_job_is_taken(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    world_add_disk(&f.world);
    f.world.mirror_per_ms = 0;
    struct job both = world_job(&f.world);
    struct job second = both;

    both.strategy = JOB_BY_SNAPSHOT;
    (void)str_copy(both.disks[0].overlay, UUID_SIZE, OTHER_UUID);
    (void)str_copy(both.disks[1].overlay, UUID_SIZE, both.id);
    (void)start_job(&f, &both);
    assert_ptr_equal(migrate_jobs_of_image(f.jobs, both.disks[1].img),
                     migrate_jobs_at(f.jobs, 0));
    second.id[0] = '7';
    second.n_disks = 1;
    second.disks[0] = both.disks[1];
    assert_int_equal(start_error(&f, &second), ERR_DISK_BUSY);
    stop(&f);
}

/* --- an engine's replica ----------------------------------------------- */

static struct job replica(struct fixture *f)
{
    struct job job = world_job(&f->world);
    const struct fake_volume *from = world_volume(&f->world, SRC, 0, 0);
    struct fake_volume *to =
        world_make(&f->world, DST, 0, from->info.id.vol, UUID_BLANK);

    f->world.domains[DST].prepared[0] = true;
    job.kind = JOB_REPLICATE;
    (void)str_copy(job.disks[0].dst_path, JOB_PATH_SIZE, to->info.path);
    return job;
}

static struct job sync_of(const struct job *replica, enum job_scope scope)
{
    struct job job = *replica;

    job.kind = JOB_SYNC;
    job.scope = scope;
    job.id[0] = '7';
    job.vm[0] = '\0';
    job.disks[0].target[0] = '\0';
    return job;
}

static void a_replica_waits_until_it_is_finished(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    const struct job wish = replica(&f);
    const struct job *job = start_job(&f, &wish);

    run_until_state(&f, job, JOB_CONVERGING);
    for (int i = 0; i < 5; i++)
        (void)sd_event_run(f.loop, 100000);
    assert_int_equal(job->state, JOB_CONVERGING);
    assert_int_equal(migrate_jobs_finish(f.jobs, job->id, &err), 0);
    assert_int_equal(migrate_jobs_finish(f.jobs, job->id, &err), 0);
    run_until(&f, &f.done);
    assert_int_equal(job->state, JOB_DONE);
    assert_true(migrate_jobs_finish(f.jobs, job->id, &err) < 0);
    assert_int_equal(err.code, ERR_JOB_NOT_ACTIVE);
    assert_int_equal(world_at(&f.world), DST);
    stop(&f);
}

/* The layers below may be filled while the leaf is replicated; the pivot waits
 * for them. */
static void internals_are_filled_beside_a_replica(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start_with(&f, 1); /* the fake world is no place for two threads */
    open_table(&f);
    f.world.libvirt_back_us = INT64_MAX; /* neither ends */
    const struct job wish = replica(&f);
    const struct job all = sync_of(&wish, JOB_ALL);
    const struct job internal = sync_of(&wish, JOB_INTERNAL);
    const struct job *job = start_job(&f, &wish);

    assert_int_equal(start_error(&f, &all), ERR_DISK_BUSY);
    (void)start_job(&f, &internal);
    assert_true(migrate_jobs_finish(f.jobs, job->id, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY);
    assert_non_null(strstr(err.message, internal.id));
    stop(&f);
}

static void but_not_once_it_is_to_be_finished(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;

    (void)state;
    start(&f);
    f.world.libvirt_back_us = INT64_MAX;
    const struct job wish = replica(&f);
    const struct job internal = sync_of(&wish, JOB_INTERNAL);
    const struct job *job = start_job(&f, &wish);

    assert_int_equal(migrate_jobs_finish(f.jobs, job->id, &err), 0);
    assert_int_equal(start_error(&f, &internal), ERR_DISK_BUSY);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_disk_of_a_job_is_taken),
        cmocka_unit_test(a_replica_waits_until_it_is_finished),
        cmocka_unit_test(internals_are_filled_beside_a_replica),
        cmocka_unit_test(but_not_once_it_is_to_be_finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
