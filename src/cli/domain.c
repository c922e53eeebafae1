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
    bool block;
} domain_types[] = {
    {"nfs",      1, false},
    { "fcp",     2, true },
    { "iscsi",   3, true },
    { "posixfs", 6, false},
};

static int parse_type(const struct cli *cli, const char *text, bool block,
                      uint64_t *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(domain_types); i++) {
        if (!str_equal(domain_types[i].name, text) ||
            domain_types[i].block != block)
            continue;
        *ret = domain_types[i].number;
        return CLI_OK;
    }
    struct err err = ERR_INIT;
    (void)err_set(&err, -EINVAL, "--type %s: %s is wanted", text,
                  block ? "with --block fcp or iscsi" : "posixfs or nfs");
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

/* SERVER:/PATH; a file that is called so is ./SERVER:/PATH. */
static bool is_export(const char *place)
{
    return place[0] != '/' && place[0] != '.' && strstr(place, ":/");
}

/* A list of absolute paths as @key of @params. */
static int add_paths(struct json_object *params, const char *key,
                     const char *const *paths, size_t n)
{
    struct json_object *list = json_object_new_array();
    json_add(params, key, list);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *path = absolute(paths[i]);
        if (!path)
            return CLI_FAILED;
        if (json_object_array_add(list, json_object_new_string(path)) < 0)
            abort(); /* out of memory */
    }
    return CLI_OK;
}

static int join(struct cli *cli, struct json_object *params)
{
    _cleanup_json_ struct json_object *result = NULL;
    int rc = cli_call(cli, "StorageDomain.join", params, &result);
    if (rc)
        return rc;
    if (cli->json)
        show_json(result);
    else
        (void)puts(json_object_get_string(result));
    return CLI_OK;
}

/* Without an answer of interest. */
static int call(struct cli *cli, const char *verb, struct json_object *params)
{
    struct json_object *result = NULL;
    int rc = cli_call(cli, verb, params, &result);
    if (rc == CLI_OK && cli->json)
        show_json(result);
    json_object_put(result);
    return rc;
}

struct create {
    const char *path; /* NULL: on devices */
    const char *type;
    const char *mount_options;
    const char *max_hosts;
    bool block;
    bool force;
};

/* The parameters but for the place; NULL: printed why not. */
static struct json_object *create_params(const struct cli *cli,
                                         const struct create *create,
                                         const char *uuid, const char *name,
                                         int *ret_rc)
{
    const char *type = create->type              ? create->type
                       : create->block           ? "fcp"
                       : is_export(create->path) ? "nfs"
                                                 : "posixfs";
    uint64_t number = 0;
    uint64_t hosts = 0;
    struct err err = ERR_INIT;
    *ret_rc = parse_type(cli, type, create->block, &number);
    if (*ret_rc)
        return NULL;
    if (create->max_hosts && str_to_u64(create->max_hosts, &hosts)) {
        (void)err_set(&err, -EINVAL, "--max-hosts %s: not a number",
                      create->max_hosts);
        *ret_rc = cli_usage(cli, &err);
        return NULL;
    }
    struct json_object *params =
        JSON_STRINGS("storagedomainID", uuid, "typeArgs", create->path, "name",
                     name, "mountOptions", create->mount_options);
    json_add_u64(params, "domainType", number);
    if (create->max_hosts)
        json_add_u64(params, "maxHosts", hosts);
    if (create->force)
        json_add_flag(params, "force", true);
    return params;
}

/* PATH, or devices. */
static int check_words(const struct cli *cli, const struct create *create,
                       const struct args *args)
{
    struct err err = ERR_INIT;
    if (!create->block && args->n != 2)
        (void)err_set(&err, -EINVAL,
                      "one PATH is wanted; devices need --block");
    else if (create->mount_options &&
             (create->block || !is_export(args->words[1])))
        (void)err_set(&err, -EINVAL, "--mount-options: only with SERVER:/PATH");
    else
        return CLI_OK;
    return cli_usage(cli, &err);
}

