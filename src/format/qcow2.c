/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads a qcow2 header before any tool opens the volume. A guest, or another
 * host's qemu, can have written anything there, and qemu follows what it finds:
 * a data file or a backing name may be any path or URI of the host. So only
 * what our own volumes have is let through: a backing name that is a volume's
 * UUID, no data file, no mark that we do not know, tables within qemu's limits.
 */
#include "text.h"
#include <dray/format.h>
#include <string.h>

enum {
    V2_HEADER_SIZE = 72,
    V3_HEADER_SIZE = 104,
    CLUSTER_BITS_MIN = 9,
    CLUSTER_BITS_MAX = 21,
    BACKING_NAME_MAX = 1023,
    L1_ENTRIES_MAX = 32 * 1024 * 1024 / 8,
    REFCOUNT_TABLE_MAX = 8 * 1024 * 1024,
    SNAPSHOTS_MAX = 65536,
    REFCOUNT_ORDER_MAX = 6,

    OFF_MAGIC = 0,
    OFF_VERSION = 4,
    OFF_BACKING_OFFSET = 8,
    OFF_BACKING_SIZE = 16,
    OFF_CLUSTER_BITS = 20,
    OFF_VIRTUAL_SIZE = 24,
    OFF_ENCRYPTION = 32,
    OFF_L1_ENTRIES = 36,
    OFF_REFCOUNT_CLUSTERS = 56,
    OFF_SNAPSHOTS = 60,
    OFF_INCOMPATIBLE = 72,
    OFF_REFCOUNT_ORDER = 96,
    OFF_HEADER_SIZE = 100,

    INCOMPATIBLE_DIRTY = 1,
    INCOMPATIBLE_CORRUPT = 2,
    INCOMPATIBLE_DATA_FILE = 4,
};

static const uint32_t qcow2_magic = 0x514649fbU; /* "QFI" 0xfb */
static const uint32_t extension_end = 0;
static const uint32_t extension_backing_format = 0xe2792acaU;
static const uint32_t extension_data_file = 0x44415441U;
static const uint32_t extension_encryption = 0x0537be77U;

/* The buffer and what of it is header. */
struct reader {
    const unsigned char *p;
    size_t size;
    size_t header_size;
};

static int refuse(struct err *err, const char *why)
{
    return err_set_code(err, ERR_IMAGE_CHAIN, "qcow2 header: %s", why);
}

static int check_features(const struct reader *in, struct format_qcow2 *qcow2,
                          struct err *err)
{
    uint64_t bits = bytes_be64(in->p + OFF_INCOMPATIBLE);
    if (bits & INCOMPATIBLE_CORRUPT)
        return refuse(err, "qemu marked the image as corrupt");
    if (bits & INCOMPATIBLE_DATA_FILE)
        return refuse(err, "the data is in an external file");
    if (bits & ~(uint64_t)INCOMPATIBLE_DIRTY)
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "qcow2 header: incompatible features 0x%llx are "
                            "not supported",
                            (unsigned long long)bits);
    qcow2->dirty = bits & INCOMPATIBLE_DIRTY;
    if (bytes_be32(in->p + OFF_REFCOUNT_ORDER) > REFCOUNT_ORDER_MAX)
        return refuse(err, "the refcount width is impossible");
    return 0;
}

static int check_v3(struct reader *in, struct format_qcow2 *qcow2,
                    struct err *err)
{
    if (in->size < V3_HEADER_SIZE)
        return refuse(err, "cut off");
    uint32_t size = bytes_be32(in->p + OFF_HEADER_SIZE);
    if (size < V3_HEADER_SIZE || size % 8 != 0 || size > in->size ||
        size > 1U << qcow2->cluster_bits)
        return refuse(err, "its length is impossible");
    in->header_size = size;
    return check_features(in, qcow2, err);
}

/* An L1 entry points to one cluster of 8-byte entries for one cluster each. */
static bool l1_is_plausible(const struct reader *in,
                            const struct format_qcow2 *qcow2)
{
    uint64_t entries = bytes_be32(in->p + OFF_L1_ENTRIES);
    unsigned bits = 2 * qcow2->cluster_bits - 3;
    uint64_t needed = qcow2->virtual_size >> bits;
    needed += (qcow2->virtual_size & ((UINT64_C(1) << bits) - 1)) != 0;
    return entries >= needed && entries <= L1_ENTRIES_MAX;
}

static int check_tables(const struct reader *in,
                        const struct format_qcow2 *qcow2, struct err *err)
{
    uint64_t refcounts = bytes_be32(in->p + OFF_REFCOUNT_CLUSTERS);
    if (bytes_be32(in->p + OFF_ENCRYPTION) != 0)
        return refuse(err, "the image is encrypted");
    if (!l1_is_plausible(in, qcow2))
        return refuse(err, "the L1 table's size is impossible");
    if (refcounts == 0 || refcounts << qcow2->cluster_bits > REFCOUNT_TABLE_MAX)
        return refuse(err, "the refcount table's size is impossible");
    if (bytes_be32(in->p + OFF_SNAPSHOTS) > SNAPSHOTS_MAX)
        return refuse(err, "the number of snapshots is impossible");
    return 0;
}

