/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Disk.*, Job.*, Host.*Jobs and events, with real jobs on the fake world.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define MOVE   "\"vmID\":\"web1\",\"disk\":\"vda\",\"domain\":\"new\""
#define JOB_ID "\"jobID\":\"" WORLD_JOB "\""
#define IMAGE                                                                  \
    "\"storagedomainID\":\"" WORLD_SRC "\",\"imageID\":\"" WORLD_IMG "\""

static void stop_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 0;
}

static void run_mirror(struct fake_world *world)
{
    world->mirror_per_ms = 4;
}

/* Starts the move; it cannot end by itself. */
static void start_slowly(struct harness *h)
{
    harness_change(h, stop_mirror);
    harness_expect(h, "Disk.migrate", "{" MOVE "," JOB_ID "}", "result.id",
                   WORLD_JOB);
}

static void let_it_run(struct harness *h)
{
    harness_change(h, run_mirror);
}

static void wait_end(struct harness *h, const char *state)
{
    harness_expect(h, "Job.wait", "{" JOB_ID ",\"timeout\":9}", "result.state",
                   state);
}

static void plan_says_what_it_would_take(void **state)
{
    struct json_object *answer =
        harness_call(*state, "Disk.plan", "{" MOVE "}");
    harness_check(answer, "result.possible", "true");
    harness_check(answer, "result.strategy", "mirror");
    harness_check(answer, "result.chain", "2");
    harness_check(answer, "result.vm.vmName", "web1");
    harness_check(answer, "result.source.domainID", WORLD_SRC);
    harness_check(answer, "result.destination.domainID", WORLD_DST);
    assert_true(json_object_get_int64(harness_at(answer, "result.bytes")) > 0);
    assert_true(json_object_get_int64(
                    harness_at(answer, "result.destination.required")) > 0);
    assert_int_equal(
        json_object_array_length(harness_at(answer, "result.obstacles")), 0);
    json_object_put(answer);
}

static void protect_destination(struct fake_world *world)
{
    world->domains[DST].read_only = true;
}

static void protect_disk(struct fake_world *world)
{
    world->disk.read_only = true;
}

static void plan_lists_all_obstacles(void **state)
{
    struct harness *h = *state;
    harness_change(h, protect_destination);
    harness_change(h, protect_disk);
    struct json_object *answer = harness_call(h, "Disk.plan", "{" MOVE "}");
    struct json_object *list = harness_at(answer, "result.obstacles");
    harness_check(answer, "result.possible", "false");
    assert_int_equal(json_object_array_length(list), 2);
    for (size_t i = 0; i < 2; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        assert_true(*harness_text(item, "code"));
        assert_true(*harness_text(item, "message"));
        assert_true(*harness_text(item, "cause"));
    }
    json_object_put(answer);
}

static void migrate_refuses_with_the_obstacles(void **state)
{
    struct harness *h = *state;
    harness_change(h, protect_destination);
    struct json_object *answer = harness_call(h, "Disk.migrate", "{" MOVE "}");
    /* one obstacle: its own code */
    harness_check(answer, "error.code", "380");
    harness_check(answer, "error.data.phase", "plan");
    assert_int_equal(
        json_object_array_length(harness_at(answer, "error.data.obstacles")),
        1);
    json_object_put(answer);

    harness_change(h, protect_disk);
    answer = harness_call(h, "Disk.migrate", "{" MOVE "}");
    harness_check(answer, "error.code", "102");
    harness_check(answer, "error.data.cause", "Obstacles");
    assert_int_equal(
        json_object_array_length(harness_at(answer, "error.data.obstacles")),
        2);
    json_object_put(answer);
    assert_int_equal(migrate_jobs_count(h->jobs), 0);
    assert_false(world_image_exists(&h->world, DST));
}

