/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disk.plan and Disk.migrate beyond one disk between two domains: several
 * disks, places outside, strategies.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define VM     "\"vmID\":\"web1\""
#define JOB_ID "\"jobID\":\"" WORLD_JOB "\""
#define BOTH                                                                   \
    VM ",\"disks\":[{\"disk\":\"vda\",\"domain\":\"new\"},{\"disk\":\"vdb\","  \
       "\"domain\":\"new\"}]"
#define SECOND_IMG "44444444-4444-4444-8444-444444444445"

static void add_disk(struct fake_world *world)
{
    world_add_disk(world);
}

static void from_outside(struct fake_world *world)
{
    world_set_outside(world, SRC, false);
}

static void to_outside(struct fake_world *world)
{
    world_set_outside(world, DST, false);
}

static void to_device(struct fake_world *world)
{
    world_set_outside(world, DST, true);
}

static void stop_mirrors(struct fake_world *world)
{
    world->mirror_per_ms = 0;
}

static void run_mirrors(struct fake_world *world)
{
    world->mirror_per_ms = 4;
}

static void reflink(struct fake_world *world)
{
    world->mover = COPY_BY_REFLINK;
}

static void wait_end(struct harness *h, const char *state)
{
    harness_expect(h, "Job.wait", "{" JOB_ID ",\"timeout\":9}", "result.state",
                   state);
}

static struct json_object *item(struct json_object *answer, const char *path,
                                size_t i)
{
    return json_object_array_get_idx(harness_at(answer, path), i);
}

/* The path that the fake has for the first disk on @side. */
static void path_of(struct harness *h, enum side side, char *ret_path,
                    size_t size)
{
    (void)str_copy(ret_path, size,
                   world_volume(&h->world, side, 0, 0)->info.path);
}

static void one_form_or_the_other(void **state)
{
    static const struct {
        const char *params;
        const char *named;
    } wrong[] = {
        {"{" VM "}",                     "disk is missing; Disk.migrate needs it, or disks"},
        { "{" VM ",\"domain\":\"new\"}", "disk is missing"                                 },
        { "{" VM ",\"disk\":\"vda\"}",   "domain is missing"                               },
        { "{" BOTH ",\"disk\":\"vda\"}", "disk: there are disks already"                   },
        { "{" VM ",\"disks\":[{\"disk\":\"vda\",\"domain\":\"new\"},{\"disk\":"
          "\"vdb\"}]}",         "disks[1].domain is missing"                      },
    };
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct json_object *answer =
            harness_call(h, "Disk.migrate", wrong[i].params);
        harness_check(answer, "error.code", "-32602");
        harness_check(answer, "error.data.phase", "params");
        assert_true(*harness_text(answer, "error.data.next"));
        if (!strstr(harness_text(answer, "error.message"), wrong[i].named))
            fail_msg("%s", json_object_to_json_string(answer));
        json_object_put(answer);
    }
    assert_int_equal(migrate_jobs_count(h->jobs), 0);
}

static void a_plan_tells_of_each_disk(void **state)
{
    struct harness *h = *state;
    harness_change(h, add_disk);
    harness_change(h, reflink);
    struct json_object *answer = harness_call(
        h, "Disk.plan",
        "{" VM ",\"domain\":\"new\",\"disks\":[{\"disk\":\"vdb\"},"
        "{\"disk\":\"" WORLD_IMG "\",\"domain\":\"" WORLD_DST "\"}]}");
    harness_check(answer, "result.possible", "true");
    harness_check(answer, "result.strategy", "snapshot");
    assert_non_null(strstr(harness_text(answer, "result.why"), "several"));
    assert_int_equal(
        json_object_array_length(harness_at(answer, "result.disks")), 2);
    /* the first at the top, too */
    harness_check(answer, "result.disk", "vdb");
    harness_check(answer, "result.chain", "2");
    harness_check(answer, "result.source.imageID", SECOND_IMG);
    struct json_object *first = item(answer, "result.disks", 0);
    struct json_object *second = item(answer, "result.disks", 1);
    harness_check(first, "disk", "vdb");
    harness_check(second, "disk", "vda");
    harness_check(second, "source.domainID", WORLD_SRC);
    harness_check(second, "source.imageID", WORLD_IMG);
    harness_check(second, "destination.domainID", WORLD_DST);
    harness_check(second, "mover", "reflink");
    assert_true(json_object_get_int64(harness_at(second, "bytes")) > 0);
    assert_int_equal(json_object_get_int64(harness_at(answer, "result.bytes")),
                     json_object_get_int64(harness_at(first, "bytes")) +
                         json_object_get_int64(harness_at(second, "bytes")));
    json_object_put(answer);
}

