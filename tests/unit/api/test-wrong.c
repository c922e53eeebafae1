/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Some thousand wrong inputs, generated from the table: each is refused with
 * -32602 before anything happens. "Anything" is a call of a port: the fake
 * world counts those that it has, the others are NULL and crash.
 */
#include "../../../src/api/params.h"
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

static unsigned tried;

static int setup(void **state)
{
    struct harness *h = harness_new();
    api_set_ready(h->api, h->jobs);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct harness *h = *state;
    int calls = (int)h->world.calls;
    harness_free(h);
    print_message("# %u wrong inputs\n", tried);
    return calls;
}

/* A right value, as JSON. */
static const char *right(const struct param_spec *spec)
{
    switch (spec->type) {
    case PARAM_UUID:
        return "\"" WORLD_IMG "\"";
    case PARAM_UUIDS:
        return "[\"" WORLD_IMG "\"]";
    case PARAM_NAME:
    case PARAM_NEW_NAME:
    case PARAM_DISK:
        return "\"name\"";
    case PARAM_TEXT:
        return "\"text\"";
    case PARAM_PATH:
        return "\"/nonexistent\"";
    case PARAM_SIZE:
        return "\"4096\"";
    case PARAM_UINT:
        return spec->min > 1 ? spec->preset : "1";
    case PARAM_BOOL:
        return "true";
    case PARAM_WORD:
        break;
    }
    return spec->words[0][0] == 'R'   ? "\"RAW\""
           : spec->words[0][0] == 'D' ? "\"DATA\""
           : spec->words[0][0] == 's' ? "\"storage\""
                                      : "\"SPARSE\"";
}

/* All parameters right but @wrong, which becomes @value (NULL: left out). */
static void build(const struct verb *verb, size_t wrong, const char *value,
                  char *ret_params, size_t size)
{
    size_t n = 1;
    (void)str_copy(ret_params, size, "{");
    for (size_t i = 0; i < verb->n_params; i++) {
        const char *json = i == wrong ? value : right(&verb->params[i]);
        if (!json)
            continue;
        (void)str_format(ret_params + n, size - n, "%s\"%s\":%s",
                         n > 1 ? "," : "", verb->params[i].name, json);
        n += strlen(ret_params + n);
    }
    (void)str_format(ret_params + n, size - n, "}");
}

static void check_refused(struct harness *h, const char *method,
                          const char *params, const char *named)
{
    struct json_object *answer = harness_call(h, method, params);
    tried++;
    if (json_object_get_int(harness_at(answer, "error.code")) != ERR_PARAMS ||
        h->world.calls > 0)
        fail_msg("%s %.300s\n -> %.300s", method, params,
                 json_object_to_json_string(answer));
    assert_string_equal(harness_text(answer, "error.data.cause"),
                        "InvalidParams");
    assert_string_equal(harness_text(answer, "error.data.phase"), "params");
    assert_true(*harness_text(answer, "error.data.next"));
    if (named && !strstr(harness_text(answer, "error.message"), named))
        fail_msg("%s: \"%s\" does not name %s", method,
                 harness_text(answer, "error.message"), named);
    json_object_put(answer);
}

/* Wrong for every type of string. */
static const char *const bad_strings[] = {
    "0",
    "1.5",
    "-1",
    "true",
    "{}",
    "{\"a\":{\"b\":[]}}",
    "[]",
    "[\"x\"]",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"" WORLD_IMG "\\u0000\"",
    "\"/a\\u0000\"",
    "\"\\n\"",
    "\"a\\nb\"",
    "\"/a\\tb\"",
    "\"\\u001b[31m\"",
    "\"\\u007f\"",
    "\"\\u0085\"",
    "\"\\u009b1m\"",
    "\"../a\"",
    "\"../../../../etc/passwd\"",
    "\"a/../../b\"",
    "\"/a/../b\"",
    "\"/..\"",
    "\"..\"",
    "\"/a/b/..\"",
    "\"..\\\\a\"",
};

