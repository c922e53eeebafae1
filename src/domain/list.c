/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lists of UUIDs.
 */
#include "list.h"
#include <errno.h>
#include <string.h>

int domain_list_add(struct uuid_list *list, const char *uuid, struct err *err)
{
    char(*larger)[UUID_SIZE] =
        realloc(list->uuids, (list->n + 1) * sizeof(*larger));
    if (!larger)
        return err_set(err, -ENOMEM, "list of UUIDs: out of memory");
    list->uuids = larger;
    (void)str_copy(larger[list->n++], UUID_SIZE, uuid);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void domain_list_sort(struct uuid_list *list)
{
    size_t n = 0;
    if (list->n > 1)
        qsort(list->uuids, list->n, sizeof(*list->uuids), compare);
    for (size_t i = 0; i < list->n; i++) {
        if (n > 0 && str_equal(list->uuids[i], list->uuids[n - 1]))
            continue;
        memmove(list->uuids[n++], list->uuids[i], UUID_SIZE);
    }
    list->n = n;
}
