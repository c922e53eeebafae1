/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verbs of an engine that moves a disk itself, through the socket, with
 * real jobs on the fake world: in order, repeated, and in wrong order.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define LEAF    "55555555-5555-4555-8555-555555555551"
#define OVERLAY "55555555-5555-4555-8555-55555555555f"
#define OTHER   "77777777-7777-4777-8777-777777777777"

#define TEXT(key, value) "\"" key "\":\"" value "\""
#define DRIVE(key, sd, vol)                                                    \
    "\"" key                                                                   \
    "\":{" TEXT("device", "disk") "," TEXT("poolID", UUID_BLANK) "," TEXT(     \
        "domainID", sd) "," TEXT("imageID", WORLD_IMG) "," TEXT("volumeID",    \
                                                                vol) "}"
#define VM       TEXT("vmID", WORLD_VM)
#define SRC_DISK DRIVE("srcDisk", WORLD_SRC, LEAF)
#define DST_DISK DRIVE("dstDisk", WORLD_DST, LEAF)
#define REPLICA  "{" VM "," SRC_DISK "," DST_DISK "}"
#define ABORT    "{" VM "," SRC_DISK "," DRIVE("dstDisk", WORLD_SRC, LEAF) "}"
#define IMAGE                                                                  \
    TEXT("imageID", WORLD_IMG)                                                 \
    "," TEXT("storagedomainID", WORLD_SRC) "," TEXT("dstSdUUID", WORLD_DST)
#define JOB(id) "," TEXT("jobID", id)

static int setup(void **state)
{
    struct harness *h = harness_new();
    api_set_ready(h->api, h->jobs);
    harness_tick(h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct harness *h = *state;
    bool broken = h->world.violation[0];
    if (broken)
        print_error("%s\n", h->world.violation);
    harness_free(h);
    return broken;
}

/* --- helpers ----------------------------------------------------------- */

static void gives_true(struct harness *h, const char *method,
                       const char *params)
{
    struct json_object *answer = harness_call(h, method, params);
    if (!json_object_get_boolean(harness_at(answer, "result")))
        fail_msg("%s: %s", method, json_object_to_json_string(answer));
    json_object_put(answer);
}

static void gives_code(struct harness *h, const char *method,
                       const char *params, int code, const char *text)
{
    struct json_object *answer = harness_call(h, method, params);
    const char *message = harness_text(answer, "error.message");
    if (json_object_get_int(harness_at(answer, "error.code")) != code ||
        !strstr(message, text))
        fail_msg("%s: %s", method, json_object_to_json_string(answer));
    json_object_put(answer);
}

static void job_ends(struct harness *h, const char *id, const char *state)
{
    char params[128];
    (void)str_format(params, sizeof(params), "{\"jobID\":\"%s\",\"timeout\":9}",
                     id);
    struct json_object *answer = harness_call(h, "Job.wait", params);
    if (!str_equal(harness_text(answer, "result.state"), state))
        fail_msg("not %s: %s", state, json_object_to_json_string(answer));
    json_object_put(answer);
}

static void run_job(struct harness *h, const char *method, const char *params)
{
    struct json_object *answer = harness_call(h, method, params);
    const char *id = harness_text(answer, "result");
    if (!uuid_is_valid(id))
        fail_msg("%s: %s", method, json_object_to_json_string(answer));
    job_ends(h, id, "done");
    json_object_put(answer);
}

static void clone(struct harness *h)
{
    run_job(h, "Image.cloneStructure", "{" IMAGE "}");
}

static void fill(struct harness *h)
{
    run_job(h, "Image.syncData",
            "{" IMAGE "," TEXT("syncType", "INTERNAL") "}");
}

static void stop_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 0;
}

static void run_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 4;
}

static void start(struct harness *h)
{
    gives_true(h, "VM.diskReplicateStart", REPLICA);
}

/* As an engine does: asks until it is not 40 any more. */
static int finish(struct harness *h, const char *params)
{
    int code = ERR_NOT_READY;
    for (int i = 0; code == ERR_NOT_READY && i < 500; i++) {
        code = harness_code(h, "VM.diskReplicateFinish", params);
        harness_run_for(h, 5);
    }
    return code;
}

