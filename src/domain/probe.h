/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Questions to storage that may never be answered.
 */
#ifndef DRAY_DOMAIN_PROBE_H
#define DRAY_DOMAIN_PROBE_H

#include "domains.h"

/* No call may be under way; threads that hang do not count. */
void domain_probes_free(struct domains *domains);

#endif
