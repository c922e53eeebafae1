/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lease/: what `sanlock client status -D` prints.
 */
#ifndef DRAY_LEASE_STATUS_H
#define DRAY_LEASE_STATUS_H

#include <dray/lease.h>

/* -EBADMSG when the daemon's part or one of the two settings is missing. */
int status_parse(const char *text, struct leases_status *ret_status,
                 struct err *err);

#endif
