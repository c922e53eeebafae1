/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Some thousand wrong inputs, generated from the table: each is refused with
 * -32602 (or the number that the table has for a wrong value) before anything
 * happens. "Anything" is a call of a port: the fake
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

/* JSON that is being written. */
struct text {
    char *at;
    size_t n, size;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text->n += (size_t)vsnprintf(text->at + text->n, text->size - text->n,
                                 format, args);
    va_end(args);
    assert_true(text->n < text->size);
}

/* A right value of what is no object. */
static const char *right(const struct param_spec *spec)
{
    switch (spec->type) {
    case PARAM_UUID:
        return "\"" WORLD_IMG "\"";
    case PARAM_UUIDS:
        return "[\"" WORLD_IMG "\"]";
    case PARAM_TEXT:
        return "\"text\"";
    case PARAM_XML:
        return "\"<domain/>\"";
    case PARAM_PATH:
    case PARAM_STORE:
        return "\"/nonexistent\"";
    case PARAM_SIZE:
        return "\"4096\"";
    case PARAM_PATHS:
        return "[\"/nonexistent\"]";
    case PARAM_UINT:
        if (spec->preset)
            return spec->min > 1 ? spec->preset : "1";
        return spec->min > 1 ? "512" : "1"; /* of sectors */
    case PARAM_BOOL:
        return "true";
    default:
        return "\"name\"";
    }
}

static void put_set(struct text *text, const struct param_spec *specs, size_t n,
                    size_t wrong, const char *value);

static void put_right(struct text *text, const struct param_spec *spec)
{
    bool many = spec->type == PARAM_OBJECTS;

    if (spec->type == PARAM_WORD) {
        put(text, "\"%s\"", spec->words[0]);
    } else if (spec->members) {
        put(text, many ? "[" : "");
        put_set(text, spec->members, spec->n_members, SIZE_MAX, NULL);
        put(text, many ? "]" : "");
    } else {
        put(text, "%s", right(spec));
    }
}

/* All of them right but @wrong, which becomes @value (NULL: left out). */
static void put_set(struct text *text, const struct param_spec *specs, size_t n,
                    size_t wrong, const char *value)
{
    const char *separator = "";

    put(text, "{");
    for (size_t i = 0; i < n; i++) {
        if (i == wrong && !value)
            continue;
        put(text, "%s\"%s\":", separator, specs[i].name);
        if (i == wrong)
            put(text, "%s", value);
        else
            put_right(text, &specs[i]);
        separator = ",";
    }
    put(text, "}");
}

static void build(const struct verb *verb, size_t wrong, const char *value,
                  char *ret_params, size_t size)
{
    struct text text = { ret_params, 0, size };
    put_set(&text, verb->params, verb->n_params, wrong, value);
}

/* An object whose member @wrong is @value, alone or in an array. */
static void build_object(const struct param_spec *spec, size_t wrong,
                         const char *value, char *ret_value, size_t size)
{
    bool many = spec->type == PARAM_OBJECTS;
    struct text text = { ret_value, 0, size };
    put(&text, many ? "[" : "");
    put_set(&text, spec->members, spec->n_members, wrong, value);
    put(&text, many ? "]" : "");
}

static void check_refused_as(struct harness *h, const char *method,
                             const char *params, const char *named,
                             enum err_code code)
{
    struct json_object *answer = harness_call(h, method, params);
    tried++;
    if (json_object_get_int(harness_at(answer, "error.code")) != (int)code ||
        h->world.calls > 0)
        fail_msg("%s %.300s\n -> %.300s", method, params,
                 json_object_to_json_string(answer));
    assert_string_equal(harness_text(answer, "error.data.cause"),
                        err_code_name(code));
    assert_string_equal(harness_text(answer, "error.data.phase"), "params");
    assert_true(*harness_text(answer, "error.data.next"));
    if (named && !strstr(harness_text(answer, "error.message"), named))
        fail_msg("%s: \"%s\" does not name %s", method,
                 harness_text(answer, "error.message"), named);
    json_object_put(answer);
}

