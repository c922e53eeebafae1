/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lease.*: what the verbs hand to the port, and what they make of its answers.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define LEASE                                                                  \
    "\"lease\":{\"sd_id\":\"" WORLD_SRC "\",\"lease_id\":\"" WORLD_JOB "\"}"
#define META(more) ",\"metadata\":{\"job_id\":\"" WORLD_VM "\"" more "}"
#define EXPECTED                                                               \
    META(",\"type\":\"JOB\",\"job_status\":\"FAILED\",\"generation\":7")
#define DOMAIN "{\"sd_id\":\"" WORLD_SRC "\"}"
#define RECORD                                                                 \
    "{\"type\":\"JOB\",\"generation\":8,\"job_id\":\"" WORLD_VM                \
    "\",\"job_status\":\"SUCCEEDED\",\"created\":1,\"modified\":2,"            \
    "\"host_hardware_id\":\"" WORLD_IMG "\"}"

static struct {
    enum err_code fails;
    struct xlease_id id;
    char sd[UUID_SIZE];
    bool has_job;
    struct xlease_job job;
    struct xlease_status status;
    unsigned removed;
} seen;

static int answer(const struct xlease_id *id, struct err *err)
{
    seen.id = *id;
    return seen.fails ? err_set_code(err, seen.fails, "it failed") : 0;
}

static int create(void *ctx, const struct xlease_id *id,
                  const struct xlease_job *job, struct err *err)
{
    (void)ctx;
    seen.has_job = job != NULL;
    if (job)
        seen.job = *job;
    return answer(id, err);
}

static int removing(void *ctx, const struct xlease_id *id, struct err *err)
{
    (void)ctx;
    seen.removed++;
    return answer(id, err);
}

static int info(void *ctx, const struct xlease_id *id,
                struct xlease_place *ret_place, struct err *err)
{
    (void)ctx;
    *ret_place = (struct xlease_place){ "/mnt/xleases", 3 << 20 };
    return answer(id, err);
}

static int status(void *ctx, const struct xlease_id *id,
                  struct xlease_status *ret_status, struct err *err)
{
    (void)ctx;
    *ret_status = seen.status;
    return answer(id, err);
}

static int fence(void *ctx, const struct xlease_id *id,
                 const struct xlease_job *expected, struct err *err)
{
    (void)ctx;
    seen.job = *expected;
    return answer(id, err);
}

static int list(void *ctx, const char *sd, struct xlease_item **ret_items,
                size_t *ret_n, struct err *err)
{
    (void)ctx;
    if (seen.fails)
        return err_set_code(err, seen.fails, "it failed");
    (void)str_copy(seen.sd, sizeof(seen.sd), sd);
    *ret_items = calloc(2, sizeof(**ret_items));
    assert_non_null(*ret_items);
    *ret_n = 2;
    (*ret_items)[0] = (struct xlease_item){ .lease = WORLD_JOB,
                                            .offset = 3 << 20,
                                            .status = seen.status };
    (*ret_items)[1] = (struct xlease_item){ .lease = WORLD_DST,
                                            .offset = 4 << 20,
                                            .problem = "it is damaged" };
    return 0;
}

static int rebuild(void *ctx, const char *sd, struct xlease_rebuilt *ret,
                   struct err *err)
{
    (void)ctx, (void)err;
    (void)str_copy(seen.sd, sizeof(seen.sd), sd);
    *ret = (struct xlease_rebuilt){ 1, 2, 3, 4, 5 };
    return 0;
}

static int find_job(void *ctx, const char *job_id, struct xlease_found *ret,
                    struct err *err)
{
    (void)ctx;
    if (seen.fails)
        return err_set_code(err, seen.fails, "it failed");
    (void)str_copy(seen.sd, sizeof(seen.sd), job_id);
    *ret = (struct xlease_found){
        {WORLD_SRC, WORLD_DST},
        seen.status, seen.status.job
    };
    return 0;
}

