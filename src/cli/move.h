/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words and options of a move of disks, as parameters of Disk.plan and
 * Disk.migrate.
 */
#ifndef DRAY_CLI_MOVE_H
#define DRAY_CLI_MOVE_H

#include "cli.h"
#include <dray/base/util.h>

enum move_command {
    MOVE_PLAN,
    MOVE_MIGRATE,
    MOVE_IMPORT, /* one disk, into a domain */
    MOVE_EXPORT, /* one disk, out of all domains */
};

struct move {
    const char *limit;
    const char *format;
    const char *strategy;
    const char *job_id;
    bool keep_source;
    bool verify;
    bool fast;
    bool detach;
    uint64_t bytes_per_s;
    char new_id[UUID_SIZE];
    struct args args; /* VM DISK DOMAIN, or VM DISK=DOMAIN ... */
    bool several;     /* the latter */
};

/* CLI_OK or CLI_USAGE, said. */
int move_parse(struct cli *cli, const char *const *argv,
               enum move_command command, struct move *ret_move);
struct json_object *move_params(const struct move *move);

#endif
