/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job as text, and back: one JSON object with a member per field, an array of
 * its disks, and the version of this format.
 */
#ifndef DRAY_JOURNAL_RECORD_H
#define DRAY_JOURNAL_RECORD_H

#include <dray/base/err.h>
#include <dray/job.h>
#include <stddef.h>

enum {
    RECORD_VERSION = 5,
    /* Two paths for each disk in which every byte needs six, and the rest. */
    RECORD_MAX = 192 * 1024,
};

/* *ret_text is the caller's, *ret_len without its NUL. -EINVAL for a job that
 * record_decode() would refuse. */
int record_encode(const struct job *job, char **ret_text, size_t *ret_len,
                  struct err *err);

/* -EBADMSG: another version, or not exactly what record_encode() writes: a
 * field too many, too few, of a wrong type, out of its range. */
int record_decode(const char *text, size_t len, struct job *ret_job,
                  struct err *err);

#endif
