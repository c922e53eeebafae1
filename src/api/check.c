/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One parameter's value: is it of its type, within its bounds, and harmless?
 *
 * No string with a control character or a NUL passes, and none with a path that
 * climbs ("..": also in free text, which lands in metadata that other programs
 * read). A UUID is spelled in exactly one way, so that equal names are equal
 * strings.
 */
#include "params.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 255,
    NEW_NAME_MAX_BYTES = 127
};

const char *check_shown(const char *text, char ret_shown[SHOWN_SIZE])
{
    bool cut = !str_copy(ret_shown, SHOWN_SIZE, text);
    for (char *c = ret_shown; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    if (cut)
        memcpy(ret_shown + SHOWN_SIZE - 4, "...", 4);
    return ret_shown;
}

static enum err_code code_of(const struct param_spec *spec)
{
    return spec->code ? spec->code : ERR_PARAMS;
}

/* Another type than the table says: that has no number of the verb's own. */
static int refuse(const struct param_spec *spec, struct err *err,
                  const char *what)
{
    return err_set_code(err, ERR_PARAMS, "%s: %s", spec->name, what);
}

static int refuse_text(const struct param_spec *spec, const char *text,
                       const char *what, struct err *err)
{
    char shown[SHOWN_SIZE];
    return err_set_code(err, code_of(spec), "%s: \"%s\" %s", spec->name,
                        check_shown(text, shown), what);
}

/* ASCII's control characters and those of Latin-1. */
static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
            return true;
    return false;
}

bool check_climbs(const char *text)
{
    for (const char *c = text; (c = strstr(c, "..")); c++) {
        bool begins = c == text || c[-1] == '/' || c[-1] == '\\';
        bool ends = c[2] == '\0' || c[2] == '/' || c[2] == '\\';
        if (begins && ends)
            return true;
    }
    return false;
}

static int check_uuid(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    if (!uuid_is_valid(text))
        return refuse_text(spec, text, "is no UUID (36 characters, lower case)",
                           err);
    if (!spec->blank && str_equal(text, UUID_BLANK))
        return refuse(spec, err, "the all-zero UUID names nothing");
    return 0;
}

static int check_name(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    if (!*text || strlen(text) > NAME_MAX_BYTES)
        return refuse(spec, err, "a name has 1 to 255 bytes");
    if (strchr(text, '/') || check_climbs(text) || str_equal(text, "."))
        return refuse_text(spec, text, "is a path, not a name", err);
    return 0;
}

static int check_new_name(const struct param_spec *spec, const char *text,
                          struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_.+-";
    size_t n = strlen(text);
    if (n == 0 || n > NEW_NAME_MAX_BYTES || strspn(text, letters) != n ||
        *text == '-')
        return refuse_text(spec, text,
                           "is not 1 to 127 letters, digits, '_', '.', '+', "
                           "'-', the first no '-'",
                           err);
    if (str_equal(text, ".") || check_climbs(text) || uuid_is_valid(text))
        return refuse_text(spec, text, "would be taken for a path or a UUID",
                           err);
    return 0;
}

static int check_path(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    if (*text != '/')
        return refuse_text(spec, text, "is no absolute path", err);
    if (strlen(text) >= PATH_MAX)
        return refuse(spec, err, "longer than a path may be (4095 bytes)");
    if (check_climbs(text))
        return refuse_text(spec, text, "contains \"..\"", err);
    return 0;
}

static int check_store(const struct param_spec *spec, const char *text,
                       struct err *err)
{
    const char *colon = strstr(text, ":/");
    if (*text == '/')
        return check_path(spec, text, err);
    if (!colon || colon == text)
        return refuse_text(
            spec, text, "is no absolute path, and no export SERVER:/PATH", err);
    if (strlen(text) >= DOMAIN_REMOTE_SIZE)
        return refuse(spec, err, "longer than an export may be (255 bytes)");
    if (check_climbs(colon + 1))
        return refuse_text(spec, text, "contains \"..\"", err);
    return 0;
}

static int check_disk(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    if (strlen(text) >= JOB_PATH_SIZE)
        return refuse(spec, err, "longer than 1023 bytes");
    if (strchr(text, '/'))
        return check_path(spec, text, err);
    return check_name(spec, text, err);
}

static int check_place(const struct param_spec *spec, const char *text,
                       struct err *err)
{
    const char *problem = place_problem(text);
    if (problem)
        return refuse_text(spec, text, problem, err);
    return 0;
}

static int check_text(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    if (strlen(text) > spec->max)
        return err_set_code(err, ERR_PARAMS,
                            "%s: longer than %" PRIu64 " bytes", spec->name,
                            spec->max);
    if (check_climbs(text))
        return refuse_text(spec, text, "contains a path with \"..\"", err);
    return 0;
}

