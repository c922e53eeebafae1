/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl domain: make, join and leave storage domains, and look at them.
 */
#include "cli.h"
#include "json.h"
#include "resolve.h"
#include "table.h"
#include "units.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Names for VDSM's numbers of domain types. */
static const struct domain_type {
    const char *name;
    uint64_t number;
} domain_types[] = {
    {"nfs",      1},
    { "posixfs", 6},
};

static int parse_type(const struct cli *cli, const char *text, uint64_t *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(domain_types); i++) {
        if (!str_equal(domain_types[i].name, text))
            continue;
        *ret = domain_types[i].number;
        return CLI_OK;
    }
    struct err err = ERR_INIT;
    (void)err_set(&err, -EINVAL, "--type %s: posixfs or nfs is wanted", text);
    return cli_usage(cli, &err);
}

/* The daemon has another working directory. NULL: printed. */
static char *absolute(const char *path)
{
    char *resolved = realpath(path, NULL);
    if (!resolved) {
        struct err err = ERR_INIT;
        (void)err_set(&err, -errno, "%s: %m", path);
        if (errno == ENOENT)
            (void)err_next(&err, "make the directory, or mount the storage "
                                 "there, first");
        cli_complain(&err);
    }
    return resolved;
}

static int join(struct cli *cli, const char *uuid, const char *path)
{
    _cleanup_json_ struct json_object *result = NULL;
    int rc = cli_call(cli, "StorageDomain.join",
                      JSON_STRINGS("storagedomainID", uuid, "typeArgs", path),
                      &result);
    if (rc)
        return rc;
    if (cli->json)
        show_json(result);
    else
        (void)puts(json_object_get_string(result));
    return CLI_OK;
}

static int domain_create(struct cli *cli, const char *const *argv)
{
    const char *type = "posixfs";
    const char *max_hosts = NULL;
    const struct args_option options[] = {
        {"--type",       NULL, &type },
        { "--max-hosts",         NULL, &max_hosts },
        { 0},
    };
    struct args args;
    uint64_t number = 0;
    uint64_t hosts = 0;
    int rc = cli_parse(cli, argv, options, 2, 2, &args);
    if (rc == CLI_OK)
        rc = parse_type(cli, type, &number);
    if (rc)
        return rc;
    if (max_hosts && str_to_u64(max_hosts, &hosts)) {
        struct err err = ERR_INIT;
        (void)err_set(&err, -EINVAL, "--max-hosts %s: not a number", max_hosts);
        return cli_usage(cli, &err);
    }
    _cleanup_free_ char *path = absolute(args.words[1]);
    if (!path)
        return CLI_FAILED;
    char uuid[UUID_SIZE];
    uuid_new(uuid);
    struct json_object *params = JSON_STRINGS(
        "storagedomainID", uuid, "typeArgs", path, "name", args.words[0]);
    json_add_u64(params, "domainType", number);
    if (max_hosts)
        json_add_u64(params, "maxHosts", hosts);
    _cleanup_json_ struct json_object *result = NULL;
    rc = cli_call(cli, "StorageDomain.create", params, &result);
    return rc ? rc : join(cli, uuid, path);
}

static int domain_join(struct cli *cli, const char *const *argv)
{
    struct args args;
    int rc = cli_parse(cli, argv, NULL, 1, 1, &args);
    if (rc)
        return rc;
    if (strchr(args.words[0], '/')) {
        _cleanup_free_ char *path = absolute(args.words[0]);
        return path ? join(cli, NULL, path) : CLI_FAILED;
    }
    char uuid[UUID_SIZE];
    rc = resolve_domain(cli, args.words[0], uuid);
    return rc ? rc : join(cli, uuid, NULL);
}

static int domain_leave(struct cli *cli, const char *const *argv)
{
    struct args args;
    char uuid[UUID_SIZE];
    int rc = cli_parse(cli, argv, NULL, 1, 1, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], uuid);
    if (rc)
        return rc;
    struct json_object *result = NULL;
    rc = cli_call(cli, "StorageDomain.leave",
                  JSON_STRINGS("storagedomainID", uuid), &result);
    if (rc == CLI_OK && cli->json)
        show_json(result);
    json_object_put(result);
    return rc;
}

static void show_domains(struct json_object *list)
{
    static const char *const headings[] = { "NAME",    "UUID", "TYPE", "STATUS",
                                            "PROBLEM", "PATH", NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *domain = json_object_array_get_idx(list, i);
        TABLE_ROW(table, json_text(domain, "name"), json_text(domain, "uuid"),
                  json_text(domain, "type"), json_text(domain, "status"),
                  json_text(domain, "problem"), json_text(domain, "path"));
    }
    table_finish(table);
}

static int domain_list(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *list = NULL;
    int rc = cli_parse(cli, argv, NULL, 0, 0, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "StorageDomain.list", NULL, &list);
    return rc ? rc : show_result(cli, list, show_domains);
}

/* What it is and how full it is; the latter only while it is joined. */
static int domain_info(struct cli *cli, const char *const *argv)
{
    struct args args;
    char uuid[UUID_SIZE];
    struct json_object *info = NULL;
    struct json_object *stats = NULL;
    int rc = cli_parse(cli, argv, NULL, 1, 1, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], uuid);
    if (rc == CLI_OK)
        rc = cli_call(cli, "StorageDomain.getInfo",
                      JSON_STRINGS("storagedomainID", uuid), &info);
    if (rc)
        return rc;
    struct err err = ERR_INIT;
    if (cli_try(cli, "StorageDomain.getStats",
                JSON_STRINGS("storagedomainID", uuid), &stats, &err) == 0)
        (void)json_object_object_add(info, "stats", stats);
    return show_result(cli, info, show_object);
}

const struct command domain_commands[] = {
    {"domain",                                          "create", "NAME PATH [--type posixfs|nfs] [--max-hosts N]",
     "Makes a storage domain in the directory PATH, joins it, and prints its "
      "UUID.\n"
      "  --type       posixfs (default): a directory on any file system; nfs: "
      "a "
      "mounted export\n"
      "  --max-hosts  how many hosts may share it (250)", domain_create },
    { "domain", "join", "PATH|NAME|UUID",
     "Joins a domain: this host takes part in its leases from now on, and "
      "after\neach start. PATH: one that drayd has not seen before.", domain_join },
    { "domain",                                    "leave", "NAME|UUID",
     "Ends the use of a domain on this host. Its data stays as it is.", domain_leave },
    { "domain",                                         "list", "", "Lists the domains this host knows.", domain_list },
    { "domain",                                 "info", "NAME|UUID",
     "Prints a domain's properties, size and free space.", domain_info },
    { 0                                     },
};