static void fail_pivots(struct fake_world *world)
{
    world->pivot_fails = true;
}

static void fail_starts(struct fake_world *world)
{
    world->start_fails = true;
}

static void make_transient(struct fake_world *world)
{
    world->disk.transient = true;
}

static void make_lasting(struct fake_world *world)
{
    world->disk.transient = false;
}

/* What the world is like, looked at where it lives. */
static struct {
    enum side at;
    bool on_src, on_dst;
    enum volume_legality leaf_there, written;
    enum vm_job_kind job;
    char top[UUID_SIZE];
} seen;

static void look(struct fake_world *world)
{
    const struct fake_volume *top = world->disks[0].chain[0];

    seen.at = world_at(world);
    seen.on_src = world_image_exists(world, SRC);
    seen.on_dst = world_image_exists(world, DST);
    seen.leaf_there = world_volume(world, DST, 0, 1)->info.legality;
    seen.written = top->info.legality;
    seen.job = world->disks[0].job.kind;
    memcpy(seen.top, top->info.id.vol, UUID_SIZE);
}

static void add_overlay(struct fake_world *world)
{
    struct fake_volume *volume = world_make(world, SRC, 0, OVERLAY, LEAF);
    volume->info.legality = VOLUME_LEGAL;
    volume->info.role = VOLUME_LEAF;
    volume->info.format = VOLUME_COW;
    volume->info.capacity = world_volume(world, SRC, 0, 1)->info.capacity;
}

/* --- the flow ---------------------------------------------------------- */

static void disk_moves_step_by_step(void **state)
{
    struct harness *h = *state;
    clone(h);
    fill(h);
    start(h);
    assert_int_equal(finish(h, REPLICA), 0);
    harness_change(h, look);
    assert_int_equal(seen.at, DST);
    assert_int_equal(seen.leaf_there, VOLUME_LEGAL);
    assert_true(seen.on_src); /* the engine deletes it */
    gives_true(h, "VM.diskReplicateFinish", REPLICA); /* the answer got lost */
    gives_code(h, "VM.diskReplicateFinish", ABORT, ERR_NO_DISK, LEAF);
}

static void replica_is_found_again(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    clone(h);
    fill(h);
    start(h);
    start(h);
    gives_true(h, "VM.diskReplicateStart",
               "{" VM "," SRC_DISK "," DST_DISK JOB(WORLD_JOB) "}");
    assert_int_equal(migrate_jobs_count(h->jobs), 3); /* clone, fill, this */
    gives_code(h, "VM.diskReplicateStart",
               "{" VM "," SRC_DISK "," DRIVE("dstDisk", OTHER, LEAF) "}",
               ERR_REPLICA, WORLD_DST);
}

/* An engine that sent it twice, or two that know of each other: one replica. */
static void replica_is_started_once(void **state)
{
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
                                  "\"VM.diskReplicateStart\","
                                  "\"params\":" REPLICA "}\n";
    struct harness *h = *state;
    int fds[3];

    harness_change(h, stop_mirror);
    clone(h);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = harness_connect(h);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        harness_send(h, fds[i], request);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        h->len = 0;
        struct json_object *answer = harness_next(h, fds[i], 5000);
        assert_true(json_object_get_boolean(harness_at(answer, "result")));
        json_object_put(answer);
        close(fds[i]);
    }
    assert_int_equal(migrate_jobs_count(h->jobs), 2); /* clone, this */
}

static void finish_is_refused_until_all_is_there(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    clone(h);
    start(h);
    gives_code(h, "VM.diskReplicateFinish", REPLICA, ERR_NOT_READY,
               "not converged");
    gives_code(h, "VM.diskReplicateFinish",
               "{" VM "," SRC_DISK "," DRIVE("dstDisk", OTHER, LEAF) "}",
               ERR_REPLICA, "nothing was changed");
    harness_change(h, run_mirror);
    assert_int_equal(finish(h, REPLICA), ERR_VOLUME_ILLEGAL);
    harness_change(h, look);
    assert_int_equal(seen.at, SRC);
    assert_int_equal(finish(h, REPLICA), ERR_VOLUME_ILLEGAL);
    gives_true(h, "VM.diskReplicateFinish", ABORT);
    harness_change(h, look);
    assert_int_equal(seen.job, VM_JOB_NONE);
}

