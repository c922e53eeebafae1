/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lists of UUIDs.
 */
#ifndef DRAY_DOMAIN_LIST_H
#define DRAY_DOMAIN_LIST_H

#include <dray/ports/storage.h>

int domain_list_add(struct uuid_list *list, const char *uuid, struct err *err);
/* Sorted, each once. */
void domain_list_sort(struct uuid_list *list);

#endif
