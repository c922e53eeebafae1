/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl lease: leases on shared storage, and the jobs that hold them.
 */
#include "cli.h"
#include "json.h"
#include "resolve.h"
#include "table.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* {sd_id, lease_id} as the verbs want it. */
static struct json_object *lease_params(const char *sd, const char *lease)
{
    struct json_object *params = json_object_new_object();
    json_add(params, "lease", JSON_STRINGS("sd_id", sd, "lease_id", lease));
    return params;
}

/* DOMAIN, and LEASE where @words is 2. */
static int parse(struct cli *cli, const char *const *argv, size_t words,
                 struct args *ret_args, char ret_sd[UUID_SIZE])
{
    int rc = cli_parse(cli, argv, NULL, words, words, ret_args);
    return rc ? rc : resolve_domain(cli, ret_args->words[0], ret_sd);
}

/* PENDING says one thing of a lease that is held, another of one that is free.
 */
static const char *job_text(struct json_object *status)
{
    struct json_object *owners = json_member(status, "owners");
    struct json_object *record = json_member(status, "metadata");
    const char *job = json_text(record, "job_status");
    if (json_object_is_type(owners, json_type_array) &&
        json_object_array_length(owners) > 0)
        return "running";
    if (!job[0])
        return json_text(status, "problem");
    return str_equal(job, "PENDING") ? "PENDING, dead or not begun" : job;
}

static const char *owner_text(struct json_object *status)
{
    struct json_object *owners = json_member(status, "owners");
    if (!json_object_is_type(owners, json_type_array) ||
        json_object_array_length(owners) == 0)
        return "";
    return json_object_get_string(json_object_array_get_idx(owners, 0));
}

static void show_leases(struct json_object *list)
{
    static const char *const headings[] = { "LEASE", ">OFFSET",     ">HOST",
                                            "JOB",   ">GENERATION", "STATUS",
                                            NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *lease = json_object_array_get_idx(list, i);
        struct json_object *record = json_member(lease, "metadata");
        TABLE_ROW(table, json_text(lease, "lease_id"),
                  json_object_get_string(json_member(lease, "offset")),
                  owner_text(lease), json_text(record, "job_id"),
                  json_object_get_string(json_member(record, "generation")),
                  job_text(lease));
    }
    table_finish(table);
}

static int show_all(struct cli *cli, const char *const *argv, const char *verb,
                    void (*show)(struct json_object *))
{
    struct args args;
    char sd[UUID_SIZE];
    struct json_object *result = NULL;
    int rc = parse(cli, argv, 1, &args, sd);
    if (rc == CLI_OK)
        rc = cli_call(cli, verb, JSON_STRINGS("sd_id", sd), &result);
    return rc ? rc : show_result(cli, result, show);
}

static int lease_list(struct cli *cli, const char *const *argv)
{
    return show_all(cli, argv, "Lease.list", show_leases);
}

static int show_one(struct cli *cli, const char *const *argv, const char *verb)
{
    struct args args;
    char sd[UUID_SIZE];
    struct json_object *result = NULL;
    int rc = parse(cli, argv, 2, &args, sd);
    if (rc == CLI_OK)
        rc = cli_call(cli, verb, lease_params(sd, args.words[1]), &result);
    return rc ? rc : show_result(cli, result, show_object);
}

static int lease_info(struct cli *cli, const char *const *argv)
{
    return show_one(cli, argv, "Lease.info");
}

static int lease_status(struct cli *cli, const char *const *argv)
{
    return show_one(cli, argv, "Lease.status");
}

/* The record that is to be fenced: what the lease says now. Whatever changes
 * until then makes the verb refuse. */
static int read_record(struct cli *cli, const char *sd, const char *lease,
                       struct json_object **ret_record)
{
    _cleanup_json_ struct json_object *status = NULL;
    struct err err = ERR_INIT;
    int rc = cli_call(cli, "Lease.status", lease_params(sd, lease), &status);
    if (rc)
        return rc;
    struct json_object *record = json_member(status, "metadata");
    if (owner_text(status)[0])
        (void)err_set(&err, -EBUSY, "lease %s is held by host %s: its job runs",
                      lease, owner_text(status));
    else if (!json_text(record, "job_id")[0])
        (void)err_set(&err, -EINVAL, "lease %s is not of a job", lease);
    else if (!str_equal(json_text(record, "job_status"), "PENDING"))
        (void)err_set(&err, -EINVAL, "job %s is %s already",
                      json_text(record, "job_id"),
                      json_text(record, "job_status"));
    else
        *ret_record = json_object_get(record);
    if (*ret_record)
        return CLI_OK;
    cli_complain(&err);
    return CLI_FAILED;
}

static int lease_fence(struct cli *cli, const char *const *argv)
{
    struct args args;
    char sd[UUID_SIZE];
    _cleanup_json_ struct json_object *record = NULL;
    _cleanup_json_ struct json_object *result = NULL;
    int rc = parse(cli, argv, 2, &args, sd);
    if (rc == CLI_OK)
        rc = read_record(cli, sd, args.words[1], &record);
    if (rc)
        return rc;
    struct json_object *params = lease_params(sd, args.words[1]);
    json_add(params, "metadata", json_object_get(record));
    rc = cli_call(cli, "Lease.fence", params, &result);
    if (rc)
        return rc;
    if (cli->json)
        show_json(result);
    else
        (void)printf("job %s is FENCED\n", json_text(record, "job_id"));
    return CLI_OK;
}

static int lease_rebuild(struct cli *cli, const char *const *argv)
{
    return show_all(cli, argv, "Lease.rebuild", show_object);
}

const struct command lease_commands[] = {
    {"lease",         "list", "DOMAIN",
     "Leases in a storage domain, who holds them, and what their jobs came "
      "to.", lease_list },
    { "lease",       "info", "DOMAIN LEASE", "Where a lease is.", lease_info },
    { "lease",     "status", "DOMAIN LEASE",
     "Who holds a lease; of a free one the record of its job. Takes no lease.", lease_status },
    { "lease",        "fence", "DOMAIN LEASE",
     "Ends the job of a lease whose host is dead: it can never succeed any "
      "more.\nRefused while a live host holds the lease.", lease_fence },
    { "lease", "rebuild", "DOMAIN",
     "Repairs the index of a storage domain's leases from what is on the "
      "disk.", lease_rebuild },
    { 0    },
};
