/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of the verbs that move a VM to another host. See table.c.
 */
#include "table.h"

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

static const struct param_spec there_members[] = {
    P("disk", DISK, "Target (vda)."),
    P("domain", NAME, "Name or UUID of a domain of the other host."),
};

#define VM_MOVE \
    VM, \
    P("host", NAME, "The other host, as section [peers] of drayd.conf names " \
      "it."), \
    P("domain", NAME, \
      "A domain of the other host, for all disks that disks does not name.", \
      OPTIONAL, NULLABLE), \
    P("disks", OBJECTS, "Where single disks go.", \
      OPTIONAL, NULLABLE, .min = 1, .max = JOB_DISKS_MAX, \
      .members = there_members, .n_members = ARRAY_SIZE(there_members)), \
    FLAG("keepSource", "false", "Do not delete the disks here afterwards."), \
    P("limit", UINT, "Bytes per second of disks and memory; 0: no limit.", \
      OPTIONAL, .preset = "0", .max = RATE_MAX), \
    P("timeout", UINT, \
      "Seconds that the sending may take, then it is given up and the VM " \
      "stays; 0: for ever. Left out: migration_wait of drayd.conf.", \
      OPTIONAL, NULLABLE, .max = WAIT_S_MAX)

const struct param_spec vm_plan_params[7] = { VM_MOVE };

const struct param_spec vm_migrate_params[8] = {
    VM_MOVE,
    P("jobID", UUID,
      "The job's id, on both hosts; the same request under the same id is the "
      "same job. Left out: one is made.", OPTIONAL, NULLABLE),
};

static const struct param_spec offer_members[] = {
    P("disk", DISK, "Target (vda)."),
    P("domain", NAME, "The domain here."),
    IMAGE, VOLUME,
    P("format", WORD, "COW is qcow2.", .words = table_formats),
    P("capacity", SIZE, "Bytes.", .min = 1, .max = SIZE_BYTES_MAX),
    P("required", SIZE, "Bytes of space that it will take.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
};

const struct param_spec peer_offer_params[6] = {
    JOB,
    P("from", TEXT, "The host that the VM runs on.", .max = 255),
    P("vmID", UUID, "The VM."),
    P("vmName", TEXT, "Its name.", .max = 255),
    P("xml", XML, "libvirt's definition of it.", .max = XML_MAX),
    P("disks", OBJECTS, "What is to be made here.",
      .min = 1, .max = JOB_DISKS_MAX,
      .members = offer_members, .n_members = ARRAY_SIZE(offer_members)),
};