static int check_word(const struct param_spec *spec, const char *text,
                      struct err *err)
{
    char known[256] = "";
    for (const char *const *word = spec->words; *word; word++) {
        if (str_equal(*word, text))
            return 0;
        size_t n = strlen(known);
        (void)str_format(known + n, sizeof(known) - n, "%s%s", n ? ", " : "",
                         *word);
    }
    char what[300];
    (void)str_format(what, sizeof(what), "is none of %s", known);
    return refuse_text(spec, text, what, err);
}

static int check_xml(const struct param_spec *spec, const char *text,
                     struct err *err)
{
    if (strlen(text) > spec->max || text[0] != '<')
        return refuse(spec, err, "is no XML, or too much of it");
    return 0;
}

/* What all strings have in common, then what the type asks for. */
static int check_string(const struct param_spec *spec, struct json_object *json,
                        const char **ret_text, struct err *err)
{
    static int (*const checks[])(const struct param_spec *, const char *,
                                 struct err *) = {
        [PARAM_UUID] = check_uuid,         [PARAM_NAME] = check_name,
        [PARAM_NEW_NAME] = check_new_name, [PARAM_DISK] = check_disk,
        [PARAM_TEXT] = check_text,         [PARAM_PATH] = check_path,
        [PARAM_WORD] = check_word,         [PARAM_UUIDS] = check_uuid,
        [PARAM_PLACE] = check_place,       [PARAM_PATHS] = check_path,
        [PARAM_XML] = check_xml,           [PARAM_STORE] = check_store,
    };
    if (!json_object_is_type(json, json_type_string))
        return refuse(spec, err, "must be a string");
    const char *text = json_object_get_string(json);
    if (strlen(text) != (size_t)json_object_get_string_len(json))
        return refuse(spec, err, "contains NUL");
    if (spec->type != PARAM_XML && has_control(text))
        return refuse(spec, err, "contains a control character");
    int r = checks[spec->type](spec, text, err);
    if (r == 0)
        *ret_text = text;
    return r;
}

static int keep_string(const struct param_spec *spec, struct json_object *json,
                       struct param_value *ret_value, struct err *err)
{
    const char *text = NULL;
    int r = check_string(spec, json, &text, err);
    if (r < 0)
        return r;
    assert(text);
    ret_value->text = strdup(text);
    return ret_value->text ? 0
                           : err_set(err, -ENOMEM, "no memory for the request");
}

static int keep_uuids(const struct param_spec *spec, struct json_object *json,
                      struct param_value *ret_value, struct err *err)
{
    if (!json_object_is_type(json, json_type_array))
        return refuse(spec, err, "must be an array of UUIDs");
    size_t n = json_object_array_length(json);
    struct uuid_list *list = &ret_value->uuids;
    list->uuids = calloc(n + 1, sizeof(*list->uuids));
    if (!list->uuids)
        return err_set(err, -ENOMEM, "no memory for the request");
    for (list->n = 0; list->n < n; list->n++) {
        const char *text = NULL;
        int r = check_string(spec, json_object_array_get_idx(json, list->n),
                             &text, err);
        if (r < 0)
            return r;
        (void)str_copy(list->uuids[list->n], UUID_SIZE, text);
    }
    return 0;
}

static int check_array(const struct param_spec *spec, struct json_object *json,
                       const char *what, size_t *ret_n, struct err *err)
{
    *ret_n = json_object_is_type(json, json_type_array)
                 ? json_object_array_length(json)
                 : 0;
    if (*ret_n > 0 && *ret_n >= spec->min && *ret_n <= spec->max)
        return 0;
    return err_set_code(err, ERR_PARAMS,
                        "%s: must be an array of %" PRIu64 " to %" PRIu64 " %s",
                        spec->name, spec->min, spec->max, what);
}

static int keep_paths(const struct param_spec *spec, struct json_object *json,
                      struct param_value *ret_value, struct err *err)
{
    size_t n = 0;
    int r = check_array(spec, json, "paths", &n, err);
    if (r < 0 || n == 0)
        return r;
    ret_value->paths = calloc(n, sizeof(*ret_value->paths));
    if (!ret_value->paths)
        return err_set(err, -ENOMEM, "no memory for the request");
    for (size_t i = 0; i < n; i++) {
        const char *text = NULL;
        r = check_string(spec, json_object_array_get_idx(json, i), &text, err);
        if (r < 0)
            return r;
        assert(text);
        ret_value->paths[i] = strdup(text);
        if (!ret_value->paths[i])
            return err_set(err, -ENOMEM, "no memory for the request");
        ret_value->n_paths = i + 1;
    }
    return 0;
}

