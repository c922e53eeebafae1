/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The commands of vm-move.c, for the table in vm.c.
 */
#ifndef DRAY_CLI_VM_MOVE_H
#define DRAY_CLI_VM_MOVE_H

#include "cli.h"

int vm_plan(struct cli *cli, const char *const *argv);
int vm_migrate(struct cli *cli, const char *const *argv);

#endif
