/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libsmartcols, which prints lsblk's tables: it knows the terminal's width,
 * multi-byte characters, and escapes control characters. Out of memory ends
 * drayctl.
 */
#include "table.h"
#include <libsmartcols.h>
#include <stdlib.h>

struct table {
    struct libscols_table *lines;
    size_t columns;
};

static void need(int ok)
{
    if (!ok)
        abort();
}

struct table *table_new(const char *const *headings)
{
    static const char *const key_value[] = { "", "", NULL };
    struct table *table = calloc(1, sizeof(*table));
    need(table != NULL);
    table->lines = scols_new_table();
    need(table->lines != NULL);
    need(!scols_table_enable_noheadings(table->lines, !headings));
    if (!headings)
        headings = key_value;
    for (; headings[table->columns]; table->columns++) {
        const char *name = headings[table->columns];
        int flags = name[0] == '>' ? SCOLS_FL_RIGHT : 0;
        need(scols_table_new_column(table->lines, name + (flags != 0), 0,
                                    flags) != NULL);
    }
    return table;
}

void table_row(struct table *table, const char *const *cells)
{
    struct libscols_line *line = scols_table_new_line(table->lines, NULL);
    need(line != NULL);
    for (size_t i = 0; i < table->columns; i++)
        need(!scols_line_set_data(line, i, cells[i] ? cells[i] : ""));
}

void table_finish(struct table *table)
{
    (void)scols_print_table(table->lines); /* main() looks at stdout */
    scols_unref_table(table->lines);
    free(table);
}
