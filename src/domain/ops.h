/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The calls of the storage port, as port.c puts them together.
 */
#ifndef DRAY_DOMAIN_OPS_H
#define DRAY_DOMAIN_OPS_H

#include <dray/ports/storage.h>

int domain_create(void *ctx, const struct domain_create *spec, struct err *err);
int domain_join(void *ctx, const char *sd, const struct domain_place *place,
                char ret_sd[UUID_SIZE], struct err *err);
int domain_leave(void *ctx, const char *sd, struct err *err);
int domain_probe(void *ctx, const char *sd, struct err *err);
int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                struct err *err);
int domain_find(void *ctx, const char *name_or_sd, char ret_sd[UUID_SIZE],
                struct err *err);
int domain_info(void *ctx, const char *sd, struct domain_info *ret_info,
                struct err *err);
int domain_stats(void *ctx, const char *sd, struct domain_stats *ret_stats,
                 struct err *err);
int domain_grow(void *ctx, const char *sd, const char *const *paths,
                size_t n_paths, bool force, struct err *err);
int domain_audit(void *ctx, const char *sd, bool repair,
                 struct domain_audit *ret_audit, struct err *err);
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
int domain_volume_update(void *ctx, const struct volume_id *id,
                         const struct volume_update *update, struct err *err);
int domain_volume_reset(void *ctx, const struct volume_id *id, struct err *err);
int domain_volume_preallocate(void *ctx, const struct volume_id *id,
                              struct err *err);
int domain_volume_extend(void *ctx, const struct volume_id *id, uint64_t bytes,
                         struct err *err);
int domain_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err);
int domain_volume_shrink(void *ctx, const struct volume_id *id,
                         uint64_t spare_bytes, uint64_t *ret_bytes,
                         struct err *err);
int domain_volume_probe(void *ctx, const struct volume_id *id, int patience_ms,
                        struct err *err);
int domain_volume_sever(void *ctx, const struct volume_id *id, struct err *err);
int domain_volume_measure(void *ctx, const struct volume_id *id,
                          enum volume_format format, const char *base,
                          struct volume_measure *ret_measure, struct err *err);
int domain_volume_read(void *ctx, const struct volume_id *id,
                       struct volume_piece *piece, struct err *err);
int domain_volume_write(void *ctx, const struct volume_id *id,
                        const struct volume_piece *piece, struct err *err);
int domain_volume_end(void *ctx, const struct volume_id *id, uint64_t size,
                      struct err *err);
int domain_volume_digest(void *ctx, const struct volume_id *id,
                         struct volume_digest *digest, struct err *err);
int domain_volume_commit(void *ctx, const struct volume_id *top,
                         struct err *err);
int domain_volume_qemu_info(void *ctx, const struct volume_id *id,
                            struct volume_qemu_info *ret_info, struct err *err);
int domain_image_sync_chain(void *ctx, const char *sd, const char *img,
                            const struct uuid_list *vols, struct err *err);
int domain_image_header_chain(void *ctx, const char *sd, const char *img,
                              const char *leaf, struct uuid_list *ret_vols,
                              struct err *err);
int domain_volumes_create(void *ctx, const struct volume_create *specs,
                          size_t n, struct err *err);
int domain_outside_info(void *ctx, const char *place, enum volume_format format,
                        struct outside_info *ret, struct err *err);
int domain_outside_create(void *ctx, const char *place,
                          enum volume_format format, uint64_t capacity,
                          struct err *err);
int domain_outside_overlay(void *ctx, const char *place, const char *backing,
                           enum volume_format backing_format, uint64_t capacity,
                           struct err *err);
int domain_outside_commit(void *ctx, const char *place, struct err *err);
int domain_outside_keep(void *ctx, const char *place, struct err *err);
int domain_outside_remove(void *ctx, const char *place, struct err *err);
int domain_locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err);

#endif
