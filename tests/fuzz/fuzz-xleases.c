/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index of external leases: the input overwrites the beginning of a good
 * one, or (first bit of its first byte) records from the second sector on.
 */
#include "fuzz.h"

#include <dray/format.h>

#define SD "22222222-2222-4222-8222-222222222222"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char index[FORMAT_XLEASES_SIZE];
    const struct format_xleases header = { .lockspace = SD };
    struct format_xleases read;
    struct err err = ERR_INIT;
    size_t n = 0;

    if (size < 1)
        return 0;
    size_t at = data[0] & 1 ? 512 : 0;
    format_xleases_build(&header, index);
    if (size - 1 < sizeof(index) - at)
        memcpy(index + at, data + 1, size - 1);
    if (format_xleases_parse(index, sizeof(index), &read, &err) == 0)
        MUST(uuid_is_valid(read.lockspace));
    err_clear(&err);
    if (format_xleases_find(index, sizeof(index), SD, 1 << 20, &n, &err) == 0)
        MUST(memcmp(index + format_xlease_position(n), SD, sizeof(SD)) == 0);
    else
        MUST(err.code != 0);
    err_clear(&err);
    if (format_xleases_room(index, 1021, 1 << 20, SD, &n, &err) == 0)
        MUST(n < 1021);
    err_clear(&err);
    (void)format_xleases_parse(data, size, &read, &err);
    return 0;
}
