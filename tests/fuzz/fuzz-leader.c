/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The first sector of a sanlock lockspace or resource.
 */
#include "fuzz.h"

#include <dray/format.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct format_leader leader;
    struct err err = ERR_INIT;
    char *copy = fuzz_text(data, size);

    if (format_leader_parse(copy, size, &leader, &err) == 0) {
        MUST(format_geometry_is_valid(leader.sector_size, leader.alignment));
        MUST(strlen(leader.lockspace) < sizeof(leader.lockspace));
        MUST(strlen(leader.resource) < sizeof(leader.resource));
    }
    free(copy);
    return 0;
}
