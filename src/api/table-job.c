/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of Disk.*, Job.*, Host.getJobs and the like. See table.c.
 */
#include "table.h"

static const char *const strategies[] = { "mirror", "snapshot", NULL };
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

#define FORMAT \
    P("format", WORD, \
      "Format of the lowest layer there; left out: as it is.", \
      OPTIONAL, NULLABLE, .words = table_formats)

static const struct param_spec disk_members[] = {
    P("disk", DISK, "Target (vda), image UUID, or source path."),
    P("domain", PLACE,
      "As the parameter; may be left out when that is given.",
      OPTIONAL, NULLABLE),
    FORMAT,
};

#define MOVE \
    VM, \
    P("disk", DISK, \
      "Target (vda), image UUID, or source path. Needed unless disks is " \
      "given.", OPTIONAL, NULLABLE), \
    P("domain", PLACE, \
      "Where to: name or UUID of a domain; or outside of all domains an " \
      "absolute path or a URI that qemu opens (live export). With disks: for " \
      "those that do not say.", OPTIONAL, NULLABLE), \
    FORMAT, \
    FLAG("keepSource", "false", "Do not delete the source afterwards."), \
    P("limit", UINT, "Bytes per second; 0: no limit.", \
      OPTIONAL, .preset = "0", .max = RATE_MAX)

/* At the end: they came later, and the order counts in an array. */
#define HOW \
    P("disks", OBJECTS, \
      "Several disks of the VM that move together, in place of disk: all pivot " \
      "in one suspension, or none does.", \
      OPTIONAL, NULLABLE, .min = 1, .max = JOB_DISKS_MAX, \
      .members = disk_members, .n_members = ARRAY_SIZE(disk_members)), \
    P("strategy", WORD, \
      "mirror copies what the guest writes to; snapshot freezes it first and " \
      "copies it the cheapest way. Left out: the plan chooses.", \
      OPTIONAL, NULLABLE, .words = strategies), \
    FLAG("verify", "false", \
         "Compare both sides before the pivot; needs strategy snapshot."), \
    FLAG("fast", "false", \
         "Speed counts more than the latency of the guest's writes.")

const struct param_spec disk_plan_params[10] = { MOVE, HOW };

const struct param_spec disk_migrate_params[11] = {
    MOVE,
    P("jobID", UUID,
      "The job's id; the same request under the same id is the same job. "
      "Left out: one is made.", OPTIONAL, NULLABLE),
    HOW,
};

const struct param_spec job_params[1] = { JOB };

const struct param_spec job_wait_params[2] = {
    JOB,
    P("timeout", UINT,
      "Seconds to wait at most.", OPTIONAL, .preset = "60", .max = 3600),
};

const struct param_spec job_limit_params[2] = {
    JOB,
    P("limit", UINT,
      "Bytes per second; 0: no limit.", .max = RATE_MAX),
};

/* clang-format on */
