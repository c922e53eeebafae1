/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at external leases: contracts in ports/xlease.h.
 */
#ifndef DRAY_DOMAIN_XLEASE_LOOK_H
#define DRAY_DOMAIN_XLEASE_LOOK_H

#include "../domains.h"
#include <dray/ports/xlease.h>

int xlease_info(void *ctx, const struct xlease_id *id,
                struct xlease_place *ret_place, struct err *err);
int xlease_place(void *ctx, const struct xlease_id *id,
                 struct lease_place *ret_place, struct err *err);
int xlease_note(void *ctx, const struct xlease_id *id, char **ret_text,
                struct err *err);
int xlease_status(void *ctx, const struct xlease_id *id,
                  struct xlease_status *ret_status, struct err *err);
int xlease_list(void *ctx, const char *sd, struct xlease_item **ret_items,
                size_t *ret_n, struct err *err);
int xlease_find_job(void *ctx, const char *job_id,
                    struct xlease_found *ret_found, struct err *err);

/* Of the lease at @place. */
int xlease_look(const struct domains *domains, const struct lease_place *place,
                struct xlease_status *ret_status, struct err *err);

#endif
