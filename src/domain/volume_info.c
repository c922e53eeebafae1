/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a volume is, as its record and its files say.
 */
#include "volume_info.h"
#include "layout.h"
#include "ops.h"
#include <string.h>

static void fill_from_record(const struct format_volume *record,
                             struct volume_info *info)
{
    (void)str_copy(info->parent, sizeof(info->parent), record->parent);
    info->format = (enum volume_format)record->kind;
    info->allocation = (enum volume_allocation)record->allocation;
    info->role = (enum volume_role)record->role;
    info->legality = (enum volume_legality)record->legality;
    info->capacity = record->capacity;
    info->ctime_s = record->ctime_s;
    info->generation = record->generation;
    info->sequence = record->sequence;
    (void)str_copy(info->disk_type, sizeof(info->disk_type), record->disk_type);
    (void)str_copy(info->description, sizeof(info->description),
                   record->description);
}

int domain_volume_fill(const struct domain_view *view,
                       const struct domain_image *image,
                       const struct domain_layer *layer,
                       struct volume_info *ret_info, struct err *err)
{
    struct volume_info info = { 0 };
    struct stat st;
    int rc = domain_file_stat(&image->dir, layer->vol, &st, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_ACCESS,
                            "%s/%s: there is a record, but no data",
                            image->dir.path, layer->vol);
    if (rc < 0)
        return rc;
    if (!S_ISREG(st.st_mode))
        return err_set_code(err, ERR_VOLUME_ACCESS,
                            "%s/%s is not a regular file", image->dir.path,
                            layer->vol);
    if (!domain_volume_path(&view->info, image->img, layer->vol, info.path))
        return err_set_code(err, ERR_VALUE, "%s: the path is too long",
                            image->dir.path);
    (void)str_copy(info.id.sd, UUID_SIZE, view->info.sd);
    (void)str_copy(info.id.img, UUID_SIZE, image->img);
    (void)str_copy(info.id.vol, UUID_SIZE, layer->vol);
    fill_from_record(&layer->record, &info);
    info.apparent_bytes = (uint64_t)st.st_size;
    info.true_bytes = (uint64_t)st.st_blocks * 512;
    *ret_info = info;
    return 0;
}

int domain_volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret_info, struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct domain_layer *layer = NULL;
    int rc = domain_view_open(ctx, id->sd, &view, err);
    if (rc == 0)
        rc = domain_image_require(&view, id->img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, id->vol, &layer, err);
    if (rc != 0)
        return rc;
    return domain_volume_fill(&view, &image, layer, ret_info, err);
}

static int read_owner(const struct lease_port *leases,
                      const struct lease_place *place,
                      struct lease_state *lease, struct err *err)
{
    struct lease_owner owner = { 0 };
    int rc = leases->ops->owner(leases->ctx, place, &owner, err);
    if (rc == LEASE_NONE)
        return 0;
    if (rc < 0)
        return rc;
    lease->present = true;
    lease->owner_host = owner.host_id;
    lease->version = owner.version;
    return 0;
}

int domain_volume_lease(void *ctx, const struct volume_id *id,
                        struct lease_state *ret_lease, struct err *err)
{
    struct domains *domains = ctx;
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    struct lease_place place;
    struct lease_state lease = { 0 };
    struct volume_info info;
    int rc = domain_volume_info(domains, id, &info, err);
    if (rc == 0)
        rc = domain_view_open(domains, id->sd, &view, err);
    if (rc < 0)
        return rc;
    domain_place_volume(&view.info, id->img, id->vol, &place);
    (void)str_copy(lease.path, sizeof(lease.path), place.path);
    lease.offset = place.offset;
    rc = access(place.path, F_OK) == 0
             ? read_owner(&domains->leases, &place, &lease, err)
             : 0;
    if (rc < 0)
        return rc;
    *ret_lease = lease;
    return 0;
}
