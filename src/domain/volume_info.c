/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a volume is, as its record and its files say.
 */
#include "volume_info.h"
#include "block/slot.h"
#include "layout.h"
#include "ops.h"
#include "subject.h"
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

int domain_volume_fill(const struct domain_image *image,
                       const struct domain_layer *layer,
                       struct volume_info *ret_info, struct err *err)
{
    struct volume_info info = { 0 };
    int rc = image->store->fill(image, layer->vol, &info, err);
    if (rc < 0)
        return rc;
    (void)str_copy(info.id.img, UUID_SIZE, image->img);
    (void)str_copy(info.id.vol, UUID_SIZE, layer->vol);
    (void)str_copy(info.home, UUID_SIZE,
                   layer->linked ? layer->record.image : image->img);
    fill_from_record(&layer->record, &info);
    *ret_info = info;
    return 0;
}

int domain_volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret_info, struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_open(ctx, id->sd, id->img, id->vol, &subject, err);
    return rc != 0 ? rc
                   : domain_volume_fill(&subject.image, subject.layer, ret_info,
                                        err);
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

static void place_lease(const struct domain_subject *subject,
                        struct lease_place *ret_place)
{
    const struct domain_image *image = &subject->image;
    if (image->vg)
        block_place_volume(&image->vg->info, subject->layer->slot,
                           subject->layer->vol, ret_place);
    else
        domain_place_volume(&image->view->info, image->img, subject->layer->vol,
                            ret_place);
}

int domain_volume_lease(void *ctx, const struct volume_id *id,
                        struct lease_state *ret_lease, struct err *err)
{
    struct domains *domains = ctx;
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    struct lease_place place;
    struct lease_state lease = { 0 };
    struct volume_info info;
    int rc =
        domain_subject_open(domains, id->sd, id->img, id->vol, &subject, err);
    if (rc == 0)
        rc = domain_volume_fill(&subject.image, subject.layer, &info, err);
    if (rc < 0)
        return rc;
    place_lease(&subject, &place);
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
