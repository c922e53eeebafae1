/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of the xleases volume: contracts in ports/xlease.h.
 */
#ifndef DRAY_DOMAIN_XLEASE_CHANGE_H
#define DRAY_DOMAIN_XLEASE_CHANGE_H

#include <dray/ports/xlease.h>

int xlease_create(void *ctx, const struct xlease_id *id,
                  const struct xlease_job *job, struct err *err);
int xlease_remove(void *ctx, const struct xlease_id *id, struct err *err);
int xlease_rebuild(void *ctx, const char *sd,
                   struct xlease_rebuilt *ret_rebuilt, struct err *err);

#endif