static int create_and_join(struct cli *cli, const struct create *create,
                           const struct args *args)
{
    char uuid[UUID_SIZE];
    int rc = CLI_OK;
    uuid_new(uuid);
    struct json_object *params =
        create_params(cli, create, uuid, args->words[0], &rc);
    if (rc)
        return rc;
    if (create->block)
        rc = add_paths(params, "devices", args->words + 1, args->n - 1);
    if (rc) {
        json_object_put(params);
        return rc;
    }
    _cleanup_json_ struct json_object *result = NULL;
    rc = cli_call(cli, "StorageDomain.create", params, &result);
    return rc ? rc
              : join(cli, JSON_STRINGS("storagedomainID", uuid, "typeArgs",
                                       create->path, "mountOptions",
                                       create->mount_options));
}

static int domain_create(struct cli *cli, const char *const *argv)
{
    struct create create = { .type = NULL };
    const struct args_option options[] = {
        {"--type",               NULL, &create.type },
        { "--mount-options",          NULL, &create.mount_options },
        { "--max-hosts",     NULL, &create.max_hosts },
        { "--block", &create.block, NULL },
        { "--force",         &create.force, NULL },
        { 0    },
    };
    struct args args;
    _cleanup_free_ char *path = NULL;
    int rc = cli_parse(cli, argv, options, 2, ARGS_WORDS_MAX, &args);
    if (rc == CLI_OK)
        rc = check_words(cli, &create, &args);
    if (rc)
        return rc;
    if (!create.block && is_export(args.words[1])) {
        create.path = args.words[1];
    } else if (!create.block) {
        path = absolute(args.words[1]);
        if (!path)
            return CLI_FAILED;
        create.path = path;
    }
    return create_and_join(cli, &create, &args);
}

static int domain_join(struct cli *cli, const char *const *argv)
{
    const char *mount_options = NULL;
    const struct args_option options[] = {
        {"--mount-options", NULL, &mount_options },
        { 0  },
    };
    struct args args;
    int rc = cli_parse(cli, argv, options, 1, 1, &args);
    if (rc)
        return rc;
    const char *which = args.words[0];
    if (mount_options && !is_export(which)) {
        struct err err = ERR_INIT;
        (void)err_set(&err, -EINVAL, "--mount-options: only with SERVER:/PATH");
        return cli_usage(cli, &err);
    }
    if (is_export(which))
        return join(cli, JSON_STRINGS("typeArgs", which, "mountOptions",
                                      mount_options));
    if (strchr(which, '/')) {
        _cleanup_free_ char *path = absolute(which);
        return path ? join(cli, JSON_STRINGS("typeArgs", path)) : CLI_FAILED;
    }
    char uuid[UUID_SIZE];
    rc = resolve_domain_if_known(cli, which, uuid);
    if (rc)
        return rc;
    return join(cli, uuid[0] ? JSON_STRINGS("storagedomainID", uuid)
                             : JSON_STRINGS("name", which));
}

static int domain_extend(struct cli *cli, const char *const *argv)
{
    bool force = false;
    const struct args_option options[] = {
        {"--force", &force, NULL },
        { 0    },
    };
    struct args args;
    char uuid[UUID_SIZE];
    int rc = cli_parse(cli, argv, options, 2, ARGS_WORDS_MAX, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], uuid);
    if (rc)
        return rc;
    struct json_object *params = JSON_STRINGS("storagedomainID", uuid);
    if (force)
        json_add_flag(params, "force", true);
    rc = add_paths(params, "devlist", args.words + 1, args.n - 1);
    if (rc) {
        json_object_put(params);
        return rc;
    }
    return call(cli, "StorageDomain.extend", params);
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
    return call(cli, "StorageDomain.leave",
                JSON_STRINGS("storagedomainID", uuid));
}

/* A directory, an export, or devices. */
static char *place_of(struct json_object *domain)
{
    struct json_object *devices = json_member(domain, "devices");
    const char *remote = json_text(domain, "remotePath");
    if (!json_object_is_type(devices, json_type_array))
        return str_printf("%s", remote[0] ? remote : json_text(domain, "path"));
    char *place = str_printf("%s", "");
    for (size_t i = 0; place && i < json_object_array_length(devices); i++) {
        _cleanup_free_ char *before = place;
        place = str_printf(
            "%s%s%s", before, i > 0 ? " " : "",
            json_object_get_string(json_object_array_get_idx(devices, i)));
    }
    return place;
}

