/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of a volume that exists: its legality, its data.
 */
#include "volume_change.h"
#include "data.h"
#include "ops.h"
#include "record.h"
#include <string.h>

void domain_volume_change_end(struct domain_volume_change *change)
{
    domain_image_close(&change->image);
    domain_change_end(&change->change);
}

int domain_volume_change_begin(struct domains *domains,
                               const struct volume_id *id,
                               struct domain_volume_change *ret_change,
                               struct err *err)
{
    struct domain_volume_change *c = ret_change;
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
    _cleanup_volume_change_ struct domain_volume_change c =
        DOMAIN_VOLUME_CHANGE_INIT;
    int rc = domain_volume_change_begin(domains, id, &c, err);
    if (rc < 0)
        return rc;
    if (c.layer->record.legality == (enum format_legality)legality)
        return 0;
    c.layer->record.legality = (enum format_legality)legality;
    return domain_record_replace(&c.image.dir, id->vol, &c.layer->record,
                                 &domains->owner, err);
}

static int check_reset(const struct domain_volume_change *c, struct err *err)
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
    _cleanup_volume_change_ struct domain_volume_change c =
        DOMAIN_VOLUME_CHANGE_INIT;
    struct domain_layer *parent = NULL;
    int rc = domain_volume_change_begin(ctx, id, &c, err);
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
