/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl disk: what speaks against a move, and the move itself, between
 * domains, into one, and out of one.
 */
#include "cli.h"
#include "json.h"
#include "move.h"
#include "plan.h"
#include "watch.h"
#include <errno.h>
#include <stdio.h>

static int disk_plan(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    struct json_object *plan = NULL;
    int rc = move_parse(cli, argv, MOVE_PLAN, &move);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Disk.plan", move_params(&move), &plan);
    if (rc)
        return rc;
    bool possible = json_flag(plan, "possible");
    (void)show_result(cli, plan, plan_show);
    return possible ? CLI_OK : CLI_FAILED;
}

/* The job's id is made here: whatever happens to the answer, it can be found
 * under it, and asking again is harmless. */
static int start(struct cli *cli, struct move *move)
{
    if (!move->job_id) {
        uuid_new(move->new_id);
        move->job_id = move->new_id;
    }
    watch_catch_interrupt();
    _cleanup_json_ struct json_object *job = NULL;
    struct err err = ERR_INIT;
    int rc = cli_try(cli, "Disk.migrate", move_params(move), &job, &err);
    if (rc == CLI_INTERRUPTED)
        return watch_left(move->job_id);
    if (rc) {
        cli_complain(&err);
        return rc;
    }
    if (!move->detach)
        return watch_job(cli, move->job_id);
    if (cli->json)
        show_json(job);
    else
        (void)puts(move->job_id);
    return CLI_OK;
}

static int disk_migrate(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    int rc = move_parse(cli, argv, MOVE_MIGRATE, &move);
    return rc ? rc : start(cli, &move);
}

static int disk_export(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    int rc = move_parse(cli, argv, MOVE_EXPORT, &move);
    return rc ? rc : start(cli, &move);
}

/* A disk that is in a domain would be moved. */
static int check_outside(struct cli *cli, const struct move *move)
{
    const char *const *words = move->args.words;
    _cleanup_json_ struct json_object *plan = NULL;
    struct err err = ERR_INIT;
    struct json_object *params =
        JSON_STRINGS("vmID", words[0], "disk", words[1], "domain", words[2]);
    int rc = cli_call(cli, "Disk.plan", params, &plan);
    if (rc)
        return rc;
    const char *sd = json_text(json_member(plan, "source"), "domainID");
    if (!sd[0])
        return CLI_OK;
    (void)err_set(&err, -EINVAL, "disk %s of VM %s is in domain %s already",
                  words[1], words[0], sd);
    (void)err_next(&err, "move it: drayctl disk migrate %s %s %s", words[0],
                   words[1], words[2]);
    cli_complain(&err);
    return CLI_FAILED;
}

static int disk_import(struct cli *cli, const char *const *argv)
{
    struct move move = { 0 };
    int rc = move_parse(cli, argv, MOVE_IMPORT, &move);
    move.keep_source = true; /* whatever it turns out to be */
    /* With an id of the caller's it may be the job that is there already. */
    if (rc == CLI_OK && !move.job_id)
        rc = check_outside(cli, &move);
    return rc ? rc : start(cli, &move);
}

#define HOW                                                                    \
    "[--strategy mirror|snapshot] [--verify] [--fast] [--keep-source] "        \
    "[--limit MiB/s] [--format raw|qcow2]"
#define JOB_WORDS "[--detach] [--job-id UUID]"
#define JOB_HELP                                                               \
    "  --detach       prints the job's UUID and does not wait\n"               \
    "  --job-id       under this UUID; a repeated request is the same job"

/* clang-format 14 makes a mess of tables like this. */
/* clang-format off */
const struct command disk_commands[] = {
    { "disk", "plan", "VM DISK DOMAIN | VM DISK=DOMAIN... " HOW,
      "Says what a move would take and everything that speaks against it. "
      "Touches\nnothing. Exit code 1 when it cannot be moved. DISK: its target "
      "(vda), image UUID\nor source path.",
      disk_plan },
    { "disk", "migrate",
      "VM DISK DOMAIN | VM DISK=DOMAIN... " HOW " " JOB_WORDS,
      "Moves disks of a VM to another domain while the VM runs, and shows the "
      "progress.\nSeveral disks change over in one suspension, or none does. "
      "Ctrl-C leaves the job\nrunning.\n"
      "  --strategy     mirror copies what the guest writes to; snapshot "
      "freezes it first\n                 and copies it the cheapest way; else "
      "the plan chooses\n"
      "  --verify       compares both sides before the disks change over\n"
      "  --fast         speed counts more than the latency of the guest's "
      "writes\n"
      "  --keep-source  does not delete the source afterwards\n"
      "  --limit        at most so many MiB/s; see 'job limit'\n"
      "  --format       the disk's base gets this format on the way\n" JOB_HELP,
      disk_migrate },
    { "disk", "import",
      "VM DISK DOMAIN [--format raw|qcow2] [--fast] [--limit MiB/s] "
      JOB_WORDS,
      "Moves a disk that is outside of all domains into one while the VM runs. "
      "The file\nor device that it comes from is left as it is.\n"
      "  --format       of the new volume; else as the VM has it\n"
      "  --fast, --limit  as with 'disk migrate'\n" JOB_HELP,
      disk_import },
    { "disk", "export",
      "VM DISK PATH|URI [--format raw|qcow2] [--keep-source] [--fast] "
      "[--limit MiB/s] " JOB_WORDS,
      "Moves a disk out of its domain to a file, a block device, or what a URI "
      "names\n(nbd+unix:///export?socket=/run/nbd) while the VM runs.\n"
      "  --format       there; else as the disk's last layer has it\n"
      "  --keep-source  does not delete the source afterwards\n"
      "  --fast, --limit  as with 'disk migrate'\n" JOB_HELP,
      disk_export },
    { 0 },
};
/* clang-format on */
