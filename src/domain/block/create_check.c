/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a domain on LUNs must be, before anything is touched.
 */
#include "../create.h"
#include "../layout.h"
#include "create.h"
#include <dray/format/block.h>
#include <inttypes.h>

enum {
    MIB = 1024 * 1024,
    PV_START = MIB, /* LVM's label and the alignment of what follows */
    HOSTS_DEFAULT = FORMAT_HOSTS_MAX,
};

static const char *const too_long = "a block domain's name has at most 50 "
                                    "characters";

static int check_name(const char *name, struct err *err)
{
    size_t characters = 0;
    for (const char *p = name; *p; p++)
        characters += (*p & 0xc0) != 0x80; /* of UTF-8, what begins one */
    return characters <= FORMAT_BLOCK_NAME_CHARS
               ? domain_create_check_name(name, err)
               : err_set_code(err, ERR_VALUE, "%s", too_long);
}

static int check_kind(const struct domain_create *spec, struct err *err)
{
    if (spec->type != DOMAIN_TYPE_FCP && spec->type != DOMAIN_TYPE_ISCSI) {
        (void)err_set_code(err, ERR_DOMAIN_TYPE,
                           "a domain on devices is of type FCP (2) or ISCSI "
                           "(3), not %u",
                           spec->type);
        return err_next(err, "give no devices for a domain in a directory");
    }
    return str_equal(spec->class_name, "Data")
               ? 0
               : err_set_code(err, ERR_DOMAIN_CLASS,
                              "domains of class %s cannot be made, only Data",
                              spec->class_name ? spec->class_name : "(none)");
}

static int check_geometry(const struct domain_create *spec,
                          const struct block_devices *devices,
                          struct domain_info *info, struct err *err)
{
    unsigned sector = devices->devices[0].sector_bytes;
    unsigned hosts = spec->max_hosts ? spec->max_hosts : HOSTS_DEFAULT;
    if (spec->block_size && spec->block_size != sector)
        return err_set_code(err, ERR_VALUE,
                            "block size %u: the sectors of %s have %u bytes",
                            spec->block_size, devices->devices[0].name, sector);
    int rc = format_alignment(sector, hosts, &info->alignment, err);
    if (rc < 0)
        return rc;
    info->block_size = sector;
    if (format_block_geometry_is_valid(sector, info->alignment))
        return 0;
    (void)err_set_code(err, ERR_VALUE,
                       "%u hosts on sectors of %u bytes: in leases of %u MiB "
                       "an LVB would overwrite the neighbour",
                       hosts, sector, info->alignment / MIB);
    return err_next(err, "make it for 1001 to 2000 hosts: then they have 8 "
                         "MiB");
}

uint64_t block_create_bytes(const struct block_devices *devices)
{
    const uint64_t used =
        PV_START + (uint64_t)FORMAT_PV_MDAS * FORMAT_PV_MDA_SIZE;
    uint64_t extents = 0;
    for (size_t i = 0; i < devices->n; i++) {
        uint64_t bytes = devices->devices[i].size_bytes;
        if (bytes > used)
            extents += (bytes - used) / FORMAT_EXTENT_SIZE;
    }
    return extents * FORMAT_EXTENT_SIZE;
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + FORMAT_EXTENT_SIZE - 1) / FORMAT_EXTENT_SIZE *
           FORMAT_EXTENT_SIZE;
}

/* All special LVs and one extent of a volume. */
static int check_size(const struct block_devices *devices,
                      const struct domain_info *info, struct err *err)
{
    uint64_t has = block_create_bytes(devices);
    uint64_t needs = FORMAT_EXTENT_SIZE;
    for (const struct format_special_lv *lv = format_special_lvs(); lv->name;
         lv++)
        needs += round_up(format_special_lv_size(lv, info->alignment, has));
    for (size_t i = 0; i < devices->n; i++) {
        const struct block_devices one = { .n = 1,
                                           .devices = { devices->devices[i] } };
        if (block_create_bytes(&one) == 0)
            return err_set_code(
                err, ERR_VG_SIZE, "%s is too small: it has %" PRIu64 " MiB",
                devices->devices[i].name, devices->devices[i].size_bytes / MIB);
    }
    if (has >= needs)
        return 0;
    return err_set_code(err, ERR_VG_SIZE,
                        "the devices are too small: a domain needs %" PRIu64
                        " MiB for itself, they have room for %" PRIu64 " MiB",
                        needs / MIB, has / MIB);
}

int block_create_check(const struct domain_create *spec,
                       const struct block_devices *devices,
                       struct domain_info *info, struct err *err)
{
    int rc = check_name(spec->name, err);
    if (rc == 0)
        rc = check_kind(spec, err);
    if (rc == 0)
        rc = check_geometry(spec, devices, info, err);
    if (rc == 0)
        rc = check_size(devices, info, err);
    if (rc < 0)
        return rc;
    (void)str_copy(info->sd, sizeof(info->sd), spec->sd);
    (void)str_copy(info->name, sizeof(info->name), spec->name);
    (void)str_copy(info->path, sizeof(info->path), "/dev");
    (void)str_copy(info->class_name, sizeof(info->class_name), "Data");
    (void)str_copy(info->role, sizeof(info->role), "Regular");
    info->type = spec->type;
    info->version = FORMAT_VERSION;
    info->block = true;
    info->extent_bytes = FORMAT_EXTENT_SIZE;
    info->n_devices = devices->n;
    for (size_t i = 0; i < devices->n; i++)
        (void)str_copy(info->devices[i], DOMAIN_DEVICE_SIZE,
                       devices->devices[i].name);
    return 0;
}