static void check_refused(struct harness *h, const char *method,
                          const char *params, const char *named)
{
    check_refused_as(h, method, params, named, ERR_PARAMS);
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

static const char *const bad_path_lists[] = {
    "{}",         "[]",     "\"/a\"",         "[1]",  "[null]",
    "[[\"/a\"]]", "[\"\"]", "[\"/a\",\"b\"]", "true", "[\"/a/../b\"]",
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

static const char *const bad_stores[] = {
    "\"\"",        "\"a\"",       "\"a/b\"",     "\":/a\"",   "\"a:b\"",
    "\"a:/../b\"", "\"a:/b/..\"", "\"/a/../b\"", "\"./a:b\"", "\"-o:\"",
};

static const char *const bad_places[] = {
    "\"\"",
    "\" /a\"",
    "\"./a\"",
    "\"a/b\"",
    "\".\"",
    "\"a:b\"",
    "\"json:{}\"",
    "\"json:{\\\"driver\\\":\\\"file\\\"}\"",
    "\"json://{}\"",
    "\"file:/etc/passwd\"",
    "\"file:///etc/passwd\"",
    "\"FILE:///etc/passwd\"",
    "\"file+unix:///etc/passwd\"",
    "\"host_device:///dev/sda\"",
    "\"fat:/srv\"",
    "\"fat:rw:///srv\"",
    "\"blkdebug:///a:/b\"",
    "\"nbd:h:10809\"",
    "\"nbd:\"",
    "\"nbd://\"",
    "\"://h/x\"",
    "\"+unix://h\"",
    "\"nbd+://h\"",
    "\"nbd+u-x://h\"",
    "\"nbd+a+b://h\"",
    "\"1nbd://h\"",
    "\"n bd://h\"",
    "\"nbd://h/a b\"",
    "\"nbd://h/\\u00e9\"",
    "\"nbd://h/../x\"",
    "\"nbd://h/..\"",
    "\"nbd+unix:///?socket=../x\"",
    "\"nbd+unix:///x?socket=/a/..\"",
    "\"nbd://h/%2e%2E/x\"",
    "\"nbd://h/.%2e\"",
    "\"nbd://h/%00\"",
    "\"nbd://h/%0a\"",
    "\"nbd://h/%7f\"",
    "\"nbd://h/%zz\"",
    "\"nbd://h/%4\"",
    "\"nbd://h/%\"",
};

static const char *const bad_xmls[] = {
    "0", "1.5", "true", "\"\"", "\"domain\"", "\" <domain/>\"", "[]", "{}",
};

static const char *const bad_objects[] = {
    "0", "1.5", "true", "\"\"", "\"{}\"", "[]", "[{}]", "[1]",
};

static const char *const bad_object_lists[] = {
    "0",   "true",   "\"\"",    "\"[]\"", "{}",     "{\"0\":{}}", "[]",
    "[1]", "[null]", "[\"x\"]", "[[]]",   "[true]", "[{}, 1]",
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
    [PARAM_UUID] = {BAD(bad_strings),       BAD(bad_uuids)    },
    [PARAM_UUIDS] = { BAD(bad_uuid_lists),   { NULL, 0 }       },
    [PARAM_NAME] = { BAD(bad_strings),      BAD(bad_names)    },
    [PARAM_NEW_NAME] = { BAD(bad_strings),      BAD(bad_new_names)},
    [PARAM_DISK] = { BAD(bad_strings),      BAD(bad_disks)    },
    [PARAM_TEXT] = { BAD(bad_strings),      { NULL, 0 }       },
    [PARAM_XML] = { BAD(bad_xmls),         { NULL, 0 }       },
    [PARAM_PATH] = { BAD(bad_strings),      BAD(bad_paths)    },
    [PARAM_PATHS] = { BAD(bad_path_lists),   { NULL, 0 }       },
    [PARAM_STORE] = { BAD(bad_strings),      BAD(bad_stores)   },
    [PARAM_SIZE] = { BAD(bad_sizes),        { NULL, 0 }       },
    [PARAM_UINT] = { BAD(bad_uints),        { NULL, 0 }       },
    [PARAM_BOOL] = { BAD(bad_bools),        { NULL, 0 }       },
    [PARAM_WORD] = { BAD(bad_strings),      BAD(bad_words)    },
    [PARAM_PLACE] = { BAD(bad_strings),      BAD(bad_places)   },
    [PARAM_OBJECT] = { BAD(bad_objects),      { NULL, 0 }       },
    [PARAM_OBJECTS] = { BAD(bad_object_lists), { NULL, 0 }       },
};

static bool is_right_after_all(const struct param_spec *spec, const char *value)
{
    for (const char *const *word = spec->words; word && *word; word++)
        if (strlen(value) == strlen(*word) + 2 &&
            strncmp(value + 1, *word, strlen(*word)) == 0)
            return true;
    return spec->blank && str_equal(value, "\"" UUID_BLANK "\"");
}

enum {
    VALUE_SIZE = 8192,
    PARAMS_SIZE = 32768
};

/* Where a value is tried: a parameter, or a member of one. */
struct place {
    const struct verb *verb;
    size_t param;
    const struct param_spec *object; /* NULL: the parameter itself */
    size_t member;
};

static const struct param_spec *spec_at(const struct place *at)
{
    return at->object ? &at->object->members[at->member]
                      : &at->verb->params[at->param];
}

/* As errors call it. */
static void name_of(const struct place *at, char *ret_name, size_t size)
{
    if (!at->object)
        (void)str_copy(ret_name, size, spec_at(at)->name);
    else
        (void)str_format(ret_name, size, "%s%s.%s", at->object->name,
                         at->object->type == PARAM_OBJECTS ? "[0]" : "",
                         spec_at(at)->name);
}

/* Only a value of the right type can be the wrong one, and have a number that
 * the verb has for it: a whole number, or plain text. */
static bool is_of_type(const struct param_spec *spec, const char *value)
{
    if (spec->type == PARAM_UINT)
        return strspn(value, "-0123456789") == strlen(value);
    return value[0] == '"' && !strstr(value, "\\u00") &&
           !strstr(value, "\\n") && !strstr(value, "\\t");
}

/* @value NULL: left out. */
static void try_value(struct harness *h, const struct place *at,
                      const char *value)
{
    const enum err_code code = spec_at(at)->code;
    bool numbered = code && value && is_of_type(spec_at(at), value);
    char object[VALUE_SIZE], params[PARAMS_SIZE], name[128];

    if (at->object) {
        build_object(at->object, at->member, value, object, sizeof(object));
        value = object;
    }
    build(at->verb, at->param, value, params, sizeof(params));
    name_of(at, name, sizeof(name));
    check_refused_as(h, at->verb->name, params, name,
                     numbered ? code : ERR_PARAMS);
}

static void try_bad_values(struct harness *h, const struct place *at)
{
    const struct param_spec *spec = spec_at(at);

    for (size_t l = 0; l < BAD_LISTS; l++) {
        for (size_t i = 0; i < bad[spec->type][l].n; i++) {
            const char *value = bad[spec->type][l].values[i];
            if (!is_right_after_all(spec, value))
                try_value(h, at, value);
        }
    }
}

static void try_missing_and_null(struct harness *h, const struct place *at)
{
    if (!spec_at(at)->optional)
        try_value(h, at, NULL);
    if (!spec_at(at)->nullable)
        try_value(h, at, "null");
}

static void try_bounds(struct harness *h, const struct place *at)
{
    const struct param_spec *spec = spec_at(at);
    char value[32];

    if (spec->type != PARAM_UINT && spec->type != PARAM_SIZE)
        return;
    (void)str_format(value, sizeof(value), "%llu",
                     (unsigned long long)spec->max + 1);
    try_value(h, at, value);
    if (spec->min == 0)
        return;
    (void)str_format(value, sizeof(value), "%llu",
                     (unsigned long long)spec->min - 1);
    try_value(h, at, value);
}

/* At every parameter, and at every member of those that are objects. */
static void everywhere(struct harness *h,
                       void (*try)(struct harness *, const struct place *))
{
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < verb_table[i].n_params; k++) {
            struct place at = { .verb = &verb_table[i], .param = k };
            try(h, &at);
            at.object = spec_at(&at);
            for (; at.member < at.object->n_members; at.member++)
                try(h, &at);
        }
    }
}

