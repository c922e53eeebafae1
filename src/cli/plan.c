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
#include <inttypes.h>
#include <stdio.h>

/* "2.0 GiB of 4.0 GiB free, needs 1.0 GiB"; outside of domains as much of that
 * as is known, and the path. */
static void show_space(struct table *table, const char *side,
                       struct json_object *space)
{
    char free_text[UNITS_TEXT_SIZE];
    char total_text[UNITS_TEXT_SIZE];
    char need[UNITS_TEXT_SIZE];
    uint64_t free_bytes = json_u64(space, "free");
    uint64_t total = json_u64(space, "total");
    uint64_t required = json_u64(space, "required");
    bool outside =
        !json_text(space, "domainID")[0] && json_text(space, "path")[0];
    if (total == 0 && !outside)
        return; /* could not be measured: an obstacle says why */
    bool measured = total > 0 || free_bytes > 0;
    _cleanup_free_ char *text = str_printf(
        "%s%s%s%s%s%s%s%s", outside ? json_text(space, "path") : "",
        outside && measured ? ", " : "",
        measured ? units_size(free_bytes, free_text) : "", total ? " of " : "",
        total ? units_size(total, total_text) : "", measured ? " free" : "",
        required ? ", needs " : "", required ? units_size(required, need) : "");
    TABLE_ROW(table, side, text);
}

static void show_disk(struct table *table, struct json_object *plan,
                      struct json_object *disk)
{
    const char *mover = json_text(disk, "mover");
    bool copies = json_u64(disk, "chain") > 1 ||
                  str_equal(json_text(plan, "strategy"), "snapshot");
    const char *vm = json_text(json_member(plan, "vm"), "vmName");
    uint64_t layers = json_u64(disk, "chain"); /* 0: outside of domains */
    _cleanup_free_ char *chain =
        layers ? str_printf(", %" PRIu64 " layer(s)", layers) : NULL;
    _cleanup_free_ char *text = str_printf(
        "%s of %s%s%s%s", json_text(disk, "disk"), vm, chain ? chain : "",
        copies && mover[0] ? ", frozen ones copied by " : "",
        copies ? mover : "");
    TABLE_ROW(table, "disk", text);
    show_space(table, "source", json_member(disk, "source"));
    show_space(table, "destination", json_member(disk, "destination"));
}

static void show_disks(struct table *table, struct json_object *plan)
{
    struct json_object *disks = json_member(plan, "disks");
    if (!disks)
        show_disk(table, plan, plan);
    for (size_t i = 0; disks && i < json_object_array_length(disks); i++)
        show_disk(table, plan, json_object_array_get_idx(disks, i));
}

static void show_numbers(struct json_object *plan)
{
    char text[UNITS_TEXT_SIZE];
    struct table *table = table_new(NULL);
    const char *why = json_text(plan, "why");
    int64_t expected_s = json_i64(plan, "expectedSeconds", -1);
    _cleanup_free_ char *strategy = str_printf(
        "%s%s%s", json_text(plan, "strategy"), why[0] ? ": " : "", why);
    show_disks(table, plan);
    TABLE_ROW(table, "bytes", units_size(json_u64(plan, "bytes"), text));
    TABLE_ROW(table, "strategy", strategy);
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
