/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Job records as JSON files, one per job, replaced atomically and durable
 * before put() returns: implements ports/journal.h.
 */
#ifndef DRAY_JOURNAL_H
#define DRAY_JOURNAL_H

#include <dray/ports/journal.h>

struct journal;

/* @dir is made if missing (0700). */
int journal_new(const char *dir, struct journal **ret_journal, struct err *err);
void journal_free(struct journal *journal);
struct journal_port journal_port(struct journal *journal);

#endif
