/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at a block domain: what info.c is for file domains.
 */
#ifndef DRAY_DOMAIN_BLOCK_INFO_H
#define DRAY_DOMAIN_BLOCK_INFO_H

#include "../domains.h"

int block_info(struct domains *domains, const char *sd,
               struct domain_info *ret_info, struct err *err);
int block_stats(struct domains *domains, const char *sd,
                struct domain_stats *ret_stats, struct err *err);

/* Ids are added, some more than once; ERR_NO_IMAGE when there is no @img. */
int block_list_images(struct domains *domains, const char *sd,
                      struct uuid_list *list, struct err *err);
int block_list_volumes(struct domains *domains, const char *sd, const char *img,
                       struct uuid_list *list, struct err *err);

#endif
