/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-job's life, with a lease port on real sectors and a copier that copies
 * nothing; each call of the outside fails once.
 */
#include "../../../src/hold/keeper.h"
#include "../../fakes/fake-lease.h"

#include <dray/base/util.h>
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define JOB   "11111111-1111-4111-8111-111111111111"
#define OTHER "22222222-2222-4222-8222-222222222222"

enum {
    AREA = 1 << 20
};

struct copy {
    struct copy_spec spec;
    uint64_t limit;
    bool finished;
};

static struct world {
    char path[64];
    struct fake_leases *leases;
    struct keeper_ports ports;
    struct keeper *keeper;
    struct hold_request request;
    struct hold_answer answer;
    char note[64]; /* the last one written */
    bool confirm_fails, note_fails, copier_fails, copy_fails;
    struct copy *copy;
    unsigned started;
} world;

/* --- the outside -------------------------------------------------------- */

static int confirm(const struct lease_held *held, struct err *err)
{
    assert_non_null(held);
    return world.confirm_fails ? err_set(err, -EPIPE, "lost") : 0;
}

static int write_note(const struct lease_place *place, const char *text,
                      struct err *err)
{
    assert_string_equal(place->resource, "lease");
    assert_int_equal(fake_leases_held(world.leases), 1);
    if (world.note_fails)
        return err_set_code(err, ERR_LVB, "no note");
    (void)str_copy(world.note, sizeof(world.note), text);
    return 0;
}

static int copy_start(void *ctx, const struct copy_spec *spec,
                      struct copy **ret_copy, struct err *err)
{
    (void)ctx;
    assert_null(world.copy);
    if (world.copy_fails)
        return err_set(err, -EIO, "no copy");
    world.copy = calloc(1, sizeof(*world.copy));
    assert_non_null(world.copy);
    world.copy->spec = *spec;
    world.started++;
    *ret_copy = world.copy;
    return 0;
}

static void copy_poll(void *ctx, struct copy *copy, struct copy_progress *ret,
                      struct err *err)
{
    (void)ctx;
    (void)err;
    *ret = (struct copy_progress){ .finished = copy->finished,
                                   .done = 5,
                                   .total = 7 };
}

static void copy_limit(void *ctx, struct copy *copy, uint64_t bytes_per_s)
{
    (void)ctx;
    copy->limit = bytes_per_s;
}

/* Nobody gives a lease back while something is still written. */
static void copy_close(void *ctx, struct copy *copy)
{
    (void)ctx;
    assert_ptr_equal(copy, world.copy);
    assert_int_equal(fake_leases_held(world.leases), 1);
    free(copy);
    world.copy = NULL;
}

static bool copy_resumable(void *ctx, const struct copy_spec *spec)
{
    (void)ctx;
    return str_equal(spec->dst_path, "/resumable");
}

static int open_copier(void *arg, const struct hold_request *take,
                       const struct lease_held *held,
                       struct copier_port *ret_copier, struct err *err)
{
    static const struct copier_ops ops = {
        .start = copy_start,
        .poll = copy_poll,
        .limit = copy_limit,
        .close = copy_close,
        .resumable = copy_resumable,
    };
    (void)arg;
    (void)take;
    assert_non_null(held);
    if (world.copier_fails)
        return err_set(err, -ENOMEM, "no copier");
    *ret_copier = (struct copier_port){ NULL, &ops };
    return 0;
}

/* --- the world ---------------------------------------------------------- */

static struct lease_place place(void)
{
    struct lease_place at = { .lockspace = "space",
                              .resource = "lease",
                              .block_size = 512,
                              .alignment = AREA };
    (void)str_copy(at.path, sizeof(at.path), world.path);
    return at;
}

#define LEASES(op, ...)                                                        \
    world.ports.leases.ops->op(world.ports.leases.ctx, __VA_ARGS__)

