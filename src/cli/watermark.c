/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl vm watermarks, host stats: thin disks on LVs, how full they are and
 * how drayd keeps up with them.
 */
#include "cli.h"
#include "json.h"
#include "table.h"
#include "units.h"
#include "watch.h"
#include <dray/base/util.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>

enum {
    WATCH_MS = 2000
};

static const char *name_of(struct json_object *vms, const char *uuid)
{
    for (size_t i = 0; vms && i < json_object_array_length(vms); i++) {
        struct json_object *vm = json_object_array_get_idx(vms, i);
        if (str_equal(json_text(vm, "vmId"), uuid))
            return json_text(vm, "vmName");
    }
    return uuid;
}

/* People know VMs by name. */
static void add_names(struct cli *cli, struct json_object *marks)
{
    _cleanup_json_ struct json_object *vms = NULL;
    struct err err = ERR_INIT;
    if (cli_try(cli, "VM.list", NULL, &vms, &err))
        vms = NULL; /* a table with UUIDs is still a table */
    for (size_t i = 0; i < json_object_array_length(marks); i++) {
        struct json_object *mark = json_object_array_get_idx(marks, i);
        json_add_text(mark, "vm", name_of(vms, json_text(mark, "vmId")));
    }
}

static const char *size_or_dash(struct json_object *mark, const char *key,
                                char text[UNITS_TEXT_SIZE])
{
    uint64_t bytes = json_u64(mark, key);
    return bytes ? units_size(bytes, text) : "-";
}

static void add_row(struct table *table, struct json_object *mark)
{
    char size[UNITS_TEXT_SIZE], used[UNITS_TEXT_SIZE], left[UNITS_TEXT_SIZE];
    char at[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE], rate[UNITS_TEXT_SIZE];
    char per_s[UNITS_TEXT_SIZE + 4];
    (void)str_format(per_s, sizeof(per_s), "%s/s",
                     units_size(json_u64(mark, "rate"), rate));
    TABLE_ROW(table, json_text(mark, "vm"), json_text(mark, "name"),
              json_text(mark, "role"), size_or_dash(mark, "size", size),
              units_size(json_u64(mark, "allocation"), used),
              units_size(json_u64(mark, "free"), left),
              size_or_dash(mark, "threshold", at),
              size_or_dash(mark, "max", max), per_s,
              json_text(mark, "problem"));
}

static void show_marks(struct json_object *marks)
{
    static const char *const headings[] = { "VM",           "DISK",     "ROLE",
                                            ">SIZE",        ">WRITTEN", ">FREE",
                                            ">EXTENDED AT", ">MAX",     ">RATE",
                                            "PROBLEM",      NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(marks); i++)
        add_row(table, json_object_array_get_idx(marks, i));
    table_finish(table);
}

static int show_once(struct cli *cli, const char *vm)
{
    struct json_object *marks = NULL;
    struct json_object *params = vm ? JSON_STRINGS("vmID", vm) : NULL;
    int rc = cli_call(cli, "VM.getDiskWatermarks", params, &marks);
    if (rc)
        return rc;
    if (!cli->json)
        add_names(cli, marks);
    return show_result(cli, marks, show_marks);
}

/* One table after the other; on a terminal each in the place of the last. */
static int show_again_and_again(struct cli *cli, const char *vm)
{
    bool tty = isatty(STDOUT_FILENO) && !cli->json;
    int rc = CLI_OK;
    watch_catch_interrupt();
    while (rc == CLI_OK && !watch_is_interrupted()) {
        if (tty)
            (void)fputs("\033[H\033[J", stdout); /* home, and clear */
        rc = show_once(cli, vm);
        (void)fflush(stdout);
        if (rc == CLI_OK)
            (void)poll(NULL, 0, WATCH_MS); /* ends early by Ctrl-C */
    }
    /* Ctrl-C is the way to end it. */
    return rc == CLI_INTERRUPTED ? CLI_OK : rc;
}

static int vm_watermarks(struct cli *cli, const char *const *argv)
{
    bool all = false, watch = false;
    const struct args_option options[] = {
        {"--all",    &all, NULL },
        { "--watch",      &watch, NULL },
        { 0},
    };
    struct args args;
    struct err err = ERR_INIT;
    int rc = cli_parse(cli, argv, options, 0, 1, &args);
    if (rc)
        return rc;
    if (all == (args.n > 0)) {
        (void)err_set(&err, -EINVAL, "either a VM or --all is wanted");
        return cli_usage(cli, &err);
    }
    return watch ? show_again_and_again(cli, args.words[0])
                 : show_once(cli, args.words[0]);
}

static int host_stats(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *stats = NULL;
    int rc = cli_parse(cli, argv, NULL, 0, 0, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Host.getStats", NULL, &stats);
    return rc ? rc : show_result(cli, stats, show_object);
}

const struct command watermark_commands[] = {
    {"vm",                  "watermarks", "VM|--all [--watch]",
     "Lists the thin disks on LVs that drayd watches: how large the LV is, "
      "how\n"
      "far it is written, and from where on it is extended.\n"
      "  --all    of all VMs\n"
      "  --watch  again every 2 seconds, until Ctrl-C", vm_watermarks },
    { "host", "stats", "",
     "Prints counters since drayd was started: jobs, clients, domains,\n"
      "extensions of thin disks and how long they took, guests that ran out\n"
      "of space.", host_stats },
    { 0       },
};
