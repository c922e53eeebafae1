/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * json-c with less ceremony. Out of memory ends drayctl: nothing is lost by
 * that, the work is done by the daemon.
 */
#include "json.h"
#include <dray/base/util.h>
#include <stdlib.h>

struct json_object *json_member(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;
    if (json_object_is_type(object, json_type_object))
        (void)json_object_object_get_ex(object, key, &value);
    return value;
}

const char *json_text(struct json_object *object, const char *key)
{
    struct json_object *value = json_member(object, key);
    return value ? json_object_get_string(value) : "";
}

uint64_t json_u64(struct json_object *object, const char *key)
{
    struct json_object *value = json_member(object, key);
    uint64_t number = 0;
    if (json_object_is_type(value, json_type_string))
        return str_to_u64(json_object_get_string(value), &number) ? 0 : number;
    return json_object_get_uint64(value);
}

static bool is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) ||
           json_object_is_type(value, json_type_double);
}

int64_t json_i64(struct json_object *object, const char *key, int64_t fallback)
{
    struct json_object *value = json_member(object, key);
    return is_number(value) ? json_object_get_int64(value) : fallback;
}

double json_double(struct json_object *object, const char *key, double fallback)
{
    struct json_object *value = json_member(object, key);
    return is_number(value) ? json_object_get_double(value) : fallback;
}

bool json_flag(struct json_object *object, const char *key)
{
    return json_object_get_boolean(json_member(object, key));
}

void json_add(struct json_object *object, const char *key,
              struct json_object *value)
{
    if (!value || json_object_object_add(object, key, value))
        abort();
}

struct json_object *json_pairs(const char *const *words, size_t n)
{
    struct json_object *object = json_object_new_object();
    if (!object)
        abort();
    for (size_t i = 0; i + 1 < n; i += 2)
        json_add_text(object, words[i], words[i + 1]);
    return object;
}

void json_add_text(struct json_object *object, const char *key,
                   const char *value)
{
    if (value)
        json_add(object, key, json_object_new_string(value));
}

void json_add_u64(struct json_object *object, const char *key, uint64_t value)
{
    json_add(object, key, json_object_new_uint64(value));
}

void json_add_flag(struct json_object *object, const char *key, bool value)
{
    json_add(object, key, json_object_new_boolean(value));
}