/* Wrong for UUIDs, besides. */
static const char *const bad_uuids[] = {
    "\"\"",
    "\" \"",
    "\"name\"",
    "\"" UUID_BLANK "\"",
    "\"44444444-4444-4444-8444-44444444444\"",
    "\"44444444-4444-4444-8444-4444444444444\"",
    "\"44444444444444448444444444444444\"",
    "\"{44444444-4444-4444-8444-444444444444}\"",
    "\" 44444444-4444-4444-8444-44444444444\"",
    "\"4444444g-4444-4444-8444-444444444444\"",
    "\"AAAAAAAA-4444-4444-8444-444444444444\"",
    "\"aaaaaaaa-4444-4444-8444-44444444444A\"",
    "\"44444444_4444_4444_8444_444444444444\"",
    "\"44444444-4444-4444-8444-4444444444%34\"",
    "\"\\uff14\\uff14444444-4444-4444-8444-444444444444\"",
    "\"44444444-4444-4444-8444-444444444444/\"",
    "\"urn:uuid:44444444-4444-4444-8444-444444444444\"",
};

static const char *const bad_uuid_lists[] = {
    "{}",
    "\"" WORLD_IMG "\"",
    "[1]",
    "[null]",
    "[[]]",
    "[\"\"]",
    "[\"" UUID_BLANK "\"]",
    "[\"..\"]",
    "true",
    "7",
    "[\"" WORLD_IMG "\",\"x\"]",
};

static const char *const bad_names[] = {
    "\"\"", "\"/\"", "\".\"", "\"a/b\"", "\"/etc/passwd\"", "\"./a\"",
};

static const char *const bad_new_names[] = {
    "\"a b\"",   "\"-a\"",     "\"a=b\"",    "\"\\u00e9\"",
    "\"a%2e\"",  "\"a\\\\b\"", "\"a\\\"b\"", "\"a'b\"",
    "\"$(id)\"", "\"a;b\"",    "\"a,b\"",    "\"" WORLD_IMG "\"",
};

static const char *const bad_paths[] = {
    "\"\"", "\"a\"", "\"./a\"", "\"~/a\"", "\"file:///a\"", "\" /a\"",
};

static const char *const bad_disks[] = { "\"\"", "\"a/b\"", "\".\"" };

static const char *const bad_sizes[] = {
    "\"\"",
    "\" \"",
    "\"1 \"",
    "\" 1\"",
    "\"+1\"",
    "\"-1\"",
    "\"0x10\"",
    "\"1e9\"",
    "\"1.0\"",
    "\"1G\"",
    "\"\\u0031\\u0000\"",
    "-1",
    "1.5",
    "1e3",
    "true",
    "[]",
    "{}",
    "[1]",
    "\"18446744073709551616\"",
    "\"9223372036854775807\"",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "\"99999999999999999999999999999999\"",
};

static const char *const bad_uints[] = {
    "-1",
    "1.5",
    "1e3",
    "0.0",
    "\"1\"",
    "\"\"",
    "true",
    "[]",
    "[1]",
    "{}",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999",
};

static const char *const bad_bools[] = {
    "0", "1", "\"true\"", "\"false\"", "\"\"", "[]", "{}", "1.0", "[true]",
};

static const char *const bad_words[] = {
    "\"\"", "\"raw\"", "\"RAW \"", "\"QCOW2\"", "\"sparse\"", "\"DATA,ISOF\"",
};

struct list_of_bad {
    const char *const *values;
    size_t n;
};

#define BAD(list)                                                              \
    {                                                                          \
        list, ARRAY_SIZE(list)                                                 \
    }
#define BAD_LISTS 2

static const struct list_of_bad bad[][BAD_LISTS] = {
    [PARAM_UUID] = {BAD(bad_strings),     BAD(bad_uuids)    },
    [PARAM_UUIDS] = { BAD(bad_uuid_lists), { NULL, 0 }       },
    [PARAM_NAME] = { BAD(bad_strings),    BAD(bad_names)    },
    [PARAM_NEW_NAME] = { BAD(bad_strings),    BAD(bad_new_names)},
    [PARAM_DISK] = { BAD(bad_strings),    BAD(bad_disks)    },
    [PARAM_TEXT] = { BAD(bad_strings),    { NULL, 0 }       },
    [PARAM_PATH] = { BAD(bad_strings),    BAD(bad_paths)    },
    [PARAM_SIZE] = { BAD(bad_sizes),      { NULL, 0 }       },
    [PARAM_UINT] = { BAD(bad_uints),      { NULL, 0 }       },
    [PARAM_BOOL] = { BAD(bad_bools),      { NULL, 0 }       },
    [PARAM_WORD] = { BAD(bad_strings),    BAD(bad_words)    },
};

