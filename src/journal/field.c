/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The types of fields. Coming back, json-c converts readily (a string "1" is a
 * number to it, a large number becomes the largest): the type of each JSON
 * value and its range are checked before it is asked for one.
 */
#include "field.h"
#include <dray/base/util.h>
#include <dray/job.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static struct json_object *text_encode(const struct field *field,
                                       const void *value)
{
    (void)field;
    return json_object_new_string(value);
}

static int text_decode(const struct field *field, struct json_object *json,
                       void *ret_value)
{
    if (!json_object_is_type(json, json_type_string))
        return -EBADMSG;
    const char *text = json_object_get_string(json);
    size_t len = (size_t)json_object_get_string_len(json);
    if (strlen(text) != len) /* a NUL inside */
        return -EBADMSG;
    return str_copy(ret_value, field->size, text) ? 0 : -EBADMSG;
}

static int uuid_decode(const struct field *field, struct json_object *json,
                       void *ret_value)
{
    int rc = text_decode(field, json, ret_value);
    if (rc < 0)
        return rc;
    return uuid_is_valid(ret_value) ? 0 : -EBADMSG;
}

static int place_decode(const struct field *field, struct json_object *json,
                        void *ret_value)
{
    int rc = text_decode(field, json, ret_value);
    const char *uuid = ret_value;
    if (rc < 0 || uuid[0] == '\0')
        return rc;
    return uuid_is_valid(uuid) ? 0 : -EBADMSG;
}

static struct json_object *bool_encode(const struct field *field,
                                       const void *value)
{
    (void)field;
    return json_object_new_boolean(*(const bool *)value);
}

static int bool_decode(const struct field *field, struct json_object *json,
                       void *ret_value)
{
    (void)field;
    if (!json_object_is_type(json, json_type_boolean))
        return -EBADMSG;
    *(bool *)ret_value = json_object_get_boolean(json);
    return 0;
}

static struct json_object *uint64_encode(const struct field *field,
                                         const void *value)
{
    (void)field;
    return json_object_new_uint64(*(const uint64_t *)value);
}

static int uint64_decode(const struct field *field, struct json_object *json,
                         void *ret_value)
{
    (void)field;
    if (!json_object_is_type(json, json_type_int) ||
        json_object_get_int64(json) < 0)
        return -EBADMSG;
    *(uint64_t *)ret_value = json_object_get_uint64(json);
    return 0;
}

/* A number from field->min to field->max. */
static int number_decode(const struct field *field, struct json_object *json,
                         int64_t *ret_number)
{
    if (!json_object_is_type(json, json_type_int))
        return -EBADMSG;
    int64_t number = json_object_get_int64(json);
    if (number < field->min || number > field->max)
        return -EBADMSG;
    if (number >= 0 && json_object_get_uint64(json) != (uint64_t)number)
        return -EBADMSG; /* larger than an int64_t */
    *ret_number = number;
    return 0;
}

static struct json_object *int64_encode(const struct field *field,
                                        const void *value)
{
    (void)field;
    return json_object_new_int64(*(const int64_t *)value);
}

static int int64_decode(const struct field *field, struct json_object *json,
                        void *ret_value)
{
    return number_decode(field, json, ret_value);
}

static struct json_object *int_encode(const struct field *field,
                                      const void *value)
{
    (void)field;
    return json_object_new_int(*(const int *)value);
}

static int int_decode(const struct field *field, struct json_object *json,
                      void *ret_value)
{
    int64_t number = 0;
    int rc = number_decode(field, json, &number);
    if (rc == 0)
        *(int *)ret_value = (int)number; /* its bounds fit in an int */
    return rc;
}

static struct json_object *kind_encode(const struct field *field,
                                       const void *value)
{
    (void)field;
    return json_object_new_string(job_kind_name(*(const enum job_kind *)value));
}

static int kind_decode(const struct field *field, struct json_object *json,
                       void *ret_value)
{
    (void)field;
    if (!json_object_is_type(json, json_type_string))
        return -EBADMSG;
    int rc = job_kind_parse(json_object_get_string(json), ret_value);
    return rc < 0 ? -EBADMSG : 0;
}

static struct json_object *state_encode(const struct field *field,
                                        const void *value)
{
    (void)field;
    return json_object_new_string(
        job_state_name(*(const enum job_state *)value));
}

static int state_decode(const struct field *field, struct json_object *json,
                        void *ret_value)
{
    (void)field;
    if (!json_object_is_type(json, json_type_string))
        return -EBADMSG;
    int rc = job_state_parse(json_object_get_string(json), ret_value);
    return rc < 0 ? -EBADMSG : 0;
}

const struct field_type field_uuid = { "a UUID", text_encode, uuid_decode };
const struct field_type field_place = { "a UUID or empty", text_encode,
                                        place_decode };
const struct field_type field_text = { "a text that fits", text_encode,
                                       text_decode };
const struct field_type field_bool = { "a boolean", bool_encode, bool_decode };
const struct field_type field_uint64 = { "a number", uint64_encode,
                                         uint64_decode };
const struct field_type field_int64 = { "a number in its range", int64_encode,
                                        int64_decode };
const struct field_type field_int = { "a number in its range", int_encode,
                                      int_decode };
const struct field_type field_kind = { "a kind of job", kind_encode,
                                       kind_decode };
const struct field_type field_state = { "a state of a job", state_encode,
                                        state_decode };
