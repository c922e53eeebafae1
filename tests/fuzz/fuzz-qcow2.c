/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A qcow2 header as a guest may have written it: what passes names no file but
 * a volume beside it.
 */
#include "fuzz.h"

#include <dray/format.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct format_qcow2 head;
    struct err err = ERR_INIT;
    char *copy = fuzz_text(data, size);

    if (format_qcow2_parse(copy, size, &head, &err) == 0) {
        MUST(head.version == 2 || head.version == 3);
        MUST(head.cluster_bits >= 9 && head.cluster_bits <= 21);
        MUST(!head.backing[0] || uuid_is_valid(head.backing));
        MUST(!head.backing_image[0] || uuid_is_valid(head.backing_image));
        MUST(strnlen(head.backing_format, sizeof(head.backing_format)) <
             sizeof(head.backing_format));
    } else {
        MUST(err.message[0]);
    }
    free(copy);
    return 0;
}
