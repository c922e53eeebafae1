/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl vm: the machines of this host and their disks.
 */
#include "cli.h"
#include "json.h"
#include "table.h"
#include "units.h"
#include "vm-move.h"
#include <dray/base/util.h>

static void show_vms(struct json_object *list)
{
    static const char *const headings[] = { "NAME", "UUID", "STATE", NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *vm = json_object_array_get_idx(list, i);
        TABLE_ROW(table, json_text(vm, "vmName"), json_text(vm, "vmId"),
                  json_text(vm, "status"));
    }
    table_finish(table);
}

static int vm_list(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *list = NULL;
    int rc = cli_parse(cli, argv, NULL, 0, 0, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "VM.list", NULL, &list);
    return rc ? rc : show_result(cli, list, show_vms);
}

static void show_disks(struct json_object *list)
{
    static const char *const headings[] = { "DISK",   ">SIZE", "FORMAT",
                                            "DOMAIN", "IMAGE", "PATH",
                                            NULL };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        char size[UNITS_TEXT_SIZE];
        struct json_object *disk = json_object_array_get_idx(list, i);
        uint64_t bytes = json_u64(disk, "capacity");
        TABLE_ROW(table, json_text(disk, "name"),
                  bytes ? units_size(bytes, size) : "",
                  json_text(disk, "format"), json_text(disk, "domain"),
                  json_text(disk, "imageID"), json_text(disk, "path"));
    }
    table_finish(table);
}

static const char *name_of(struct json_object *domains, const char *uuid)
{
    for (size_t i = 0; i < json_object_array_length(domains); i++) {
        struct json_object *domain = json_object_array_get_idx(domains, i);
        if (uuid[0] && str_equal(json_text(domain, "uuid"), uuid))
            return json_text(domain, "name");
    }
    return uuid;
}

/* People know domains by name. */
static void add_domain_names(struct cli *cli, struct json_object *disks)
{
    _cleanup_json_ struct json_object *domains = NULL;
    struct err err = ERR_INIT;
    if (cli_try(cli, "StorageDomain.list", NULL, &domains, &err))
        return; /* a table without names is still a table */
    for (size_t i = 0; i < json_object_array_length(disks); i++) {
        struct json_object *disk = json_object_array_get_idx(disks, i);
        json_add_text(disk, "domain",
                      name_of(domains, json_text(disk, "domainID")));
    }
}

static int vm_disks(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *list = NULL;
    int rc = cli_parse(cli, argv, NULL, 1, 1, &args);
    if (rc == CLI_OK)
        rc = cli_call(cli, "VM.getDisks", JSON_STRINGS("vmID", args.words[0]),
                      &list);
    if (rc)
        return rc;
    if (!cli->json)
        add_domain_names(cli, list);
    return show_result(cli, list, show_disks);
}

#define HOW "[--timeout S] [--limit MiB/s] [--keep-source] [--flatten]"

/* clang-format 14 makes a mess of tables like this. */
/* clang-format off */
const struct command vm_commands[] = {
    {"vm",     "list", "", "Lists the virtual machines of this host.", vm_list },
    { "vm",      "disks", "VM",
     "Lists the disks of a VM and the storage domains they are in.", vm_disks },
    { "vm", "plan",
      "VM HOST [--disk DISK=DOMAIN]... [--domain DOMAIN] " HOW,
      "Says what a move of a VM to another host would take and everything that "
      "speaks\nagainst it, on both hosts. Touches nothing. Exit code 1 when it "
      "cannot be moved.", vm_plan },
    { "vm", "migrate",
      "VM HOST [--disk DISK=DOMAIN]... [--domain DOMAIN] " HOW
      " [--detach] [--job-id UUID]",
      "Moves a running VM to another host together with its disks, and shows "
      "the\nprogress. Ctrl-C leaves the job running. HOST: as [peers] of "
      "drayd.conf names it.\n"
      "  --disk         where a disk goes (vda=fast): a domain of that host\n"
      "  --domain       where all other disks go; else they stay where they "
      "are, which\n                 both hosts have to see\n"
      "  --timeout      gives up after so many seconds: the VM stays here\n"
      "  --keep-source  does not delete the disks here afterwards\n"
      "  --flatten      makes one layer of each disk there, on no template\n"
      "  --limit        at most so many MiB/s; see 'job limit'\n"
      "  --detach       prints the job's UUID and does not wait\n"
      "  --job-id       under this UUID; a repeated request is the same job",
      vm_migrate },
    { 0},
};
/* clang-format on */
