/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fields of a record: types that know how to become JSON and how to come back,
 * and refuse on the way back what they could not have written.
 */
#ifndef DRAY_JOURNAL_FIELD_H
#define DRAY_JOURNAL_FIELD_H

#include <stddef.h>
#include <stdint.h>

struct field;
struct json_object;

struct field_type {
    const char *what; /* for messages: "not <what>" */
    /* NULL: out of memory. */
    struct json_object *(*encode)(const struct field *field, const void *value);
    /* 0 or -EBADMSG. */
    int (*decode)(const struct field *field, struct json_object *json,
                  void *ret_value);
};

struct field {
    const char *name;
    const struct field_type *type;
    size_t offset; /* in the struct */
    size_t size;   /* of the member */
    int64_t min;   /* field_int, field_int64 */
    int64_t max;
};

extern const struct field_type field_uuid;   /* char[UUID_SIZE] */
extern const struct field_type field_place;  /* the same, or empty */
extern const struct field_type field_text;   /* char[size], may be empty */
extern const struct field_type field_bool;   /* bool */
extern const struct field_type field_uint64; /* uint64_t */
extern const struct field_type field_int64;  /* int64_t, min..max */
extern const struct field_type field_int;    /* int or such an enum, min..max */
extern const struct field_type field_kind;   /* enum job_kind, as its word */
extern const struct field_type field_state;  /* enum job_state, as its word */

#endif