static void unknown_things_have_their_codes(void **state)
{
    struct harness *h = *state;
    assert_int_equal(
        harness_code(h, "Disk.plan", "[\"nosuch\",\"vda\",\"new\"]"),
        ERR_NO_VM);
    assert_int_equal(harness_code(h, "Disk.plan", "[\"web1\",\"vdz\",\"new\"]"),
                     ERR_NO_DISK);
    assert_int_equal(
        harness_code(h, "Disk.plan", "[\"web1\",\"vda\",\"nosuch\"]"),
        ERR_NO_DOMAIN);
    assert_int_equal(harness_code(h, "VM.getDisks", "[\"nosuch\"]"), ERR_NO_VM);
    static const char *const methods[] = { "Job.info", "Job.wait",
                                           "Job.cancel" };
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        assert_int_equal(harness_code(h, methods[i], "{" JOB_ID "}"),
                         ERR_NO_JOB);
    assert_int_equal(harness_code(h, "Job.limit", "{" JOB_ID ",\"limit\":1}"),
                     ERR_NO_JOB);
}

static void disks_know_their_place(void **state)
{
    struct json_object *answer =
        harness_call(*state, "VM.getDisks", "[\"web1\"]");
    struct json_object *disk =
        json_object_array_get_idx(harness_at(answer, "result"), 0);
    harness_check(disk, "name", "vda");
    harness_check(disk, "format", "qcow2");
    harness_check(disk, "domainID", WORLD_SRC);
    harness_check(disk, "imageID", WORLD_IMG);
    harness_check(disk, "chain", "2");
    assert_null(harness_at(disk, "mirror"));
    json_object_put(answer);
}

static void a_move_goes_from_start_to_end(void **state)
{
    struct harness *h = *state;
    struct json_object *answer =
        harness_call(h, "Disk.migrate", "{" MOVE "," JOB_ID ",\"limit\":7}");
    harness_check(answer, "result.id", WORLD_JOB);
    harness_check(answer, "result.kind", "disk_migrate");
    harness_check(answer, "result.vm.vmId", WORLD_VM);
    harness_check(answer, "result.disk", "vda");
    harness_check(answer, "result.limit", "7");
    harness_check(answer, "result.source.imageID", WORLD_IMG);
    harness_check(answer, "result.destination.domainID", WORLD_DST);
    json_object_put(answer);
    harness_expect(h, "Job.limit", "{" JOB_ID ",\"limit\":0}", "result.id",
                   WORLD_JOB);

    answer = harness_call(h, "Job.wait", "{" JOB_ID ",\"timeout\":9}");
    harness_check(answer, "result.state", "done");
    harness_check(answer, "result.status", "done");
    harness_check(answer, "result.progress.percent", "100");
    assert_true(json_object_get_double(
                    harness_at(answer, "result.progress.pauseMs")) > 0);
    assert_true(*harness_text(answer, "result.ended"));
    assert_null(harness_at(answer, "result.error"));
    json_object_put(answer);
    assert_int_equal(world_at(&h->world), DST);
    assert_false(world_image_exists(&h->world, SRC));
    assert_int_equal(harness_code(h, "Job.cancel", "{" JOB_ID "}"),
                     ERR_JOB_NOT_ACTIVE);
}

