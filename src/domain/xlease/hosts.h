/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The other hosts of a domain. Contracts: ports/xlease.h.
 */
#ifndef DRAY_DOMAIN_XLEASE_HOSTS_H
#define DRAY_DOMAIN_XLEASE_HOSTS_H

#include <stdbool.h>

bool xlease_is_shared(void *ctx, const char *sd);
bool xlease_host_lives(void *ctx, const char *sd, unsigned host_id);

#endif