static bool is_right_after_all(const struct param_spec *spec, const char *value)
{
    return spec->blank && str_equal(value, "\"" UUID_BLANK "\"");
}

static void try_all(struct harness *h, const struct verb *verb, size_t k)
{
    const struct param_spec *spec = &verb->params[k];
    char params[8192];

    for (size_t l = 0; l < BAD_LISTS; l++) {
        for (size_t i = 0; i < bad[spec->type][l].n; i++) {
            const char *value = bad[spec->type][l].values[i];
            if (is_right_after_all(spec, value))
                continue;
            build(verb, k, value, params, sizeof(params));
            check_refused(h, verb->name, params, spec->name);
        }
    }
}

static void refuses_wrong_values(void **state)
{
    for (size_t i = 0; i < verb_table_n; i++)
        for (size_t k = 0; k < verb_table[i].n_params; k++)
            try_all(*state, &verb_table[i], k);
}

static void refuses_what_is_missing_or_null(void **state)
{
    char params[8192];
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < verb_table[i].n_params; k++) {
            const struct param_spec *spec = &verb_table[i].params[k];
            if (!spec->optional) {
                build(&verb_table[i], k, NULL, params, sizeof(params));
                check_refused(*state, verb_table[i].name, params, spec->name);
            }
            if (!spec->nullable) {
                build(&verb_table[i], k, "null", params, sizeof(params));
                check_refused(*state, verb_table[i].name, params, spec->name);
            }
        }
    }
}

static void refuses_unknown_parameters(void **state)
{
    static const char *const unknown[] = {
        "x", "", "jobid", "JOBID", "../x", "storagedomainid", "__proto__"
    };
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(unknown); k++) {
            char params[8192];
            build(&verb_table[i], SIZE_MAX, NULL, params, sizeof(params));
            size_t n = strlen(params) - 1;
            (void)str_format(params + n, sizeof(params) - n, "%s\"%s\":1}",
                             n > 1 ? "," : "", unknown[k]);
            check_refused(*state, verb_table[i].name, params, unknown[k]);
        }
    }
}

static void refuses_wrong_arrays(void **state)
{
    for (size_t i = 0; i < verb_table_n; i++) {
        const struct verb *verb = &verb_table[i];
        char params[8192] = "[";
        for (size_t k = 0; k <= verb->n_params; k++) {
            size_t n = strlen(params);
            (void)str_format(
                params + n, sizeof(params) - n, "%s%s", k ? "," : "",
                k < verb->n_params ? right(&verb->params[k]) : "1");
        }
        strcat(params, "]");
        check_refused(*state, verb->name, params, verb->name);
        if (verb->n_params > 0 && !verb->params[0].optional)
            check_refused(*state, verb->name, "[]", verb->params[0].name);
        if (verb->n_params > 0 && verb->params[0].type != PARAM_UUIDS)
            check_refused(*state, verb->name, "[[]]", verb->params[0].name);
    }
}

static char *long_string(const char *prefix, size_t n)
{
    char *text = malloc(n + 3);
    assert_non_null(text);
    memset(text, 'a', n + 2);
    text[0] = '"';
    memcpy(text + 1, prefix, strlen(prefix));
    text[n + 1] = '"';
    text[n + 2] = '\0';
    return text;
}

