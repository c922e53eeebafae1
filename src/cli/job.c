/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl job: look at jobs, follow them, cancel and limit them.
 */
#include "cli.h"
#include "jobview.h"
#include "json.h"
#include "resolve.h"
#include "table.h"
#include "units.h"
#include "watch.h"
#include <stdio.h>

static void show_job_row(struct table *table, struct json_object *job)
{
    struct jobview view = jobview_read(job);
    char part[UNITS_TEXT_SIZE] = "";
    char rate[UNITS_TEXT_SIZE] = "";
    char percent[8] = "";
    char disks[JOBVIEW_TEXT_SIZE];
    const struct progress *progress = &view.progress;
    if (progress->total > 0) {
        (void)units_part(progress->done, progress->total, part);
        /* What a mirror has to do is only known to the last but one look. */
        bool done = str_equal(view.state, "done");
        (void)str_format(percent, sizeof(percent), "%u %%",
                         done ? 100 : progress_percent(progress));
    }
    _cleanup_free_ char *per_s =
        view.ended || progress->rate == 0
            ? NULL
            : str_printf("%s/s", units_size(progress->rate, rate));
    jobview_disks(job, disks);
    TABLE_ROW(table, view.id, view.kind, view.state, view.vm, disks, percent,
              part, per_s);
}

static void show_jobs(struct json_object *list)
{
    static const char *const headings[] = { "JOB",    "KIND",  "STATE",
                                            "VM",     "DISK",  ">%",
                                            ">BYTES", ">RATE", NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        show_job_row(table, json_object_array_get_idx(list, i));
    table_finish(table);
}

static int job_list(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *list = NULL;
    int rc = cli_parse(cli, argv, NULL, 0, 0, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Job.list", NULL, &list);
    return rc ? rc : show_result(cli, list, show_jobs);
}

/* JOB [more words] */
static int parse_job(struct cli *cli, const char *const *argv, size_t words,
                     struct args *ret_args, char ret_id[UUID_SIZE])
{
    int rc = cli_parse(cli, argv, NULL, words, words, ret_args);
    return rc ? rc : resolve_job(cli, ret_args->words[0], ret_id);
}

/* As the API tells it. An only disk is told at the top; that is enough. */
static void show_job(struct json_object *job)
{
    char latency[JOBVIEW_TEXT_SIZE];
    struct json_object *disks = json_member(job, "disks");
    if (disks && json_object_array_length(disks) < 2)
        json_object_object_del(job, "disks");
    if (jobview_latency(job, latency))
        json_add_text(job, "guest writes", latency);
    show_object(job);
}

static int job_info(struct cli *cli, const char *const *argv)
{
    struct args args;
    char id[UUID_SIZE];
    struct json_object *job = NULL;
    int rc = parse_job(cli, argv, 1, &args, id);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Job.info", JSON_STRINGS("jobID", id), &job);
    return rc ? rc : show_result(cli, job, show_job);
}

static int job_watch(struct cli *cli, const char *const *argv)
{
    struct args args;
    char id[UUID_SIZE];
    int rc = parse_job(cli, argv, 1, &args, id);
    if (rc)
        return rc;
    watch_catch_interrupt();
    return watch_job(cli, id);
}

static int job_cancel(struct cli *cli, const char *const *argv)
{
    struct args args;
    char id[UUID_SIZE];
    _cleanup_json_ struct json_object *result = NULL;
    int rc = parse_job(cli, argv, 1, &args, id);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Job.cancel", JSON_STRINGS("jobID", id), &result);
    if (rc)
        return rc;
    if (cli->json)
        show_json(result);
    else
        (void)printf("job %s is being undone; follow it with 'drayctl job "
                     "watch %.8s'\n",
                     id, id);
    return CLI_OK;
}

/* The job is another host's: a short id means none of ours. */
static int job_takeover(struct cli *cli, const char *const *argv)
{
    struct args args;
    _cleanup_json_ struct json_object *job = NULL;
    int rc = cli_parse(cli, argv, NULL, 1, 1, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Job.takeover", JSON_STRINGS("jobID", args.words[0]),
                      &job);
    if (rc)
        return rc;
    if (cli->json)
        show_json(job);
    else
        (void)printf("job %s is this host's now; follow it with 'drayctl job "
                     "watch %.8s'\n",
                     args.words[0], args.words[0]);
    return CLI_OK;
}

static int job_limit(struct cli *cli, const char *const *argv)
{
    struct args args;
    char id[UUID_SIZE];
    uint64_t bytes_per_s = 0;
    struct err err = ERR_INIT;
    int rc = cli_parse(cli, argv, NULL, 2, 2, &args);
    if (rc)
        return rc;
    if (units_parse_rate(args.words[1], &bytes_per_s, &err))
        return cli_usage(cli, &err);
    rc = resolve_job(cli, args.words[0], id);
    if (rc)
        return rc;
    struct json_object *params = JSON_STRINGS("jobID", id);
    json_add_u64(params, "limit", bytes_per_s);
    _cleanup_json_ struct json_object *result = NULL;
    rc = cli_call(cli, "Job.limit", params, &result);
    if (rc == CLI_OK && cli->json)
        show_json(result);
    return rc;
}

const struct command job_commands[] = {
    {"job",     "list", "", "Lists running and ended jobs.", job_list },
    { "job",       "info", "JOB", "Prints all that is known about a job.", job_info },
    { "job", "watch", "JOB",
     "Shows a job's progress until it ends. Ctrl-C leaves it running.", job_watch },
    { "job",    "cancel", "JOB",
     "Undoes a job: the disk stays where it was. Refused once the VM writes "
      "to the\ndestination.", job_cancel },
    { "job",    "takeover", "JOB",
     "Finishes or undoes the job of a dead host, whose lease is free. JOB is "
      "its whole\nid.", job_takeover },
    { "job", "limit", "JOB MiB/s", "Changes a running job's limit. 0: none.",
     job_limit },
    { 0   },
};
