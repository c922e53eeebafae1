/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers as text. An object is printed as it came, member by member, so that
 * what the API learns to tell drayctl shows too.
 */
#include "cli.h"
#include "json.h"
#include "table.h"
#include "units.h"
#include <dray/base/util.h>
#include <stdio.h>
#include <string.h>

void show_json(struct json_object *value)
{
    const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                      JSON_C_TO_STRING_NOSLASHESCAPE;
    (void)puts(json_object_to_json_string_ext(value, flags));
}

static bool is_size(const char *key)
{
    static const char *const sizes[] = { "capacity", "apparentsize", "truesize",
                                         "disktotal", "diskfree" };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        if (str_equal(key, sizes[i]))
            return true;
    return false;
}

static void show_scalar(struct table *table, const char *key, const char *leaf,
                        struct json_object *value)
{
    char text[UNITS_TEXT_SIZE];
    const char *plain = value ? json_object_get_string(value) : "";
    uint64_t bytes = 0;
    if (!is_size(leaf) || str_to_u64(plain, &bytes)) {
        TABLE_ROW(table, key, plain);
        return;
    }
    _cleanup_free_ char *both =
        str_printf("%s (%s)", plain, units_size(bytes, text));
    TABLE_ROW(table, key, both);
}

static void show_member(struct table *table, const char *key,
                        struct json_object *value);

static void show_members(struct table *table, const char *prefix,
                         struct json_object *object)
{
    json_object_object_foreach(object, name, value)
    {
        _cleanup_free_ char *key = str_printf("%s%s", prefix, name);
        if (!json_object_is_type(value, json_type_object) &&
            !json_object_is_type(value, json_type_array))
            show_scalar(table, key, name, value);
        else
            show_member(table, key, value);
    }
}

static void show_item(struct table *table, const char *key,
                      struct json_object *item)
{
    if (json_object_is_type(item, json_type_object))
        show_member(table, key, item);
    else
        TABLE_ROW(table, key, item ? json_object_get_string(item) : "");
}

/* An object or a list. Answers are flat: the depth is bounded by the server. */
static void show_member(struct table *table, const char *key,
                        struct json_object *value)
{
    if (json_object_is_type(value, json_type_object)) {
        _cleanup_free_ char *prefix = str_printf("%s.", key);
        show_members(table, prefix ? prefix : "", value);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++)
        show_item(table, key, json_object_array_get_idx(value, i));
}

void show_object(struct json_object *object)
{
    struct table *table = table_new(NULL);
    if (json_object_is_type(object, json_type_object))
        show_members(table, "", object);
    table_finish(table);
}

int show_result(const struct cli *cli, struct json_object *value,
                void (*show)(struct json_object *value))
{
    if (cli->json)
        show_json(value);
    else
        show(value);
    json_object_put(value);
    return CLI_OK;
}
