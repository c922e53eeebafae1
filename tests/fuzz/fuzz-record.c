/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job's record in the journal: what decodes encodes again, to the same job.
 */
#include "../../src/journal/record.h"
#include "fuzz.h"

#include <dray/base/util.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job job, again;
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size), *encoded = NULL, *twice = NULL;
    size_t len = 0, twice_len = 0;

    if (record_decode(text, size, &job, &err) == 0) {
        MUST(record_encode(&job, &encoded, &len, &err) == 0);
        MUST(record_decode(encoded, len, &again, &err) == 0);
        MUST(record_encode(&again, &twice, &twice_len, &err) == 0);
        MUST(str_equal(encoded, twice));
    } else {
        MUST(err.message[0]);
    }
    free(text);
    free(encoded);
    free(twice);
    return 0;
}
