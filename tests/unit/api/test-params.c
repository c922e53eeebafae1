/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Places and objects as parameters, on a verb of the test's own.
 */
#include "../../../src/api/params.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

static const struct param_spec members[] = {
    {.name = "id",         .type = PARAM_UINT, .text = "",       .max = 9},
    {              .name = "to", .type = PARAM_PLACE,         .text = "", .optional = true       },
    { .name = "deep",
     .type = PARAM_BOOL,
     .text = "",
     .optional = true,
     .preset = "true" },
};

static const struct param_spec nested[] = {
    {.name = "inner",
     .type = PARAM_OBJECT,
     .text = "",
     .members = members,
     .n_members = ARRAY_SIZE(members)},
};

static const struct param_spec specs[] = {
    {.name = "place",                  .type = PARAM_PLACE, .text = "", .optional = true},
    { .name = "one",
     .type = PARAM_OBJECT,
     .text = "",
     .optional = true,
     .nullable = true,
     .members = members,
     .n_members = ARRAY_SIZE(members) },
    {                                                      .name = "many",
     .type = PARAM_OBJECTS,
     .text = "",
     .optional = true,
     .min = 2,
     .max = 3,
     .members = members,
     .n_members = ARRAY_SIZE(members) },
    {                                                                              .name = "open",
     .type = PARAM_OBJECT,
     .text = "",
     .optional = true,
     .open = true,
     .members = members,
     .n_members = ARRAY_SIZE(members) },
    {                                                                      .name = "outer",
     .type = PARAM_OBJECT,
     .text = "",
     .optional = true,
     .members = nested,
     .n_members = ARRAY_SIZE(nested) },
};

static const struct verb verb = { .name = "Test.verb",
                                  .params = specs,
                                  .n_params = ARRAY_SIZE(specs) };

/* NULL and the message, or the params. */
static struct params *read_text(const char *text,
                                char ret_message[ERR_MESSAGE_SIZE])
{
    struct json_object *json = json_tokener_parse(text);
    struct params *params = NULL;
    struct err err = ERR_INIT;

    assert_non_null(json);
    int r = params_read(&verb, json, &params, &err);
    json_object_put(json);
    (void)str_copy(ret_message, ERR_MESSAGE_SIZE, err.message);
    if (r < 0) {
        assert_int_equal(err.code, ERR_PARAMS);
        assert_string_equal(err.next, "rpc.discover describes the parameters "
                                      "of Test.verb");
        assert_null(params);
    }
    return params;
}

static void refused(const char *text, const char *wanted)
{
    char message[ERR_MESSAGE_SIZE];
    assert_null(read_text(text, message));
    assert_string_equal(message, wanted);
}

static struct params *taken(const char *text)
{
    char message[ERR_MESSAGE_SIZE];
    struct params *params = read_text(text, message);
    if (!params)
        fail_msg("%s: %s", text, message);
    return params;
}

static void objects_are_read_like_parameters(void **state)
{
    struct params *params =
        taken("{\"one\":{\"to\":\"a\",\"id\":7},\"many\":[{\"id\":1},"
              "{\"id\":2,\"deep\":false}]}");
    (void)state;
    assert_true(params_has(params, "one"));
    assert_int_equal(params_count(params, "one"), 1);
    const struct params *one = params_item(params, "one", 0);
    assert_int_equal(params_number(one, "id"), 7);
    assert_string_equal(params_text(one, "to"), "a");
    assert_true(params_flag(one, "deep"));
    assert_int_equal(params_count(params, "many"), 2);
    assert_int_equal(params_number(params_item(params, "many", 0), "id"), 1);
    const struct params *second = params_item(params, "many", 1);
    assert_int_equal(params_number(second, "id"), 2);
    assert_false(params_flag(second, "deep"));
    assert_null(params_text(second, "to"));
    assert_null(params_text_if_any(second, "nosuch"));
    params_free(params);
}