static void refuses_wrong_values(void **state)
{
    everywhere(*state, try_bad_values);
}

static void refuses_what_is_missing_or_null(void **state)
{
    everywhere(*state, try_missing_and_null);
}

static void refuses_numbers_out_of_range(void **state)
{
    everywhere(*state, try_bounds);
}

static void try_unknown_member(struct harness *h, const struct place *at)
{
    const struct param_spec *spec = spec_at(at);
    bool many = spec->type == PARAM_OBJECTS;
    char value[VALUE_SIZE], object[VALUE_SIZE], params[PARAMS_SIZE];
    char place[96], name[128];
    struct text text = { value, 0, sizeof(value) };

    if (!spec->members || spec->open)
        return;
    put(&text, many ? "[" : "");
    put_set(&text, spec->members, spec->n_members, SIZE_MAX, NULL);
    text.n--; /* its last bracket */
    put(&text, ",\"\\u001bx\":1}%s", many ? "]" : "");
    if (at->object)
        build_object(at->object, at->member, value, object, sizeof(object));
    build(at->verb, at->param, at->object ? object : value, params,
          sizeof(params));
    name_of(at, place, sizeof(place));
    (void)str_format(name, sizeof(name), "%s%s.?x is unknown", place,
                     many ? "[0]" : "");
    check_refused(h, at->verb->name, params, name);
}

