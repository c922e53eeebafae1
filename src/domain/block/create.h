/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a domain on LUNs.
 */
#ifndef DRAY_DOMAIN_BLOCK_CREATE_H
#define DRAY_DOMAIN_BLOCK_CREATE_H

#include "../domains.h"
#include "device.h"

int block_create(struct domains *domains, const struct domain_create *spec,
                 struct err *err);

/* What @spec asks for on these devices -> info; ERR_VG_SIZE when they are too
 * small. */
int block_create_check(const struct domain_create *spec,
                       const struct block_devices *devices,
                       struct domain_info *info, struct err *err);

/* What the extents of PVs on @devices come to. */
uint64_t block_create_bytes(const struct block_devices *devices);

/* Fills the LVs of a domain to be, which are active. */
int block_create_fill(struct domains *domains, const struct domain_info *info,
                      struct err *err);

#endif
