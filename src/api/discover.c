/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * rpc.discover: the verb table as an OpenRPC document.
 */
#include "put.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static const char uuid_pattern[] =
    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

static bool put_words(struct json_object *schema, const char *const *words)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (; ok && *words; words++)
        ok = put_item(array, json_object_new_string(*words));
    return put_value(schema, "enum", put_end(array, ok));
}

static struct json_object *uuid_schema(void)
{
    struct json_object *schema = json_object_new_object();
    return put_end(schema, put_text(schema, "type", "string") &&
                               put_text(schema, "pattern", uuid_pattern));
}

static struct json_object *path_schema(void)
{
    struct json_object *schema = json_object_new_object();
    return put_end(schema, put_text(schema, "type", "string") &&
                               put_text(schema, "pattern", "^/"));
}

static bool put_string_type(struct json_object *schema,
                            const struct param_spec *spec)
{
    bool ok = put_text(schema, "type", "string");
    switch (spec->type) {
    case PARAM_UUID:
        return ok && put_text(schema, "pattern", uuid_pattern);
    case PARAM_SIZE:
        return ok && put_text(schema, "pattern", "^[0-9]+$");
    case PARAM_PATH:
        return ok && put_text(schema, "pattern", "^/");
    case PARAM_STORE:
        return ok && put_text(schema, "pattern", "^(/|[^/]+:/)");
    case PARAM_PLACE:
        return ok && put_text(schema, "format", "place");
    case PARAM_TEXT:
    case PARAM_XML:
        return ok && put_u64(schema, "maxLength", spec->max);
    case PARAM_WORD:
        return ok && put_words(schema, spec->words);
    default:
        return ok;
    }
}

static bool put_object_type(struct json_object *schema,
                            const struct param_spec *spec);

static struct json_object *object_schema(const struct param_spec *spec)
{
    struct json_object *schema = json_object_new_object();
    return put_end(schema, put_object_type(schema, spec));
}

static bool put_type(struct json_object *schema, const struct param_spec *spec)
{
    switch (spec->type) {
    case PARAM_OBJECT:
        return put_object_type(schema, spec);
    case PARAM_OBJECTS:
        return put_text(schema, "type", "array") &&
               put_u64(schema, "minItems", spec->min) &&
               put_u64(schema, "maxItems", spec->max) &&
               put_value(schema, "items", object_schema(spec));
    case PARAM_PATHS:
        return put_text(schema, "type", "array") &&
               put_u64(schema, "minItems", spec->min) &&
               put_u64(schema, "maxItems", spec->max) &&
               put_value(schema, "items", path_schema());
    case PARAM_UUIDS:
        return put_text(schema, "type", "array") &&
               put_value(schema, "items", uuid_schema());
    case PARAM_UINT:
        return put_text(schema, "type", "integer") &&
               put_u64(schema, "minimum", spec->min) &&
               put_u64(schema, "maximum", spec->max);
    case PARAM_BOOL:
        return put_text(schema, "type", "boolean");
    default:
        return put_string_type(schema, spec);
    }
}

static bool put_default(struct json_object *schema,
                        const struct param_spec *spec)
{
    uint64_t number = 0;
    if (!spec->preset)
        return true;
    if (spec->type == PARAM_BOOL)
        return put_flag(schema, "default", str_equal(spec->preset, "true"));
    if (spec->type == PARAM_UINT)
        return str_to_u64(spec->preset, &number) == 0 &&
               put_u64(schema, "default", number);
    return put_text(schema, "default", spec->preset);
}

static struct json_object *value_schema(const struct param_spec *spec)
{
    struct json_object *schema = json_object_new_object();
    bool ok = put_type(schema, spec) && put_default(schema, spec) &&
              (!spec->nullable || put_flag(schema, "nullable", true));
    return put_end(schema, ok);
}

static struct json_object *member_schema(const struct param_spec *spec)
{
    struct json_object *schema = value_schema(spec);
    return put_end(schema, put_text(schema, "description", spec->text));
}

static struct json_object *describe_members(const struct param_spec *spec)
{
    struct json_object *members = json_object_new_object();
    bool ok = members;
    for (size_t i = 0; ok && i < spec->n_members; i++)
        ok = put_value(members, spec->members[i].name,
                       member_schema(&spec->members[i]));
    return put_end(members, ok);
}

static struct json_object *required_members(const struct param_spec *spec)
{
    struct json_object *names = json_object_new_array();
    bool ok = names;
    for (size_t i = 0; ok && i < spec->n_members; i++)
        ok = spec->members[i].optional ||
             put_item(names, json_object_new_string(spec->members[i].name));
    return put_end(names, ok);
}

static bool put_object_type(struct json_object *schema,
                            const struct param_spec *spec)
{
    return put_text(schema, "type", "object") &&
           put_value(schema, "properties", describe_members(spec)) &&
           put_value(schema, "required", required_members(spec)) &&
           put_flag(schema, "additionalProperties", spec->open);
}

static struct json_object *describe_param(const struct param_spec *spec)
{
    struct json_object *param = json_object_new_object();

    return put_end(param, put_text(param, "name", spec->name) &&
                              put_value(param, "schema", value_schema(spec)) &&
                              put_text(param, "description", spec->text) &&
                              put_flag(param, "required", !spec->optional));
}

static struct json_object *describe_params(const struct verb *verb)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < verb->n_params; i++)
        ok = put_item(array, describe_param(&verb->params[i]));
    return put_end(array, ok);
}

static struct json_object *describe_result(const struct verb *verb)
{
    struct json_object *result = json_object_new_object();
    struct json_object *schema = json_object_new_object();
    bool ok = put_text(schema, "type", verb->result_type);

    return put_end(result,
                   put_text(result, "name", "result") &&
                       put_value(result, "schema", put_end(schema, ok)) &&
                       put_text(result, "description", verb->result));
}

static struct json_object *describe(const struct verb *verb)
{
    struct json_object *method = json_object_new_object();
    const char *role = verb->role == RPC_ROLE_FULL ? "full" : "read";

    return put_end(method,
                   put_text(method, "name", verb->name) &&
                       put_text(method, "summary", verb->summary) &&
                       put_text(method, "paramStructure", "either") &&
                       put_value(method, "params", describe_params(verb)) &&
                       put_value(method, "result", describe_result(verb)) &&
                       put_text(method, "x-role", role));
}

static struct json_object *describe_all(void)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < verb_table_n; i++)
        ok = put_item(array, describe(&verb_table[i]));
    return put_end(array, ok);
}

static struct json_object *describe_api(const struct api_options *options)
{
    struct json_object *info = json_object_new_object();
    return put_end(info, put_text(info, "title", "drayd") &&
                             put_text(info, "version", options->version));
}

int verb_discover(struct api_call *call, struct err *err)
{
    struct json_object *document = json_object_new_object();
    bool ok = put_text(document, "openrpc", "1.2.6") &&
              put_value(document, "info", describe_api(&call->api->options)) &&
              put_value(document, "methods", describe_all());

    call->result = put_end(document, ok);
    return call->result ? VERB_ANSWERED
                        : err_set(err, -ENOMEM, "no memory for the answer");
}
