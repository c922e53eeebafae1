/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of Image.* and Volume.*, but for those of table-engine.c. See
 * table.c.
 */
#include "table.h"

static const char *const allocations[] = { "SPARSE", "PREALLOCATED", NULL };
static const char *const disk_types[] = { "DATA", "ISOF", "MEMD", "MEMM",
                                          "OVFS", "HEVD", "HESD", "HEMD",
                                          "HECI", "SCRD", "1",    "2",
                                          NULL };

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

const struct param_spec image_prepare_params[5] = {
    POOL, DOMAIN, IMAGE, VOLUME,
    FLAG("allowIllegal", "false", "Prepare volumes marked ILLEGAL too."),
};

const struct param_spec image_teardown_params[4] = {
    POOL, DOMAIN, IMAGE,
    P("volumeID", UUID,
      "Taken for VDSM's sake, ignored.", OPTIONAL, NULLABLE),
};

const struct param_spec image_delete_params[6] = {
    IMAGE, POOL, DOMAIN, POST_ZERO, FORCE, DISCARD,
};

const struct param_spec volume_create_params[16] = {
    VOLUME, POOL, DOMAIN, IMAGE,
    P("size", SIZE,
      "Virtual size in bytes, rounded up to 4096.",
      .min = 1, .max = SIZE_BYTES_MAX),
    P("volFormat", WORD,
      "COW is qcow2.", .words = table_formats, .code = ERR_VOLUME_FORMAT),
    P("preallocate", WORD,
      "PREALLOCATED takes its space now.", .words = allocations,
      .code = ERR_VOLUME_ALLOCATION),
    P("diskType", WORD,
      "What the disk is for.",
      OPTIONAL, .preset = "DATA", .words = disk_types, .code = ERR_VALUE),
    P("desc", TEXT,
      "Description, kept with the volume.",
      OPTIONAL, .preset = "", .max = DESCRIPTION_MAX),
    P("srcImgUUID", UUID,
      "Image of the parent.", OPTIONAL, .blank = true, .preset = UUID_BLANK),
    P("srcVolUUID", UUID,
      "Parent; all zeros: none.",
      OPTIONAL, .blank = true, .preset = UUID_BLANK),
    P("initialSize", SIZE,
      "Bytes to allocate at first; a file needs none.",
      OPTIONAL, NULLABLE, .max = SIZE_BYTES_MAX),
    FLAG("addBitmaps", "false", "Refused when true."),
    FLAG("legal", "true", "false: marked ILLEGAL until its data is there."),
    P("sequence", UINT,
      "Ordinal in the chain.", OPTIONAL, .preset = "0", .max = UINT32_MAX),
    P("bitmap", UUID,
      "Refused when given.", OPTIONAL, NULLABLE),
};

const struct param_spec volume_delete_params[7] = {
    VOLUME, POOL, DOMAIN, IMAGE, POST_ZERO, FORCE, DISCARD,
};

const struct param_spec volume_params[4] = { VOLUME, POOL, DOMAIN,
                                                   IMAGE };

/* clang-format on */
