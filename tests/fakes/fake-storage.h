/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The operations on volumes (fake-volumes.c) and on places outside of domains
 * (fake-outside.c) that make up the storage port with those on images.
 */
#ifndef DRAY_TESTS_FAKE_STORAGE_H
#define DRAY_TESTS_FAKE_STORAGE_H

#include "fake-world.h"

/* NULL: there is no such volume. */
struct fake_volume *fake_existing(struct fake_world *world,
                                  const struct volume_id *id);

/* The states in which a source that is kept may lose its overlay. */
unsigned fake_folds_source(const struct fake_world *world);

/* It is there no more, and its extents are free. */
void fake_give_back(struct fake_world *world, struct fake_volume *volume);

int fake_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                        struct err *err);
int fake_volume_delete(void *ctx, const struct volume_id *id, struct err *err);
int fake_volume_info(void *ctx, const struct volume_id *id,
                     struct volume_info *ret_info, struct err *err);
int fake_set_legality(void *ctx, const struct volume_id *id,
                      enum volume_legality legality, struct err *err);
int fake_volume_reset(void *ctx, const struct volume_id *id, struct err *err);
int fake_volume_preallocate(void *ctx, const struct volume_id *id,
                            struct err *err);
int fake_volume_commit(void *ctx, const struct volume_id *top, struct err *err);

int fake_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                     int64_t deadline_ms, uint64_t *ret_bytes, struct err *err);
int fake_volume_shrink(void *ctx, const struct volume_id *id,
                       uint64_t spare_bytes, uint64_t *ret_bytes,
                       struct err *err);
int fake_volume_measure(void *ctx, const struct volume_id *id,
                        enum volume_format format, const char *base,
                        struct volume_measure *ret_measure, struct err *err);
int fake_volume_probe(void *ctx, const struct volume_id *id, int patience_ms,
                      struct err *err);
int fake_volume_sever(void *ctx, const struct volume_id *id, struct err *err);

int fake_outside_info(void *ctx, const char *place, enum volume_format format,
                      struct outside_info *ret, struct err *err);
int fake_outside_create(void *ctx, const char *place, enum volume_format format,
                        uint64_t capacity, struct err *err);
int fake_outside_overlay(void *ctx, const char *place, const char *backing,
                         enum volume_format backing_format, uint64_t capacity,
                         struct err *err);
int fake_outside_commit(void *ctx, const char *place, struct err *err);
int fake_outside_keep(void *ctx, const char *place, struct err *err);
int fake_outside_remove(void *ctx, const char *place, struct err *err);

#endif
