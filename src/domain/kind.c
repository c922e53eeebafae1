/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files or LVs.
 */
#include "kind.h"
#include "known.h"
#include "ops.h"
#include <errno.h>

static int block_preallocate(void *ctx, const struct volume_id *id,
                             struct err *err)
{
    (void)ctx, (void)id, (void)err;
    return 0; /* an LV has all its space */
}

static int file_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                     int64_t deadline_ms, uint64_t *ret_bytes, struct err *err)
{
    (void)ctx, (void)id, (void)deadline_ms, (void)err;
    *ret_bytes = bytes;
    return 0;
}

static int file_shrink(void *ctx, const struct volume_id *id,
                       uint64_t spare_bytes, uint64_t *ret_bytes,
                       struct err *err)
{
    (void)ctx, (void)id, (void)spare_bytes, (void)err;
    *ret_bytes = 0;
    return 0;
}

static int file_sever(void *ctx, const struct volume_id *id, struct err *err)
{
    (void)ctx;
    return err_set(err, -EOPNOTSUPP,
                   "volume %s is a file, which cannot be cut off", id->vol);
}

static const struct storage_ops on_files = {
    .image_prepare = file_image_prepare,
    .image_teardown = file_image_teardown,
    .image_delete = file_image_delete,
    .volume_create = file_volume_create,
    .volumes_create = file_volumes_create,
    .volume_delete = file_volume_delete,
    .volume_preallocate = file_volume_preallocate,
    .volume_grow = file_grow,
    .volume_shrink = file_shrink,
    .volume_sever = file_sever,
};

static const struct storage_ops on_lvs = {
    .image_prepare = block_image_prepare,
    .image_teardown = block_image_teardown,
    .image_delete = block_image_delete,
    .volume_create = block_volume_create,
    .volumes_create = block_volumes_create,
    .volume_delete = block_volume_delete,
    .volume_preallocate = block_preallocate,
    .volume_grow = block_volume_grow,
    .volume_shrink = block_volume_shrink,
    .volume_sever = block_volume_sever,
};

static int kind_of(struct domains *domains, const char *sd,
                   const struct storage_ops **ret_ops, struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        *ret_ops = info.block ? &on_lvs : &on_files;
    return rc;
}

int domain_image_prepare(void *ctx, const struct volume_id *id,
                         bool allow_illegal, char ret_path[PATH_MAX],
                         struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0 ? rc
                   : ops->image_prepare(ctx, id, allow_illegal, ret_path, err);
}

int domain_image_teardown(void *ctx, const char *sd, const char *img,
                          struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, sd, &ops, err);
    return rc != 0 ? rc : ops->image_teardown(ctx, sd, img, err);
}

int domain_image_delete(void *ctx, const char *sd, const char *img,
                        struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, sd, &ops, err);
    return rc != 0 ? rc : ops->image_delete(ctx, sd, img, err);
}

int domain_volume_create(void *ctx, const struct volume_create *spec,
                         struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, spec->id.sd, &ops, err);
    return rc != 0 ? rc : ops->volume_create(ctx, spec, err);
}

int domain_volumes_create(void *ctx, const struct volume_create *specs,
                          size_t n, struct err *err)
{
    const struct storage_ops *ops = NULL;
    if (n == 0)
        return 0;
    int rc = kind_of(ctx, specs[0].id.sd, &ops, err);
    return rc != 0 ? rc : ops->volumes_create(ctx, specs, n, err);
}

int domain_volume_delete(void *ctx, const struct volume_id *id, struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0 ? rc : ops->volume_delete(ctx, id, err);
}

int domain_volume_preallocate(void *ctx, const struct volume_id *id,
                              struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0 ? rc : ops->volume_preallocate(ctx, id, err);
}

int domain_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0
               ? rc
               : ops->volume_grow(ctx, id, bytes, deadline_ms, ret_bytes, err);
}

int domain_volume_shrink(void *ctx, const struct volume_id *id,
                         uint64_t spare_bytes, uint64_t *ret_bytes,
                         struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0 ? rc
                   : ops->volume_shrink(ctx, id, spare_bytes, ret_bytes, err);
}

int domain_volume_sever(void *ctx, const struct volume_id *id, struct err *err)
{
    const struct storage_ops *ops = NULL;
    int rc = kind_of(ctx, id->sd, &ops, err);
    return rc != 0 ? rc : ops->volume_sever(ctx, id, err);
}