static void try_too_many(struct harness *h, const struct place *at)
{
    const struct param_spec *spec = spec_at(at);
    char value[VALUE_SIZE];
    struct text text = { value, 0, sizeof(value) };

    if (spec->type != PARAM_OBJECTS)
        return;
    for (size_t n = 0; n <= spec->max; n++) {
        put(&text, n ? "," : "[");
        put_set(&text, spec->members, spec->n_members, SIZE_MAX, NULL);
    }
    put(&text, "]");
    try_value(h, at, value);
}

static void refuses_wrong_objects(void **state)
{
    unsigned before = tried;
    everywhere(*state, try_unknown_member);
    assert_true(tried > before);
    before = tried;
    everywhere(*state, try_too_many);
    assert_true(tried > before);
}

static void refuses_unknown_parameters(void **state)
{
    static const char *const unknown[] = {
        "x", "", "jobid", "JOBID", "../x", "storagedomainid", "__proto__"
    };
    for (size_t i = 0; i < verb_table_n; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(unknown); k++) {
            char params[PARAMS_SIZE];
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
        char params[PARAMS_SIZE];
        struct text text = { params, 0, sizeof(params) };
        bool takes_array =
            verb->n_params > 0 && (verb->params[0].type == PARAM_UUIDS ||
                                   verb->params[0].type == PARAM_OBJECTS);
        for (size_t k = 0; k < verb->n_params; k++) {
            put(&text, k ? "," : "[");
            put_right(&text, &verb->params[k]);
        }
        put(&text, verb->n_params ? ",1]" : "[1]");
        check_refused(*state, verb->name, params, verb->name);
        if (verb->n_params > 0 && !verb->params[0].optional)
            check_refused(*state, verb->name, "[]", verb->params[0].name);
        if (verb->n_params > 0 && !takes_array)
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
        {"VM.getDisks",           "vmID",     "",       256   },
        { "Disk.plan",            "domain",   "",       256   },
        { "Disk.plan",            "domain",   "/",      1024  },
        { "Disk.plan",            "domain",   "nbd://", 1024  },
        { "Disk.plan",            "disk",     "/",      1024  },
        { "Disk.plan",            "disk",     "",       256   },
        { "StorageDomain.create", "typeArgs", "/",      4096  },
        { "StorageDomain.create", "name",     "",       128   },
        { "Volume.create",        "desc",     "",       513   },
        { "Volume.create",        "desc",     "",       200000},
        { "Job.info",             "jobID",    "",       200000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct verb *verb = verb_find(cases[i].method);
        size_t size = cases[i].n + PARAMS_SIZE, at = 0;
        _cleanup_free_ char *params = malloc(size);
        _cleanup_free_ char *value = long_string(cases[i].prefix, cases[i].n);
        assert_non_null(params);
        while (!str_equal(verb->params[at].name, cases[i].param))
            at++;
        build(verb, at, value, params, size);
        check_refused(*state, cases[i].method, params, cases[i].param);
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
        "SDM.create_volume",
        "rpc.",
        "\\u001b[31m",
        "VM.diskreplicatestart",
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
        cmocka_unit_test(refuses_wrong_objects),
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
