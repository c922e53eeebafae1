/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The part of joining and leaving that is the same for every kind of domain.
 */
#ifndef DRAY_DOMAIN_JOIN_H
#define DRAY_DOMAIN_JOIN_H

#include "domains.h"

/* ERR_DOMAIN_TYPE, ERR_DOMAIN_CLASS: of a domain that no host can join. */
int domain_join_check_kind(const struct domain_info *info, struct err *err);

/* This host takes no part in its lockspace any more. ERR_RELEASE_HOST_ID. */
int domain_lockspace_leave(struct domains *domains,
                           const struct domain_info *info, struct err *err);

#endif
