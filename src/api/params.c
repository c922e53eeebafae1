/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From params as they came to checked values, and back out by name.
 */
#include "params.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

struct params {
    const struct verb *verb;
    struct param_value values[]; /* as verb->params */
};

enum {
    KNOWN_SIZE = 400
};

static const char *known_names(const struct verb *verb, char *ret_known)
{
    ret_known[0] = '\0';
    for (size_t i = 0; i < verb->n_params; i++) {
        size_t n = strlen(ret_known);
        (void)str_format(ret_known + n, KNOWN_SIZE - n, "%s%s", i ? ", " : "",
                         verb->params[i].name);
    }
    return verb->n_params ? ret_known : "no parameters";
}

static int find(const struct verb *verb, const char *name)
{
    for (size_t i = 0; i < verb->n_params; i++)
        if (str_equal(verb->params[i].name, name))
            return (int)i;
    return -1;
}

static int refuse_unknown(const struct verb *verb, const char *name,
                          struct err *err)
{
    char shown[SHOWN_SIZE], known[KNOWN_SIZE];
    return err_set_code(
        err, ERR_PARAMS, "unknown parameter \"%s\"; %s takes %s",
        check_shown(name, shown), verb->name, known_names(verb, known));
}

/* Values in the table's order; absent ones stay NULL in @found. */
static int sort_object(const struct verb *verb, struct json_object *json,
                       struct json_object **found, bool *given, struct err *err)
{
    struct json_object_iterator i = json_object_iter_begin(json);
    struct json_object_iterator end = json_object_iter_end(json);

    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
        int at = find(verb, json_object_iter_peek_name(&i));
        if (at < 0)
            return refuse_unknown(verb, json_object_iter_peek_name(&i), err);
        found[at] = json_object_iter_peek_value(&i);
        given[at] = true;
    }
    return 0;
}

static int sort_array(const struct verb *verb, struct json_object *json,
                      struct json_object **found, bool *given, struct err *err)
{
    char known[KNOWN_SIZE];
    size_t n = json_object_array_length(json);

    if (n > verb->n_params)
        return err_set_code(err, ERR_PARAMS,
                            "%zu parameters are too many; %s takes %s", n,
                            verb->name, known_names(verb, known));
    for (size_t i = 0; i < n; i++) {
        found[i] = json_object_array_get_idx(json, i);
        given[i] = true;
    }
    return 0;
}

static int read_one(const struct verb *verb, const struct param_spec *spec,
                    struct json_object *json, bool given,
                    struct param_value *ret_value, struct err *err)
{
    if (json)
        return check_value(spec, json, ret_value, err);
    if (given && !spec->nullable)
        return err_set_code(err, ERR_PARAMS, "%s: must not be null",
                            spec->name);
    if (!spec->optional)
        return err_set_code(err, ERR_PARAMS, "%s is missing; %s needs it",
                            spec->name, verb->name);
    if (check_preset(spec, ret_value) < 0)
        return err_set(err, -ENOMEM, "no memory for the request");
    return 0;
}

enum {
    PARAMS_MAX = 24
}; /* of one verb; the unit test looks */

static int read_all(const struct verb *verb, struct json_object *json,
                    struct params *params, struct err *err)
{
    struct json_object *found[PARAMS_MAX] = { NULL };
    bool given[PARAMS_MAX] = { false };
    int r = 0;

    assert(verb->n_params <= PARAMS_MAX);
    if (json_object_is_type(json, json_type_array))
        r = sort_array(verb, json, found, given, err);
    else if (json)
        r = sort_object(verb, json, found, given, err);
    for (size_t i = 0; i < verb->n_params && r == 0; i++)
        r = read_one(verb, &verb->params[i], found[i], given[i],
                     &params->values[i], err);
    return r;
}

int params_read(const struct verb *verb, struct json_object *json,
                struct params **ret_params, struct err *err)
{
    struct params *params =
        calloc(1, sizeof(*params) + verb->n_params * sizeof(params->values[0]));
    if (!params)
        return err_set(err, -ENOMEM, "no memory for the request");
    params->verb = verb;
    int r = read_all(verb, json, params, err);
    if (r < 0) {
        params_free(params);
        return err_next(err, "rpc.discover describes the parameters of %s",
                        verb->name);
    }
    *ret_params = params;
    return 0;
}

void params_free(struct params *params)
{
    if (!params)
        return;
    for (size_t i = 0; i < params->verb->n_params; i++) {
        free(params->values[i].text);
        uuid_list_deinit(&params->values[i].uuids);
    }
    free(params);
}

static const struct param_value *get(const struct params *params,
                                     const char *name,
                                     enum param_type *ret_type)
{
    int at = find(params->verb, name);
    assert(at >= 0);
    *ret_type = params->verb->params[at].type;
    return &params->values[at];
}

bool params_has(const struct params *params, const char *name)
{
    enum param_type type;
    return get(params, name, &type)->present;
}

const char *params_text(const struct params *params, const char *name)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type != PARAM_UUIDS && type != PARAM_SIZE && type != PARAM_UINT &&
           type != PARAM_BOOL);
    return value->text;
}

const char *params_text_if_any(const struct params *params, const char *name)
{
    return find(params->verb, name) < 0 ? NULL : params_text(params, name);
}

uint64_t params_number(const struct params *params, const char *name)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type == PARAM_SIZE || type == PARAM_UINT);
    return value->number;
}

bool params_flag(const struct params *params, const char *name)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type == PARAM_BOOL);
    return value->number != 0;
}

const struct uuid_list *params_uuids(const struct params *params,
                                     const char *name)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type == PARAM_UUIDS);
    return &value->uuids;
}
