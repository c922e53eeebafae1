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
    const struct param_spec *specs;
    size_t n;
    struct param_value values[]; /* as specs */
};

/* Where specs come from: a verb's parameters, or an object's members. */
struct set {
    const char *verb; /* NULL: an object */
    const struct param_spec *specs;
    size_t n;
    bool open;
};

enum {
    KNOWN_SIZE = 400
};

static const char *known_names(const struct set *set, char *ret_known)
{
    ret_known[0] = '\0';
    for (size_t i = 0; i < set->n; i++) {
        size_t n = strlen(ret_known);
        (void)str_format(ret_known + n, KNOWN_SIZE - n, "%s%s", i ? ", " : "",
                         set->specs[i].name);
    }
    return set->n ? ret_known : "no parameters";
}

static int find(const struct param_spec *specs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(specs[i].name, name))
            return (int)i;
    return -1;
}

static int refuse_unknown(const struct set *set, const char *name,
                          struct err *err)
{
    char shown[SHOWN_SIZE], known[KNOWN_SIZE];

    (void)check_shown(name, shown);
    (void)known_names(set, known);
    if (!set->verb)
        return err_set_code(err, ERR_PARAMS, "%s is unknown; there are %s",
                            shown, known);
    return err_set_code(err, ERR_PARAMS,
                        "unknown parameter \"%s\"; %s takes %s", shown,
                        set->verb, set->n ? known : "no parameters");
}

/* Values in the table's order; absent ones stay NULL in @found. */
static int sort_object(const struct set *set, struct json_object *json,
                       struct json_object **found, bool *given, struct err *err)
{
    struct json_object_iterator i = json_object_iter_begin(json);
    struct json_object_iterator end = json_object_iter_end(json);

    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
        const char *name = json_object_iter_peek_name(&i);
        int at = find(set->specs, set->n, name);
        if (at < 0 && set->open)
            continue;
        if (at < 0)
            return refuse_unknown(set, name, err);
        found[at] = json_object_iter_peek_value(&i);
        given[at] = true;
    }
    return 0;
}

static int sort_array(const struct set *set, struct json_object *json,
                      struct json_object **found, bool *given, struct err *err)
{
    char known[KNOWN_SIZE];
    size_t n = json_object_array_length(json);

    if (n > set->n)
        return err_set_code(err, ERR_PARAMS,
                            "%zu parameters are too many; %s takes %s", n,
                            set->verb, known_names(set, known));
    for (size_t i = 0; i < n; i++) {
        found[i] = json_object_array_get_idx(json, i);
        given[i] = true;
    }
    return 0;
}

static int refuse_missing(const struct set *set, const struct param_spec *spec,
                          struct err *err)
{
    return err_set_code(err, ERR_PARAMS, "%s is missing%s%s%s", spec->name,
                        set->verb ? "; " : "", set->verb ? set->verb : "",
                        set->verb ? " needs it" : "");
}

static int read_one(const struct set *set, const struct param_spec *spec,
                    struct json_object *json, bool given,
                    struct param_value *ret_value, struct err *err)
{
    if (json)
        return check_value(spec, json, ret_value, err);
    if (given && !spec->nullable)
        return err_set_code(err, ERR_PARAMS, "%s: must not be null",
                            spec->name);
    if (!spec->optional)
        return refuse_missing(set, spec, err);
    if (check_preset(spec, ret_value) < 0)
        return err_set(err, -ENOMEM, "no memory for the request");
    return 0;
}

enum {
    PARAMS_MAX = 24
}; /* of one verb or object; the unit test looks */

static int read_all(const struct set *set, struct json_object *json,
                    struct params *params, struct err *err)
{
    struct json_object *found[PARAMS_MAX] = { NULL };
    bool given[PARAMS_MAX] = { false };
    int r = 0;

