/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An empty qcow2 image, as qemu-img makes it: header, one refcount table, one
 * refcount block, L1 table. Written by us since every snapshot of a running VM
 * waits for one or two of them, and starting a program takes longer than all
 * else about it.
 */
#include <dray/format.h>
#include <errno.h>
#include <string.h>

enum {
    CLUSTER_BITS = 16, /* qemu's default */
    CLUSTER = 1 << CLUSTER_BITS,
    L1_COVERS_BITS = 2 * CLUSTER_BITS - 3, /* of the disk, by one entry */
    L1_ENTRIES_MAX = 32 * 1024 * 1024 / 8, /* qemu's limit */
    ENTRY = 8,

    TABLE_AT = CLUSTER, /* the refcount table, its block, the L1 table */
    BLOCK_AT = 2 * CLUSTER,
    L1_AT = 3 * CLUSTER,

    HEADER_SIZE = 112,
    REFCOUNT_ORDER = 4, /* 16 bits */
    EXTENSION_HEAD = 8,
    NAME_AT = 512,
    NAME_MAX_SIZE = 1023,
};

static const uint32_t magic = 0x514649fbU;
static const uint32_t extension_backing_format = 0xe2792acaU;

static void put(char *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (char)(value >> (8 * (size - 1 - i)));
}

static void put_header(char *image, uint64_t capacity, uint64_t l1_entries)
{
    put(image, magic, 4);
    put(image + 4, 3, 4);
    put(image + 20, CLUSTER_BITS, 4);
    put(image + 24, capacity, 8);
    put(image + 36, l1_entries, 4);
    put(image + 40, L1_AT, 8);
    put(image + 48, TABLE_AT, 8);
    put(image + 56, 1, 4); /* clusters of the refcount table */
    put(image + 96, REFCOUNT_ORDER, 4);
    put(image + 100, HEADER_SIZE, 4);
}

static void put_backing(char *image, const char *name, const char *format)
{
    char *extension = image + HEADER_SIZE;
    put(image + 8, NAME_AT, 8);
    put(image + 16, strlen(name), 4);
    (void)str_copy(image + NAME_AT, CLUSTER - NAME_AT, name);
    put(extension, extension_backing_format, 4);
    put(extension + 4, strlen(format), 4);
    (void)str_copy(extension + EXTENSION_HEAD,
                   NAME_AT - HEADER_SIZE - EXTENSION_HEAD, format);
}

/* All clusters are in use, once. One block counts 32768 of them; the largest
 * L1 table has 512. */
static void put_refcounts(char *image, size_t clusters)
{
    put(image + TABLE_AT, BLOCK_AT, ENTRY);
    for (size_t i = 0; i < clusters; i++)
        put(image + BLOCK_AT + 2 * i, 1, 2);
}

int format_qcow2_build(const struct format_qcow2_empty *empty, char **ret_image,
                       size_t *ret_size, struct err *err)
{
    uint64_t covers = UINT64_C(1) << L1_COVERS_BITS;
    uint64_t entries =
        empty->capacity / covers + (empty->capacity % covers != 0);
    if (entries > L1_ENTRIES_MAX)
        return err_set_code(err, ERR_VALUE,
                            "a qcow2 image cannot be larger than 2 PiB");
    if (empty->backing && strlen(empty->backing) > NAME_MAX_SIZE)
        return err_set_code(err, ERR_VALUE,
                            "the backing file's name is too long");
    size_t l1_clusters = (size_t)((entries * ENTRY + CLUSTER - 1) / CLUSTER);
    size_t clusters = L1_AT / CLUSTER + l1_clusters;
    char *image = calloc(clusters, CLUSTER);
    if (!image)
        return err_set(err, -ENOMEM, "qcow2 image: out of memory");
    put_header(image, empty->capacity, entries);
    if (empty->backing)
        put_backing(image, empty->backing, empty->backing_format);
    put_refcounts(image, clusters);
    *ret_image = image;
    *ret_size = clusters * CLUSTER;
    return 0;
}