static void write_record(const char *job_id, enum format_job_status status,
                         unsigned generation)
{
    const struct lease_place at = place();
    struct format_job job = { .status = status,
                              .generation = generation,
                              .created_s = 1000 };
    struct lease_held *held = NULL;
    char lvb[LEASE_LVB_SIZE];
    (void)str_copy(job.job_id, sizeof(job.job_id), job_id);
    (void)str_copy(job.host, sizeof(job.host), "maker");
    assert_int_equal(format_job_build(&job, lvb, NULL), 0);
    assert_int_equal(LEASES(acquire_lvb, &at, 0, &held, NULL), 0);
    assert_int_equal(LEASES(release_lvb, held, lvb, NULL), 0);
}

static void read_record(struct format_job *ret_job)
{
    const struct lease_place at = place();
    char lvb[LEASE_LVB_SIZE];
    assert_int_equal(LEASES(read_lvb, &at, lvb, NULL), 0);
    assert_int_equal(format_job_parse(lvb, sizeof(lvb), ret_job, NULL), 0);
}

static void require_record(enum format_job_status status, unsigned generation)
{
    struct format_job job;
    read_record(&job);
    assert_string_equal(job.job_id, JOB);
    assert_int_equal(job.status, status);
    assert_int_equal(job.generation, generation);
    assert_int_equal(job.created_s, 1000);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    (void)str_copy(world.path, sizeof(world.path), "/tmp/test-keeper.XXXXXX");
    int fd = mkstemp(world.path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 2L * AREA), 0);
    (void)close(fd);
    world.leases = fake_leases_new();
    world.ports = (struct keeper_ports){
        .leases = fake_leases_port(world.leases),
        .confirm = confirm,
        .write_note = write_note,
        .open_copier = open_copier,
    };
    const struct lease_place at = place();
    assert_int_equal(LEASES(format_lockspace, &at, NULL), 0);
    assert_int_equal(LEASES(join, &at, 1, NULL), 0);
    assert_int_equal(LEASES(format_resource, &at, NULL), 0);
    write_record(JOB, FORMAT_JOB_PENDING, 4);
    world.keeper = keeper_new(&world.ports);
    assert_non_null(world.keeper);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keeper_free(world.keeper);
    assert_null(world.copy);
    assert_int_equal(fake_leases_held(world.leases), 0);
    fake_leases_free(world.leases);
    (void)unlink(world.path);
    return 0;
}

static int say(enum hold_verb verb)
{
    world.request.verb = verb;
    keeper_answer(world.keeper, &world.request, &world.answer);
    return world.answer.rc;
}

static int take(unsigned generation)
{
    world.request.lease = place();
    world.request.record = true;
    world.request.generation = generation;
    (void)str_copy(world.request.job_id, UUID_SIZE, JOB);
    (void)str_copy(world.request.note, sizeof(world.request.note), "plan");
    (void)str_copy(world.request.hardware_id, sizeof(world.request.hardware_id),
                   "host-a");
    return say(HOLD_TAKE);
}

static void set_copy(const char *path, enum copy_task task)
{
    (void)str_copy(world.request.copy.src_path, PATH_MAX, "/source");
    (void)str_copy(world.request.copy.dst_path, PATH_MAX, path);
    world.request.copy.task = task;
}

static int release(int status)
{
    world.request.status = status;
    return say(HOLD_RELEASE);
}

/* --- the tests ---------------------------------------------------------- */

static void nothing_is_held_before_it_is_taken(void **state)
{
    (void)state;
    for (int verb = 0; verb < HOLD_VERB_COUNT; verb++) {
        if (verb != HOLD_TAKE)
            assert_int_equal(say((enum hold_verb)verb), HOLD_NONE);
    }
    assert_false(keeper_is_over(world.keeper));
    assert_false(keeper_may_write(world.keeper));
}

static void a_job_succeeds(void **state)
{
    struct format_job job;
    (void)state;
    assert_int_equal(take(4), 0);
    assert_string_equal(world.note, "plan");
    assert_true(keeper_may_write(world.keeper));
    assert_int_equal(say(HOLD_LOOK), 0);
    assert_int_equal(take(4), 0); /* it has it already */
    require_record(FORMAT_JOB_PENDING, 4);
    assert_int_equal(release(XLEASE_SUCCEEDED), 0);
    require_record(FORMAT_JOB_SUCCEEDED, 5);
    read_record(&job);
    assert_string_equal(job.host, "host-a");
    assert_true(job.modified_s > job.created_s);
    assert_true(keeper_is_over(world.keeper));
    assert_int_equal(say(HOLD_LOOK), HOLD_NONE);
    assert_int_equal(take(5), HOLD_NONE); /* one life, one lease */
}

