/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Building JSON objects member by member: each call says whether it worked, so
 * that they chain with &&. A text that is no UTF-8 (what a foreign domain's
 * metadata may hold) goes out with '?' for what is not ASCII.
 */
#ifndef DRAY_API_PUT_H
#define DRAY_API_PUT_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

bool put_text(struct json_object *object, const char *key, const char *text);
bool put_u64(struct json_object *object, const char *key, uint64_t number);
bool put_i64(struct json_object *object, const char *key, int64_t number);
bool put_flag(struct json_object *object, const char *key, bool flag);
/* A number as a string, as VDSM gives sizes. */
bool put_digits(struct json_object *object, const char *key, uint64_t number);
bool put_null(struct json_object *object, const char *key);
/* Takes @value over; NULL: out of memory. */
bool put_value(struct json_object *object, const char *key,
               struct json_object *value);
/* The same for arrays. */
bool put_item(struct json_object *array, struct json_object *value);

struct json_object *put_new_text(const char *text);
/* @object when @ok, else frees it and returns NULL. */
struct json_object *put_end(struct json_object *object, bool ok);

#endif
