/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job's record in an LVB. What is taken for one can be written, and is then
 * read as the same.
 */
#include "fuzz.h"

#include <dray/format.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char lvb[FORMAT_LVB_SIZE] = "", again[FORMAT_LVB_SIZE];
    struct format_job job, other;
    struct err err = ERR_INIT;

    memcpy(lvb, data, size < sizeof(lvb) ? size : sizeof(lvb));
    int rc = format_job_parse(lvb, sizeof(lvb), &job, &err);
    MUST(rc >= 0 || err.code == ERR_LVB);
    if (rc == 0 && format_job_build(&job, again, &err) == 0) {
        MUST(format_job_parse(again, sizeof(again), &other, &err) == 0);
        MUST(other.generation == job.generation);
        MUST(other.status == job.status);
        MUST(str_equal(other.job_id, job.job_id));
        MUST(str_equal(other.host, job.host));
    }
    err_clear(&err);
    MUST(format_job_parse(data, size, &job, &err) < 0 ||
         size >= FORMAT_LVB_SIZE);
    return 0;
}
