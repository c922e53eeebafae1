/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls of the port that are another thing on files than on LVs; kind.c chooses
 * by the domain. All others work through the image's store.
 */
#ifndef DRAY_DOMAIN_KIND_H
#define DRAY_DOMAIN_KIND_H

#include <dray/ports/storage.h>

int file_image_prepare(void *ctx, const struct volume_id *id,
                       bool allow_illegal, char ret_path[PATH_MAX],
                       struct err *err);
int file_image_teardown(void *ctx, const char *sd, const char *img,
                        struct err *err);
int file_image_delete(void *ctx, const char *sd, const char *img,
                      struct err *err);
int file_volume_create(void *ctx, const struct volume_create *spec,
                       struct err *err);
int file_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                        struct err *err);
int file_volume_delete(void *ctx, const struct volume_id *id, struct err *err);
int file_volume_preallocate(void *ctx, const struct volume_id *id,
                            struct err *err);

int block_image_prepare(void *ctx, const struct volume_id *id,
                        bool allow_illegal, char ret_path[PATH_MAX],
                        struct err *err);
int block_image_teardown(void *ctx, const char *sd, const char *img,
                         struct err *err);
int block_image_delete(void *ctx, const char *sd, const char *img,
                       struct err *err);
int block_volume_create(void *ctx, const struct volume_create *spec,
                        struct err *err);
int block_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                         struct err *err);
int block_volume_delete(void *ctx, const struct volume_id *id, struct err *err);
int block_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                      int64_t deadline_ms, uint64_t *ret_bytes,
                      struct err *err);
int block_volume_shrink(void *ctx, const struct volume_id *id,
                        uint64_t spare_bytes, uint64_t *ret_bytes,
                        struct err *err);
int block_volume_sever(void *ctx, const struct volume_id *id, struct err *err);

#endif
