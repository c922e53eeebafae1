/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of the verbs that move disks of a VM, or the VM with its disks to
 * another host. See table.c.
 */
#include "table.h"

static const char *const allocations[] = { "SPARSE", "PREALLOCATED", NULL };
static const char *const strategies[] = { "mirror", "snapshot", NULL };

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

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

const struct param_spec vm_params[1] = { VM };

const struct param_spec watermarks_params[1] = {
    P("vmID", NAME,
      "The VM's UUID or name; left out: all VMs.", OPTIONAL, NULLABLE),
};

const struct param_spec disk_plan_params[10] = { MOVE, HOW };

const struct param_spec disk_migrate_params[11] = {
    MOVE,
    P("jobID", UUID,
      "The job's id; the same request under the same id is the same job. "
      "Left out: one is made.", OPTIONAL, NULLABLE),
    HOW,
};

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
    FLAG("flatten", "false", "Each disk becomes one layer there, without the " \
                             "template that it was made from."), \
    P("limit", UINT, "Bytes per second of disks and memory; 0: no limit.", \
      OPTIONAL, .preset = "0", .max = RATE_MAX), \
    P("timeout", UINT, \
      "Seconds that the sending may take, then it is given up and the VM " \
      "stays; 0: for ever. Left out: migration_wait of drayd.conf.", \
      OPTIONAL, NULLABLE, .max = WAIT_S_MAX)

const struct param_spec vm_plan_params[8] = { VM_MOVE };

const struct param_spec vm_migrate_params[9] = {
    VM_MOVE,
    P("jobID", UUID,
      "The job's id, on both hosts; the same request under the same id is the "
      "same job. Left out: one is made.", OPTIONAL, NULLABLE),
};

static const struct param_spec offer_members[] = {
    P("disk", DISK, "Target (vda)."),
    P("domain", NAME, "The domain here."),
    P("fromDomain", UUID, "The one that it is in; if that is the same it stays "
                          "there.", OPTIONAL, NULLABLE),
    IMAGE, VOLUME,
    P("format", WORD, "COW is qcow2.", .words = table_formats),
    P("capacity", SIZE, "Bytes.", .min = 1, .max = SIZE_BYTES_MAX),
    FLAG("sparse", "false", "RAW, but without all of its space: on LVs it "
                            "becomes qcow2."),
    P("data", SIZE, "Bytes of its data, as qcow2.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("required", SIZE, "Bytes of space that it will take.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("templateRequired", SIZE, "And if its template is not here.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("below", SIZE, "Bytes of its layers between the two.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("layers", UINT, "How many there are.",
      OPTIONAL, .preset = "0", .max = DOMAIN_CHAIN_MAX),
    P("templateSize", SIZE, "Bytes of its template.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("parentID", UUID, "The layer below it.", OPTIONAL, NULLABLE),
    P("templateImageID", UUID, "The template below it.", OPTIONAL, NULLABLE),
    P("templateID", UUID, "The template's volume.", OPTIONAL, NULLABLE),
};

const struct param_spec peer_offer_params[7] = {
    JOB,
    P("from", TEXT, "The host that the VM runs on.", .max = 255),
    P("vmID", UUID, "The VM."),
    P("vmName", TEXT, "Its name.", .max = 255),
    P("xml", XML, "libvirt's definition of it.", .max = XML_MAX),
    P("disks", OBJECTS, "What is to be made here.",
      .min = 1, .max = JOB_DISKS_MAX,
      .members = offer_members, .n_members = ARRAY_SIZE(offer_members)),
    FLAG("filled", "false", "The layers below are here, and were compared."),
};

static const struct param_spec room_members[] = {
    P("disk", DISK, "Target (vda)."),
    P("bytes", SIZE, "As far as is known by now.", .max = SIZE_BYTES_MAX),
};

const struct param_spec peer_info_params[2] = {
    JOB,
    P("room", OBJECTS, "What is written to disks while the VM comes; those on "
                       "LVs get the room for it.",
      OPTIONAL, NULLABLE, .min = 1, .max = JOB_DISKS_MAX,
      .members = room_members, .n_members = ARRAY_SIZE(room_members)),
};

#define LAYER JOB, DOMAIN, IMAGE, VOLUME
#define LIFE \
    P("life", UUID, "As Peer.layer gave it.", OPTIONAL, NULLABLE)
#define DESCRIPTION \
    P("description", TEXT, "Description, kept with the volume.", \
      OPTIONAL, .preset = "", .max = DESCRIPTION_MAX)
#define OFFSET \
    P("offset", SIZE, "From here on.", .max = SIZE_BYTES_MAX)

const struct param_spec peer_layer_params[14] = {
    LAYER, LIFE,
    P("format", WORD, "COW is qcow2.", .words = table_formats),
    P("allocation", WORD, "As the source's.", .words = allocations),
    P("parentImageID", UUID, "Image of the layer below.",
      OPTIONAL, .blank = true, .preset = UUID_BLANK),
    P("parentID", UUID, "The layer below; all zeros: none.",
      OPTIONAL, .blank = true, .preset = UUID_BLANK),
    P("capacity", SIZE, "Virtual size.", .min = 1, .max = SIZE_BYTES_MAX),
    P("initialSize", SIZE, "Bytes that it will have: for COW on LVs.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
    P("sequence", UINT, "Ordinal in the chain.",
      OPTIONAL, .preset = "0", .max = UINT32_MAX),
    P("diskType", TEXT, "What the disk is for.",
      OPTIONAL, .preset = "DATA", .max = 7),
    DESCRIPTION,
};

const struct param_spec peer_fill_params[8] = {
    LAYER, LIFE, OFFSET,
    P("data", TEXT, "Base64.", .max = DATA_MAX),
    P("gap", SIZE, "So many bytes before it are zeros: for LVs.",
      OPTIONAL, .preset = "0", .max = SIZE_BYTES_MAX),
};

const struct param_spec peer_end_params[7] = {
    LAYER, LIFE,
    P("size", SIZE, "Its bytes.", .max = SIZE_BYTES_MAX),
    DESCRIPTION,
};

const struct param_spec peer_digest_params[7] = {
    LAYER, LIFE, OFFSET,
    P("size", SIZE, "Bytes to look at.", .min = 1, .max = SIZE_BYTES_MAX),
};
