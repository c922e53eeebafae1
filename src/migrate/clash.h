/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: which jobs may run at the same time.
 */
#ifndef DRAY_MIGRATE_CLASH_H
#define DRAY_MIGRATE_CLASH_H

#include <dray/job.h>

/* The first disk of @wish that unfinished @job works on, NULL if none.
 * @finishing: its pivot was ordered, whatever it says itself. */
const struct job_disk *clash_find(const struct job *wish, const struct job *job,
                                  bool finishing);
/* ERR_DISK_BUSY */
int clash_say(const struct job *wish, const struct job_disk *disk,
              const struct job *job, struct err *err);
/* @job copies what a replica's leaf needs below it. */
bool clash_fills(const struct job *job, const struct job *replica);
/* ERR_NOT_READY */
int clash_say_filling(const struct job *job, const struct job *replica,
                      struct err *err);
/* ERR_UNSUPPORTED: it is too late to cancel @job. */
int clash_say_past_pivot(const struct job *job, struct err *err);

#endif
