/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume's metadata: what parses can be written, and reads back the same.
 */
#include "fuzz.h"

#include <dray/format.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct format_volume volume, again;
    struct err err = ERR_INIT;
    char text[FORMAT_VOLUME_SIZE + 1], twice[FORMAT_VOLUME_SIZE + 1];
    size_t n = 0, twice_n = 0;
    char *copy = fuzz_text(data, size);

    if (format_volume_parse(copy, size, &volume, &err) < 0)
        MUST(err.message[0]);
    else if (format_volume_text(&volume, text, &n, &err) == 0) {
        MUST(format_volume_parse(text, n, &again, &err) == 0);
        MUST(format_volume_text(&again, twice, &twice_n, &err) == 0);
        /* a long one is cut, and the cut may leave a blank at its end */
        MUST(strlen(volume.description) > FORMAT_DESCRIPTION_CHARS ||
             (n == twice_n && memcmp(text, twice, n) == 0));
    }
    free(copy);
    return 0;
}
