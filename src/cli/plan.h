/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Disk.plan says, for people.
 */
#ifndef DRAY_CLI_PLAN_H
#define DRAY_CLI_PLAN_H

struct json_object;

/* Prints what the move takes, or everything that speaks against it. */
void plan_show(struct json_object *plan);

#endif
