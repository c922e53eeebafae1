/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SDM leases of file domains, as this process has them: one who changes the
 * domain at a time, and what may stay taken between the changes of a job.
 */
#ifndef DRAY_DOMAIN_SDM_H
#define DRAY_DOMAIN_SDM_H

#include "domains.h"

struct sdms;

/* NULL: out of memory. @leases is borrowed. */
struct sdms *domain_sdms_new(const struct lease_port *leases);
/* Releases what is kept; nobody has one taken any more. */
void domain_sdms_free(struct sdms *sdms);

/* The caller alone changes domain @place->lockspace until domain_sdm_give(). 0,
 * LEASE_BUSY after @deadline_ms, LEASE_NONE, negative errno. */
int domain_sdm_take(struct sdms *sdms, const struct lease_place *place,
                    int64_t deadline_ms, struct err *err);
void domain_sdm_give(struct sdms *sdms, const char *sd);

/* From the first to the last of them, which may be many: what was taken may
 * stay taken for a moment after domain_sdm_give(). */
void domain_sdm_keep(struct sdms *sdms, const char *sd);
void domain_sdm_keep_no_more(struct sdms *sdms, const char *sd);

/* Takes it in the background, to be kept, for one who comes in a moment. */
void domain_sdm_soon(struct sdms *sdms, const struct lease_place *place);

/* Nothing of this domain is kept now; who changes it is waited for. */
void domain_sdm_drop(struct sdms *sdms, const char *sd);

#endif
