/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plan as text: the few numbers that decide, then the obstacles, each with
 * what to do about it.
 */
#include "plan.h"
#include "json.h"
#include "table.h"
#include "units.h"
#include <dray/base/util.h>
#include <stdio.h>

static void show_space(struct table *table, const char *side,
                       struct json_object *space)
{
    char free_text[UNITS_TEXT_SIZE];
    char total[UNITS_TEXT_SIZE];
    char need[UNITS_TEXT_SIZE];
    uint64_t required = json_u64(space, "required");
    if (json_u64(space, "total") == 0)
        return; /* could not be measured: an obstacle says why */
    _cleanup_free_ char *text = str_printf(
        "%s of %s free%s%s", units_size(json_u64(space, "free"), free_text),
        units_size(json_u64(space, "total"), total), required ? ", needs " : "",
        required ? units_size(required, need) : "");
    TABLE_ROW(table, side, text);
}

static void show_numbers(struct json_object *plan)
{
    char text[UNITS_TEXT_SIZE];
    struct table *table = table_new(NULL);
    _cleanup_free_ char *disk = str_printf(
        "%s of %s, %s layer(s)", json_text(plan, "disk"),
        json_text(json_member(plan, "vm"), "vmName"), json_text(plan, "chain"));
    int64_t expected_s = json_i64(plan, "expectedSeconds", -1);
    TABLE_ROW(table, "disk", disk);
    TABLE_ROW(table, "bytes", units_size(json_u64(plan, "bytes"), text));
    show_space(table, "source", json_member(plan, "source"));
    show_space(table, "destination", json_member(plan, "destination"));
    if (expected_s >= 0)
        TABLE_ROW(table, "expected", units_time(expected_s, text));
    table_finish(table);
}

static void show_obstacle(struct json_object *obstacle)
{
    const char *next = json_text(obstacle, "next");
    (void)printf("  %s%s%s\n", json_text(obstacle, "message"),
                 next[0] ? "; " : "", next);
}

void plan_show(struct json_object *plan)
{
    struct json_object *obstacles = json_member(plan, "obstacles");
    show_numbers(plan);
    if (json_flag(plan, "possible")) {
        (void)puts("nothing speaks against the move");
        return;
    }
    (void)puts("it cannot be moved:");
    for (size_t i = 0; i < json_object_array_length(obstacles); i++)
        show_obstacle(json_object_array_get_idx(obstacles, i));
}
