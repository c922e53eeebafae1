/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a block domain is: its VG is found by what its tags say, whatever the
 * LUNs are called today.
 */
#ifndef DRAY_DOMAIN_BLOCK_FIND_H
#define DRAY_DOMAIN_BLOCK_FIND_H

#include "../domains.h"
#include <dray/lvm.h>

/* The domain @sd: first on info->devices, then among all devices of this host.
 * Fills in what its tags say, and the devices, the one with the metadata first.
 * ERR_NO_DOMAIN; also when one of its devices is missing. */
int block_find(const char *sd, struct domain_info *info, struct err *err);

/* The same in what lvm_scan() saw; DOMAIN_NONE when there is no VG @sd. */
int block_find_among(const struct lvm_report *report, const char *sd,
                     struct domain_info *info, struct err *err);

/* The same for the one that is on @device (a path); the one that people call
 * @name, ERR_VALUE when there are two. */
int block_find_on(const char *device, struct domain_info *info,
                  struct err *err);
int block_find_named(const char *name, struct domain_info *info,
                     struct err *err);

#endif