static void the_same_request_is_the_same_job(void **state)
{
    static const char *const same[] = {
        "{" MOVE "," JOB_ID "}",
        "{\"vmID\":\"" WORLD_VM "\",\"disk\":\"" WORLD_IMG
        "\",\"domain\":\"" WORLD_DST "\"," JOB_ID "}",
        "{" MOVE "," JOB_ID ",\"limit\":5,\"keepSource\":false}",
    };
    static const char *const other[] = {
        "{" MOVE "," JOB_ID ",\"keepSource\":true}",
        "{" MOVE "," JOB_ID ",\"format\":\"RAW\"}",
        "{\"vmID\":\"web1\",\"disk\":\"vda\",\"domain\":\"old\"," JOB_ID "}",
        "{\"vmID\":\"web2\",\"disk\":\"vda\",\"domain\":\"new\"," JOB_ID "}",
        "{\"vmID\":\"web1\",\"disk\":\"vdb\",\"domain\":\"new\"," JOB_ID "}",
    };
    struct harness *h = *state;
    start_slowly(h);
    for (int ended = 0; ended < 2; ended++) {
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
            harness_expect(h, "Disk.migrate", same[i], "result.id", WORLD_JOB);
        for (size_t i = 0; i < ARRAY_SIZE(other); i++)
            assert_int_equal(harness_code(h, "Disk.migrate", other[i]),
                             ERR_JOB_EXISTS);
        let_it_run(h);
        wait_end(h, "done");
    }
    assert_int_equal(migrate_jobs_count(h->jobs), 1);
}

static void the_same_request_twice_at_once_is_one_job(void **state)
{
    struct harness *h = *state;
    harness_change(h, stop_mirror);
    harness_send(h, h->fd,
                 "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Disk.migrate\","
                 "\"params\":{" MOVE "," JOB_ID "}},"
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"Disk.migrate\","
                 "\"params\":{" MOVE "," JOB_ID "}}]");
    struct json_object *answer = harness_next(h, h->fd, 5000);
    assert_int_equal(json_object_array_length(answer), 2);
    for (size_t i = 0; i < 2; i++)
        harness_check(json_object_array_get_idx(answer, i), "result.id",
                      WORLD_JOB);
    json_object_put(answer);
    assert_int_equal(migrate_jobs_count(h->jobs), 1);
    let_it_run(h);
    wait_end(h, "done");
}

static void a_second_job_on_the_disk_is_refused(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_run_for(h, 50);
    int code = harness_code(h, "Disk.migrate", "{" MOVE "}");
    assert_true(code == ERR_DISK_BUSY || code == ERR_OBSTACLES);
    let_it_run(h);
    wait_end(h, "done");
}

static void structure_under_a_job_is_left_alone(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    struct json_object *answer = harness_call(h, "Image.delete", "{" IMAGE "}");
    harness_check(answer, "error.code", "103");
    assert_non_null(strstr(harness_text(answer, "error.message"), WORLD_JOB));
    json_object_put(answer);
    assert_int_equal(harness_code(h, "Volume.delete",
                                  "{" IMAGE ",\"volumeID\":\"" WORLD_VOL "\"}"),
                     ERR_DISK_BUSY);
    assert_int_equal(harness_code(h, "Volume.create",
                                  "{" IMAGE ",\"volumeID\":\"" WORLD_VOL
                                  "\",\"size\":4096,\"volFormat\":\"COW\","
                                  "\"preallocate\":\"SPARSE\"}"),
                     ERR_DISK_BUSY);
    assert_int_equal(
        harness_code(h, "StorageDomain.leave", "[\"" WORLD_SRC "\"]"),
        ERR_RELEASE_HOST_ID);
    assert_int_equal(
        harness_code(h, "StorageDomain.leave", "[\"" WORLD_DST "\"]"),
        ERR_RELEASE_HOST_ID);
    let_it_run(h);
    wait_end(h, "done");
}

static void forget_vm(struct fake_world *world)
{
    world->forgotten = true;
}

static void remember_vm(struct fake_world *world)
{
    world->forgotten = false;
}

