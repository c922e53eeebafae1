/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of Lease.*. See table.c.
 */
#include "table.h"

enum {
    GENERATION_MAX = 999
};

static const char *const types[] = { "JOB", NULL };
static const char *const statuses[] = { "PENDING", "SUCCEEDED", "FAILED",
                                        "FENCED", NULL };

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

static const struct param_spec lease_members[] = {
    P("sd_id", UUID, "The storage domain."),
    P("lease_id", UUID, "The lease."),
};

#define LEASE \
    P("lease", OBJECT, "The lease.", \
      .members = lease_members, .n_members = ARRAY_SIZE(lease_members))
#define TYPE \
    P("type", WORD, "JOB.", OPTIONAL, .preset = "JOB", .words = types)
#define FILLED_IN \
    P("created", UINT, "Taken for VDSM's sake, ignored.", \
      OPTIONAL, NULLABLE, .max = RATE_MAX), \
    P("modified", UINT, "Taken for VDSM's sake, ignored.", \
      OPTIONAL, NULLABLE, .max = RATE_MAX), \
    P("host_hardware_id", TEXT, "Taken for VDSM's sake, ignored.", \
      OPTIONAL, NULLABLE, .max = 64)

static const struct param_spec new_members[] = {
    TYPE,
    P("job_status", WORD, "Where the job stands.",
      OPTIONAL, .preset = "PENDING", .words = statuses),
    P("generation", UINT, "Counts how often the job was ended.",
      OPTIONAL, .preset = "0", .max = GENERATION_MAX),
    P("job_id", UUID, "The job."),
    FILLED_IN,
};

static const struct param_spec expected_members[] = {
    TYPE,
    P("job_status", WORD, "The job's status.", .words = statuses),
    P("generation", UINT, "The job's generation.", .max = GENERATION_MAX),
    P("job_id", UUID, "The job."),
    FILLED_IN,
};

const struct param_spec lease_params[1] = { LEASE };

const struct param_spec lease_create_params[2] = {
    LEASE,
    P("metadata", OBJECT,
      "The job's record; who wrote it and when is filled in. Left out: the "
      "lease has none.",
      OPTIONAL, NULLABLE,
      .members = new_members, .n_members = ARRAY_SIZE(new_members)),
};

const struct param_spec lease_fence_params[2] = {
    LEASE,
    P("metadata", OBJECT, "What the record must say.",
      .members = expected_members, .n_members = ARRAY_SIZE(expected_members)),
};

const struct param_spec lease_domain_params[1] = {
    P("sd_id", UUID, "The storage domain."),
};

/* clang-format on */
