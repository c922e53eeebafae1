/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu-img prints about a disk; names in it are a guest's.
 */
#include "../../src/domain/report.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct domain_report report;
    struct volume_measure measure;
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size);

    if (domain_report_info(text, &report, &err) == 0) {
        for (size_t i = 0; i < report.n_bitmaps; i++) {
            const char *name = report.bitmaps[i];
            MUST(memchr(name, '\0', sizeof(report.bitmaps[i])));
            MUST(str_is_utf8(name, strlen(name)));
        }
        MUST(memchr(report.compat, '\0', sizeof(report.compat)));
        MUST((int64_t)report.virtual_size >= 0);
        free(report.bitmaps);
    } else {
        MUST(err.message[0]);
    }
    err_clear(&err);
    if (domain_report_measure(text, &measure, &err) < 0)
        MUST(err.message[0]);
    free(text);
    return 0;
}