/* One that libvirt lost in a pivot runs on either. */
static void what_a_lost_vm_may_run_on_is_left_alone(void **state)
{
    static const char on_dst[] =
        "{\"storagedomainID\":\"" WORLD_DST "\",\"imageID\":\"" WORLD_IMG "\"";
    char image[256], volume[256], legality[256];
    struct harness *h = *state;
    struct err err = ERR_INIT;
    struct job job = world_job(&h->world);
    (void)str_format(image, sizeof(image), "%s}", on_dst);
    (void)str_format(volume, sizeof(volume),
                     "%s,\"volumeID\":\"" WORLD_VOL "\"}", on_dst);
    (void)str_format(
        legality, sizeof(legality),
        "%s,\"volumeID\":\"" WORLD_VOL "\",\"legality\":\"LEGAL\"}", on_dst);
    job.state = JOB_FAILED;
    job.ended_ms = INT64_MAX;
    job.disks[0].in_doubt = true;
    assert_int_equal(migrate_jobs_adopt(h->jobs, &job, 1, &err), 0);
    harness_change(h, forget_vm);
    struct json_object *answer = harness_call(h, "Image.delete", image);
    harness_check(answer, "error.code", "203");
    assert_non_null(strstr(harness_text(answer, "error.message"), "web1"));
    assert_non_null(strstr(harness_text(answer, "error.data.next"), WORLD_JOB));
    json_object_put(answer);
    assert_int_equal(harness_code(h, "Volume.delete", volume), ERR_VOLUME_BUSY);
    assert_int_equal(harness_code(h, "Volume.setLegality", legality),
                     ERR_VOLUME_BUSY);
    /* Seen again it has a disk for sure; and a person may know better. */
    harness_change(h, remember_vm);
    assert_int_equal(harness_code(h, "Volume.setLegality", legality),
                     ERR_NO_VOLUME);
    harness_change(h, forget_vm);
    assert_int_equal(harness_code(h, "Volume.setLegality", legality),
                     ERR_VOLUME_BUSY);
    harness_expect(h, "Host.deleteJobs", "[[\"" WORLD_JOB "\"]]",
                   "result." WORLD_JOB ".ok", "true");
    assert_int_equal(harness_code(h, "Volume.setLegality", legality),
                     ERR_NO_VOLUME);
    harness_change(h, remember_vm);
}

static void cancel_brings_it_back(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_expect(h, "Job.cancel", "{" JOB_ID "}", "result.id", WORLD_JOB);
    wait_end(h, "cancelled");
    assert_int_equal(world_at(&h->world), SRC);
    assert_false(world_image_exists(&h->world, DST));
}

static void jobs_in_vdsms_words(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    const char *key = "result." WORLD_JOB ".status";
    struct json_object *answer = harness_call(h, "Host.getJobs", "[]");
    assert_true(*harness_text(answer, key));
    harness_check(answer, "result." WORLD_JOB ".job_type", "storage");
    harness_check(answer, "result." WORLD_JOB ".description", "disk_migrate");
    json_object_put(answer);
    harness_expect(h, "Host.getJobs", "[\"v2v\"]", "result", "{ }");
    harness_expect(h, "Host.getJobs", "[null,[\"" WORLD_VM "\"]]", "result",
                   "{ }");
    harness_expect(h, "Host.getJobs", "[\"storage\",[\"" WORLD_JOB "\"]]",
                   "result." WORLD_JOB ".id", WORLD_JOB);
    harness_expect(h, "Host.deleteJobs", "[[\"" WORLD_JOB "\"]]",
                   "result." WORLD_JOB ".error.code", "68");
    answer = harness_call(h, "Host.abortJobs",
                          "[[\"" WORLD_JOB "\",\"" WORLD_VM "\"]]");
    harness_check(answer, "result." WORLD_JOB ".ok", "true");
    harness_check(answer, "result." WORLD_VM ".error.code", "66");
    json_object_put(answer);
    wait_end(h, "cancelled");
    harness_expect(h, "Host.getJobs", "[]", key, "aborted");
    harness_expect(h, "Host.deleteJobs", "[[\"" WORLD_JOB "\"]]",
                   "result." WORLD_JOB ".ok", "true");
    harness_expect(h, "Job.list", "[]", "result", "[ ]");
}

