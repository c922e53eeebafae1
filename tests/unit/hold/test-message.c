/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What drayd and dray-job say to each other: every member comes back, and what
 * does not fit is refused as a whole.
 */
#include "../../../src/hold/message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* No two members alike. Static: what is between them is zero. */
static const struct hold_request sample = {
    .verb = HOLD_COPY,
    .job_id = "11111111-1111-4111-8111-111111111111",
    .lease = { "space", "lease", "/a/leases", 3 << 20, 512, 1 << 20 },
    .also = { "other", "second", "/b/leases", UINT64_C(1) << 33, 4096,
              8 << 20 },
    .record = true,
    .generation = 999,
    .fenced = true,
    .note = "{\"a\":\"\\u0000 \xc3\xa4\"}",
    .hardware_id = "22222222-2222-4222-8222-222222222222",
    .qemu_img = "/usr/bin/qemu-img",
    .state_dir = "/var/lib/drayd",
    .copy = {
        .src_path = "/src",
        .dst_path = "nbd://h/\"x\"",
        .src_bytes = INT64_MAX,
        .compact = true,
        .is_zero = true,
        .bitmaps = true,
        .src_format = VOLUME_COW,
        .dst_format = VOLUME_RAW,
        .dst_backing = "33333333-3333-4333-8333-333333333333",
        .src_backing_format = VOLUME_COW,
        .dst_backing_format = VOLUME_COW,
        .bytes_per_s = 17,
        .task = COPY_COMPARE,
        .resume_key = "44444444-4444-4444-8444-444444444444",
    },
    .bytes_per_s = 18,
    .status = HOLD_SET_NOTHING,
};

static void a_request_comes_back(void **state)
{
    static struct hold_request again;
    (void)state;
    _cleanup_free_ char *text = hold_request_text(&sample);
    assert_non_null(text);
    memset(&again, 0xa5, sizeof(again));
    assert_int_equal(hold_request_parse(text, strlen(text), &again), 0);
    assert_memory_equal(&sample, &again, sizeof(sample));
}

static void an_answer_comes_back(void **state)
{
    struct hold_answer again;
    struct hold_answer answer;
    (void)state;
    memset(&answer, 0, sizeof(answer));
    answer.rc = -ENOSPC;
    answer.err.rc = -EIO;
    answer.err.code = ERR_LVB;
    (void)str_copy(answer.err.message, sizeof(answer.err.message), "it broke");
    (void)str_copy(answer.err.next, sizeof(answer.err.next), "mend it");
    answer.status = XLEASE_FENCED;
    answer.generation = 7;
    answer.progress.finished = true;
    answer.progress.result = -EPIPE;
    answer.progress.done = 1;
    answer.progress.total = INT64_MAX;
    answer.progress.mover = COPY_BY_DIRECT;
    _cleanup_free_ char *text = hold_answer_text(&answer);
    assert_non_null(text);
    assert_int_equal(hold_answer_parse(text, strlen(text), &again), 0);
    assert_memory_equal(&answer, &again, sizeof(answer));
}

static void what_is_not_known_is_left_aside(void **state)
{
    static const char text[] = "{\"verb\":4,\"of tomorrow\":[1,2]}";
    static struct hold_request request;
    (void)state;
    assert_int_equal(hold_request_parse(text, strlen(text), &request), 0);
    assert_int_equal(request.verb, HOLD_POLL);
    assert_int_equal(request.lease.offset, 0);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "7",
        "{} x",
        "{\"verb\":99}",
        "{\"verb\":-1}",
        "{\"verb\":\"copy\"}",
        "{\"verb\":1.5}",
        "{\"verb\":4294967297}",
        "{\"status\":-2}",
        "{\"status\":4}",
        "{\"record\":1}",
        "{\"generation\":-1}",
        "{\"generation\":4294967296}",
        "{\"lease_offset\":-1}",
        "{\"lease_offset\":\"1\"}",
        "{\"job_id\":7}",
        "{\"job_id\":\"11111111-1111-4111-8111-1111111111111\"}",
        "{\"job_id\":\"a\\u0000b\"}",
    };
    static struct hold_request request;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (hold_request_parse(wrong[i], strlen(wrong[i]), &request) !=
            -EBADMSG)
            fail_msg("%s was taken", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back),
        cmocka_unit_test(an_answer_comes_back),
        cmocka_unit_test(what_is_not_known_is_left_aside),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
