/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Values out of a stream: limits, errors, and where reading goes on.
 */
#include "../../../src/rpc/frame.h"

#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

struct seen {
    int values;
    int errors; /* without the fatal one */
    bool fatal;
    int code; /* of the last error */
    char text[4096];
    char message[ERR_MESSAGE_SIZE];
};

static void note(struct seen *seen, enum frame_result result,
                 struct json_object *value, const struct err *err)
{
    if (result == FRAME_VALUE) {
        const char *text =
            json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
        seen->values++;
        (void)str_copy(seen->text, sizeof(seen->text), text);
        json_object_put(value);
    } else if (result != FRAME_MORE) {
        seen->errors += result == FRAME_ERROR;
        seen->fatal |= result == FRAME_FATAL;
        seen->code = (int)err->code;
        (void)str_copy(seen->message, sizeof(seen->message), err->message);
    }
}

static void feed(struct frame *frame, const char *bytes, size_t n,
                 struct seen *seen)
{
    while (n > 0 && !seen->fatal) {
        struct json_object *value = NULL;
        struct err err = ERR_INIT;
        size_t used = 0;
        enum frame_result result =
            frame_feed(frame, bytes, n, &used, &value, &err);
        note(seen, result, value, &err);
        bytes += used;
        n -= used;
    }
}

static void finish(struct frame *frame, struct seen *seen)
{
    struct json_object *value = NULL;
    struct err err = ERR_INIT;
    enum frame_result result = frame_end(frame, &value, &err);
    note(seen, result, value, &err);
}

/* All of it in pieces of @piece bytes, then the end. */
static struct seen read_all(const char *bytes, size_t n, size_t piece)
{
    struct frame frame;
    struct seen seen = { 0 };

    frame_init(&frame);
    for (size_t i = 0; i < n && !seen.fatal; i += piece)
        feed(&frame, bytes + i, n - i < piece ? n - i : piece, &seen);
    if (!seen.fatal)
        finish(&frame, &seen);
    frame_deinit(&frame);
    return seen;
}

static struct seen read_text(const char *text)
{
    return read_all(text, strlen(text), strlen(text));
}

static void takes_values_in_pieces_of_any_size(void **state)
{
    const char *text = " {\"a\" : [1, 2.50, \"\xc3\xa9\xf0\x9f\x98\x80\"]}\n"
                       "[]{}\"x\" 12 null\r\n\ttrue 7";
    (void)state;
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct seen seen = read_all(text, strlen(text), piece);
        assert_int_equal(seen.values, 8);
        assert_int_equal(seen.errors, 0);
        assert_string_equal(seen.text, "7");
    }
}

static void keeps_what_was_written(void **state)
{
    (void)state;
    assert_string_equal(read_text("{\"a\":1.50,\"b\":\"\\u00e9\"}").text,
                        "{\"a\":1.50,\"b\":\"\xc3\xa9\"}");
}

static void limits_size_exactly(void **state)
{
    _cleanup_free_ char *text = malloc(RPC_REQUEST_MAX + 1);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', RPC_REQUEST_MAX + 1);
    text[0] = '"';
    text[RPC_REQUEST_MAX - 1] = '"';
    for (size_t piece = 4096; piece <= RPC_REQUEST_MAX; piece *= 4)
        assert_int_equal(read_all(text, RPC_REQUEST_MAX, piece).values, 1);

    text[RPC_REQUEST_MAX - 1] = 'x';
    text[RPC_REQUEST_MAX] = '"';
    struct seen seen = read_all(text, RPC_REQUEST_MAX + 1, 4096);
    assert_int_equal(seen.values, 0);
    assert_true(seen.fatal);
    assert_int_equal(seen.code, ERR_REQUEST);
    assert_non_null(strstr(seen.message, "262144"));
}

static void white_space_costs_nothing(void **state)
{
    struct frame frame;
    struct seen seen = { 0 };
    char blanks[4096];
    (void)state;
    memset(blanks, ' ', sizeof(blanks));
    frame_init(&frame);
    for (int i = 0; i < 1000; i++)
        feed(&frame, blanks, sizeof(blanks), &seen);
    feed(&frame, "{}", 2, &seen);
    assert_int_equal(seen.values, 1);
    assert_false(seen.fatal);
    frame_deinit(&frame);
}

