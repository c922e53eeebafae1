/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs of all kinds, and plans, as JSON.
 */
#include "../../../src/api/shape.h"
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define OVERLAY "77777777-7777-4777-8777-777777777777"

static struct job job_of(enum job_kind kind)
{
    struct job job;

    job_init(&job, WORLD_JOB, kind, 1700000000000);
    job.n_disks = 1;
    (void)str_copy(job.disks[0].img, UUID_SIZE, WORLD_IMG);
    (void)str_copy(job.disks[0].leaf, UUID_SIZE, WORLD_VOL);
    (void)str_copy(job.disks[0].src_sd, UUID_SIZE, WORLD_SRC);
    (void)str_copy(job.disks[0].src_path, JOB_PATH_SIZE, "/src/leaf");
    return job;
}

static void with_vm(struct job *job)
{
    (void)str_copy(job->vm, UUID_SIZE, WORLD_VM);
    (void)str_copy(job->vm_name, sizeof(job->vm_name), "web1");
    (void)str_copy(job->disks[0].target, sizeof(job->disks[0].target), "vda");
}

static void absent(struct json_object *object, const char *path)
{
    if (harness_at(object, path))
        fail_msg("%s is there: %s", path, json_object_to_json_string(object));
}

static bool is_null(struct json_object *object, const char *key)
{
    struct json_object *value = object;
    return json_object_object_get_ex(object, key, &value) && !value;
}

static struct json_object *disk_of(struct json_object *job, size_t i)
{
    return json_object_array_get_idx(harness_at(job, "disks"), i);
}

static void every_kind_has_what_all_have(void **state)
{
    (void)state;
    for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
        struct job job = job_of((enum job_kind)kind);
        struct json_object *object = shape_job(&job);
        struct json_object *vdsm = shape_vdsm_job(&job);
        harness_check(object, "id", WORLD_JOB);
        harness_check(object, "kind", job_kind_name(job.kind));
        harness_check(object, "state", "planned");
        harness_check(object, "status", "pending");
        harness_check(object, "limit", "0");
        harness_check(object, "source.path", "/src/leaf");
        harness_check(disk_of(object, 0), "source.volumeID", WORLD_VOL);
        assert_true(is_null(harness_at(object, "progress"), "quietWriteMs"));
        assert_true(is_null(harness_at(object, "progress"), "writeMs"));
        assert_true(is_null(harness_at(object, "progress"), "pauseMs"));
        /* no VM, no destination, nothing above the leaf */
        absent(object, "vm");
        absent(object, "disk");
        absent(object, "destination");
        absent(disk_of(object, 0), "overlay");
        bool snapshot = job.kind == JOB_SNAPSHOT; /* as VDSM calls it */
        harness_check(vdsm, "description",
                      snapshot ? "snapshot_vm" : job_kind_name(job.kind));
        harness_check(vdsm, "job_type", snapshot ? "virt" : "storage");
        harness_check(vdsm, "status", "pending");
        json_object_put(object);
        json_object_put(vdsm);
    }
}

static void a_move_tells_how_it_goes(void **state)
{
    struct job job = job_of(JOB_DISK_MIGRATE);
    (void)state;
    with_vm(&job);
    job.strategy = JOB_BY_SNAPSHOT;
    job.verify = true;
    job.n_disks = 2;
    job.disks[1] = job.disks[0];
    (void)str_copy(job.disks[1].target, sizeof(job.disks[1].target), "vdb");
    (void)str_copy(job.disks[1].overlay, UUID_SIZE, OVERLAY);
    (void)str_copy(job.disks[1].dst_sd, UUID_SIZE, WORLD_DST);
    job.disks[1].convert = true;
    job.progress.quiet_write_us = 314;
    job.progress.write_us = 1000;
    struct json_object *object = shape_job(&job);
    harness_check(object, "vm.vmName", "web1");
    harness_check(object, "disk", "vda");
    harness_check(object, "strategy", "snapshot");
    harness_check(object, "verify", "true");
    harness_check(object, "fast", "false");
    harness_check(object, "keepSource", "false");
    harness_check(object, "progress.quietWriteMs", "0.314");
    harness_check(object, "progress.writeMs", "1.000");
    absent(object, "overlay");
    absent(disk_of(object, 0), "format");
    harness_check(disk_of(object, 1), "disk", "vdb");
    harness_check(disk_of(object, 1), "format", "RAW");
    harness_check(disk_of(object, 1), "overlay", OVERLAY);
    /* known before its path is */
    harness_check(disk_of(object, 1), "destination.domainID", WORLD_DST);
    assert_non_null(harness_at(disk_of(object, 1), "destination.path"));
    json_object_put(object);
}

