/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index of external leases. It is text in fixed columns, so that a free
 * record is one exact 64-byte pattern; anything else in its place is neither
 * free nor usable.
 */
#include "text.h"
#include <dray/format.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    HEADER_SIZE = 512,
    HEADER_LOCKSPACE = 10,
    HEADER_MTIME = 59,
    HEADER_MTIME_SIZE = 10,
    HEADER_FLAG = 70,
    RECORD_SIZE = 64,
    RECORD_OFFSET = 49,
    RECORD_OFFSET_SIZE = 11,
    RECORD_FLAG = 61,
    RECORD_RESERVED = 62,
    FIRST_SLOT = 3, /* of the file, in alignments: the first lease */
};

static const char magic_version[] = "\x12\x15\x20\x16\0"
                                    "0001";

static void build_header(const struct format_xleases *header, char *p)
{
    char mtime[24];
    memset(p, 0, HEADER_SIZE);
    memcpy(p, magic_version, sizeof(magic_version));
    memcpy(p + HEADER_LOCKSPACE, header->lockspace,
           strnlen(header->lockspace, UUID_SIZE));
    (void)str_format(mtime, sizeof(mtime), "%010" PRIu64,
                     header->mtime_s % UINT64_C(10000000000));
    memcpy(p + HEADER_MTIME, mtime, HEADER_MTIME_SIZE);
    p[HEADER_FLAG] = header->updating ? 'u' : '-';
    p[HEADER_SIZE - 1] = '\n';
}

static void build_free_record(char *p)
{
    memset(p, 0, RECORD_SIZE);
    memset(p + RECORD_OFFSET, '0', RECORD_OFFSET_SIZE);
    p[RECORD_FLAG] = '-';
    p[RECORD_RESERVED] = '-';
    p[RECORD_SIZE - 1] = '\n';
}

void format_xleases_build(const struct format_xleases *header,
                          char ret_index[FORMAT_XLEASES_SIZE])
{
    build_header(header, ret_index);
    for (size_t i = 0; i < FORMAT_XLEASES_RECORDS; i++)
        build_free_record(ret_index + HEADER_SIZE + i * RECORD_SIZE);
}

static int wrong(const char *field, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "the index's %s is damaged", field);
}

static int parse_digits(const char *p, size_t size, const char *field,
                        uint64_t *ret_value, struct err *err)
{
    char digits[24] = "";
    memcpy(digits, p, size);
    if (str_to_u64(digits, ret_value) < 0)
        return wrong(field, err);
    return 0;
}

static int parse_header(const char *p, struct format_xleases *header,
                        struct err *err)
{
    if (memcmp(p, magic_version, sizeof(magic_version)) != 0)
        return wrong("magic or version", err);
    memcpy(header->lockspace, p + HEADER_LOCKSPACE, UUID_SIZE);
    if (header->lockspace[UUID_SIZE - 1] != '\0' ||
        !uuid_is_valid(header->lockspace))
        return wrong("lockspace", err);
    char flag = p[HEADER_FLAG];
    if (flag != '-' && flag != 'u')
        return wrong("flag", err);
    header->updating = flag == 'u';
    if (p[HEADER_SIZE - 1] != '\n')
        return wrong("header end", err);
    return parse_digits(p + HEADER_MTIME, HEADER_MTIME_SIZE, "time",
                        &header->mtime_s, err);
}

int format_xleases_parse(const void *data, size_t size,
                         struct format_xleases *ret_header, struct err *err)
{
    struct format_xleases header = { 0 };
    if (size < FORMAT_XLEASES_SIZE)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "the index has %zu bytes instead of %d", size,
                            FORMAT_XLEASES_SIZE);
    int rc = parse_header(data, &header, err);
    if (rc < 0)
        return rc;
    *ret_header = header;
    return 0;
}

static bool record_is(const char *record, const char *id)
{
    return memcmp(record, id, UUID_SIZE) == 0;
}

int format_xleases_lookup(const void *data, size_t size, const char *id,
                          unsigned alignment, uint64_t *ret_offset,
                          struct err *err)
{
    struct format_xleases header = { 0 };
    int rc = format_xleases_parse(data, size, &header, err);
    if (rc < 0)
        return rc;
    if (header.updating)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "a change of the index was cut off");
    if (!uuid_is_valid(id))
        return err_set_code(err, ERR_VALUE, "\"%s\" is no lease id", id);
    const char *records = (const char *)data + HEADER_SIZE;
    for (size_t i = 0; i < FORMAT_XLEASES_RECORDS; i++) {
        const char *record = records + i * RECORD_SIZE;
        if (!record_is(record, id) || record[RECORD_FLAG] == 'u')
            continue;
        *ret_offset = (FIRST_SLOT + (uint64_t)i) * alignment;
        return 0;
    }
    return err_set(err, -ENOENT, "there is no lease %s", id);
}
