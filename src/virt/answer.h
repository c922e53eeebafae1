/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu's answers as JSON: the little of json-c that this room needs.
 */
#ifndef DRAY_VIRT_ANSWER_H
#define DRAY_VIRT_ANSWER_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <json-c/json.h>

enum {
    /* image.backing-image nests one level per layer */
    ANSWER_DEPTH_MAX = 512
};

#define _cleanup_json_ _cleanup_(answer_put)

static inline void answer_put(struct json_object **object)
{
    json_object_put(*object);
}

/* The caller puts the result; NULL when @text is no JSON. */
struct json_object *answer_parse(const char *text);

/* Borrowed; NULL when there is none of that type. @object may be NULL. */
struct json_object *answer_member(const struct json_object *object,
                                  const char *name, enum json_type type);
const char *answer_string(const struct json_object *object, const char *name);

/* The array that the monitor answered. -EBADMSG for anything else, with what
 * it said. *ret_answer is the caller's, *ret_items is in it. */
int answer_items(const char *text, struct json_object **ret_answer,
                 struct json_object **ret_items, struct err *err);

#endif