    assert(set->n <= PARAMS_MAX);
    if (json_object_is_type(json, json_type_array))
        r = sort_array(set, json, found, given, err);
    else if (json)
        r = sort_object(set, json, found, given, err);
    for (size_t i = 0; i < set->n && r == 0; i++)
        r = read_one(set, &set->specs[i], found[i], given[i],
                     &params->values[i], err);
    return r;
}

static int read_set(const struct set *set, struct json_object *json,
                    struct params **ret_params, struct err *err)
{
    struct params *params =
        calloc(1, sizeof(*params) + set->n * sizeof(params->values[0]));
    if (!params)
        return err_set(err, -ENOMEM, "no memory for the request");
    params->specs = set->specs;
    params->n = set->n;
    int r = read_all(set, json, params, err);
    if (r < 0)
        params_free(params);
    else
        *ret_params = params;
    return r;
}

int params_read(const struct verb *verb, struct json_object *json,
                struct params **ret_params, struct err *err)
{
    const struct set set = { .verb = verb->name,
                             .specs = verb->params,
                             .n = verb->n_params };
    int r = read_set(&set, json, ret_params, err);
    if (r < 0)
        return err_next(err, "rpc.discover describes the parameters of %s",
                        verb->name);
    return 0;
}

/* "imageID: ..." becomes "srcDisk.imageID: ..." */
static int name_object(const char *name, const struct err *inner,
                       struct err *err)
{
    if (inner->code == ERR_GENERAL) /* no memory */
        return err_set(err, inner->rc, "%s", inner->message);
    return err_set_code(err, inner->code, "%s.%s", name, inner->message);
}

int params_read_object(const struct param_spec *spec, const char *name,
                       struct json_object *json, struct params **ret_params,
                       struct err *err)
{
    const struct set set = { .specs = spec->members,
                             .n = spec->n_members,
                             .open = spec->open };
    struct err inner = ERR_INIT;

    if (!json_object_is_type(json, json_type_object))
        return err_set_code(err, ERR_PARAMS, "%s: must be an object", name);
    int r = read_set(&set, json, ret_params, &inner);
    return r < 0 ? name_object(name, &inner, err) : 0;
}

static void value_deinit(struct param_value *value)
{
    for (size_t i = 0; i < value->n_items; i++)
        params_free(value->items[i]);
    for (size_t i = 0; i < value->n_paths; i++)
        free(value->paths[i]);
    free(value->items);
    free(value->paths);
    free(value->text);
    uuid_list_deinit(&value->uuids);
}

void params_free(struct params *params)
{
    if (!params)
        return;
    for (size_t i = 0; i < params->n; i++)
        value_deinit(&params->values[i]);
    free(params);
}

static const struct param_value *get(const struct params *params,
                                     const char *name,
                                     enum param_type *ret_type)
{
    int at = find(params->specs, params->n, name);
    assert(at >= 0);
    *ret_type = params->specs[at].type;
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
    assert(type != PARAM_UUIDS && type != PARAM_PATHS && type != PARAM_SIZE &&
           type != PARAM_UINT && type != PARAM_BOOL && type != PARAM_OBJECT &&
           type != PARAM_OBJECTS);
    return value->text;
}

const char *params_text_if_any(const struct params *params, const char *name)
{
    return find(params->specs, params->n, name) < 0 ? NULL
                                                    : params_text(params, name);
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

const char *const *params_paths(const struct params *params, const char *name,
                                size_t *ret_n)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type == PARAM_PATHS);
    *ret_n = value->n_paths;
    return (const char *const *)value->paths;
}

static const struct param_value *get_items(const struct params *params,
                                           const char *name)
{
    enum param_type type;
    const struct param_value *value = get(params, name, &type);
    assert(type == PARAM_OBJECT || type == PARAM_OBJECTS);
    return value;
}

size_t params_count(const struct params *params, const char *name)
{
    return get_items(params, name)->n_items;
}

const struct params *params_item(const struct params *params, const char *name,
                                 size_t i)
{
    const struct param_value *value = get_items(params, name);
    assert(i < value->n_items);
    return value->items[i];
}
