/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of SDM.* and ManagedVolume.*. Names and order are VDSM's; what we
 * add comes last.
 */
#include "table.h"

static const char *const endpoint_types[] = { "div", "external", "managed",
                                              NULL };
static const char *const url_formats[] = { "raw", "qcow2", NULL };
static const char *const legalities[] = { "LEGAL", "ILLEGAL", NULL };
static const char *const roles[] = { "SHARED", NULL };

/* clang-format off */

#define JOB_ID \
    P("job_id", UUID, \
      "The job's id; the same request under the same id is the same job.")
#define GENERATION(what) \
    P("generation", UINT, what, OPTIONAL, NULLABLE, \
      .max = VOLUME_GENERATION_MAX)
#define OBJECT(param, list, what, ...) \
    P(param, OBJECT, what, .members = list, \
      .n_members = ARRAY_SIZE(list), ##__VA_ARGS__)

static const struct param_spec lease_members[] = {
    P("sd_id", UUID, "The storage domain."),
    P("lease_id", UUID, "The lease."),
};

static const struct param_spec endpoint_members[] = {
    P("endpoint_type", WORD,
      "div: a volume of a domain. external: what url names. managed: what "
      "ManagedVolume.attach_volume attached.", .words = endpoint_types),
    P("sd_id", UUID, "div: the storage domain; managed: as attached.",
      OPTIONAL, NULLABLE, .blank = true),
    P("img_id", UUID, "div: the image.", OPTIONAL, NULLABLE),
    P("vol_id", UUID, "div, managed: the volume.", OPTIONAL, NULLABLE),
    GENERATION("Refused with 911 unless the volume has it; external, managed: "
               "the job's record in the lease."),
    FLAG("prepared", "false", "div: it is active, and stays so."),
    P("url", TEXT,
      "external: an absolute path, or what qemu opens: "
      "nbd+unix:///NAME?socket=PATH, nbd://HOST/NAME, rbd:POOL/NAME, ...",
      OPTIONAL, NULLABLE, .max = JOB_PATH_SIZE - 1),
    P("format", WORD, "external, managed: what it holds, or shall hold.",
      OPTIONAL, NULLABLE, .words = url_formats),
    FLAG("sparse", "false", "Taken for VDSM's sake: holes are always kept."),
    FLAG("create", "true",
         "external: a file is made and must not be there, a device is "
         "formatted with qcow2. false: it is there, and keeps its size."),
    FLAG("is_zero", "false",
         "external, managed: the destination reads zeros all over, so none "
         "are written."),
    P("lease", OBJECT,
      "An external lease that is held while the job works. The destination's "
      "(or the only one) has the job's record, made by Lease.create, which "
      "becomes SUCCEEDED or FAILED.", OPTIONAL, NULLABLE,
      .members = lease_members, .n_members = ARRAY_SIZE(lease_members)),
};

static const struct param_spec div_members[] = {
    P("sd_id", UUID, "The storage domain."),
    P("img_id", UUID, "The image."),
    P("vol_id", UUID, "The volume."),
    GENERATION("Refused with 911 unless the volume has it."),
};

static const struct param_spec attr_members[] = {
    P("legality", WORD, "Another than it has.",
      OPTIONAL, NULLABLE, .words = legalities),
    P("description", TEXT, "Cut to 210 bytes.",
      OPTIONAL, NULLABLE, .max = 4096),
    GENERATION("The new one; left out: the next."),
    P("type", WORD, "SHARED: it becomes a template's.",
      OPTIONAL, NULLABLE, .words = roles),
};

#define ENDS \
    OBJECT("source", endpoint_members, "What is copied."), \
    OBJECT("destination", endpoint_members, "What it is copied to."), \
    FLAG("copy_bitmaps", "false", "qcow2's bitmaps are copied too.")
#define LIMIT \
    P("limit", UINT, "Bytes per second; 0: no limit.", \
      OPTIONAL, .preset = "0", .max = RATE_MAX)

const struct param_spec sdm_copy_params[] = {
    JOB_ID, ENDS,
    FLAG("legal", "true", "Taken for VDSM's sake, ignored."),
    LIMIT,
    FLAG("verify", "false", "Compare both sides when the copy is done."),
};

const struct param_spec sdm_move_params[] = { JOB_ID, ENDS, LIMIT };

const struct param_spec sdm_update_params[] = {
    JOB_ID,
    OBJECT("vol_info", div_members, "The volume, with its generation."),
    OBJECT("vol_attr", attr_members, "What is to become of it."),
};

/* --- managed volumes --------------------------------------------------- */

#define MANAGED_SD \
    P("sd_id", UUID, "Whose volume it is; all zeros: nobody's.", \
      OPTIONAL, .blank = true, .preset = UUID_BLANK)

static const char *const drivers[] = { "local", "nbd", "iscsi", "rbd", NULL };

static const struct param_spec data_members[] = {
    P("device_path", PATH, "local: the device, or a file.", OPTIONAL, NULLABLE),
    P("url", TEXT, "nbd: nbd+unix:///NAME?socket=PATH or nbd://HOST/NAME.",
      OPTIONAL, NULLABLE, .max = JOB_PATH_SIZE - 1),
    P("target_portal", TEXT, "iscsi: HOST:PORT.",
      OPTIONAL, NULLABLE, .max = 255),
    P("target_iqn", TEXT, "iscsi: the target's name.",
      OPTIONAL, NULLABLE, .max = 223),
    P("target_lun", UINT, "iscsi: the LUN.",
      OPTIONAL, .preset = "0", .max = 16383),
    P("name", TEXT, "rbd: POOL/NAME.", OPTIONAL, NULLABLE, .max = 512),
};

static const struct param_spec connection_members[] = {
    P("driver_volume_type", WORD, "How it is reached.", .words = drivers),
    OBJECT("data", data_members, "Where it is, by the driver.", .open = true),
    P("adapter", TEXT, "Taken for VDSM's sake, ignored.",
      OPTIONAL, NULLABLE, .max = 255),
};

const struct param_spec managed_attach_params[] = {
    P("vol_id", UUID, "The volume."),
    OBJECT("connection_info", connection_members, "How to attach it."),
    MANAGED_SD,
};

const struct param_spec managed_detach_params[] = {
    P("vol_id", UUID, "The volume."),
    MANAGED_SD,
};

const struct param_spec managed_info_params[] = {
    P("vol_ids", UUIDS, "Only these; left out: all.", OPTIONAL, NULLABLE),
};

/* clang-format on */
