/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The dray-lvm of each block domain that this host looked at or works in. One
 * lives from the first need until the end of the room.
 */
#ifndef DRAY_DOMAIN_BLOCK_HANDLE_H
#define DRAY_DOMAIN_BLOCK_HANDLE_H

#include "../domains.h"
#include <dray/lvm.h>

/* That of info->sd, made when there is none yet: it sees info->devices. */
int block_handle_get(struct domains *domains, const struct domain_info *info,
                     struct lvm **ret_lvm, struct err *err);

/* No call may be under way. */
void block_handle_free_all(struct domains *domains);

#endif