static void the_strategy_may_be_chosen(void **state)
{
    struct harness *h = *state;
#define ONE VM ",\"disk\":\"vda\",\"domain\":\"new\""
    struct json_object *answer =
        harness_call(h, "Disk.plan", "{" ONE ",\"strategy\":\"snapshot\"}");
    harness_check(answer, "result.strategy", "snapshot");
    harness_check(answer, "result.why", "asked for");
    json_object_put(answer);
    harness_expect(h, "Disk.plan", "{" ONE ",\"strategy\":null}",
                   "result.strategy", "mirror");
    harness_expect(h, "Disk.plan", "{" ONE ",\"verify\":true}",
                   "result.strategy", "snapshot");
    harness_expect(h, "Disk.plan",
                   "{" ONE ",\"verify\":true,\"strategy\":\"mirror\"}",
                   "result.possible", "false");
    answer = harness_call(h, "Disk.migrate",
                          "{" ONE "," JOB_ID
                          ",\"verify\":true,\"fast\":true,\"keepSource\":"
                          "true}");
    harness_check(answer, "result.strategy", "snapshot");
    harness_check(answer, "result.verify", "true");
    harness_check(answer, "result.fast", "true");
    harness_check(answer, "result.keepSource", "true");
    assert_true(uuid_is_valid(
        harness_text(item(answer, "result.disks", 0), "overlay")));
    json_object_put(answer);
    wait_end(h, "done");
    assert_true(world_image_exists(&h->world, SRC));
    assert_int_equal(world_at(&h->world), DST);
}

static void two_disks_are_one_job(void **state)
{
    struct harness *h = *state;
    harness_change(h, add_disk);
    struct json_object *answer =
        harness_call(h, "Disk.migrate", "{" BOTH "," JOB_ID "}");
    harness_check(answer, "result.strategy", "snapshot");
    harness_check(answer, "result.disk", "vda");
    harness_check(answer, "result.destination.imageID", WORLD_IMG);
    assert_int_equal(
        json_object_array_length(harness_at(answer, "result.disks")), 2);
    struct json_object *second = item(answer, "result.disks", 1);
    harness_check(second, "disk", "vdb");
    harness_check(second, "source.domainID", WORLD_SRC);
    harness_check(second, "source.imageID", SECOND_IMG);
    harness_check(second, "destination.domainID", WORLD_DST);
    json_object_put(answer);
    wait_end(h, "done");
    answer = harness_call(h, "Job.info", "{" JOB_ID "}");
    /* how long writes took, before and during */
    assert_true(json_object_get_double(
                    harness_at(answer, "result.progress.quietWriteMs")) > 0);
    assert_true(json_object_get_double(
                    harness_at(answer, "result.progress.writeMs")) > 0);
    json_object_put(answer);
    assert_int_equal(world_at(&h->world), DST);
    assert_false(world_image_exists(&h->world, SRC));
}