static void wait_gives_up_after_its_timeout(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    int64_t start = time_now_ms();
    struct json_object *answer =
        harness_call(h, "Job.wait", "{" JOB_ID ",\"timeout\":1}");
    assert_in_range(time_now_ms() - start, 900, 5000);
    assert_null(harness_at(answer, "result.ended"));
    json_object_put(answer);
    harness_expect(h, "Job.wait", "{" JOB_ID ",\"timeout\":0}", "result.id",
                   WORLD_JOB);
    let_it_run(h);
    wait_end(h, "done");
}

static void all_who_wait_are_answered_and_some_may_go(void **state)
{
    static const char request[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Job.wait\","
        "\"params\":{" JOB_ID "}}\n";
    struct harness *h = *state;
    int fds[20];

    start_slowly(h);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = harness_connect(h);
        harness_send(h, fds[i], request);
        harness_run_for(h, 2);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i += 2)
        close(fds[i]);
    harness_run_for(h, 20);
    let_it_run(h);
    for (size_t i = 1; i < ARRAY_SIZE(fds); i += 2) {
        struct json_object *answer = harness_next(h, fds[i], 9000);
        harness_check(answer, "result.state", "done");
        json_object_put(answer);
        close(fds[i]);
    }
}

/* Waits that are open when the daemon stops are answered or dropped, not
 * leaked: the sanitizer looks. */
static void stopping_leaves_nothing_behind(void **state)
{
    struct harness *h = *state;
    start_slowly(h);
    harness_send(h, h->fd,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Job.wait\","
                 "\"params\":{" JOB_ID "}}"
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
                 "\"Events.subscribe\"}"
                 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"Disk.plan\","
                 "\"params\":{" MOVE "}}");
    harness_run_for(h, 5);
}

static void subscribers_hear_of_each_change(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    char states[512] = "";
    struct json_object *event;

    harness_send(h, fd,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
                 "\"Events.subscribe\"}{\"jsonrpc\":\"2.0\",\"method\":"
                 "\"Events.subscribe\"}\n");
    event = harness_next(h, fd, 1000);
    harness_check(event, "result.subscribed", "true");
    json_object_put(event);
    harness_expect(h, "Disk.migrate", "{" MOVE "," JOB_ID "}", "result.id",
                   WORLD_JOB);
    while (!strstr(states, "done") && (event = harness_next(h, fd, 9000))) {
        const char *method = harness_text(event, "method");
        assert_null(harness_at(event, "id"));
        harness_check(event, "params.id", WORLD_JOB);
        harness_check(event, "params.job_type", "storage");
        assert_true(*harness_text(event, "params.notify_time"));
        if (str_equal(method, "|jobs|status|" WORLD_JOB)) {
            strcat(states, harness_text(event, "params.state"));
            strcat(states, " ");
        } else {
            assert_string_equal(method, "|jobs|progress|" WORLD_JOB);
        }
        json_object_put(event);
    }
    /* A step may go through several states; each step is told. */
    assert_true(str_starts_with(states, "preparing "));
    assert_non_null(strstr(states, " syncing "));
    assert_true(str_ends_with(states, " done "));
    close(fd);
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plan_says_what_it_would_take),
        TEST(plan_lists_all_obstacles),
        TEST(migrate_refuses_with_the_obstacles),
        TEST(unknown_things_have_their_codes),
        TEST(disks_know_their_place),
        TEST(a_move_goes_from_start_to_end),
        TEST(the_same_request_is_the_same_job),
        TEST(the_same_request_twice_at_once_is_one_job),
        TEST(a_second_job_on_the_disk_is_refused),
        TEST(structure_under_a_job_is_left_alone),
        TEST(what_a_lost_vm_may_run_on_is_left_alone),
        TEST(cancel_brings_it_back),
        TEST(jobs_in_vdsms_words),
        TEST(wait_gives_up_after_its_timeout),
        TEST(all_who_wait_are_answered_and_some_may_go),
        TEST(stopping_leaves_nothing_behind),
        TEST(subscribers_hear_of_each_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