static void replica_can_always_be_aborted(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    clone(h);
    start(h);
    gives_true(h, "VM.diskReplicateFinish", ABORT);
    harness_change(h, look);
    assert_int_equal(seen.job, VM_JOB_NONE);
    assert_true(seen.on_dst); /* the engine's to delete */
    gives_true(h, "VM.diskReplicateFinish", ABORT);
    gives_code(h, "VM.diskReplicateFinish", REPLICA, ERR_NO_REPLICATION, "vda");
    start(h); /* and again */
    gives_true(h, "VM.diskReplicateFinish", ABORT);
}

static void failing_pivot_says_so(void **state)
{
    struct harness *h = *state;
    clone(h);
    fill(h);
    start(h);
    harness_change(h, fail_pivots);
    assert_int_equal(finish(h, REPLICA), ERR_CHANGE_DISK);
    harness_change(h, look);
    assert_int_equal(seen.at, SRC);
    gives_code(h, "VM.diskReplicateFinish", REPLICA, ERR_NO_REPLICATION, "vda");
}

static void finish_without_a_replica(void **state)
{
    struct harness *h = *state;
    gives_code(h, "VM.diskReplicateFinish", REPLICA, ERR_NO_REPLICATION, "vda");
    gives_code(h, "VM.diskReplicateFinish", ABORT, ERR_NO_REPLICATION, "vda");
    gives_code(h, "VM.diskReplicateFinish",
               "{" TEXT("vmID", OTHER) "," SRC_DISK "," DST_DISK "}", ERR_NO_VM,
               "");
    gives_code(h, "VM.diskReplicateFinish",
               "{" VM "," DRIVE("srcDisk", WORLD_SRC, OTHER) "," DST_DISK "}",
               ERR_NO_DISK, OTHER);
}

static void start_of_what_is_not_there(void **state)
{
    struct harness *h = *state;
    gives_code(h, "VM.diskReplicateStart", REPLICA, ERR_REPLICA, "no image");
    gives_code(h, "VM.diskReplicateStart",
               "{" TEXT("vmID", OTHER) "," SRC_DISK "," DST_DISK "}", ERR_NO_VM,
               "");
    gives_code(h, "VM.diskReplicateStart",
               "{" VM "," DRIVE("srcDisk", WORLD_DST, LEAF) "," DST_DISK "}",
               ERR_NO_DISK, WORLD_DST);
    harness_change(h, make_transient);
    gives_code(h, "VM.diskReplicateStart", REPLICA, ERR_TRANSIENT, "vda");
    harness_change(h, make_lasting);
    clone(h);
    harness_change(h, fail_starts);
    gives_code(h, "VM.diskReplicateStart", REPLICA, ERR_REPLICA, "ended");
}

/* --- images ------------------------------------------------------------ */

static void image_verbs_are_repeatable(void **state)
{
    struct harness *h = *state;
    run_job(h, "Image.cloneStructure", "{" IMAGE JOB(WORLD_JOB) "}");
    run_job(h, "Image.cloneStructure", "{" IMAGE JOB(WORLD_JOB) "}");
    gives_code(h, "Image.cloneStructure", "{" IMAGE JOB(OTHER) "}",
               ERR_DESTINATION_IMAGE, "already");
    gives_code(h, "Image.syncData",
               "{" IMAGE "," TEXT("syncType", "INTERNAL") JOB(WORLD_JOB) "}",
               ERR_JOB_EXISTS, WORLD_JOB);
    fill(h);
    fill(h); /* a new job copies again */
}

