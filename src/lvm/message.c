/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers and the setup as lines and back.
 */
#include "message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

struct json_object *message_parse(const char *line, size_t size)
{
    if (size > MESSAGE_MAX)
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(16);
    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener,
                           JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *json = json_tokener_parse_ex(tokener, line, (int)size);
    /* A number or the like is only complete with what follows it. */
    bool complete = json_tokener_get_error(tokener) == json_tokener_success &&
                    json_object_is_type(json, json_type_object) &&
                    json_tokener_get_parse_end(tokener) == size;
    json_tokener_free(tokener);
    if (complete)
        return json;
    (void)json_object_put(json);
    return NULL;
}

static char *take_text(struct json_object *json)
{
    const char *text =
        json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
    char *copy = text ? strdup(text) : NULL;
    (void)json_object_put(json);
    return copy;
}

static void add_text(struct json_object *json, const char *key,
                     const char *text)
{
    (void)json_object_object_add(json, key, json_object_new_string(text));
}

static void add_number(struct json_object *json, const char *key,
                       int64_t number)
{
    (void)json_object_object_add(json, key, json_object_new_int64(number));
}

/* "" when it is not there or no text. */
static const char *get_text(struct json_object *json, const char *key)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return "";
    return json_object_get_string(value);
}

/* @fallback when it is not there or no number. */
static int64_t get_number(struct json_object *json, const char *key,
                          int64_t fallback)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, key, &value) ||
        !json_object_is_type(value, json_type_int))
        return fallback;
    return json_object_get_int64(value);
}

char *answer_text(const struct lvm_answer *answer)
{
    struct json_object *json = json_object_new_object();
    if (!json)
        return NULL;
    add_number(json, "id", (int64_t)answer->id);
    add_number(json, "rc", answer->err.rc);
    add_number(json, "size", (int64_t)answer->size_bytes);
    if (answer->err.rc < 0) {
        add_number(json, "code", (int64_t)answer->err.code);
        add_text(json, "message", answer->err.message);
        add_text(json, "next", answer->err.next);
    }
    if (answer->reports)
        (void)json_object_object_add(json, "reports",
                                     json_object_get(answer->reports));
    return take_text(json);
}

/* The error as it was filled in over there. */
static void get_error(struct json_object *json, struct lvm_answer *answer)
{
    struct err *err = &answer->err;
    err->rc = (int)get_number(json, "rc", -EBADMSG);
    err->code = (enum err_code)get_number(json, "code", ERR_GENERAL);
    (void)str_copy(err->message, sizeof(err->message),
                   get_text(json, "message"));
    (void)str_copy(err->next, sizeof(err->next), get_text(json, "next"));
}

int lvm_answer_parse(const char *line, size_t size,
                     struct lvm_answer *ret_answer, struct err *err)
{
    struct lvm_answer answer = { .err = ERR_INIT };
    struct json_object *json = message_parse(line, size);
    int64_t id = json ? get_number(json, "id", 0) : 0;
    int64_t rc = json ? get_number(json, "rc", 1) : 1;
    int64_t bytes = json ? get_number(json, "size", -1) : -1;
    if (id <= 0 || rc > 0 || rc < INT_MIN || bytes < 0) {
        (void)json_object_put(json);
        return err_set(err, -EBADMSG, "dray-lvm: its answer is no answer");
    }
    answer.id = (uint64_t)id;
    answer.size_bytes = (uint64_t)bytes;
    if (rc < 0)
        get_error(json, &answer);
    struct json_object *reports = NULL;
    if (json_object_object_get_ex(json, "reports", &reports) &&
        json_object_is_type(reports, json_type_array))
        answer.reports = json_object_get(reports);
    (void)json_object_put(json);
    *ret_answer = answer;
    return 0;
}

void answer_deinit(struct lvm_answer *answer)
{
    (void)json_object_put(answer->reports);
    answer->reports = NULL;
}

