/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of Job.* and Events.*. See table.c.
 */
#include "table.h"

static const char *const job_types[] = { "storage", "virt", "v2v", NULL };

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

const struct param_spec get_jobs_params[2] = {
    P("job_type", WORD,
      "Only jobs of this type.", OPTIONAL, NULLABLE, .words = job_types),
    P("job_ids", UUIDS,
      "Only these jobs; unknown ones are left out.", OPTIONAL),
};

const struct param_spec job_ids_params[1] = { JOB_IDS };

const struct param_spec job_params[1] = { JOB };

const struct param_spec job_wait_params[2] = {
    JOB,
    P("timeout", UINT,
      "Seconds to wait at most.", OPTIONAL, .preset = "60", .max = 3600),
};

const struct param_spec subscribe_params[1] = {
    P("since", UINT,
      "The last event's seq that the client has: what came after it is sent, "
      "too.", OPTIONAL, NULLABLE, .max = UINT64_C(1) << 53),
};

const struct param_spec job_limit_params[2] = {
    JOB,
    P("limit", UINT,
      "Bytes per second; 0: no limit.", .max = RATE_MAX),
};

/* clang-format on */