static void image_verbs_refuse(void **state)
{
    struct harness *h = *state;
    gives_code(h, "Image.syncData", "{" IMAGE "," TEXT("syncType", "SOME") "}",
               ERR_NOT_IMPLEMENTED, "SOME");
    gives_code(h, "Image.syncData", "{" IMAGE "," TEXT("syncType", "ALL") "}",
               ERR_DESTINATION_IMAGE, "");
    gives_code(h, "Image.copy", "{" IMAGE "}", ERR_SOURCE_IMAGE, "web1");
    gives_code(h, "Image.move", "{" IMAGE ",\"operation\":2}", ERR_SOURCE_IMAGE,
               "web1");
    gives_code(h, "Image.move", "{" IMAGE ",\"operation\":2,\"postZero\":true}",
               ERR_UNSUPPORTED_STORAGE, "zero");
    gives_code(h, "Image.move", "{" IMAGE ",\"operation\":3}", ERR_PARAMS,
               "operation");
}

/* The mirror writes to the leaf; what is below it may be filled. */
static void leaf_of_a_replica_is_not_synced(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    clone(h);
    start(h);
    gives_code(h, "Image.syncData", "{" IMAGE "," TEXT("syncType", "LEAF") "}",
               ERR_SOURCE_IMAGE, "web1");
    gives_code(h, "Image.cloneStructure", "{" IMAGE "}", ERR_DESTINATION_IMAGE,
               "already");
    gives_code(h, "Image.delete",
               "{" TEXT("imageID", WORLD_IMG) "," TEXT("storagedomainID",
                                                       WORLD_DST) "}",
               ERR_DISK_BUSY, "job");
    gives_true(h, "VM.diskReplicateFinish", ABORT);
}

/* --- snapshot and merge ------------------------------------------------ */

#define SNAPSHOT_OF(base, vol, more)                                           \
    "{" VM ",\"snapDrives\":[{" TEXT("baseVolumeID", base) "," TEXT(           \
        "imageID", WORLD_IMG) "," TEXT("domainID",                             \
                                       WORLD_SRC) "," TEXT("volumeID",         \
                                                           vol) "}]" more "}"
#define MERGE_OF(base, top, more)                                              \
    "{" VM "," DRIVE("drive", WORLD_SRC, OVERLAY) "," TEXT(                    \
        "baseVolUUID", base) "," TEXT("topVolUUID", top) more "}"

static void take_snapshot(struct harness *h)
{
    harness_change(h, add_overlay);
    gives_true(h, "VM.snapshot",
               SNAPSHOT_OF(LEAF, OVERLAY, "," TEXT("jobUUID", WORLD_JOB)));
    job_ends(h, WORLD_JOB, "done");
}

static void snapshot_and_merge(void **state)
{
    struct harness *h = *state;
    take_snapshot(h);
    harness_change(h, look);
    assert_string_equal(seen.top, OVERLAY);
    gives_true(h, "VM.snapshot", SNAPSHOT_OF(LEAF, OVERLAY, "")); /* done */
    struct json_object *answer =
        harness_call(h, "Host.getJobs", "[\"virt\",[\"" WORLD_JOB "\"]]");
    assert_string_equal(harness_text(answer, "result." WORLD_JOB ".status"),
                        "done");
    json_object_put(answer);
    answer =
        harness_call(h, "Host.getJobs", "[\"storage\",[\"" WORLD_JOB "\"]]");
    assert_null(harness_at(answer, "result." WORLD_JOB));
    json_object_put(answer);
    gives_true(h, "VM.merge",
               MERGE_OF(LEAF, OVERLAY, "," TEXT("jobUUID", OTHER)));
    job_ends(h, OTHER, "done");
    harness_change(h, look);
    assert_string_equal(seen.top, LEAF);
    assert_int_equal(seen.written, VOLUME_LEGAL);
    gives_true(h, "VM.merge", /* the answer got lost */
               MERGE_OF(LEAF, OVERLAY, "," TEXT("jobUUID", OTHER)));
    gives_code(h, "VM.merge", MERGE_OF(LEAF, OVERLAY, ""), ERR_NO_DISK,
               OVERLAY);
}