static int parse_fixed(struct reader *in, struct format_qcow2 *qcow2,
                       struct err *err)
{
    if (in->size < V2_HEADER_SIZE)
        return refuse(err, "cut off");
    if (bytes_be32(in->p + OFF_MAGIC) != qcow2_magic)
        return refuse(err, "this is no qcow2 image");
    qcow2->version = bytes_be32(in->p + OFF_VERSION);
    if (qcow2->version != 2 && qcow2->version != 3)
        return refuse(err, "the version is neither 2 nor 3");
    qcow2->cluster_bits = bytes_be32(in->p + OFF_CLUSTER_BITS);
    if (qcow2->cluster_bits < CLUSTER_BITS_MIN ||
        qcow2->cluster_bits > CLUSTER_BITS_MAX)
        return refuse(err, "the cluster size is impossible");
    qcow2->virtual_size = bytes_be64(in->p + OFF_VIRTUAL_SIZE);
    if (qcow2->virtual_size > INT64_MAX)
        return refuse(err, "the virtual size is impossible");
    in->header_size = V2_HEADER_SIZE;
    if (qcow2->version == 3) {
        int rc = check_v3(in, qcow2, err);
        if (rc < 0)
            return rc;
    }
    return check_tables(in, qcow2, err);
}

/* "VOL", or "../IMG/VOL" as old VDSM wrote it. */
static bool split_backing_name(const char *name, struct format_qcow2 *qcow2)
{
    if (uuid_is_valid(name)) {
        (void)str_copy(qcow2->backing, UUID_SIZE, name);
        return true;
    }
    enum {
        PREFIX = 3,
        IMAGE_END = PREFIX + UUID_SIZE - 1
    };
    char image[UUID_SIZE] = "";
    if (strlen(name) != IMAGE_END + UUID_SIZE ||
        !str_starts_with(name, "../") || name[IMAGE_END] != '/')
        return false;
    memcpy(image, name + PREFIX, UUID_SIZE - 1);
    if (!uuid_is_valid(image) || !uuid_is_valid(name + IMAGE_END + 1))
        return false;
    (void)str_copy(qcow2->backing_image, UUID_SIZE, image);
    (void)str_copy(qcow2->backing, UUID_SIZE, name + IMAGE_END + 1);
    return true;
}

static int parse_backing_name(const struct reader *in,
                              struct format_qcow2 *qcow2, struct err *err)
{
    uint64_t offset = bytes_be64(in->p + OFF_BACKING_OFFSET);
    uint32_t size = bytes_be32(in->p + OFF_BACKING_SIZE);
    char name[BACKING_NAME_MAX + 1];
    if (offset == 0)
        return 0;
    if (size == 0 || size > BACKING_NAME_MAX || offset < in->header_size ||
        offset > in->size || size > in->size - offset)
        return refuse(err, "the backing file's name is out of place");
    memcpy(name, in->p + offset, size);
    name[size] = '\0';
    if (strlen(name) != size || !split_backing_name(name, qcow2))
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "qcow2 header: the backing file \"%.128s\" is "
                            "no volume of this image",
                            name);
    return 0;
}

static int parse_backing_format(const unsigned char *p, uint32_t size,
                                struct format_qcow2 *qcow2, struct err *err)
{
    char name[sizeof(qcow2->backing_format)] = "";
    if (size < sizeof(name))
        memcpy(name, p, size);
    if (!str_equal(name, "raw") && !str_equal(name, "qcow2"))
        return refuse(err, "the backing format is neither raw nor qcow2");
    memcpy(qcow2->backing_format, name, sizeof(name));
    return 0;
}

static int parse_extension(uint32_t type, const unsigned char *p, uint32_t size,
                           struct format_qcow2 *qcow2, struct err *err)
{
    if (type == extension_data_file)
        return refuse(err, "the data is in an external file");
    if (type == extension_encryption)
        return refuse(err, "the image is encrypted");
    if (type == extension_backing_format)
        return parse_backing_format(p, size, qcow2, err);
    return 0;
}

/* They end with type 0, or where the backing name or the cluster begins. */
static size_t extensions_end(const struct reader *in,
                             const struct format_qcow2 *qcow2)
{
    size_t end = (size_t)1 << qcow2->cluster_bits;
    uint64_t backing = bytes_be64(in->p + OFF_BACKING_OFFSET);
    if (backing != 0 && backing < end)
        end = (size_t)backing;
    return end < in->size ? end : in->size;
}

static int parse_extensions(const struct reader *in, struct format_qcow2 *qcow2,
                            struct err *err)
{
    size_t end = extensions_end(in, qcow2);
    size_t at = in->header_size;
    while (at + 8 <= end) {
        uint32_t type = bytes_be32(in->p + at);
        uint32_t size = bytes_be32(in->p + at + 4);
        at += 8;
        if (type == extension_end)
            break;
        if (size > end - at)
            return refuse(err, "an extension is out of place");
        int rc = parse_extension(type, in->p + at, size, qcow2, err);
        if (rc < 0)
            return rc;
        at += (size + 7U) & ~7U;
    }
    return 0;
}

int format_qcow2_parse(const void *data, size_t size,
                       struct format_qcow2 *ret_qcow2, struct err *err)
{
    struct format_qcow2 qcow2 = { 0 };
    struct reader in = { .p = data, .size = size };
    int rc = parse_fixed(&in, &qcow2, err);
    if (rc == 0)
        rc = parse_backing_name(&in, &qcow2, err);
    if (rc == 0)
        rc = parse_extensions(&in, &qcow2, err);
    if (rc < 0)
        return rc;
    *ret_qcow2 = qcow2;
    return 0;
}
