/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names to UUIDs. Each prints its error and returns an exit code.
 */
#ifndef DRAY_CLI_RESOLVE_H
#define DRAY_CLI_RESOLVE_H

#include "cli.h"
#include <dray/base/util.h>

int resolve_domain(struct cli *cli, const char *name_or_uuid,
                   char ret_uuid[UUID_SIZE]);
/* A job's UUID or a unique beginning of one. */
/* *ret_uuid is empty when no known domain is called so. */
int resolve_domain_if_known(struct cli *cli, const char *name_or_uuid,
                            char ret_uuid[UUID_SIZE]);
int resolve_job(struct cli *cli, const char *prefix, char ret_uuid[UUID_SIZE]);

#endif