static void the_note_follows_the_job(void **state)
{
    (void)state;
    write_record(JOB, FORMAT_JOB_PENDING, 4);
    assert_int_equal(take(4), 0);
    (void)str_copy(world.request.note, sizeof(world.request.note), "pivots");
    assert_int_equal(say(HOLD_NOTE), 0);
    assert_string_equal(world.note, "pivots");
    world.note_fails = true;
    assert_true(say(HOLD_NOTE) < 0);
    assert_int_equal(release(XLEASE_SUCCEEDED), 0);
    assert_int_equal(say(HOLD_NOTE), HOLD_NONE);
}

static void a_failure_keeps_the_generation(void **state)
{
    (void)state;
    assert_int_equal(take(4), 0);
    assert_int_equal(release(XLEASE_FAILED), 0);
    require_record(FORMAT_JOB_FAILED, 4);
}

static void a_fence_counts_the_generation(void **state)
{
    (void)state;
    write_record(JOB, FORMAT_JOB_PENDING, 999);
    assert_int_equal(take(999), 0);
    assert_int_equal(release(XLEASE_FENCED), 0);
    require_record(FORMAT_JOB_FENCED, 0);
}

static void the_record_can_be_left_alone(void **state)
{
    (void)state;
    assert_int_equal(take(4), 0);
    assert_int_equal(release(HOLD_SET_NOTHING), 0);
    require_record(FORMAT_JOB_PENDING, 4);
    assert_true(keeper_is_over(world.keeper));
}

static void another_record_is_not_taken(void **state)
{
    (void)state;
    assert_int_equal(take(3), HOLD_ENDED);
    assert_int_equal(world.answer.generation, 4);
    assert_int_equal(world.answer.status, XLEASE_PENDING);
    assert_true(keeper_is_over(world.keeper));
    assert_false(world.note[0]);
    assert_int_equal(fake_leases_held(world.leases), 0);
    require_record(FORMAT_JOB_PENDING, 4);
}

static void an_ended_record_is_not_taken(void **state)
{
    (void)state;
    write_record(JOB, FORMAT_JOB_FENCED, 4);
    assert_int_equal(take(4), HOLD_ENDED);
    assert_int_equal(world.answer.status, XLEASE_FENCED);
}

static void a_fenced_record_is_taken_on_request(void **state)
{
    (void)state;
    write_record(JOB, FORMAT_JOB_FENCED, 5);
    world.request.fenced = true;
    assert_int_equal(take(4), 0);
    assert_int_equal(release(XLEASE_SUCCEEDED), 0);
    require_record(FORMAT_JOB_FENCED, 5); /* for good */
}

static void the_record_of_another_job_is_refused(void **state)
{
    (void)state;
    write_record(OTHER, FORMAT_JOB_PENDING, 4);
    assert_true(take(4) < 0);
    assert_int_equal(world.answer.err.code, ERR_UNSUPPORTED_STORAGE);
    assert_int_equal(fake_leases_held(world.leases), 0);
}

static void who_lives_keeps_others_out(void **state)
{
    (void)state;
    fake_leases_set_busy(world.leases, "lease");
    assert_int_equal(take(4), HOLD_BUSY);
    assert_true(keeper_is_over(world.keeper));
}

static void a_lease_without_a_record_is_only_held(void **state)
{
    (void)state;
    world.request.lease = place();
    world.request.record = false;
    assert_int_equal(say(HOLD_TAKE), 0);
    assert_int_equal(release(XLEASE_SUCCEEDED), 0);
    require_record(FORMAT_JOB_PENDING, 4);
}