static void the_same_disks_are_the_same_job(void **state)
{
    static const char *const same[] = {
        "{" BOTH "," JOB_ID "}",
        "{" BOTH "," JOB_ID ",\"strategy\":\"snapshot\",\"limit\":9}",
        "{" VM ",\"domain\":\"" WORLD_DST "\",\"disks\":[{\"disk\":"
        "\"" WORLD_IMG "\"},{\"disk\":\"vdb\",\"domain\":\"new\"}]," JOB_ID "}",
    };
    static const char *const other[] = {
        "{" BOTH "," JOB_ID ",\"strategy\":\"mirror\"}",
        "{" BOTH "," JOB_ID ",\"verify\":true}",
        "{" BOTH "," JOB_ID ",\"fast\":true}",
        "{" BOTH "," JOB_ID ",\"keepSource\":true}",
        "{" BOTH "," JOB_ID ",\"format\":\"COW\"}",
        "{" VM ",\"disk\":\"vda\",\"domain\":\"new\"," JOB_ID "}",
        "{" VM ",\"domain\":\"new\",\"disks\":[{\"disk\":\"vdb\"},{\"disk\":"
        "\"vda\"}]," JOB_ID "}",
        "{" VM ",\"domain\":\"new\",\"disks\":[{\"disk\":\"vda\"},{\"disk\":"
        "\"vdb\",\"domain\":\"old\"}]," JOB_ID "}",
        "{" VM ",\"domain\":\"/new\",\"disks\":[{\"disk\":\"vda\"},{\"disk\":"
        "\"vdb\"}]," JOB_ID "}",
    };
    struct harness *h = *state;
    harness_change(h, add_disk);
    harness_change(h, stop_mirrors);
    for (int ended = 0; ended < 2; ended++) {
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
            harness_expect(h, "Disk.migrate", same[i], "result.id", WORLD_JOB);
        for (size_t i = 0; i < ARRAY_SIZE(other); i++)
            harness_expect(h, "Disk.migrate", other[i], "error.code", "69");
        harness_change(h, run_mirrors);
        wait_end(h, "done");
    }
    assert_int_equal(migrate_jobs_count(h->jobs), 1);
}

static void any_of_its_disks_is_busy(void **state)
{
    struct harness *h = *state;
    harness_change(h, add_disk);
    harness_change(h, stop_mirrors);
    harness_expect(h, "Disk.migrate", "{" BOTH "," JOB_ID "}", "result.id",
                   WORLD_JOB);
    struct json_object *answer = harness_call(
        h, "Disk.migrate", "{" VM ",\"disk\":\"vdb\",\"domain\":\"new\"}");
    harness_check(answer, "error.code", "103");
    assert_non_null(strstr(harness_text(answer, "error.message"), WORLD_JOB));
    json_object_put(answer);
    harness_expect(h, "Image.delete",
                   "{\"storagedomainID\":\"" WORLD_SRC
                   "\",\"imageID\":\"" SECOND_IMG "\"}",
                   "error.code", "103");
    harness_expect(h, "Job.cancel", "{" JOB_ID "}", "result.cancelRequested",
                   "true");
    harness_change(h, run_mirrors); /* the overlays go back, too */
    wait_end(h, "cancelled");
    assert_int_equal(world_at(&h->world), SRC);
}

