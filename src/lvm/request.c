/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request as a line and back. Strings of a parsed one belong to its JSON.
 */
#include "message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static const char *const names[VERB_COUNT] = {
    "extend", "refresh", "activate", "tag",        "hold",   "create",
    "reduce", "remove",  "grow",     "deactivate", "report", "let-go",
};

const char *verb_name(enum lvm_verb verb)
{
    return names[verb];
}

bool verb_needs_lease(enum lvm_verb verb)
{
    switch (verb) {
    case VERB_EXTEND:
    case VERB_TAG:
    case VERB_HOLD:
    case VERB_CREATE:
    case VERB_REDUCE:
    case VERB_REMOVE:
    case VERB_GROW:
        return true;
    default:
        return false;
    }
}

static struct json_object *new_list(struct lvm_names list)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; array && i < list.n; i++)
        (void)json_object_array_add(array,
                                    json_object_new_string(list.names[i]));
    return array;
}

char *request_text(const struct lvm_request *request)
{
    struct json_object *json = json_object_new_object();
    if (!json)
        return NULL;
    json_object_object_add(json, "id", json_object_new_uint64(request->id));
    json_object_object_add(json, "verb",
                           json_object_new_string(names[request->verb]));
    json_object_object_add(json, "deadline",
                           json_object_new_int64(request->deadline_ms));
    json_object_object_add(json, "size",
                           json_object_new_uint64(request->size_bytes));
    json_object_object_add(json, "what", json_object_new_uint64(request->what));
    if (request->held)
        json_object_object_add(json, "held", json_object_new_boolean(1));
    if (request->device)
        json_object_object_add(json, "device",
                               json_object_new_string(request->device));
    json_object_object_add(json, "lvs", new_list(request->lvs));
    json_object_object_add(json, "add", new_list(request->add));
    json_object_object_add(json, "remove", new_list(request->remove));
    const char *text =
        json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
    char *copy = text ? strdup(text) : NULL;
    (void)json_object_put(json);
    return copy;
}

static int wrong(const char *key, struct err *err)
{
    return err_set(err, -EBADMSG, "request to dray-lvm: %s is wrong", key);
}

static int get_number(struct json_object *json, const char *key,
                      uint64_t *ret_number, struct err *err)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, key, &value) ||
        !json_object_is_type(value, json_type_int) ||
        json_object_get_int64(value) < 0 ||
        json_object_get_uint64(value) > INT64_MAX)
        return wrong(key, err);
    *ret_number = json_object_get_uint64(value);
    return 0;
}

static int get_list(struct json_object *json, const char *key,
                    bool (*is_valid)(const char *), struct lvm_names *ret_names,
                    struct err *err)
{
    struct json_object *array = NULL;
    if (!json_object_object_get_ex(json, key, &array) ||
        !json_object_is_type(array, json_type_array) ||
        json_object_array_length(array) > MESSAGE_NAMES_MAX)
        return wrong(key, err);
    size_t n = json_object_array_length(array);
    const char **list = calloc(n + 1, sizeof(*list));
    if (!list)
        return err_set(err, -ENOMEM, "request to dray-lvm: out of memory");
    /* Freed with the request. */
    *ret_names = (struct lvm_names){ .names = list, .n = n };
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        list[i] = json_object_get_string(item);
        if (!json_object_is_type(item, json_type_string) ||
            strlen(list[i]) != (size_t)json_object_get_string_len(item) ||
            !is_valid(list[i]))
            return wrong(key, err);
    }
    return 0;
}

static int get_verb(struct json_object *json, enum lvm_verb *ret_verb,
                    struct err *err)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, "verb", &value))
        return wrong("verb", err);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (str_equal(json_object_get_string(value), names[i])) {
            *ret_verb = (enum lvm_verb)i;
            return 0;
        }
    }
    return wrong("verb", err);
}

static int get_numbers(struct json_object *json, struct lvm_request *request,
                       struct err *err)
{
    uint64_t deadline = 0;
    uint64_t what = 0;
    int rc = get_number(json, "id", &request->id, err);
    if (rc == 0)
        rc = get_number(json, "deadline", &deadline, err);
    if (rc == 0)
        rc = get_number(json, "size", &request->size_bytes, err);
    if (rc == 0)
        rc = get_number(json, "what", &what, err);
    if (rc == 0 && what > (LVM_LVS | LVM_VG | LVM_PVS))
        rc = wrong("what", err);
    request->deadline_ms = (int64_t)deadline;
    request->what = (unsigned)what;
    return rc;
}

static int get_device(struct json_object *json, struct lvm_request *request,
                      struct err *err)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, "device", &value))
        return 0;
    request->device = json_object_get_string(value);
    if (!json_object_is_type(value, json_type_string) ||
        !device_is_valid(request->device))
        return wrong("device", err);
    return 0;
}

static int get_held(struct json_object *json, struct lvm_request *request,
                    struct err *err)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, "held", &value))
        return 0;
    request->held = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean) ? 0
                                                         : wrong("held", err);
}

/* As many LVs, and such a size, as the verb needs. */
static int check_shape(const struct lvm_request *request, struct err *err)
{
    switch (request->verb) {
    case VERB_EXTEND:
    case VERB_CREATE:
    case VERB_REDUCE:
        if (request->size_bytes == 0)
            return wrong("size", err);
        return request->lvs.n == 1 ? 0 : wrong("lvs", err);
    case VERB_TAG:
        return request->add.n + request->remove.n > 0 ? 0 : wrong("add", err);
    case VERB_HOLD:
    case VERB_LET_GO:
        return 0;
    case VERB_GROW:
        return request->device ? 0 : wrong("device", err);
    case VERB_REPORT:
        return request->what ? 0 : wrong("what", err);
    default:
        return request->lvs.n > 0 ? 0 : wrong("lvs", err);
    }
}

static int parse_members(struct json_object *json, struct lvm_request *request,
                         struct err *err)
{
    int rc = get_verb(json, &request->verb, err);
    if (rc == 0)
        rc = get_numbers(json, request, err);
    if (rc == 0)
        rc = get_device(json, request, err);
    if (rc == 0)
        rc = get_held(json, request, err);
    if (rc == 0)
        rc = get_list(json, "lvs", name_is_valid, &request->lvs, err);
    if (rc == 0)
        rc = get_list(json, "add", tag_is_valid, &request->add, err);
    if (rc == 0)
        rc = get_list(json, "remove", tag_is_valid, &request->remove, err);
    return rc < 0 ? rc : check_shape(request, err);
}

int request_parse(const char *line, size_t size,
                  struct lvm_request *ret_request, struct err *err)
{
    struct lvm_request request = { .json = message_parse(line, size) };
    if (!request.json)
        return err_set(err, -EBADMSG, "request to dray-lvm: not an object");
    int rc = parse_members(request.json, &request, err);
    if (rc < 0) {
        request_deinit(&request);
        return rc;
    }
    *ret_request = request;
    return 0;
}

void request_deinit(struct lvm_request *request)
{
    free((void *)request->lvs.names);
    free((void *)request->add.names);
    free((void *)request->remove.names);
    (void)json_object_put(request->json);
    *request = (struct lvm_request){ 0 };
}
