/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl disk: what speaks against a move, and the move itself.
 */
#include "cli.h"
#include "json.h"
#include "plan.h"
#include "units.h"
#include "watch.h"
#include <dray/base/util.h>
#include <errno.h>
#include <stdio.h>

struct move {
    const char *limit;
    const char *format;
    const char *job_id;
    bool keep_source;
    bool detach;
    uint64_t bytes_per_s;
    char new_id[UUID_SIZE];
    struct args args; /* VM DISK DOMAIN */
};

/* The same parameters for plan and migrate. */
static struct json_object *move_params(const struct move *move)
{
    struct json_object *params =
        JSON_STRINGS("vmID", move->args.words[0], "disk", move->args.words[1],
                     "domain", move->args.words[2]);
    if (move->format)
        json_add_text(params, "format",
                      str_equal(move->format, "raw") ? "RAW" : "COW");
    if (move->keep_source)
        json_add_flag(params, "keepSource", true);
    if (move->bytes_per_s)
        json_add_u64(params, "limit", move->bytes_per_s);
    return params;
}

/* What plan and migrate have in common. */
static int parse_move(struct cli *cli, const char *const *argv,
                      const struct args_option *options, struct move *move)
{
    struct err err = ERR_INIT;
    int rc = cli_parse(cli, argv, options, 3, 3, &move->args);
    if (rc)
        return rc;
    if (move->format && !str_equal(move->format, "raw") &&
        !str_equal(move->format, "qcow2"))
        (void)err_set(&err, -EINVAL, "--format %s: raw or qcow2 is wanted",
                      move->format);
    else if (move->job_id && !uuid_is_valid(move->job_id))
        (void)err_set(&err, -EINVAL, "--job-id %s: not a UUID", move->job_id);
    else if (move->limit)
        (void)units_parse_rate(move->limit, &move->bytes_per_s, &err);
    return err.rc ? cli_usage(cli, &err) : CLI_OK;
}

static int parse_plan(struct cli *cli, const char *const *argv,
                      struct move *move)
{
    /* clang-format off */
    const struct args_option options[] = {
        { "--format", NULL, &move->format },
        { "--limit", NULL, &move->limit },
        { "--keep-source", &move->keep_source, NULL },
        { 0 },
    };
    /* clang-format on */
    return parse_move(cli, argv, options, move);
}

static int disk_plan(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    struct json_object *plan = NULL;
    int rc = parse_plan(cli, argv, &move);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Disk.plan", move_params(&move), &plan);
    if (rc)
        return rc;
    bool possible = json_flag(plan, "possible");
    (void)show_result(cli, plan, plan_show);
    return possible ? CLI_OK : CLI_FAILED;
}

static int parse_migrate(struct cli *cli, const char *const *argv,
                         struct move *move)
{
    /* clang-format off */
    const struct args_option options[] = {
        { "--format", NULL, &move->format },
        { "--limit", NULL, &move->limit },
        { "--job-id", NULL, &move->job_id },
        { "--keep-source", &move->keep_source, NULL },
        { "--detach", &move->detach, NULL },
        { 0 },
    };
    /* clang-format on */
    return parse_move(cli, argv, options, move);
}

/* The job's id is made here: whatever happens to the answer, it can be found
 * under it, and asking again is harmless. */
static int disk_migrate(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    int rc = parse_migrate(cli, argv, &move);
    if (rc)
        return rc;
    if (!move.job_id) {
        uuid_new(move.new_id);
        move.job_id = move.new_id;
    }
    struct json_object *params = move_params(&move);
    json_add_text(params, "jobID", move.job_id);
    watch_catch_interrupt();
    _cleanup_json_ struct json_object *job = NULL;
    struct err err = ERR_INIT;
    rc = cli_try(cli, "Disk.migrate", params, &job, &err);
    if (rc == CLI_INTERRUPTED)
        return watch_left(move.job_id);
    if (rc) {
        cli_complain(&err);
        return rc;
    }
    if (!move.detach)
        return watch_job(cli, move.job_id);
    if (cli->json)
        show_json(job);
    else
        (void)puts(move.job_id);
    return CLI_OK;
}

const struct command disk_commands[] = {
    {"disk",                                                                "plan",
     "VM DISK DOMAIN [--keep-source] [--limit MiB/s] [--format raw|qcow2]", "Says what a move would take and everything that speaks against it. "
      "Touches\nnothing. Exit code 1 when it cannot be moved. DISK: its target "
      "(vda), image "
      "UUID\nor source path.", disk_plan },
    { "disk", "migrate",
     "VM DISK DOMAIN [--keep-source] [--limit MiB/s] [--format raw|qcow2] "
      "[--detach] [--job-id UUID]", "Moves a disk of a VM to another domain while the VM runs, and shows the "
      "progress.\nCtrl-C leaves the job running.\n"
      "  --keep-source  does not delete the source afterwards\n"
      "  --limit        at most so many MiB/s; see 'job limit'\n"
      "  --format       the disk's base gets this format on the way\n"
      "  --detach       prints the job's UUID and does not wait\n"
      "  --job-id       under this UUID; a repeated request is the same job", disk_migrate },
    { 0                                                           },
};
