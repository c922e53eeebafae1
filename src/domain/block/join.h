/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What joining and leaving need of a block domain.
 */
#ifndef DRAY_DOMAIN_BLOCK_JOIN_H
#define DRAY_DOMAIN_BLOCK_JOIN_H

#include "../domains.h"

/* Finds the domain info->sd, activates its special LVs and verifies what is in
 * them; @info becomes what it is now. When it fails they may be active all the
 * same: block_rest(). */
int block_verify(struct domains *domains, struct domain_info *info,
                 struct err *err);

/* What a crash left: half-made and half-removed volumes, LVs that nobody uses.
 * Of a domain that is being joined. */
int block_mend(struct domains *domains, const struct domain_info *info,
               struct err *err);

/* ERR_RELEASE_HOST_ID when a volume's LV is open on this host. */
int block_check_closed(struct domains *domains, const struct domain_info *info,
                       struct err *err);

/* Deactivates all LVs of the domain here, and no image is prepared any more;
 * its dray-lvm ends until it is needed again. */
int block_rest(struct domains *domains, const struct domain_info *info,
               struct err *err);

#endif