static int setup(void **state)
{
    static const struct xlease_ops ops = {
        .create = create,
        .remove = removing,
        .info = info,
        .status = status,
        .fence = fence,
        .list = list,
        .find_job = find_job,
        .rebuild = rebuild,
    };
    memset(&seen, 0, sizeof(seen));
    int rc = harness_setup(state);
    struct harness *h = *state;
    h->world.ports.xleases = (struct xlease_port){ .ops = &ops };
    return rc;
}

static void expect(struct harness *h, const char *method, const char *params,
                   const char *result)
{
    _cleanup_free_ char *text = harness_result(h, method, params);
    assert_string_equal(text, result);
}

static void refused(struct harness *h, const char *method, const char *params,
                    int code)
{
    assert_int_equal(harness_code(h, method, params), code);
}

static void a_lease_is_made(void **state)
{
    expect(*state, "Lease.create", "{" LEASE "}", "\"" WORLD_JOB "\"");
    assert_false(seen.has_job);
    assert_string_equal(seen.id.sd, WORLD_SRC);
    assert_string_equal(seen.id.lease, WORLD_JOB);
    expect(*state, "Lease.create", "{" LEASE ",\"metadata\":null}",
           "\"" WORLD_JOB "\"");
    assert_false(seen.has_job);
    expect(*state, "Lease.create", "{" LEASE META("") "}", "\"" WORLD_JOB "\"");
    assert_true(seen.has_job);
    assert_string_equal(seen.job.job_id, WORLD_VM);
    assert_int_equal(seen.job.status, XLEASE_PENDING);
    assert_int_equal(seen.job.generation, 0);
    expect(*state, "Lease.create", "{" LEASE EXPECTED "}", "\"" WORLD_JOB "\"");
    assert_int_equal(seen.job.status, XLEASE_FAILED);
    assert_int_equal(seen.job.generation, 7);
}

static void wrong_records_are_refused(void **state)
{
    static const char *const wrong[] = {
        "{" LEASE ",\"metadata\":{}}",
        "{" LEASE META(",\"generation\":1000") "}",
        "{" LEASE META(",\"generation\":\"1\"") "}",
        "{" LEASE META(",\"job_status\":\"DONE\"") "}",
        "{" LEASE META(",\"type\":\"VM\"") "}",
        "{" LEASE META(",\"what\":1") "}",
        "{\"lease\":{\"sd_id\":\"" WORLD_SRC "\"}}",
        "{\"lease\":\"" WORLD_JOB "\"}",
        "{}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(*state, "Lease.create", wrong[i], ERR_PARAMS);
    assert_string_equal(seen.id.sd, "");
    /* What a fence expects has to be said. */
    refused(*state, "Lease.fence", "{" LEASE "}", ERR_PARAMS);
    refused(*state, "Lease.fence", "{" LEASE META("") "}", ERR_PARAMS);
}

static void a_lease_is_removed(void **state)
{
    expect(*state, "Lease.delete", "{" LEASE "}", "true");
    assert_int_equal(seen.removed, 1);
    seen.fails = ERR_ACQUIRE_LOCK;
    refused(*state, "Lease.delete", "{" LEASE "}", ERR_ACQUIRE_LOCK);
}

static void its_place_is_told(void **state)
{
    expect(*state, "Lease.info", "{" LEASE "}",
           "{\"sd_id\":\"" WORLD_SRC "\",\"lease_id\":\"" WORLD_JOB
           "\",\"path\":\"/mnt/xleases\",\"offset\":3145728}");
    seen.fails = ERR_NO_SUCH_LEASE;
    refused(*state, "Lease.info", "{" LEASE "}", 936);
    refused(*state, "Lease.status", "{" LEASE "}", 936);
}

static void set_record(void)
{
    seen.status = (struct xlease_status){
        .version = 5,
        .has_job = true,
        .job = {WORLD_VM, XLEASE_SUCCEEDED, 8, WORLD_IMG, 1, 2},
    };
}

static void its_status_is_as_vdsm_has_it(void **state)
{
    seen.status.version = 4;
    expect(*state, "Lease.status", "{" LEASE "}",
           "{\"owners\":[],\"version\":4,\"metadata\":{}}");
    seen.status.owner_host = 2;
    expect(*state, "Lease.status", "{" LEASE "}",
           "{\"owners\":[2],\"version\":4}");
    set_record();
    expect(*state, "Lease.status", "{" LEASE "}",
           "{\"owners\":[],\"version\":5,\"metadata\":" RECORD "}");
}

static void a_fence_says_what_it_expects(void **state)
{
    expect(*state, "Lease.fence", "{" LEASE EXPECTED "}", "true");
    assert_string_equal(seen.job.job_id, WORLD_VM);
    assert_int_equal(seen.job.status, XLEASE_FAILED);
    assert_int_equal(seen.job.generation, 7);
    static const enum err_code codes[] = { ERR_GENERATION, ERR_JOB_STATUS,
                                           ERR_LVB, ERR_ACQUIRE_LOCK };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        seen.fails = codes[i];
        refused(*state, "Lease.fence", "{" LEASE EXPECTED "}", codes[i]);
    }
}

