/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Validation: any JSON as params of any verb. What passes holds no string that
 * could do harm. The first byte chooses the verb.
 */
#include "../../src/api/params.h"
#include "fuzz.h"

#include <json-c/json.h>

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* What qemu takes for a protocol is one of the network. */
static void check_place(const char *text)
{
    const char *colon = strchr(text, ':');
    MUST(*text && strlen(text) < JOB_PATH_SIZE);
    if (*text == '/' || !colon)
        return;
    MUST(str_starts_with(colon, "://") && colon[3] && !strchr(text, ' '));
    MUST(!str_starts_with(text, "file:") && !str_starts_with(text, "json:"));
}

static void check_text(const struct param_spec *spec, const char *text)
{
    MUST(!has_control(text) && !strstr(text, "/../"));
    MUST(!str_starts_with(text, "../") && !str_ends_with(text, "/.."));
    switch (spec->type) {
    case PARAM_UUID:
        MUST(uuid_is_valid(text));
        break;
    case PARAM_NAME:
    case PARAM_NEW_NAME:
        MUST(*text && !strchr(text, '/'));
        break;
    case PARAM_PATH:
        MUST(*text == '/' && strlen(text) < PATH_MAX);
        break;
    case PARAM_STORE:
        MUST(strlen(text) < PATH_MAX && (*text == '/' || strstr(text, ":/")));
        break;
    case PARAM_PLACE:
        check_place(text);
        break;
    default:
        break;
    }
}

static void check(const struct param_spec *specs, size_t n,
                  const struct params *params);

static void check_items(const struct param_spec *spec,
                        const struct params *params)
{
    size_t n = params_count(params, spec->name);
    MUST(n > 0 && (spec->type == PARAM_OBJECT || n <= spec->max));
    for (size_t i = 0; i < n; i++)
        check(spec->members, spec->n_members,
              params_item(params, spec->name, i));
}

static void check_one(const struct param_spec *spec,
                      const struct params *params)
{
    const struct uuid_list *list = NULL;

    switch (spec->type) {
    case PARAM_UUIDS:
        list = params_uuids(params, spec->name);
        for (size_t k = 0; k < list->n; k++)
            MUST(uuid_is_valid(list->uuids[k]));
        break;
    case PARAM_SIZE:
    case PARAM_UINT:
        MUST(params_number(params, spec->name) >= spec->min);
        MUST(params_number(params, spec->name) <= spec->max);
        break;
    case PARAM_BOOL:
        (void)params_flag(params, spec->name);
        break;
    case PARAM_OBJECT:
    case PARAM_OBJECTS:
        check_items(spec, params);
        break;
    default:
        check_text(spec, params_text(params, spec->name));
    }
}

static void check(const struct param_spec *specs, size_t n,
                  const struct params *params)
{
    for (size_t i = 0; i < n; i++) {
        if (params_has(params, specs[i].name))
            check_one(&specs[i], params);
        else
            MUST(specs[i].optional);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct params *params = NULL;
    struct err err = ERR_INIT;

    if (size < 2)
        return 0;
    const struct verb *verb = &verb_table[data[0] % verb_table_n];
    char *text = fuzz_text(data + 1, size - 1);
    struct json_object *json = json_tokener_parse(text);
    free(text);
    if (json_object_is_type(json, json_type_object) ||
        json_object_is_type(json, json_type_array)) {
        if (params_read(verb, json, &params, &err) == 0)
            check(verb->params, verb->n_params, params);
        else
            MUST(err.message[0] && err.next[0] && !has_control(err.message));
        params_free(params);
    }
    json_object_put(json);
    return 0;
}
