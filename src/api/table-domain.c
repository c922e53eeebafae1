/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parameters of StorageDomain.*. See table.c.
 */
#include "table.h"

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

#define MOUNT_OPTIONS(otherwise) \
    P("mountOptions", TEXT, \
      "Of the export: options of nfs(5) that do data no harm; absent: " \
      otherwise ".", \
      OPTIONAL, NULLABLE, .max = DOMAIN_OPTIONS_SIZE - 1)
#define OUR_OPTIONS "vers=4,hard,timeo=100,retrans=3,lookupcache=positive"

const struct param_spec domain_create_params[11] = {
    DOMAIN,
    P("domainType", UINT,
      "1 NFS, 6 POSIXFS (any directory); with devices 2 FCP, 3 ISCSI.",
      .min = 1, .max = 7),
    P("typeArgs", STORE,
      "The directory that will hold it, or an NFS export, SERVER:/PATH, which "
      "drayd mounts; with devices: none.",
      OPTIONAL, NULLABLE),
    P("name", NEW_NAME,
      "What people call it: letters, digits, _ . + -"),
    P("domainClass", UINT,
      "1 Data.", OPTIONAL, .preset = "1", .min = 1, .max = 3),
    P("version", UINT,
      "Format version.",
      OPTIONAL, NULLABLE, .preset = "5", .min = 5, .max = 5),
    P("blockSize", UINT,
      "Sector size of the storage; absent: 512, or that of the devices.",
      OPTIONAL, NULLABLE, .min = 512, .max = 4096),
    P("maxHosts", UINT,
      "How many hosts may use it at once; decides the lease areas' size.",
      OPTIONAL, .preset = "2000", .min = 1, .max = 2000),
    P("devices", PATHS,
      "LUNs: the domain is a volume group on them, its metadata on the first.",
      OPTIONAL, NULLABLE, .min = 1, .max = DOMAIN_DEVICES_MAX),
    FLAG("force", "false", "Take devices that hold something: it is lost."),
    MOUNT_OPTIONS(OUR_OPTIONS),
};

const struct param_spec domain_extend_params[4] = {
    DOMAIN, POOL,
    P("devlist", PATHS,
      "LUNs for its volume group; those it has already are fine.",
      .min = 1, .max = DOMAIN_DEVICES_MAX),
    FLAG("force", "false", "Take devices that hold something: it is lost."),
};

const struct param_spec domain_audit_params[2] = {
    DOMAIN,
    FLAG("repair", "false",
         "Mend what can be mended without a doubt; else only look."),
};

const struct param_spec domain_join_params[4] = {
    P("storagedomainID", UUID,
      "The storage domain; may be left out when the place holds one.",
      OPTIONAL, NULLABLE),
    P("typeArgs", STORE,
      "Its directory, an NFS export, SERVER:/PATH, which drayd mounts as long "
      "as the domain is joined, or a device that it is on; may be left out for "
      "a domain that is known, or on devices.",
      OPTIONAL, NULLABLE),
    P("name", NAME,
      "Instead of both: what people call a domain that is known, or on "
      "devices.",
      OPTIONAL, NULLABLE),
    MOUNT_OPTIONS("as it was mounted before, or " OUR_OPTIONS),
};

const struct param_spec domain_params[1] = { DOMAIN };

const struct param_spec domain_volumes_params[3] = {
    DOMAIN, POOL,
    P("imageID", UUID,
      "Only this image's volumes.", OPTIONAL, NULLABLE),
};

/* clang-format on */