/* VDSM's "frozen": they are already, so nobody asks the guest's agent. */
static void snapshot_freezes_what_is_not_frozen(void **state)
{
    struct harness *h = *state;
    struct err err = ERR_INIT;
    const struct job *job = NULL;

    take_snapshot(h);
    assert_int_equal(migrate_jobs_get(h->jobs, WORLD_JOB, &job, &err), 0);
    assert_true(job->quiesce);
    gives_true(
        h, "VM.snapshot",
        SNAPSHOT_OF(LEAF, OVERLAY, ",\"frozen\":true," TEXT("jobUUID", OTHER)));
    assert_int_equal(migrate_jobs_get(h->jobs, OTHER, &job, &err), 0);
    assert_false(job->quiesce);
}

static void snapshot_refuses(void **state)
{
    struct harness *h = *state;
    gives_code(h, "VM.snapshot", SNAPSHOT_OF(LEAF, OVERLAY, ""), ERR_SNAPSHOT,
               OVERLAY);
    gives_code(h, "VM.snapshot", SNAPSHOT_OF(OTHER, OVERLAY, ""), ERR_SNAPSHOT,
               OTHER);
    gives_code(h, "VM.snapshot", SNAPSHOT_OF(LEAF, OVERLAY, ",\"timeout\":0"),
               ERR_PARAMETER, "timeout");
    gives_code(h, "VM.snapshot", SNAPSHOT_OF(LEAF, OVERLAY, ",\"timeout\":-3"),
               ERR_PARAMETER, "timeout");
    gives_code(h, "VM.snapshot",
               SNAPSHOT_OF(LEAF, OVERLAY, ",\"freeze_timeout\":0"),
               ERR_PARAMETER, "freeze_timeout");
    gives_code(h, "VM.snapshot",
               SNAPSHOT_OF(LEAF, OVERLAY, "," TEXT("snapMemory", "x,y")),
               ERR_UNSUPPORTED_STORAGE, "memory");
    gives_code(h, "VM.snapshot", "{" VM ",\"snapDrives\":[]}", ERR_PARAMS,
               "snapDrives");
}

static void merge_refuses(void **state)
{
    struct harness *h = *state;
    gives_code(h, "VM.merge", MERGE_OF(LEAF, OVERLAY, ""), ERR_NO_DISK,
               OVERLAY);
    take_snapshot(h);
    gives_code(h, "VM.merge", MERGE_OF(OTHER, OVERLAY, ""), ERR_MERGE, OTHER);
    gives_code(h, "VM.merge", MERGE_OF(WORLD_VOL, OVERLAY, ""), ERR_MERGE,
               "not right above");
    gives_code(h, "VM.merge",
               MERGE_OF(LEAF, OVERLAY, "," TEXT("jobUUID", WORLD_JOB)),
               ERR_JOB_EXISTS, WORLD_JOB);
}

static void disk_is_refreshed(void **state)
{
    struct harness *h = *state;
    static const char *const names[] = { "VM.refreshDisk", "VM.refresh_disk" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct json_object *answer = harness_call(
            h, names[i], "{" VM "," DRIVE("drive", WORLD_SRC, LEAF) "}");
        assert_int_equal(
            json_object_get_type(harness_at(answer, "result.truesize")),
            json_type_string);
        assert_int_equal(
            json_object_get_type(harness_at(answer, "result.apparentsize")),
            json_type_string);
        json_object_put(answer);
    }
    gives_code(h, names[0], "{" VM "," DRIVE("drive", WORLD_DST, LEAF) "}",
               ERR_DISK_REFRESH, WORLD_DST);
    gives_code(h, names[0],
               "{" TEXT("vmID", OTHER) "," DRIVE("drive", WORLD_SRC, LEAF) "}",
               ERR_NO_VM, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(disk_moves_step_by_step),
        TEST(replica_is_found_again),
        TEST(replica_is_started_once),
        TEST(finish_is_refused_until_all_is_there),
        TEST(replica_can_always_be_aborted),
        TEST(failing_pivot_says_so),
        TEST(finish_without_a_replica),
        TEST(start_of_what_is_not_there),
        TEST(image_verbs_are_repeatable),
        TEST(image_verbs_refuse),
        TEST(leaf_of_a_replica_is_not_synced),
        TEST(snapshot_and_merge),
        TEST(snapshot_freezes_what_is_not_frozen),
        TEST(snapshot_refuses),
        TEST(merge_refuses),
        TEST(disk_is_refreshed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
