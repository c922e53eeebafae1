/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Follows a job to its end and shows how far it is.
 */
#ifndef DRAY_CLI_WATCH_H
#define DRAY_CLI_WATCH_H

#include "cli.h"

/* From here to the end of the program Ctrl-C ends a watch, not a job. */
void watch_catch_interrupt(void);
bool watch_is_interrupted(void);

/* The exit code for how the job ended; CLI_INTERRUPTED says on stderr how to
 * go on. A daemon that restarts meanwhile is waited for. */
int watch_job(struct cli *cli, const char *job_id);

/* "this job goes on" on stderr. CLI_INTERRUPTED. */
int watch_left(const char *job_id);

#endif
