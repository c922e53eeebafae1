/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads the first sector of a sanlock area: whose it is and who had it last.
 * Only sanlock writes there.
 */
#include "text.h"
#include <dray/format.h>
#include <string.h>

enum {
    CHECKSUMMED_SIZE = 168,
    NAME_SIZE = 48,

    OFF_MAGIC = 0,
    OFF_FLAGS = 8,
    OFF_SECTOR_SIZE = 12,
    OFF_MAX_HOSTS = 24,
    OFF_OWNER = 32,
    OFF_OWNER_GENERATION = 40,
    OFF_VERSION = 48,
    OFF_LOCKSPACE = 56,
    OFF_RESOURCE = 104,
    OFF_TIMESTAMP = 152,
    OFF_CHECKSUM = 168,
    OFF_IO_TIMEOUT = 174,
};

static const struct {
    uint32_t magic;
    enum format_leader_kind kind;
} magics[] = {
    {0x12212010U,  FORMAT_LEADER_LOCKSPACE},
    { 0x06152010U, FORMAT_LEADER_RESOURCE },
    { 0x11282016U, FORMAT_LEADER_CLEARED  },
};

/* CRC-32C, with sanlock's start value and without a last inversion. */
static uint32_t checksum(const unsigned char *p, size_t size)
{
    uint32_t crc = 0xfffffffeU;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    return crc;
}

static int wrong(const char *field, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "the lease's %s is damaged", field);
}

static int parse_kind(const unsigned char *p, enum format_leader_kind *ret_kind,
                      struct err *err)
{
    uint32_t magic = bytes_le32(p + OFF_MAGIC);
    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        if (magics[i].magic == magic) {
            *ret_kind = magics[i].kind;
            return 0;
        }
    }
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "there is no sanlock lease");
}

/* One bit of four says it; older records have none and mean the smallest. */
static unsigned alignment_of(uint32_t flags)
{
    for (unsigned mib = 1; mib <= 8; mib *= 2) {
        if (flags & mib << 4)
            return mib * 1024 * 1024;
    }
    return 1024 * 1024;
}

static void parse_owner(const unsigned char *p, struct format_leader *leader)
{
    leader->max_hosts = bytes_le64(p + OFF_MAX_HOSTS);
    leader->owner_id = bytes_le64(p + OFF_OWNER);
    leader->owner_generation = bytes_le64(p + OFF_OWNER_GENERATION);
    leader->version = bytes_le64(p + OFF_VERSION);
    leader->timestamp = bytes_le64(p + OFF_TIMESTAMP);
    leader->io_timeout_s = p[OFF_IO_TIMEOUT] | (unsigned)p[OFF_IO_TIMEOUT + 1]
                                                   << 8;
    memcpy(leader->lockspace, p + OFF_LOCKSPACE, NAME_SIZE);
    memcpy(leader->resource, p + OFF_RESOURCE, NAME_SIZE);
}

int format_leader_parse(const void *data, size_t size,
                        struct format_leader *ret_leader, struct err *err)
{
    const unsigned char *p = data;
    struct format_leader leader = { 0 };
    if (size < FORMAT_LEADER_SIZE)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "the lease is cut off");
    int rc = parse_kind(p, &leader.kind, err);
    if (rc < 0)
        return rc;
    if (checksum(p, CHECKSUMMED_SIZE) != bytes_le32(p + OFF_CHECKSUM))
        return wrong("checksum", err);
    leader.sector_size = bytes_le32(p + OFF_SECTOR_SIZE);
    leader.alignment = alignment_of(bytes_le32(p + OFF_FLAGS));
    if (!format_geometry_is_valid(leader.sector_size, leader.alignment))
        return wrong("geometry", err);
    parse_owner(p, &leader);
    *ret_leader = leader;
    return 0;
}
