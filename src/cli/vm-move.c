/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl vm plan and vm migrate: a VM goes to another host with its disks.
 */
#include "vm-move.h"
#include "json.h"
#include "plan.h"
#include "units.h"
#include "watch.h"
#include <dray/base/util.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DISKS_MAX = 8, /* of one job, as the daemon has it */
    ARGV_MAX = 64
};

struct journey {
    const char *domain;
    const char *limit;
    const char *timeout;
    const char *job_id;
    bool keep_source, flatten;
    bool detach;
    uint64_t bytes_per_s;
    uint64_t timeout_s;
    char new_id[UUID_SIZE];
    struct args args; /* VM HOST [DISK=DOMAIN]... */
};

/* "--disk vda=fast" may come several times, and is the word vda=fast. */
static void take_disks(const char *const *argv,
                       const char *ret_argv[ARGV_MAX + 1])
{
    size_t n = 0;
    for (; *argv && n < ARGV_MAX; argv++) {
        if (str_equal(*argv, "--disk") && argv[1])
            continue;
        ret_argv[n++] = str_starts_with(*argv, "--disk=")
                            ? *argv + strlen("--disk=")
                            : *argv;
    }
    ret_argv[n] = NULL;
}

static int parse(struct cli *cli, const char *const *whole_argv, bool plan,
                 struct journey *ret)
{
    const char *argv[ARGV_MAX + 1];
    const struct args_option options[] = {
        {"--domain",       NULL, &ret->domain },
        { "--limit",    NULL, &ret->limit },
        { "--timeout",       NULL, &ret->timeout },
        { "--keep-source",     &ret->keep_source, NULL },
        { "--flatten",     &ret->flatten, NULL },
        { plan ? NULL : "--job-id",   NULL, &ret->job_id },
        { "--detach", &ret->detach, NULL },
        { 0           },
    };
    struct err err = ERR_INIT;
    take_disks(whole_argv, argv);
    int rc = cli_parse(cli, argv, options, 2, 2 + DISKS_MAX, &ret->args);
    if (rc)
        return rc;
    for (size_t i = 2; i < ret->args.n; i++) {
        const char *equals = strchr(ret->args.words[i], '=');
        if (!equals || equals == ret->args.words[i] || !equals[1])
            (void)err_set(&err, -EINVAL, "%s: DISK=DOMAIN is wanted",
                          ret->args.words[i]);
    }
    if (ret->job_id && !uuid_is_valid(ret->job_id))
        (void)err_set(&err, -EINVAL, "--job-id %s: not a UUID", ret->job_id);
    if (ret->timeout && str_to_u64(ret->timeout, &ret->timeout_s) < 0)
        (void)err_set(&err, -EINVAL, "--timeout %s: seconds are wanted",
                      ret->timeout);
    if (ret->limit)
        (void)units_parse_rate(ret->limit, &ret->bytes_per_s, &err);
    return err.rc ? cli_usage(cli, &err) : CLI_OK;
}

static struct json_object *disks(const struct args *args)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 2; i < args->n; i++) {
        const char *equals = strchr(args->words[i], '=');
        char *disk = strndup(args->words[i], (size_t)(equals - args->words[i]));
        if (!disk ||
            json_object_array_add(
                array, JSON_STRINGS("disk", disk, "domain", equals + 1)))
            abort();
        free(disk);
    }
    return array;
}

static struct json_object *params_of(const struct journey *journey)
{
    struct json_object *params =
        JSON_STRINGS("vmID", journey->args.words[0], "host",
                     journey->args.words[1], "domain", journey->domain);
    if (journey->args.n > 2)
        json_add(params, "disks", disks(&journey->args));
    if (journey->keep_source)
        json_add_flag(params, "keepSource", true);
    if (journey->flatten)
        json_add_flag(params, "flatten", true);
    if (journey->bytes_per_s)
        json_add_u64(params, "limit", journey->bytes_per_s);
    if (journey->timeout)
        json_add_u64(params, "timeout", journey->timeout_s);
    json_add_text(params, "jobID", journey->job_id);
    return params;
}

int vm_plan(struct cli *cli, const char *const *argv)
{
    struct journey journey = { 0 };
    struct json_object *plan = NULL;
    int rc = parse(cli, argv, true, &journey);
    if (rc == CLI_OK)
        rc = cli_call(cli, "VM.planMigrate", params_of(&journey), &plan);
    if (rc)
        return rc;
    bool possible = json_flag(plan, "possible");
    (void)show_result(cli, plan, plan_show);
    return possible ? CLI_OK : CLI_FAILED;
}

/* The job's id is made here: whatever happens to the answer, it can be found
 * under it, and asking again is harmless. */
int vm_migrate(struct cli *cli, const char *const *argv)
{
    struct journey journey = { 0 };
    _cleanup_json_ struct json_object *job = NULL;
    struct err err = ERR_INIT;
    int rc = parse(cli, argv, false, &journey);
    if (rc)
        return rc;
    if (!journey.job_id) {
        uuid_new(journey.new_id);
        journey.job_id = journey.new_id;
    }
    watch_catch_interrupt();
    rc = cli_try(cli, "VM.migrate", params_of(&journey), &job, &err);
    if (rc == CLI_INTERRUPTED)
        return watch_left(journey.job_id);
    if (rc) {
        cli_complain(&err);
        return rc;
    }
    if (!journey.detach)
        return watch_job(cli, journey.job_id);
    if (cli->json)
        show_json(job);
    else
        (void)puts(journey.job_id);
    return CLI_OK;
}
