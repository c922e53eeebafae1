/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tables for people. Cells come from storage and guests' owners: control
 * characters are escaped.
 */
#ifndef DRAY_CLI_TABLE_H
#define DRAY_CLI_TABLE_H

#include <stddef.h>

struct table;

/* Headings up to NULL; one that begins with '>' is of a column of numbers. No
 * heading line when @headings is NULL: then two columns, key and value. */
struct table *table_new(const char *const *headings);
/* As many cells as there are headings, NULL: empty. Copied. */
void table_row(struct table *table, const char *const *cells);
/* Prints to stdout and frees. */
void table_finish(struct table *table);

#define TABLE_ROW(table, ...)                                                  \
    table_row((table), (const char *const[]){ __VA_ARGS__ })

#endif
