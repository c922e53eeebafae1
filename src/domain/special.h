/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the leases of a domain must look like, wherever they were read from.
 * @where is for messages. ERR_METADATA_VALIDATION.
 */
#ifndef DRAY_DOMAIN_SPECIAL_H
#define DRAY_DOMAIN_SPECIAL_H

#include <dray/ports/storage.h>

/* @resource's lease in the lockspace of the domain; NULL: the lockspace's. */
int domain_special_check_leader(const char *where, const void *sector,
                                size_t size, const struct domain_info *info,
                                const char *resource, struct err *err);

/* The index of external leases. */
int domain_special_check_index(const char *where, const void *index,
                               size_t size, const struct domain_info *info,
                               struct err *err);

#endif