static void an_import_makes_an_image(void **state)
{
    struct harness *h = *state;
    char path[PATH_MAX], params[512];
    harness_change(h, from_outside);
    path_of(h, SRC, path, sizeof(path));

    struct json_object *answer = harness_call(
        h, "Disk.plan", "{" VM ",\"disk\":\"vda\",\"domain\":\"new\"}");
    harness_check(answer, "result.possible", "true");
    harness_check(answer, "result.source.path", path);
    assert_null(harness_at(answer, "result.source.domainID"));
    assert_null(harness_at(answer, "result.destination.imageID"));
    harness_check(answer, "result.destination.domainID", WORLD_DST);
    harness_check(answer, "result.format", "COW");
    json_object_put(answer);

    harness_change(h, stop_mirrors);
    answer =
        harness_call(h, "Disk.migrate",
                     "{" VM ",\"disk\":\"vda\",\"domain\":\"new\"," JOB_ID "}");
    harness_check(answer, "result.strategy", "mirror");
    harness_check(answer, "result.source.path", path);
    assert_null(harness_at(answer, "result.source.domainID"));
    assert_true(
        uuid_is_valid(harness_text(answer, "result.destination.imageID")));
    json_object_put(answer);

    /* by another name of the disk, and with the format it has anyway */
    (void)str_format(params, sizeof(params),
                     "{" VM ",\"disk\":\"%s\",\"domain\":\"" WORLD_DST
                     "\",\"format\":\"COW\"," JOB_ID "}",
                     path);
    harness_expect(h, "Disk.migrate", params, "result.id", WORLD_JOB);
    harness_expect(h, "Disk.migrate",
                   "{" VM ",\"disk\":\"vda\",\"domain\":\"new\",\"format\":"
                   "\"RAW\"," JOB_ID "}",
                   "error.code", "69");
    /* the image is new each time; the disk is not */
    answer = harness_call(h, "Disk.migrate",
                          "{" VM ",\"disk\":\"vda\",\"domain\":\"new\"}");
    harness_check(answer, "error.code", "103");
    assert_non_null(strstr(harness_text(answer, "error.message"), WORLD_JOB));
    json_object_put(answer);
    harness_change(h, run_mirrors);
    wait_end(h, "done");
    assert_int_equal(world_at(&h->world), DST);
    assert_true(world_image_exists(&h->world, SRC)); /* not ours */
}

static void an_export_goes_to_a_path(void **state)
{
    struct harness *h = *state;
    char path[PATH_MAX], params[512];
    harness_change(h, to_outside);
    path_of(h, DST, path, sizeof(path));

    (void)str_format(params, sizeof(params),
                     "{" VM ",\"disk\":\"vda\",\"domain\":\"%s\"," JOB_ID "}",
                     path);
    struct json_object *answer = harness_call(h, "Disk.migrate", params);
    harness_check(answer, "result.destination.path", path);
    assert_null(harness_at(answer, "result.destination.domainID"));
    harness_check(answer, "result.source.domainID", WORLD_SRC);
    harness_check(answer, "result.format", "COW"); /* the leaf's */
    json_object_put(answer);
    wait_end(h, "done");
    assert_int_equal(world_at(&h->world), DST);
    /* the same request again: its end; to another place: another one */
    harness_expect(h, "Disk.migrate", params, "result.state", "done");
    harness_expect(h, "Disk.migrate",
                   "{" VM ",\"disk\":\"vda\",\"domain\":\"/elsewhere\"," JOB_ID
                   "}",
                   "error.code", "69");
    harness_expect(h, "Disk.migrate",
                   "{" VM ",\"disk\":\"vda\",\"domain\":\"old\"," JOB_ID "}",
                   "error.code", "69");
}

static void what_speaks_against_an_export_is_said(void **state)
{
    struct harness *h = *state;
    char path[PATH_MAX], params[512];
    harness_change(h, add_disk);
    harness_change(h, to_device);
    path_of(h, DST, path, sizeof(path));
    (void)str_format(params, sizeof(params),
                     "{" VM ",\"domain\":\"%s\",\"verify\":true,\"disks\":["
                     "{\"disk\":\"vda\"},{\"disk\":\"vdb\"}]}",
                     path);
    struct json_object *answer = harness_call(h, "Disk.migrate", params);
    harness_check(answer, "error.code", "102");
    harness_check(answer, "error.data.phase", "plan");
    assert_true(json_object_array_length(
                    harness_at(answer, "error.data.obstacles")) >= 2);
    json_object_put(answer);
    assert_int_equal(migrate_jobs_count(h->jobs), 0);
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_form_or_the_other),
        TEST(a_plan_tells_of_each_disk),
        TEST(the_strategy_may_be_chosen),
        TEST(two_disks_are_one_job),
        TEST(the_same_disks_are_the_same_job),
        TEST(any_of_its_disks_is_busy),
        TEST(an_import_makes_an_image),
        TEST(an_export_goes_to_a_path),
        TEST(what_speaks_against_an_export_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
