/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The calls of the storage port, as port.c puts them together.
 */
#ifndef DRAY_DOMAIN_OPS_H
#define DRAY_DOMAIN_OPS_H

#include <dray/ports/storage.h>

int domain_create(void *ctx, const struct domain_create *spec, struct err *err);
int domain_join(void *ctx, const char *sd, const char *path,
                char ret_sd[UUID_SIZE], struct err *err);
int domain_leave(void *ctx, const char *sd, struct err *err);
int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                struct err *err);
int domain_find(void *ctx, const char *name_or_sd, char ret_sd[UUID_SIZE],
                struct err *err);
int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                struct err *err);
int domain_stats(void *ctx, const char *sd, struct domain_stats *ret_stats,
                 struct err *err);
int domain_images(void *ctx, const char *sd, struct uuid_list *ret_list,
                  struct err *err);
int domain_volumes(void *ctx, const char *sd, const char *img,
                   struct uuid_list *ret_list, struct err *err);
int domain_image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err);
int domain_image_prepare(void *ctx, const struct volume_id *id,
                         bool allow_illegal, char ret_path[PATH_MAX],
                         struct err *err);
int domain_image_teardown(void *ctx, const char *sd, const char *img,
                          struct err *err);
int domain_image_delete(void *ctx, const char *sd, const char *img,
                        struct err *err);
int domain_volume_create(void *ctx, const struct volume_create *spec,
                         struct err *err);
int domain_volume_delete(void *ctx, const struct volume_id *id,
                         struct err *err);
int domain_volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret_info, struct err *err);
int domain_volume_lease(void *ctx, const struct volume_id *id,
                        struct lease_state *ret_lease, struct err *err);
int domain_volume_set_legality(void *ctx, const struct volume_id *id,
                               enum volume_legality legality, struct err *err);
int domain_volume_reset(void *ctx, const struct volume_id *id, struct err *err);
int domain_volume_preallocate(void *ctx, const struct volume_id *id,
                              struct err *err);
int domain_locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err);

#endif