char *setup_text(const struct lvm_setup *setup)
{
    struct json_object *json = json_object_new_object();
    struct json_object *devices = json_object_new_array();
    if (!json || !devices) {
        (void)json_object_put(json);
        (void)json_object_put(devices);
        return NULL;
    }
    for (size_t i = 0; i < setup->devices.n; i++)
        (void)json_object_array_add(
            devices, json_object_new_string(setup->devices.names[i]));
    (void)json_object_object_add(json, "devices", devices);
    add_text(json, "vg", setup->vg);
    add_text(json, "dir", setup->dir);
    add_number(json, "command_ms", setup->command_ms);
    if (setup->has_lease) {
        add_text(json, "lockspace", setup->lease.lockspace);
        add_text(json, "resource", setup->lease.resource);
        add_text(json, "path", setup->lease.path);
        add_number(json, "offset", (int64_t)setup->lease.offset);
        add_number(json, "block_size", setup->lease.block_size);
        add_number(json, "alignment", setup->lease.alignment);
    }
    return take_text(json);
}

static int get_lease(struct json_object *json, struct lvm_setup *setup)
{
    struct lease_place *lease = &setup->lease;
    int64_t offset = get_number(json, "offset", -1);
    int64_t block_size = get_number(json, "block_size", 0);
    int64_t alignment = get_number(json, "alignment", 0);

    setup->has_lease = get_text(json, "path")[0] != '\0';
    if (!setup->has_lease)
        return 0;
    if (offset < 0 || block_size <= 0 || block_size > UINT_MAX ||
        alignment <= 0 || alignment > UINT_MAX)
        return -EBADMSG;
    lease->offset = (uint64_t)offset;
    lease->block_size = (unsigned)block_size;
    lease->alignment = (unsigned)alignment;
    bool fits =
        str_copy(lease->lockspace, sizeof(lease->lockspace),
                 get_text(json, "lockspace")) &&
        str_copy(lease->resource, sizeof(lease->resource),
                 get_text(json, "resource")) &&
        str_copy(lease->path, sizeof(lease->path), get_text(json, "path"));
    return fits ? 0 : -EBADMSG;
}

static int get_devices(struct json_object *json, struct lvm_setup *setup)
{
    struct json_object *array = NULL;
    if (!json_object_object_get_ex(json, "devices", &array) ||
        !json_object_is_type(array, json_type_array))
        return -EBADMSG;
    size_t n = json_object_array_length(array);
    const char **list = calloc(n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    setup->devices.names = list; /* freed with the setup */
    for (size_t i = 0; i < n; i++) {
        list[i] = json_object_get_string(json_object_array_get_idx(array, i));
        if (!list[i] || !device_is_valid(list[i]))
            return -EBADMSG;
    }
    setup->devices.n = n;
    return n > 0 ? 0 : -EBADMSG;
}

int setup_parse(const char *line, size_t size, struct lvm_setup *ret_setup,
                struct err *err)
{
    struct lvm_setup setup = { .json = message_parse(line, size) };
    int rc = setup.json ? get_devices(setup.json, &setup) : -EBADMSG;
    if (rc == 0)
        rc = get_lease(setup.json, &setup);
    if (rc == 0) {
        setup.vg = get_text(setup.json, "vg");
        setup.dir = get_text(setup.json, "dir");
        int64_t command_ms = get_number(setup.json, "command_ms", 0);
        setup.command_ms = (int)command_ms;
        if (!name_is_valid(setup.vg) || setup.dir[0] != '/' ||
            command_ms <= 0 || command_ms > INT_MAX)
            rc = -EBADMSG;
    }
    if (rc < 0) {
        setup_deinit(&setup);
        return err_set(err, rc, "dray-lvm: its setup is wrong");
    }
    *ret_setup = setup;
    return 0;
}

void setup_deinit(struct lvm_setup *setup)
{
    free((void *)setup->devices.names);
    (void)json_object_put(setup->json);
    *setup = (struct lvm_setup){ 0 };
}
