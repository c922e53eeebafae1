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
    default:
        break;
    }
}

static void check(const struct verb *verb, const struct params *params)
{
    for (size_t i = 0; i < verb->n_params; i++) {
        const struct param_spec *spec = &verb->params[i];
        if (!params_has(params, spec->name)) {
            MUST(spec->optional);
            continue;
        }
        switch (spec->type) {
        case PARAM_UUIDS: {
            const struct uuid_list *list = params_uuids(params, spec->name);
            for (size_t k = 0; k < list->n; k++)
                MUST(uuid_is_valid(list->uuids[k]));
            break;
        }
        case PARAM_SIZE:
        case PARAM_UINT:
            MUST(params_number(params, spec->name) >= spec->min);
            MUST(params_number(params, spec->name) <= spec->max);
            break;
        case PARAM_BOOL:
            (void)params_flag(params, spec->name);
            break;
        default:
            check_text(spec, params_text(params, spec->name));
        }
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
            check(verb, params);
        else
            MUST(err.message[0] && err.next[0] && !has_control(err.message));
        params_free(params);
    }
    json_object_put(json);
    return 0;
}
