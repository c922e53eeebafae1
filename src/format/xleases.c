/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index of external leases. It is text in fixed columns, so that a free
 * record is one exact 64-byte pattern; anything else in its place is neither
 * free nor usable.
 */
#include "text.h"
#include <dray/format.h>
#include <inttypes.h>
#include <string.h>

enum {
    HEADER_SIZE = FORMAT_XLEASES_HEADER_SIZE,
    HEADER_LOCKSPACE = 10,
    HEADER_MTIME = 59,
    HEADER_MTIME_SIZE = 10,
    HEADER_FLAG = 70,
    RECORD_SIZE = FORMAT_XLEASE_SIZE,
    RECORD_ID_SIZE = 48,
    RECORD_OFFSET = 49,
    RECORD_OFFSET_SIZE = 11,
    RECORD_FLAG = 61,
    RECORD_RESERVED = 62,
    FIRST_SLOT = 3, /* of the file, in alignments: the first lease */
};

static const char magic_version[] = "\x12\x15\x20\x16\0"
                                    "0001";

void format_xleases_set_header(void *index, const struct format_xleases *header)
{
    char *p = index;
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

static void build_record(char p[RECORD_SIZE], const char *id, uint64_t offset)
{
    char digits[24];
    memset(p, 0, RECORD_SIZE);
    memcpy(p, id, strnlen(id, UUID_SIZE));
    (void)str_format(digits, sizeof(digits), "%011" PRIu64, offset);
    memcpy(p + RECORD_OFFSET, digits, RECORD_OFFSET_SIZE);
    p[RECORD_FLAG] = '-';
    p[RECORD_RESERVED] = '-';
    p[RECORD_SIZE - 1] = '\n';
}

void format_xleases_build(const struct format_xleases *header,
                          char ret_index[FORMAT_XLEASES_SIZE])
{
    format_xleases_set_header(ret_index, header);
    for (size_t i = 0; i < FORMAT_XLEASES_RECORDS; i++)
        format_xlease_set(ret_index, i, 0, NULL);
}

size_t format_xlease_position(size_t n)
{
    return HEADER_SIZE + n * RECORD_SIZE;
}

uint64_t format_xlease_offset(size_t n, unsigned alignment)
{
    return (FIRST_SLOT + (uint64_t)n) * alignment;
}

void format_xlease_set(void *index, size_t n, unsigned alignment,
                       const char *id)
{
    build_record((char *)index + format_xlease_position(n), id ? id : "",
                 id ? format_xlease_offset(n, alignment) : 0);
}

/* Most records are free, and the whole index is looked at for each lease. */
static bool is_free(const char *p)
{
    static const char
        free_record[RECORD_SIZE] = {
            [49] = '0', '0',  '0', '0', '0', '0',
            '0',        '0',  '0', '0', '0', [RECORD_FLAG] = '-',
            '-',        '\n',
        };
    return memcmp(p, free_record, RECORD_SIZE) == 0;
}

struct format_xlease format_xlease_get(const void *index, size_t n,
                                       unsigned alignment)
{
    const char *p = (const char *)index + format_xlease_position(n);
    struct format_xlease lease = { .state = FORMAT_XLEASE_DAMAGED };
    char expected[RECORD_SIZE];
    char id[RECORD_ID_SIZE + 1] = "";
    if (is_free(p)) {
        lease.state = FORMAT_XLEASE_FREE;
        return lease;
    }
    memcpy(id, p, RECORD_ID_SIZE);
    if (!uuid_is_valid(id))
        return lease;
    build_record(expected, id, format_xlease_offset(n, alignment));
    bool updating = p[RECORD_FLAG] == 'u';
    if (updating)
        expected[RECORD_FLAG] = 'u';
    if (memcmp(p, expected, RECORD_SIZE) != 0)
        return lease;
    (void)str_copy(lease.id, sizeof(lease.id), id);
    lease.state = updating ? FORMAT_XLEASE_UPDATING : FORMAT_XLEASE_USED;
    return lease;
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
    char again[HEADER_SIZE];
    int rc = parse_header(data, &header, err);
    if (rc < 0)
        return rc;
    format_xleases_set_header(again, &header);
    if (memcmp(data, again, sizeof(again)) != 0)
        return wrong("header", err);
    *ret_header = header;
    return 0;
}

/* How many there are of which kind, as far as @id is concerned. */
struct search {
    size_t matches, damaged;
    size_t match, first_damaged;
};

static struct search search(const void *index, const char *id,
                            unsigned alignment)
{
    struct search found = { 0 };
    for (size_t i = FORMAT_XLEASES_RECORDS; i-- > 0;) {
        struct format_xlease lease = format_xlease_get(index, i, alignment);
        if (lease.state == FORMAT_XLEASE_DAMAGED) {
            found.damaged++;
            found.first_damaged = i;
        } else if (lease.state == FORMAT_XLEASE_USED &&
                   str_equal(lease.id, id)) {
            found.matches++;
            found.match = i;
        }
    }
    return found;
}

static int refuse(const struct search *found, const char *id, struct err *err)
{
    if (found->matches > 1)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "lease %s is in the index twice", id);
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "%zu records of the index are damaged, the first is "
                        "%zu: lease %s may be one of them",
                        found->damaged, found->first_damaged, id);
}

int format_xleases_find(const void *data, size_t size, const char *id,
                        unsigned alignment, size_t *ret_n, struct err *err)
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
    struct search found = search(data, id, alignment);
    if (found.matches > 1 || (found.matches == 0 && found.damaged > 0))
        return refuse(&found, id, err);
    if (found.matches == 0)
        return FORMAT_XLEASE_NONE;
    *ret_n = found.match;
    return 0;
}

int format_xleases_room(const void *index, size_t limit, unsigned alignment,
                        const char *id, size_t *ret_n, struct err *err)
{
    size_t room = limit;
    for (size_t i = limit; i-- > 0;) {
        struct format_xlease lease = format_xlease_get(index, i, alignment);
        bool half_made =
            lease.state == FORMAT_XLEASE_UPDATING && str_equal(lease.id, id);
        if (lease.state == FORMAT_XLEASE_FREE || half_made)
            room = i;
        if (half_made)
            break;
    }
    if (room == limit)
        return err_set_code(err, ERR_NO_SPACE,
                            "there is room for %zu leases, and all is taken",
                            limit);
    *ret_n = room;
    return 0;
}