static void whatever_fails_the_lease_is_given_back(void **state)
{
    bool *const faults[] = { &world.note_fails, &world.copier_fails };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        keeper_free(world.keeper);
        world.keeper = keeper_new(&world.ports);
        *faults[i] = true;
        assert_true(take(4) < 0);
        assert_true(world.answer.err.message[0]);
        *faults[i] = false;
        assert_int_equal(fake_leases_held(world.leases), 0);
        assert_true(keeper_is_over(world.keeper));
        require_record(FORMAT_JOB_PENDING, 4);
    }
}

static void a_record_that_did_not_get_there_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(take(4), 0);
    fake_leases_set_lvb_lost(world.leases, true);
    assert_true(release(XLEASE_SUCCEEDED) < 0);
    assert_int_equal(world.answer.err.code, ERR_LVB);
    require_record(FORMAT_JOB_PENDING, 4);
}

static void a_copy_is_found_again(void **state)
{
    (void)state;
    set_copy("/target", COPY_DATA);
    assert_int_equal(take(4), 0);
    assert_int_equal(say(HOLD_POLL), HOLD_NONE);
    assert_int_equal(say(HOLD_RESUMABLE), HOLD_NONE);
    assert_int_equal(say(HOLD_COPY), 0);
    assert_int_equal(say(HOLD_RESUMABLE), 0);
    assert_int_equal(say(HOLD_COPY), 0);
    assert_int_equal(world.started, 1);
    assert_true(keeper_is_copying(world.keeper));
    world.request.bytes_per_s = 9;
    assert_int_equal(say(HOLD_LIMIT), 0);
    assert_int_equal(world.copy->limit, 9);
    assert_int_equal(say(HOLD_POLL), 0);
    assert_int_equal(world.answer.progress.done, 5);
    world.copy->finished = true;
    assert_false(keeper_is_copying(world.keeper));
    set_copy("/target", COPY_COMPARE); /* another one */
    assert_int_equal(say(HOLD_COPY), 0);
    assert_int_equal(world.started, 2);
    assert_int_equal(say(HOLD_STOP), 0);
    assert_null(world.copy);
    set_copy("/resumable", COPY_DATA);
    assert_int_equal(say(HOLD_RESUMABLE), 0);
}

static void a_copy_ends_before_the_lease_does(void **state)
{
    (void)state;
    set_copy("/target", COPY_DATA);
    assert_int_equal(take(4), 0);
    assert_int_equal(say(HOLD_COPY), 0);
    assert_int_equal(release(XLEASE_FAILED), 0); /* copy_close() checks it */
    assert_null(world.copy);
    require_record(FORMAT_JOB_FAILED, 4);
}

static void a_copy_that_cannot_start_is_an_error(void **state)
{
    (void)state;
    set_copy("/target", COPY_DATA);
    assert_int_equal(take(4), 0);
    world.copy_fails = true;
    assert_int_equal(say(HOLD_COPY), -EIO);
    assert_int_equal(say(HOLD_LOOK), 0);
}

static void a_lost_lease_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(keeper_look_after(world.keeper, NULL), 0);
    assert_int_equal(take(4), 0);
    assert_int_equal(keeper_look_after(world.keeper, NULL), 0);
    world.confirm_fails = true;
    assert_int_equal(keeper_look_after(world.keeper, NULL), -EPIPE);
    assert_true(take(4) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_held_before_it_is_taken),
        TEST(a_job_succeeds),
        TEST(the_note_follows_the_job),
        TEST(a_failure_keeps_the_generation),
        TEST(a_fence_counts_the_generation),
        TEST(the_record_can_be_left_alone),
        TEST(another_record_is_not_taken),
        TEST(an_ended_record_is_not_taken),
        TEST(a_fenced_record_is_taken_on_request),
        TEST(the_record_of_another_job_is_refused),
        TEST(who_lives_keeps_others_out),
        TEST(a_lease_without_a_record_is_only_held),
        TEST(whatever_fails_the_lease_is_given_back),
        TEST(a_record_that_did_not_get_there_is_an_error),
        TEST(a_copy_is_found_again),
        TEST(a_copy_ends_before_the_lease_does),
        TEST(a_copy_that_cannot_start_is_an_error),
        TEST(a_lost_lease_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
