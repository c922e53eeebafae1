/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See put.h.
 */
#include "put.h"

#include <dray/base/util.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

struct json_object *put_new_text(const char *text)
{
    if (str_is_utf8(text, strlen(text)))
        return json_object_new_string(text);
    char *clean = strdup(text);
    if (!clean)
        return NULL;
    for (size_t i = 0; clean[i]; i++)
        if ((unsigned char)clean[i] >= 0x80)
            clean[i] = '?';
    struct json_object *string = json_object_new_string(clean);
    free(clean);
    return string;
}

bool put_value(struct json_object *object, const char *key,
               struct json_object *value)
{
    if (object && value && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

bool put_item(struct json_object *array, struct json_object *value)
{
    if (array && value && json_object_array_add(array, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

bool put_text(struct json_object *object, const char *key, const char *text)
{
    return put_value(object, key, put_new_text(text));
}

bool put_u64(struct json_object *object, const char *key, uint64_t number)
{
    return put_value(object, key, json_object_new_uint64(number));
}

bool put_i64(struct json_object *object, const char *key, int64_t number)
{
    return put_value(object, key, json_object_new_int64(number));
}

bool put_flag(struct json_object *object, const char *key, bool flag)
{
    return put_value(object, key, json_object_new_boolean(flag));
}

bool put_digits(struct json_object *object, const char *key, uint64_t number)
{
    char digits[24];
    (void)str_format(digits, sizeof(digits), "%" PRIu64, number);
    return put_text(object, key, digits);
}

bool put_null(struct json_object *object, const char *key)
{
    return object && json_object_object_add(object, key, NULL) == 0;
}

struct json_object *put_end(struct json_object *object, bool ok)
{
    if (ok)
        return object;
    json_object_put(object);
    return NULL;
}
