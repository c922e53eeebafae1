/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON-RPC 2.0 to the letter: what goes in over the socket and what comes out.
 */
#include "../../../src/rpc/envelope.h"
#include "harness.h"

#include <dray/base/codes.h>
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define CALL(id, method)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}"
#define OK(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":true}\n"

/* clang-format 14 crashes on tables of strings of several lines. */
/* clang-format off */

/* The answer is exactly this. */
static const struct {
    const char *request, *answer;
} exact[] = {
    { CALL("1", "echo"), OK("1") },
    { CALL("\"x\"", "echo"), OK("\"x\"") },
    { CALL("null", "echo"), OK("null") },
    { CALL("1.50", "echo"), OK("1.50") },
    { CALL("-7", "echo"), OK("-7") },
    { CALL("18446744073709551614", "echo"), OK("18446744073709551614") },
    { CALL("\"a\\u0000b/\\n\"", "echo"), OK("\"a\\u0000b/\\n\"") },
    { "{\"method\":\"echo\",\"params\":[42,23],\"id\":3,\"jsonrpc\":\"2.0\"}",
      "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":[42,23]}\n" },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":{\"a\":{}},\"id\":4}",
      "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"a\":{}}}\n" },
    /* pretty-printed, pipelined, extra members */
    { "{\n  \"jsonrpc\" : \"2.0\",\n  \"id\" : 1,\n  \"method\" : \"echo\"\n}\n",
      OK("1") },
    { CALL("1", "echo") CALL("2", "echo") "\n\n" CALL("3", "echo"),
      OK("1") OK("2") OK("3") },
    { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"more\":1}",
      OK("1") },
    /* notifications */
    { "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}", "" },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[1,2]}", "" },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"foobar\"}", "" },
    /* batches */
    { "[" CALL("1", "echo") "," CALL("2", "echo") "]",
      "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true},"
      "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":true}]\n" },
    { "[{\"jsonrpc\":\"2.0\",\"method\":\"echo\"},"
      "{\"jsonrpc\":\"2.0\",\"method\":\"foobar\",\"params\":[7]}]",
      "" },
    { "[" CALL("1", "echo") ",{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}]",
      "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}]\n" },
};

/* The answer is one error with this code and this id. */
static const struct {
    const char *request;
    int code;
    const char *id;
} wrong[] = {
    { "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", "
      "\"baz]\n",
      ERR_PARSE, "null" },
    { "{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}", ERR_REQUEST,
      "null" },
    { "[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], "
      "\"id\": \"1\"},{\"jsonrpc\": \"2.0\", \"method\"]",
      ERR_PARSE, "null" },
    { "[]", ERR_REQUEST, "null" },
    { CALL("\"1\"", "foobar"), ERR_METHOD, "\"1\"" },
    { "42 ", ERR_REQUEST, "null" },
    { "null", ERR_REQUEST, "null" },
    { "\"echo\"", ERR_REQUEST, "null" },
    { "{}", ERR_REQUEST, "null" },
    { CALL("true", "echo"), ERR_REQUEST, "null" },
    { CALL("[1]", "echo"), ERR_REQUEST, "null" },
    { CALL("{}", "echo"), ERR_REQUEST, "null" },
    { CALL("1e999", "echo"), ERR_REQUEST, "null" },
    { CALL("18446744073709551616", "echo"), ERR_REQUEST, "null" },
    { CALL("-99999999999999999999", "echo"), ERR_REQUEST, "null" },
    { "{\"id\":5,\"method\":\"echo\"}", ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"echo\"}", ERR_REQUEST, "5" },
    { "{\"jsonrpc\":2.0,\"id\":5,\"method\":\"echo\"}", ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"2.0\\u0000\",\"id\":5,\"method\":\"echo\"}", ERR_REQUEST,
      "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5}", ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":null}", ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":[\"echo\"]}", ERR_REQUEST,
      "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"echo\\u0000\"}", ERR_REQUEST,
      "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"echo\",\"params\":null}",
      ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"echo\",\"params\":1}",
      ERR_REQUEST, "5" },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":\"x\"}", ERR_REQUEST,
      "null" },
    { "{\"jsonrpc\":\"2.0\",\"id\":5,\"id\":5,\"method\":\"echo\"}",
      ERR_REQUEST, "null" },
};

/* clang-format on */

static void answers_exactly(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
        _cleanup_free_ char *answer = harness_talk(*state, exact[i].request);
        assert_string_equal(answer, exact[i].answer);
    }
}

static void answers_the_same_when_split_at_every_byte(void **state)
{
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
        int fd = harness_connect(h);
        for (const char *c = exact[i].request; *c; c++)
            assert_true(harness_send(h, fd, c, 1));
        _cleanup_free_ char *answer = harness_receive(h, fd, NULL);
        assert_string_equal(answer, exact[i].answer);
        close(fd);
    }
}

