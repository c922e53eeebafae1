/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reading answers and building parameters. A member that is missing or of
 * another type reads as empty: the server is ours and was tested; a table with
 * an empty cell beats no table.
 */
#ifndef DRAY_CLI_JSON_H
#define DRAY_CLI_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define _cleanup_json_ __attribute__((cleanup(json_putp)))

static inline void json_putp(struct json_object **value)
{
    json_object_put(*value);
}

/* NULL when there is none. Borrowed. */
struct json_object *json_member(struct json_object *object, const char *key);
/* "" when there is none. Borrowed. */
const char *json_text(struct json_object *object, const char *key);
/* Numbers, and numbers in strings as VDSM sends sizes. */
uint64_t json_u64(struct json_object *object, const char *key);
int64_t json_i64(struct json_object *object, const char *key, int64_t fallback);
double json_double(struct json_object *object, const char *key,
                   double fallback);
bool json_flag(struct json_object *object, const char *key);

/* An object of strings: a key, its value, a key, ...; a NULL value leaves its
 * key out. Aborts when out of memory, as all of these do. */
struct json_object *json_pairs(const char *const *words, size_t n);
#define JSON_STRINGS(...)                                                      \
    json_pairs((const char *const[]){ __VA_ARGS__ },                           \
               sizeof((const char *const[]){ __VA_ARGS__ }) /                  \
                   sizeof(const char *))

/* Takes @value over. */
void json_add(struct json_object *object, const char *key,
              struct json_object *value);
void json_add_text(struct json_object *object, const char *key,
                   const char *value);
void json_add_u64(struct json_object *object, const char *key, uint64_t value);
void json_add_flag(struct json_object *object, const char *key, bool value);

#endif
