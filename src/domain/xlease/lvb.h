/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The job record in a lease's LVB.
 */
#ifndef DRAY_DOMAIN_XLEASE_LVB_H
#define DRAY_DOMAIN_XLEASE_LVB_H

#include "../domains.h"
#include <dray/format.h>
#include <dray/ports/xlease.h>

/* What is on the disk: 0 or FORMAT_JOB_NONE. Takes no lease. ERR_LVB. */
int xlease_job_read(const struct domains *domains,
                    const struct lease_place *place, struct format_job *ret_job,
                    struct err *err);

/* Writes the record of a lease that nobody knows of yet. */
int xlease_job_write(const struct domains *domains,
                     const struct lease_place *place,
                     const struct xlease_job *job, struct err *err);

/* ERR_ACQUIRE_LOCK: says which host has it. */
int xlease_fail_busy(const struct lease_port *leases,
                     const struct lease_place *place, struct err *err);

int xlease_fence(void *ctx, const struct xlease_id *id,
                 const struct xlease_job *expected, struct err *err);

void xlease_job_show(const struct format_job *job, struct xlease_job *ret_job);

#endif