static void refuses_with_code_and_id(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *answer = harness_talk(*state, wrong[i].request);
        struct json_object *value = json_tokener_parse(answer);
        struct json_object *id = NULL;
        if (harness_code(answer) != wrong[i].code ||
            !json_object_object_get_ex(value, "id", &id))
            fail_msg("%s\n -> %s", wrong[i].request, answer);
        assert_string_equal(id ? json_object_to_json_string(id) : "null",
                            wrong[i].id);
        assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
        json_object_put(value);
    }
}

static void errors_say_cause_phase_and_next_step(void **state)
{
    _cleanup_free_ char *answer = harness_talk(*state, "{}");
    static const char *const keys[] = { "cause", "phase", "next" };
    struct json_object *value = json_tokener_parse(answer);
    struct json_object *error = NULL, *data = NULL, *text = NULL;

    assert_true(json_object_object_get_ex(value, "error", &error));
    assert_true(json_object_object_get_ex(error, "message", &text));
    assert_true(json_object_get_string_len(text) > 0);
    assert_true(json_object_object_get_ex(error, "data", &data));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_true(json_object_object_get_ex(data, keys[i], &text));
        assert_true(json_object_get_string_len(text) > 0);
    }
    json_object_put(value);
}

static void check_message(const char *message, const char *shown)
{
    struct err err = ERR_INIT;
    struct json_object *error = NULL, *text = NULL;
    (void)err_set(&err, -EIO, "x");
    (void)str_copy(err.message, sizeof(err.message), message);
    struct json_object *answer = envelope_error(NULL, &err, NULL, NULL);
    assert_true(json_object_object_get_ex(answer, "error", &error));
    assert_true(json_object_object_get_ex(error, "message", &text));
    assert_string_equal(json_object_get_string(text), shown);
    json_object_put(answer);
}

static void only_utf_8_goes_out(void **state)
{
    (void)state;
    check_message("caf\xc3\xa9", "caf\xc3\xa9");
    check_message("caf\xe9 1", "caf? 1");
}

/* Members of the answer to a batch: how many, how many of them errors. */
static void check_batch(struct harness *h, const char *request, size_t n,
                        size_t errors)
{
    _cleanup_free_ char *answer = harness_talk(h, request);
    struct json_object *value = json_tokener_parse(answer);
    size_t bad = 0;

    assert_true(json_object_is_type(value, json_type_array));
    assert_int_equal(json_object_array_length(value), n);
    for (size_t i = 0; i < n; i++)
        bad += harness_code(json_object_to_json_string(
                   json_object_array_get_idx(value, i))) != 0;
    assert_int_equal(bad, errors);
    json_object_put(value);
}

static void answers_invalid_members_of_a_batch_one_by_one(void **state)
{
    check_batch(*state, "[1]", 1, 1);
    check_batch(*state, "[1,2,3]", 3, 3);
    check_batch(*state, "[[]]", 1, 1);
    check_batch(*state, "[null]", 1, 1);
    check_batch(
        *state,
        "[" CALL(
            "\"1\"",
            "echo") ","
                    "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[7]}"
                    "," CALL("\"2\"", "echo") ",{\"foo\":\"boo\"}," CALL(
                        "\"5\"", "foo.get") "," CALL("\"9\"", "echo") "]",
        5, 2);
}

static void limits_a_batch(void **state)
{
    struct harness *h = *state;
    for (int n = RPC_BATCH_MAX; n <= RPC_BATCH_MAX + 1; n++) {
        char request[RPC_BATCH_MAX * 64 + 128] = "[";
        for (int i = 0; i < n; i++) {
            strcat(request, i ? "," : "");
            strcat(request, CALL("1", "echo"));
        }
        strcat(request, "]");
        unsigned before = h->calls;
        _cleanup_free_ char *answer = harness_talk(h, request);
        assert_int_equal(harness_code(answer),
                         n > RPC_BATCH_MAX ? ERR_REQUEST : 0);
        assert_int_equal(h->calls - before, n > RPC_BATCH_MAX ? 0 : n);
    }
}

static void a_batch_waits_for_its_slowest_member(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    const char *request = "[" CALL("1", "hold") "," CALL("2", "echo") "]";

    assert_true(harness_send(h, fd, request, strlen(request)));
    _cleanup_free_ char *before = harness_receive(h, fd, NULL);
    assert_string_equal(before, "");
    harness_release(h);
    _cleanup_free_ char *after = harness_receive(h, fd, NULL);
    assert_string_equal(after,
                        "[{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":true},"
                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}]\n");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_exactly),
        cmocka_unit_test(answers_the_same_when_split_at_every_byte),
        cmocka_unit_test(refuses_with_code_and_id),
        cmocka_unit_test(only_utf_8_goes_out),
        cmocka_unit_test(errors_say_cause_phase_and_next_step),
        cmocka_unit_test(answers_invalid_members_of_a_batch_one_by_one),
        cmocka_unit_test(limits_a_batch),
        cmocka_unit_test(a_batch_waits_for_its_slowest_member),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
