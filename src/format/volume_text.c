/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume's record as text: sorted keys, the mark EOF, 512 bytes at most, so
 * that it fits one sector and is old or new but never half.
 */
#include "text.h"
#include "volume.h"
#include <dray/format.h>
#include <inttypes.h>
#include <string.h>

const char *const volume_kinds[2] = { "RAW", "COW" };
const char *const volume_allocations[2] = { "SPARSE", "PREALLOCATED" };
const char *const volume_roles[3] = { "LEAF", "INTERNAL", "SHARED" };
const char *const volume_legalities[3] = { "LEGAL", "ILLEGAL", "FAKE" };

const char *format_kind_name(enum format_kind kind)
{
    return volume_kinds[kind];
}

const char *format_allocation_name(enum format_allocation allocation)
{
    return volume_allocations[allocation];
}

const char *format_role_name(enum format_role role)
{
    return volume_roles[role];
}

const char *format_legality_name(enum format_legality legality)
{
    return volume_legalities[legality];
}

bool format_disk_type_is_valid(const char *disk_type)
{
    /* "2" and "1" are what DATA was called long ago. */
    static const char *const types[] = { "DATA", "ISOF", "MEMD", "MEMM",
                                         "OVFS", "HEVD", "HESD", "HEMD",
                                         "HECI", "SCRD", "2",    "1" };
    return text_index(disk_type, types, ARRAY_SIZE(types)) >= 0;
}

/* Bytes of the first @max characters of valid UTF-8. */
static size_t size_of_chars(const char *text, size_t max)
{
    size_t used = 0;
    for (size_t n = 0; n < max && text[used]; n++) {
        size_t size = 0;
        (void)text_code_point(text + used, &size);
        used += size;
    }
    return used;
}

int format_volume_text(const struct format_volume *volume,
                       char ret_text[FORMAT_VOLUME_SIZE + 1], size_t *ret_size,
                       struct err *err)
{
    char text[FORMAT_VOLUME_SIZE + 1];
    if (!format_text_is_line(volume->description))
        return err_set_code(err, ERR_VALUE,
                            "key DESCRIPTION: the text is not one line of "
                            "UTF-8");
    int used = snprintf(
        text, sizeof(text),
        "CAP=%" PRIu64 "\nCTIME=%" PRIu64 "\nDESCRIPTION=%.*s\nDISKTYPE=%s\n"
        "DOMAIN=%s\nFORMAT=%s\nGEN=%u\nIMAGE=%s\nLEGALITY=%s\nPUUID=%s\n"
        "SEQ=%" PRIu32 "\nTYPE=%s\nVOLTYPE=%s\nEOF\n",
        volume->capacity, volume->ctime_s,
        (int)size_of_chars(volume->description, FORMAT_DESCRIPTION_CHARS),
        volume->description, volume->disk_type, volume->domain,
        volume_kinds[volume->kind], volume->generation, volume->image,
        volume_legalities[volume->legality], volume->parent, volume->sequence,
        volume_allocations[volume->allocation], volume_roles[volume->role]);
    if (used < 0 || used > FORMAT_VOLUME_SIZE)
        return err_set_code(err, ERR_METADATA_OVERFLOW,
                            "key DESCRIPTION: the record would have %d bytes, "
                            "at most %d fit",
                            used, FORMAT_VOLUME_SIZE);
    memcpy(ret_text, text, (size_t)used + 1);
    *ret_size = (size_t)used;
    return 0;
}
