/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job in which no two fields have the same value.
 */
#ifndef TESTS_JOURNAL_SAMPLE_H
#define TESTS_JOURNAL_SAMPLE_H

#include <dray/job.h>

#define SAMPLE_ID "11111111-1111-4111-8111-111111111111"

/* On the heap in its length, so that reading behind it shows. */
char *exact_copy(const char *text, size_t len);
void sample_job(struct job *ret_job);
void assert_jobs_equal(const struct job *a, const struct job *b);

#endif
