/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON-RPC 2.0's request object: what must be in it, and the texts of answers.
 * Pure.
 */
#ifndef DRAY_RPC_ENVELOPE_H
#define DRAY_RPC_ENVELOPE_H

#include <dray/base/err.h>
#include <stdbool.h>

struct json_object;

/* Borrowed from the value it was read from. */
struct envelope {
    struct json_object *id; /* NULL: null, or none that could be read */
    bool has_id;            /* false: a notification */
    const char *method;
    struct json_object *params; /* object, array, NULL: absent */
};

/* 0, or ERR_REQUEST's errno; then ret->id is still the id to answer with. */
int envelope_read(struct json_object *value, struct envelope *ret_envelope,
                  struct err *err);

/* The whole answer; NULL when out of memory. @id is borrowed. */
struct json_object *envelope_result(struct json_object *id,
                                    struct json_object *result);
struct json_object *envelope_error(struct json_object *id,
                                   const struct err *err, const char *phase,
                                   struct json_object *extra);
struct json_object *envelope_notification(const char *method,
                                          struct json_object *params);

#endif
