/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of a volume that exists: its record, its data.
 */
#include "data.h"
#include "ops.h"
#include "subject.h"
#include <string.h>

int domain_volume_set_legality(void *ctx, const struct volume_id *id,
                               enum volume_legality legality, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_begin(ctx, id->sd, id->img, id->vol, &c, err);
    if (rc < 0)
        return rc;
    if (c.layer->record.legality == (enum format_legality)legality)
        return 0;
    c.layer->record.legality = (enum format_legality)legality;
    return c.image.store->put(&c.image, c.layer, err);
}

static int check_update(const struct domain_layer *layer,
                        const struct volume_update *update, struct err *err)
{
    const struct format_volume *record = &layer->record;
    if (record->generation != update->expected_generation)
        return err_set_code(err, ERR_GENERATION,
                            "volume %s has generation %u, not %u", layer->vol,
                            record->generation, update->expected_generation);
    if (!update->share || record->role == FORMAT_SHARED ||
        (record->role == FORMAT_LEAF && str_equal(record->parent, UUID_BLANK)))
        return 0;
    return err_set_code(err, ERR_VOLUME_UPDATE,
                        "volume %s cannot become a template: it is no leaf, or "
                        "has a parent",
                        layer->vol);
}

int domain_volume_update(void *ctx, const struct volume_id *id,
                         const struct volume_update *update, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_begin(ctx, id->sd, id->img, id->vol, &c, err);
    if (rc == 0)
        rc = check_update(c.layer, update, err);
    if (rc < 0)
        return rc;
    struct format_volume *record = &c.layer->record;
    record->generation = update->generation;
    if (update->set_legality)
        record->legality = (enum format_legality)update->legality;
    if (update->share)
        record->role = FORMAT_SHARED;
    if (update->description)
        (void)str_copy(record->description, sizeof(record->description),
                       update->description); /* cut, as the record is */
    return c.image.store->put(&c.image, c.layer, err);
}

static int check_reset(const struct domain_subject *c, struct err *err)
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
    return c->image.store->check_unused(&c->image, layer->vol, err);
}

int domain_volume_reset(void *ctx, const struct volume_id *id, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    struct domain_layer *parent = NULL;
    int rc = domain_subject_begin(ctx, id->sd, id->img, id->vol, &c, err);
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
    return c.image.store->renew(&c.image, &data, err);
}
