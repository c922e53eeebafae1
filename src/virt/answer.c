/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads JSON that came from qemu's monitor. It may be of any shape: whoever
 * reads it asks for members by type and copes with NULL.
 */
#include "answer.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

struct json_object *answer_parse(const char *text)
{
    struct json_tokener *tokener = json_tokener_new_ex(ANSWER_DEPTH_MAX);
    if (!tokener)
        return NULL;
    size_t len = strlen(text);
    struct json_object *object = NULL;
    if (len < INT_MAX)
        object = json_tokener_parse_ex(tokener, text, (int)len + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_object_put(object);
        object = NULL;
    }
    json_tokener_free(tokener);
    return object;
}

struct json_object *answer_member(const struct json_object *object,
                                  const char *name, enum json_type type)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

const char *answer_string(const struct json_object *object, const char *name)
{
    struct json_object *value = answer_member(object, name, json_type_string);
    return value ? json_object_get_string(value) : NULL;
}

int answer_items(const char *text, struct json_object **ret_answer,
                 struct json_object **ret_items, struct err *err)
{
    struct json_object *answer = answer_parse(text);
    struct json_object *items =
        answer_member(answer, "return", json_type_array);
    if (!items) {
        const char *reason = answer_string(
            answer_member(answer, "error", json_type_object), "desc");
        int rc = err_set(err, -EBADMSG, "qemu's monitor: %s",
                         reason ? reason : "no answer that we understand");
        json_object_put(answer);
        return rc;
    }
    *ret_answer = answer;
    *ret_items = items;
    return 0;
}