static void show_domains(struct json_object *list)
{
    static const char *const headings[] = { "NAME",   "UUID",    "TYPE",
                                            "STATUS", "PROBLEM", "WHERE",
                                            NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *domain = json_object_array_get_idx(list, i);
        _cleanup_free_ char *place = place_of(domain);
        TABLE_ROW(table, json_text(domain, "name"), json_text(domain, "uuid"),
                  json_text(domain, "type"), json_text(domain, "status"),
                  json_text(domain, "problem"), place);
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

static void show_findings(struct json_object *result)
{
    static const char *const headings[] = { "KIND",   "IMAGE", "VOLUME",
                                            "REPAIR", "WHAT",  NULL };
    struct json_object *list = json_member(result, "findings");
    size_t n = json_object_is_type(list, json_type_array)
                   ? json_object_array_length(list)
                   : 0;
    if (n == 0) {
        (void)puts("nothing was found");
        return;
    }
    struct table *table = table_new(headings);
    for (size_t i = 0; i < n; i++) {
        struct json_object *finding = json_object_array_get_idx(list, i);
        const char *repair = json_text(finding, "repair");
        TABLE_ROW(table, json_text(finding, "kind"),
                  json_text(finding, "imageID"), json_text(finding, "volumeID"),
                  json_flag(finding, "repaired") ? "done"
                  : repair[0]                    ? repair
                                                 : "by hand",
                  json_text(finding, "text"));
    }
    table_finish(table);
}

static int domain_audit(struct cli *cli, const char *const *argv)
{
    bool repair = false;
    const struct args_option options[] = {
        {"--repair", &repair, NULL },
        { 0     },
    };
    struct args args;
    char uuid[UUID_SIZE];
    struct json_object *result = NULL;
    int rc = cli_parse(cli, argv, options, 1, 1, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], uuid);
    if (rc)
        return rc;
    struct json_object *params = JSON_STRINGS("storagedomainID", uuid);
    json_add_flag(params, "repair", repair);
    rc = cli_call(cli, "StorageDomain.audit", params, &result);
    return rc ? rc : show_result(cli, result, show_findings);
}

const struct command domain_commands[] = {
    {"domain",           "create",
     "NAME PATH|SERVER:/PATH [--type posixfs|nfs] [--mount-options OPTIONS] "
      "[--max-hosts N], or --block NAME DEVICE... [--type fcp|iscsi] [--force] "
      "[--max-hosts N]", "Makes a storage domain in the directory PATH, on an NFS export that "
      "drayd\nmounts, or a volume group on devices (LUNs), joins it, and "
      "prints "
      "its UUID.\n"
      "  --type           posixfs (default): a directory on any file system; "
      "nfs: an\n"
      "                   export; fcp (default) or iscsi: devices\n"
      "  --mount-options  of the export, as in nfs(5)\n"
      "  --max-hosts      how many hosts may share it (2000)\n"
      "  --block          on devices; the domain's metadata is on the first\n"
      "  --force          take devices that hold something else: IT IS LOST", domain_create },
    { "domain", "join",
     "PATH|SERVER:/PATH|DEVICE|NAME|UUID [--mount-options "
      "OPTIONS]", "Joins a domain: this host takes part in its leases from now on, and "
      "after\neach start. PATH, SERVER:/PATH (an NFS export, which is mounted "
      "as long as\nthe domain is joined): one that drayd has not seen before. "
      "One on devices is\nfound by its name, too.\n"
      "  --mount-options  of the export, as in nfs(5); else as it was mounted "
      "before", domain_join },
    { "domain",     "leave", "NAME|UUID",
     "Ends the use of a domain on this host. Its data stays as it is.", domain_leave },
    { "domain",          "extend", "NAME|UUID DEVICE... [--force]",
     "Makes a domain on devices larger by more devices.\n"
      "  --force  take devices that hold something else: IT IS LOST", domain_extend },
    { "domain",        "list", "", "Lists the domains this host knows.", domain_list },
    { "domain",       "info", "NAME|UUID",
     "Prints a domain's properties, size and free space.", domain_info },
    { "domain",          "audit", "NAME|UUID [--repair]",
     "Looks for what was left over, belongs to nothing, or contradicts "
      "itself, "
      "and\nsays what a repair would do. Changes nothing without --repair.\n"
      "  --repair  mend what can be mended without a doubt", domain_audit },
    { 0      },
};