static void goes_on_after_the_line_of_an_error(void **state)
{
    static const char *const broken[] = {
        "}",          "nonsense",    "{\"a\": x, {}",    "[1,]",
        "{\"a\":tru", "\"\x80\" {}", "{\"a\":\"\xff\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        _cleanup_free_ char *text = str_printf("%s\n[7]\n", broken[i]);
        for (size_t piece = 1; piece <= strlen(text); piece++) {
            struct seen seen = read_all(text, strlen(text), piece);
            if (seen.values != 1 || seen.errors != 1)
                fail_msg("%s in pieces of %zu: %d values, %d errors", text,
                         piece, seen.values, seen.errors);
            assert_int_equal(seen.code, ERR_PARSE);
            assert_string_equal(seen.text, "[7]");
        }
    }
}

static void a_cut_off_request_does_not_take_the_next_with_it(void **state)
{
    struct seen seen = read_text("{\"a\":1\n{\"b\":2}\n");
    (void)state;
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.code, ERR_PARSE);
    assert_string_equal(seen.text, "{\"b\":2}");
    /* but what is nested in something broken is no request */
    seen = read_text("{\"a\":1\n  {\"b\":2}\n");
    assert_int_equal(seen.values, 0);
    assert_int_equal(seen.errors, 1);
}

static void an_unfinished_value_at_the_end_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"a\":").code, ERR_PARSE);
    assert_int_equal(read_text("[1] [").code, ERR_PARSE);
    assert_int_equal(read_text("[1]\n").code, 0);
}

static void garbage_without_line_breaks_ends_the_stream(void **state)
{
    size_t n = RPC_REQUEST_MAX + 5000;
    _cleanup_free_ char *text = malloc(n);
    (void)state;
    assert_non_null(text);
    memset(text, '[', n);
    struct seen seen = read_all(text, n, 1000);
    assert_int_equal(seen.errors, 1);
    assert_true(seen.fatal);
}

static void refuses_deep_nesting_and_goes_on(void **state)
{
    char text[200];
    (void)state;
    memset(text, '[', 100);
    strcpy(text + 100, "\n[7]\n");
    struct seen seen = read_text(text);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.code, ERR_PARSE);
    assert_string_equal(seen.text, "[7]");
    assert_non_null(strstr(seen.message, "32"));
}

static void accepts_the_deepest_nesting(void **state)
{
    char text[200];
    (void)state;
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        memcpy(text + n, "[{\"a\":", 6);
        n += 6;
    }
    text[n++] = '1';
    for (int i = 0; i < 16; i++) {
        memcpy(text + n, "}]", 2);
        n += 2;
    }
    struct seen seen = read_all(text, n, n);
    assert_int_equal(seen.values, 1);
    assert_int_equal(seen.errors, 0);
}

static void refuses_repeated_and_cut_names(void **state)
{
    static const char *const cases[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]",
        "{\"a\\u0000b\":1}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct seen seen = read_text(cases[i]);
        assert_int_equal(seen.values, 0);
        assert_int_equal(seen.code, ERR_REQUEST);
    }
    assert_int_equal(read_text("{\"a\":{\"a\":1},\"b\":{\"a\":1}}").values, 1);
}

static void nul_is_an_error(void **state)
{
    (void)state;
    struct seen seen = read_all("{\"a\":\"\0\"}\n[7]\n", 14, 14);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.code, ERR_PARSE);
    assert_string_equal(seen.text, "[7]");
    seen = read_all("\0\0\n[7]\n", 7, 7);
    assert_int_equal(seen.errors, 1);
    assert_int_equal(seen.values, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_values_in_pieces_of_any_size),
        cmocka_unit_test(keeps_what_was_written),
        cmocka_unit_test(limits_size_exactly),
        cmocka_unit_test(white_space_costs_nothing),
        cmocka_unit_test(goes_on_after_the_line_of_an_error),
        cmocka_unit_test(a_cut_off_request_does_not_take_the_next_with_it),
        cmocka_unit_test(an_unfinished_value_at_the_end_is_an_error),
        cmocka_unit_test(garbage_without_line_breaks_ends_the_stream),
        cmocka_unit_test(refuses_deep_nesting_and_goes_on),
        cmocka_unit_test(accepts_the_deepest_nesting),
        cmocka_unit_test(refuses_repeated_and_cut_names),
        cmocka_unit_test(nul_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