static int keep_number(const struct param_spec *spec, uint64_t number,
                       struct param_value *ret_value, struct err *err)
{
    if (number < spec->min || number > spec->max)
        return err_set_code(err, code_of(spec),
                            "%s: must be %" PRIu64 " to %" PRIu64, spec->name,
                            spec->min, spec->max);
    ret_value->number = number;
    return 0;
}

static int keep_integer(const struct param_spec *spec, struct json_object *json,
                        struct param_value *ret_value, struct err *err)
{
    if (!json_object_is_type(json, json_type_int))
        return refuse(spec, err,
                      spec->type == PARAM_SIZE
                          ? "must be bytes as a string of digits, or a number"
                          : "must be a whole number");
    if (json_object_get_int64(json) < 0)
        return err_set_code(err, code_of(spec), "%s: must not be negative",
                            spec->name);
    return keep_number(spec, json_object_get_uint64(json), ret_value, err);
}

static int keep_size(const struct param_spec *spec, struct json_object *json,
                     struct param_value *ret_value, struct err *err)
{
    uint64_t number = 0;
    if (!json_object_is_type(json, json_type_string))
        return keep_integer(spec, json, ret_value, err);
    const char *text = json_object_get_string(json);
    if (strlen(text) != (size_t)json_object_get_string_len(json))
        return refuse(spec, err, "contains NUL");
    int r = str_to_u64(text, &number);
    if (r == -ERANGE)
        return refuse(spec, err, "too large");
    if (r < 0)
        return refuse_text(spec, text, "is no number of bytes", err);
    return keep_number(spec, number, ret_value, err);
}

static int keep_bool(const struct param_spec *spec, struct json_object *json,
                     struct param_value *ret_value, struct err *err)
{
    if (!json_object_is_type(json, json_type_boolean))
        return refuse(spec, err, "must be true or false");
    ret_value->number = (uint64_t)json_object_get_boolean(json);
    return 0;
}

static int keep_object(const struct param_spec *spec, struct json_object *json,
                       struct param_value *ret_value, struct err *err)
{
    ret_value->items = calloc(1, sizeof(struct params *));
    if (!ret_value->items)
        return err_set(err, -ENOMEM, "no memory for the request");
    int r = params_read_object(spec, spec->name, json, ret_value->items, err);
    ret_value->n_items = r == 0;
    return r;
}

static int keep_objects(const struct param_spec *spec, struct json_object *json,
                        struct param_value *ret_value, struct err *err)
{
    size_t n = 0;
    int r = check_array(spec, json, "objects", &n, err);
    if (r < 0 || n == 0)
        return r;
    ret_value->items = calloc(n, sizeof(struct params *));
    if (!ret_value->items)
        return err_set(err, -ENOMEM, "no memory for the request");
    for (size_t i = 0; i < n; i++) {
        char name[64];
        (void)str_format(name, sizeof(name), "%s[%zu]", spec->name, i);
        r = params_read_object(spec, name, json_object_array_get_idx(json, i),
                               &ret_value->items[i], err);
        if (r < 0)
            return r;
        ret_value->n_items = i + 1;
    }
    return 0;
}

int check_value(const struct param_spec *spec, struct json_object *json,
                struct param_value *ret_value, struct err *err)
{
    ret_value->present = true;
    switch (spec->type) {
    case PARAM_UUIDS:
        return keep_uuids(spec, json, ret_value, err);
    case PARAM_PATHS:
        return keep_paths(spec, json, ret_value, err);
    case PARAM_SIZE:
        return keep_size(spec, json, ret_value, err);
    case PARAM_UINT:
        return keep_integer(spec, json, ret_value, err);
    case PARAM_BOOL:
        return keep_bool(spec, json, ret_value, err);
    case PARAM_OBJECT:
        return keep_object(spec, json, ret_value, err);
    case PARAM_OBJECTS:
        return keep_objects(spec, json, ret_value, err);
    default:
        return keep_string(spec, json, ret_value, err);
    }
}

int check_preset(const struct param_spec *spec, struct param_value *ret_value)
{
    if (!spec->preset)
        return 0;
    ret_value->present = true;
    if (spec->type == PARAM_BOOL)
        ret_value->number = str_equal(spec->preset, "true");
    else if (spec->type == PARAM_UINT || spec->type == PARAM_SIZE)
        return str_to_u64(spec->preset, &ret_value->number);
    else
        ret_value->text = strdup(spec->preset);
    return ret_value->text || spec->type == PARAM_BOOL ? 0 : -ENOMEM;
}
