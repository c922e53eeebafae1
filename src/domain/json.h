/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside domain/: JSON objects that are released, and filled, without leaks.
 */
#ifndef DRAY_DOMAIN_JSON_H
#define DRAY_DOMAIN_JSON_H

#include <dray/base/util.h>
#include <json-c/json.h>
#include <stdbool.h>

static inline void json_putp(struct json_object **object)
{
    json_object_put(*object);
}

#define _cleanup_json_ _cleanup_(json_putp)

/* Takes over @value; false when something could not be had. */
static inline bool json_add(struct json_object *object, const char *key,
                            struct json_object *value)
{
    if (!value)
        return false;
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return false;
    }
    return true;
}

#endif
