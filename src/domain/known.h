/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of domains that this host knows, in memory and in domains.json.
 * Entries are copied in and out; nothing here touches a domain's storage.
 */
#ifndef DRAY_DOMAIN_KNOWN_H
#define DRAY_DOMAIN_KNOWN_H

#include "domains.h"

/* --- state.c --- */

/* Reads domains.json; a missing one is an empty list. Those that were joined
 * are DOMAIN_MISSING until somebody joins them again. */
int domain_known_load(struct domains *domains, struct err *err);

/* Writes domains.json. */
int domain_known_save(struct domains *domains, struct err *err);

/* --- known.c --- */

/* ERR_NO_DOMAIN with a hint when @sd is not known. */
int domain_known_get(struct domains *domains, const char *sd,
                     struct domain_info *ret_info, struct err *err);

/* Adds or replaces the entry of info->sd, in memory. */
int domain_known_add(struct domains *domains, const struct domain_info *info,
                     struct err *err);

/* domain_known_add() and domain_known_save(). */
int domain_known_put(struct domains *domains, const struct domain_info *info,
                     struct err *err);

/* Changes only status and problem (NULL: none), in memory. */
void domain_known_status(struct domains *domains, const char *sd,
                         enum domain_status status, const char *problem);

/* What is wrong with one that is joined (NULL: nothing), or of which no more
 * than its mount is left; else nothing happens. In memory. */
void domain_known_problem(struct domains *domains, const char *sd,
                          enum domain_status status, const char *problem);

/* A copy of all; the caller frees. */
int domain_known_all(struct domains *domains, struct domain_info **ret_infos,
                     size_t *ret_n, struct err *err);

#endif
