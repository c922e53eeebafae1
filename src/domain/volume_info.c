/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a volume is, and the changes of one that exists.
 */
#include "volume_info.h"
#include "data.h"
#include "layout.h"
#include "ops.h"
#include "record.h"
#include <fcntl.h>
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

/* A change of one volume: its domain held, its image read, what was cut off
 * before mended. */
struct volume_change {
    struct domain_change change;
    struct domain_image image;
    struct domain_layer *layer;
};

static void change_end(struct volume_change *c)
{
    domain_image_close(&c->image);
    domain_change_end(&c->change);
}

static int change_begin(struct domains *domains, const struct volume_id *id,
                        struct volume_change *c, struct err *err)
{
    bool mended = false;
    int rc = domain_change_begin(domains, id->sd, &c->change, err);
    if (rc == 0)
        rc = domain_image_require(&c->change.view, id->img, &c->image, err);
    if (rc == 0)
        rc = domain_record_mend(&c->image.dir, id->vol, &mended, err);
    return rc < 0 ? rc : domain_image_get(&c->image, id->vol, &c->layer, err);
}

int domain_volume_set_legality(void *ctx, const struct volume_id *id,
                               enum volume_legality legality, struct err *err)
{
    struct domains *domains = ctx;
    _cleanup_(change_end) struct volume_change c = {
        .change = DOMAIN_CHANGE_INIT, .image = DOMAIN_IMAGE_INIT
    };
    int rc = change_begin(domains, id, &c, err);
    if (rc < 0)
        return rc;
    if (c.layer->record.legality == (enum format_legality)legality)
        return 0;
    c.layer->record.legality = (enum format_legality)legality;
    return domain_record_replace(&c.image.dir, id->vol, &c.layer->record,
                                 &domains->owner, err);
}

static int check_reset(const struct volume_change *c, struct err *err)
{
    const struct domain_layer *layer = c->layer;
    if (layer->linked || layer->record.role == FORMAT_SHARED)
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "volume %s is a template's, so it keeps its data",
                            layer->vol);
    if (layer->record.legality != FORMAT_ILLEGAL)
        return err_set_code(err, ERR_VOLUME_BUSY,
                            "volume %s is not ILLEGAL, so its data is not a "
                            "copy that may be dropped",
                            layer->vol);
    return domain_record_check_unused(&c->image.dir, layer->vol, err);
}

int domain_volume_reset(void *ctx, const struct volume_id *id, struct err *err)
{
    _cleanup_(change_end) struct volume_change c = {
        .change = DOMAIN_CHANGE_INIT, .image = DOMAIN_IMAGE_INIT
    };
    struct domain_layer *parent = NULL;
    int rc = change_begin(ctx, id, &c, err);
    if (rc == 0)
        rc = check_reset(&c, err);
    if (rc != 0)
        return rc;
    const struct format_volume *record = &c.layer->record;
    if (!str_equal(record->parent, UUID_BLANK))
        rc = domain_image_get(&c.image, record->parent, &parent, err);
    if (rc < 0)
        return rc;
    const struct domain_data data = {
        .image = &c.image.dir,
        .vol = id->vol,
        .kind = record->kind,
        .allocation = record->allocation,
        .capacity = record->capacity,
        .parent = parent ? parent->vol : NULL,
        .parent_kind = parent ? parent->record.kind : FORMAT_RAW,
    };
    return domain_data_reset(ctx, &data, err);
}

/* Zeros are never written here, unlike when a volume is made: somebody else may
 * be writing. */
int domain_volume_preallocate(void *ctx, const struct volume_id *id,
                              struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    _cleanup_close_ int fd = -1;
    struct domain_layer *layer = NULL;
    int rc = domain_view_open(ctx, id->sd, &view, err);
    if (rc == 0)
        rc = domain_image_require(&view, id->img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, id->vol, &layer, err);
    if (rc != 0 || layer->linked || layer->record.kind != FORMAT_RAW ||
        layer->record.allocation != FORMAT_PREALLOCATED)
        return rc;
    rc = domain_file_open(&image.dir, id->vol, O_RDWR, &fd, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s/%s is missing",
                            image.dir.path, id->vol);
    if (rc == 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0,
                             (off_t)layer->record.capacity) < 0)
        rc = domain_fail(err, ERR_VOLUME_ACCESS, "preallocate", &image.dir,
                         id->vol);
    return rc;
}