static void outside_there_is_only_a_path(void **state)
{
    struct job job = job_of(JOB_DISK_MIGRATE);
    (void)state;
    job.disks[0].src_sd[0] = '\0';
    (void)str_copy(job.disks[0].dst_sd, UUID_SIZE, WORLD_DST);
    struct json_object *object = shape_job(&job);
    harness_check(object, "source.path", "/src/leaf");
    absent(object, "source.domainID");
    absent(object, "source.imageID");
    harness_check(object, "destination.imageID", WORLD_IMG);
    json_object_put(object);

    job = job_of(JOB_DISK_MIGRATE);
    (void)str_copy(job.disks[0].dst_path, JOB_PATH_SIZE, "nbd://h/x");
    object = shape_job(&job);
    harness_check(object, "destination.path", "nbd://h/x");
    absent(object, "destination.domainID");
    json_object_put(object);
}

static void other_kinds_tell_what_they_were_asked_for(void **state)
{
    (void)state;
    struct job job = job_of(JOB_MERGE);
    with_vm(&job);
    job.delete_top = true;
    (void)str_copy(job.disks[0].overlay, UUID_SIZE, OVERLAY);
    struct json_object *object = shape_job(&job);
    harness_check(object, "base", WORLD_VOL);
    harness_check(object, "top", OVERLAY);
    harness_check(object, "deleteTop", "true");
    harness_check(disk_of(object, 0), "top", OVERLAY);
    absent(disk_of(object, 0), "overlay");
    absent(object, "strategy");
    json_object_put(object);

    job = job_of(JOB_SYNC);
    job.scope = JOB_INTERNAL;
    object = shape_job(&job);
    harness_check(object, "scope", "INTERNAL");
    json_object_put(object);

    job = job_of(JOB_REPLICATE);
    job.finish_requested = job.fast = true;
    object = shape_job(&job);
    harness_check(object, "finishRequested", "true");
    harness_check(object, "fast", "true");
    json_object_put(object);

    job = job_of(JOB_SNAPSHOT);
    (void)str_copy(job.disks[0].overlay, UUID_SIZE, OVERLAY);
    object = shape_job(&job);
    harness_check(object, "quiesce", "false");
    harness_check(disk_of(object, 0), "overlay", OVERLAY);
    json_object_put(object);

    job = job_of(JOB_MOVE);
    job.verify = true;
    object = shape_job(&job);
    harness_check(object, "verify", "true");
    absent(object, "keepSource");
    json_object_put(object);
}

static void what_a_plan_does_not_know_is_null(void **state)
{
    struct migrate_plan *plan = calloc(1, sizeof(*plan));
    (void)state;
    assert_non_null(plan);
    plan->job = job_of(JOB_DISK_MIGRATE);
    with_vm(&plan->job);
    (void)str_copy(plan->job.disks[0].dst_path, JOB_PATH_SIZE, "/dev/x");
    plan->disks[0].required = 7;
    struct json_object *object = shape_plan(plan);
    struct json_object *there = harness_at(object, "destination");
    harness_check(there, "path", "/dev/x");
    harness_check(there, "required", "7");
    absent(there, "domainID");
    assert_true(is_null(there, "free"));
    assert_true(is_null(there, "total"));
    /* of a domain it is always said */
    harness_check(object, "source.free", "0");
    harness_check(object, "source.imageID", WORLD_IMG);
    json_object_put(object);
    plan->disks[0].dst.free_bytes = 5;
    object = shape_plan(plan);
    harness_check(object, "destination.free", "5");
    harness_check(disk_of(object, 0), "destination.free", "5");
    json_object_put(object);
    free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_what_all_have),
        cmocka_unit_test(a_move_tells_how_it_goes),
        cmocka_unit_test(outside_there_is_only_a_path),
        cmocka_unit_test(other_kinds_tell_what_they_were_asked_for),
        cmocka_unit_test(what_a_plan_does_not_know_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