static void refuses_what_is_too_long(void **state)
{
    static const struct {
        const char *method;
        const char *param;
        const char *prefix;
        size_t n;
    } cases[] = {
        {"VM.getDisks",           "vmID",     "",  256   },
        { "Disk.plan",            "domain",   "",  4096  },
        { "Disk.plan",            "disk",     "/", 4096  },
        { "Disk.plan",            "disk",     "",  256   },
        { "StorageDomain.create", "typeArgs", "/", 4096  },
        { "StorageDomain.create", "name",     "",  128   },
        { "Volume.create",        "desc",     "",  513   },
        { "Volume.create",        "desc",     "",  200000},
        { "Job.info",             "jobID",    "",  200000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct verb *verb = verb_find(cases[i].method);
        size_t size = cases[i].n + 8192, at = 0;
        _cleanup_free_ char *params = malloc(size);
        _cleanup_free_ char *value = long_string(cases[i].prefix, cases[i].n);
        assert_non_null(params);
        while (!str_equal(verb->params[at].name, cases[i].param))
            at++;
        build(verb, at, value, params, size);
        check_refused(*state, cases[i].method, params, cases[i].param);
    }
}

static void refuses_numbers_out_of_range(void **state)
{
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < verb_table[i].n_params; k++) {
            const struct param_spec *spec = &verb_table[i].params[k];
            char params[8192], value[32];
            if (spec->type != PARAM_UINT && spec->type != PARAM_SIZE)
                continue;
            (void)str_format(value, sizeof(value), "%llu",
                             (unsigned long long)spec->max + 1);
            build(&verb_table[i], k, value, params, sizeof(params));
            check_refused(*state, verb_table[i].name, params, spec->name);
            if (spec->min == 0)
                continue;
            (void)str_format(value, sizeof(value), "%llu",
                             (unsigned long long)spec->min - 1);
            build(&verb_table[i], k, value, params, sizeof(params));
            check_refused(*state, verb_table[i].name, params, spec->name);
        }
    }
}

static void takes_numbers_at_their_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < verb_table[i].n_params; k++) {
            const struct param_spec *spec = &verb_table[i].params[k];
            const uint64_t bounds[] = { spec->min, spec->max };
            if (spec->type != PARAM_UINT && spec->type != PARAM_SIZE)
                continue;
            for (size_t b = 0; b < ARRAY_SIZE(bounds); b++) {
                struct json_object *json = json_object_new_uint64(bounds[b]);
                struct param_value value = { 0 };
                struct err err = ERR_INIT;
                assert_int_equal(check_value(spec, json, &value, &err), 0);
                assert_true(value.number == bounds[b]);
                json_object_put(json);
            }
        }
    }
}

static void refuses_unknown_methods(void **state)
{
    static const char *const methods[] = {
        "",
        "Host",
        "Host.",
        ".ping",
        "host.ping",
        "Host.ping ",
        "Host.ping.x",
        "Host.Ping",
        "../Host.ping",
        "Host.ping\\n",
        "SDM.copy_data",
        "rpc.",
        "\\u001b[31m",
        "VM.diskReplicateStart",
    };
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        assert_int_equal(harness_code(h, methods[i], NULL), ERR_METHOD);
        tried++;
    }
    assert_int_equal(h->world.calls, 0);
}

static void messages_are_one_printable_line(void **state)
{
    struct json_object *answer = harness_call(
        *state, "Job.info", "{\"\\u001b[31m\\n\\u00e9\\u0085\":1}");
    const char *message = harness_text(answer, "error.message");
    assert_true(*message);
    for (; *message; message++)
        assert_in_range(*message, 0x20, 0x7e);
    json_object_put(answer);
}

static void a_wrong_input_is_refused_quickly(void **state)
{
    int64_t start = time_now_ms();
    for (int i = 0; i < 1000; i++)
        assert_int_equal(
            harness_code(*state, "Job.info", "{\"jobID\":\"../x\"}"),
            ERR_PARAMS);
    /* 1000 in 10 s even under sanitizers: 10 ms each */
    assert_in_range(time_now_ms() - start, 0, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_wrong_values),
        cmocka_unit_test(refuses_what_is_missing_or_null),
        cmocka_unit_test(refuses_unknown_parameters),
        cmocka_unit_test(refuses_wrong_arrays),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(refuses_numbers_out_of_range),
        cmocka_unit_test(takes_numbers_at_their_bounds),
        cmocka_unit_test(refuses_unknown_methods),
        cmocka_unit_test(messages_are_one_printable_line),
        cmocka_unit_test(a_wrong_input_is_refused_quickly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