static void what_is_absent_counts_nothing(void **state)
{
    struct params *params = taken("{\"one\":null}");
    (void)state;
    assert_false(params_has(params, "one"));
    assert_int_equal(params_count(params, "one"), 0);
    assert_int_equal(params_count(params, "many"), 0);
    params_free(params);
    params = taken("[\"a\",null,[{\"id\":1},{\"id\":1}]]");
    params_free(params);
}

static void the_error_names_the_member(void **state)
{
    (void)state;
    refused("{\"one\":{}}", "one.id is missing");
    refused("{\"one\":{\"id\":10}}", "one.id: must be 0 to 9");
    refused("{\"one\":{\"id\":null}}", "one.id: must not be null");
    refused("{\"one\":{\"id\":1,\"\\n\":2}}",
            "one.? is unknown; there are id, to, deep");
    refused("{\"one\":[1]}", "one: must be an object");
    refused("{\"many\":[{\"id\":1},{\"id\":true}]}",
            "many[1].id: must be a whole number");
    refused("{\"many\":[{\"id\":1},null]}", "many[1]: must be an object");
    refused("{\"many\":[{\"id\":1},[1]]}", "many[1]: must be an object");
    refused("{\"many\":[{\"id\":1}]}",
            "many: must be an array of 2 to 3 objects");
    refused("{\"many\":[{\"id\":1},{\"id\":1},{\"id\":1},{\"id\":1}]}",
            "many: must be an array of 2 to 3 objects");
    refused("{\"many\":{}}", "many: must be an array of 2 to 3 objects");
    refused("{\"outer\":{\"inner\":{\"id\":1,\"to\":\"..\"}}}",
            "outer.inner.to: \"..\" is no domain, no absolute path and no "
            "scheme://...");
}

static void an_open_object_ignores_what_it_does_not_know(void **state)
{
    struct params *params =
        taken("{\"open\":{\"x\":{\"y\":[]},\"id\":3,\"z\":null}}");
    (void)state;
    assert_int_equal(params_number(params_item(params, "open", 0), "id"), 3);
    params_free(params);
    refused("{\"open\":{\"x\":1}}", "open.id is missing");
    refused("{\"open\":{\"id\":\"1\"}}", "open.id: must be a whole number");
}

static void places_that_are_taken(void **state)
{
    static const struct {
        const char *text;
        bool outside;
    } places[] = {
        {"data",                                   false},
        { "a..b",                                  false},
        { "22222222-2222-4222-8222-222222222222",  false},
        { "/",                                     true },
        { "/dev/mapper/vg-lv",                     true },
        { "/a b/\xc3\xa9,c=d:e",                   true },
        { "/..a/b../...",                          true },
        { "nbd://host:10809/name",                 true },
        { "nbd+unix:///name?socket=/run/nbd.sock", true },
        { "nbd://h/a..b",                          true },
        { "nbd://h/a%20b",                         true },
        { "rbd://x",                               true },
        { "https://user@h/x.qcow2",                true },
        { "h2://x",                                true },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const char *problem = place_problem(places[i].text);
        if (problem)
            fail_msg("%s %s", places[i].text, problem);
        assert_int_equal(place_is_outside(places[i].text), places[i].outside);
    }
}

static void a_place_fits_into_a_job(void **state)
{
    char text[JOB_PATH_SIZE + 1];
    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[JOB_PATH_SIZE - 1] = '\0';
    assert_null(place_problem(text));
    text[JOB_PATH_SIZE - 1] = 'a';
    text[JOB_PATH_SIZE] = '\0';
    assert_string_equal(place_problem(text), "is longer than 1023 bytes");
    memcpy(text, "nbd://", 6);
    text[JOB_PATH_SIZE - 1] = '\0';
    assert_null(place_problem(text));
    memset(text, 'a', 255);
    text[255] = '\0';
    assert_null(place_problem(text));
    text[255] = 'a';
    text[256] = '\0';
    assert_non_null(place_problem(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_read_like_parameters),
        cmocka_unit_test(what_is_absent_counts_nothing),
        cmocka_unit_test(the_error_names_the_member),
        cmocka_unit_test(an_open_object_ignores_what_it_does_not_know),
        cmocka_unit_test(places_that_are_taken),
        cmocka_unit_test(a_place_fits_into_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