static void all_are_listed(void **state)
{
    set_record();
    expect(*state, "Lease.list", DOMAIN,
           "[{\"lease_id\":\"" WORLD_JOB "\",\"offset\":3145728,\"owners\":[],"
           "\"version\":5,\"metadata\":" RECORD "},{\"lease_id\":\"" WORLD_DST
           "\",\"offset\":4194304,\"problem\":\"it is damaged\"}]");
    assert_string_equal(seen.sd, WORLD_SRC);
    seen.fails = ERR_METADATA_VALIDATION;
    refused(*state, "Lease.list", DOMAIN, ERR_METADATA_VALIDATION);
}

static void a_job_of_another_host_is_found(void **state)
{
    static const struct {
        enum xlease_job_status status;
        uint64_t owner;
        const char *state;
    } cases[] = {
        {XLEASE_PENDING,    2, "\"running\",\"elsewhere\":true,\"hostId\":2"},
        { XLEASE_PENDING,   0, "\"dead\",\"elsewhere\":true"                },
        { XLEASE_SUCCEEDED, 0, "\"succeeded\",\"elsewhere\":true"           },
        { XLEASE_FAILED,    0, "\"failed\",\"elsewhere\":true"              },
        { XLEASE_FENCED,    0, "\"fenced\",\"elsewhere\":true"              },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char expected[512];
        set_record();
        seen.status.job.status = cases[i].status;
        seen.status.owner_host = cases[i].owner;
        (void)str_format(
            expected, sizeof(expected),
            "{\"id\":\"" WORLD_VM "\",\"state\":%s,\"lease\":{\"sd_id\":"
            "\"" WORLD_SRC "\",\"lease_id\":\"" WORLD_DST "\"},"
            "\"generation\":8,\"hostHardwareId\":\"" WORLD_IMG "\","
            "\"created\":1,\"modified\":2}",
            cases[i].state);
        expect(*state, "Job.info", "{\"jobID\":\"" WORLD_VM "\"}", expected);
        assert_string_equal(seen.sd, WORLD_VM);
    }
    seen.fails = ERR_NO_JOB;
    refused(*state, "Job.info", "{\"jobID\":\"" WORLD_VM "\"}", ERR_NO_JOB);
}

static void a_rebuild_counts(void **state)
{
    static const char *const verbs[] = { "Lease.rebuild",
                                         "Lease.rebuild_leases" };
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        expect(*state, verbs[i], DOMAIN,
               "{\"kept\":1,\"restored\":2,\"made\":3,\"freed\":4,"
               "\"cleared\":5}");
    assert_string_equal(seen.sd, WORLD_SRC);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_is_made),
        TEST(wrong_records_are_refused),
        TEST(a_lease_is_removed),
        TEST(its_place_is_told),
        TEST(its_status_is_as_vdsm_has_it),
        TEST(a_fence_says_what_it_expects),
        TEST(all_are_listed),
        TEST(a_job_of_another_host_is_found),
        TEST(a_rebuild_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
