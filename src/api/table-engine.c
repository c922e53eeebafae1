/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of the verbs that an engine moves disks with, step by step. Names
 * and order are VDSM's; what we add comes last.
 */
#include "table.h"

const char *const table_formats[] = { "RAW", "COW", NULL };

static const char *const scopes[] = { "ALL", "INTERNAL", "LEAF", NULL };
static const char *const legalities[] = { "LEGAL", "ILLEGAL", NULL };

/* clang-format off */

#define JOB_ID(param) \
    P(param, UUID, \
      "The job's id; the same request under the same id is the same job. " \
      "Left out: one is made.", OPTIONAL, NULLABLE)
#define LIMIT \
    P("limit", UINT, "Bytes per second; 0: no limit.", \
      OPTIONAL, .preset = "0", .max = RATE_MAX)
#define VERIFY \
    FLAG("verify", "false", "Compare both sides when the copy is done.")
#define TARGET_DOMAIN \
    P("dstSdUUID", UUID, "The domain to copy to.")
#define DRIVE(param, what) \
    P(param, OBJECT, what, .members = drive_members, \
      .n_members = ARRAY_SIZE(drive_members), .open = true)

/* VDSM's DriveSpecVolume. */
static const struct param_spec drive_members[] = {
    P("device", TEXT, "disk.", OPTIONAL, NULLABLE, .max = 16),
    P("poolID", UUID, "Taken for VDSM's sake, ignored.",
      OPTIONAL, NULLABLE, .blank = true),
    P("domainID", UUID, "The storage domain."),
    P("imageID", UUID, "The image."),
    P("volumeID", UUID, "The volume that the VM writes to."),
};

static const struct param_spec snapshot_members[] = {
    P("baseVolumeID", UUID, "The volume that the VM writes to."),
    P("imageID", UUID, "The image."),
    P("domainID", UUID, "The storage domain."),
    P("volumeID", UUID, "The new volume above it, made by Volume.create."),
};

const struct param_spec drive_params[] = {
    VM,
    DRIVE("drive", "The disk, as it is."),
};

const struct param_spec replicate_start_params[] = {
    VM,
    DRIVE("srcDisk", "The disk, as it is."),
    DRIVE("dstDisk", "Where to: the same image and volume on another domain."),
    FLAG("needExtend", "true", "Taken for VDSM's sake, ignored."),
    JOB_ID("jobID"),
    LIMIT,
    FLAG("fast", "false",
         "Speed counts more than the latency of the guest's writes."),
};

const struct param_spec replicate_finish_params[] = {
    VM,
    DRIVE("srcDisk", "The disk, as VM.diskReplicateStart was given it."),
    DRIVE("dstDisk", "The destination: pivots to it. The same as srcDisk: "
                     "ends the replica, the VM stays."),
};

const struct param_spec snapshot_params[] = {
    VM,
    P("snapDrives", OBJECTS, "The disks, all in one instant.",
      .min = 1, .max = JOB_DISKS_MAX, .members = snapshot_members,
      .n_members = ARRAY_SIZE(snapshot_members), .open = true),
    P("snapMemory", TEXT, "Refused when given.",
      OPTIONAL, NULLABLE, .max = 4096),
    FLAG("frozen", "false",
         "The guest's file systems are frozen already. Else its agent is "
         "asked to, if there is one."),
    JOB_ID("jobUUID"),
    P("timeout", UINT, "Minutes; must not be 0.", OPTIONAL, .preset = "30",
      .min = 1, .max = UINT32_MAX, .code = ERR_PARAMETER),
    P("freeze_timeout", UINT, "Minutes; must not be 0.",
      OPTIONAL, .preset = "8",
      .min = 1, .max = UINT32_MAX, .code = ERR_PARAMETER),
};

const struct param_spec merge_params[] = {
    VM,
    DRIVE("drive", "The disk, as it is."),
    P("baseVolUUID", UUID, "The volume that gets the data."),
    P("topVolUUID", UUID, "The volume right above it; it is left ILLEGAL."),
    P("bandwidth", UINT, "MiB per second; 0: no limit.",
      OPTIONAL, .preset = "0", .max = RATE_MAX >> 20),
    JOB_ID("jobUUID"),
    FLAG("deleteTop", "false", "Delete the upper volume afterwards."),
};

const struct param_spec image_volumes_params[] = { IMAGE, POOL, DOMAIN };

const struct param_spec clone_structure_params[] = {
    IMAGE, POOL, DOMAIN, TARGET_DOMAIN, JOB_ID("jobID"),
};

const struct param_spec sync_data_params[] = {
    IMAGE, POOL, DOMAIN, TARGET_DOMAIN,
    P("syncType", WORD, "INTERNAL is all but the leaf.",
      .words = scopes, .code = ERR_NOT_IMPLEMENTED),
    JOB_ID("jobID"),
};

const struct param_spec image_copy_params[] = {
    IMAGE, POOL, DOMAIN, TARGET_DOMAIN, VERIFY, LIMIT, JOB_ID("jobID"),
};

const struct param_spec image_move_params[] = {
    IMAGE, POOL, DOMAIN, TARGET_DOMAIN,
    P("operation", UINT, "1 copies, 2 moves.", .min = 1, .max = 2),
    POST_ZERO, FORCE, DISCARD, VERIFY, LIMIT, JOB_ID("jobID"),
};

const struct param_spec reconcile_params[] = {
    POOL, DOMAIN, IMAGE,
    P("leafVolID", UUID, "The volume where the chain ends."),
};

const struct param_spec delete_volumes_params[] = {
    IMAGE, POOL, DOMAIN,
    P("volumeList", UUIDS, "The volumes; each as Volume.delete does it."),
    POST_ZERO, FORCE, DISCARD,
};

const struct param_spec extend_size_params[] = {
    POOL, DOMAIN, IMAGE, VOLUME,
    P("newSize", SIZE, "Bytes, rounded up to 4096.",
      .min = 1, .max = SIZE_BYTES_MAX),
};

const struct param_spec measure_params[] = {
    VOLUME, POOL, DOMAIN, IMAGE,
    P("dstVolFormat", WORD, "Of the file to be made.",
      .words = table_formats),
    FLAG("backing_chain", "true", "With all volumes below; else this alone."),
    P("baseID", UUID,
      "The parent: with that volume alone of those below.",
      OPTIONAL, NULLABLE),
};

const struct param_spec set_legality_params[] = {
    VOLUME, POOL, DOMAIN, IMAGE,
    P("legality", WORD, "ILLEGAL: its data is not there.",
      .words = legalities),
};

/* clang-format on */
