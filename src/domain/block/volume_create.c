/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a volume, under the VG's lease. Steps, each durable before the next:
 *
 *   1 an LV tagged as half-made, and with the slot that it will have, so that
 *     nobody takes that who comes when our lease is lost
 *   2 the data, the record in the slot, the lease
 *   3 the parent: LEAF -> INTERNAL; a VM may be writing to it
 *   4 its tags, in one commit: from here on the volume exists
 *
 * What fails before 4 is undone at once, what is cut off is undone by the next
 * call for the same volume or by the scan. Between two volumes of one call the
 * lease is given back: others wait for it.
 */
#include "../creation.h"
#include "../kind.h"
#include "../volume_spec.h"
#include "data.h"
#include "scan.h"
#include "slot.h"
#include "use.h"
#include <string.h>

/* An LV has all its space; nothing of a raw one could be missing. */
static int check_spec(const struct volume_create *spec, struct err *err)
{
    if (spec->format == VOLUME_RAW && spec->allocation == VOLUME_SPARSE)
        return err_set_code(err, ERR_VOLUME_ALLOCATION,
                            "volume %s: a RAW volume of a block domain is "
                            "PREALLOCATED",
                            spec->id.vol);
    return 0;
}

/* --- what is there --- */

static int refuse_lv(const struct domain_creation *c, const char *img,
                     struct err *err)
{
    if (img[0])
        return err_set_code(err, ERR_VOLUME_EXISTS,
                            "volume %s is there already, in image %s",
                            c->spec->id.vol, img);
    (void)err_set_code(err, ERR_VOLUME_CREATE,
                       "VG %s has an LV %s that is no volume", c->spec->id.sd,
                       c->spec->id.vol);
    return err_next(err, "rename it, or take another volume id");
}

/* 0: the volume is there and right; DOMAIN_NONE: it is to be made. */
static int look(struct domain_creation *c, struct block_vg *vg, struct err *err)
{
    const char *vol = c->spec->id.vol;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, vol);
    struct format_volume_tags tags = { .slot = 0 };
    bool mended = false;
    int rc = lv ? block_scan_lv(vg, lv, &mended, err) : 0;
    if (rc == 0)
        rc = block_image_open(vg, c->spec->id.img, &c->image, err);
    if (rc == DOMAIN_NONE)
        rc = block_image_init(vg, c->spec->id.img, &c->image, err);
    if (rc < 0)
        return rc;
    const struct domain_layer *found = domain_image_find(&c->image, vol);
    if (found && !found->linked)
        return domain_creation_check_existing(c, &found->record, err);
    if (!lv || mended)
        return DOMAIN_NONE;
    return refuse_lv(c, block_lv_is_volume(lv, &tags) ? tags.image : "", err);
}

static int choose_slot(const struct block_vg *vg, unsigned *ret_slot,
                       struct err *err)
{
    struct format_slots slots = { 0 };
    for (size_t i = 0; i < vg->report.n_lvs; i++) {
        unsigned slot = block_slot_of(&vg->report.lvs[i]);
        if (slot > 0)
            (void)format_slots_add(&slots, slot);
    }
    return format_slots_choose(&slots, block_vg_last_slot(vg), ret_slot, err);
}

/* --- making it --- */

static int make_lv(const struct domain_creation *c, unsigned slot,
                   struct err *err)
{
    const struct block_vg *vg = c->image.vg;
    const struct format_volume_tags tags = { .slot = slot };
    struct format_volume_tag_texts texts;
    format_volume_tags_text(&tags, &texts);
    const char *words[] = { FORMAT_LV_TAG_UNREADY, texts.slot };
    const struct lvm_create what = {
        .lv = c->spec->id.vol,
        .size_bytes = block_data_first_bytes(&c->record, c->spec->initial_bytes,
                                             vg->info.extent_bytes),
        .tags = words,
        .n_tags = ARRAY_SIZE(words),
    };
    return lvm_create(vg->lvm, &what, block_soon(), err);
}

static int make_data(const struct domain_creation *c, struct err *err)
{
    const struct domain_data data = domain_creation_data(c);
    return block_data_make(&c->image, &data, err);
}

static int make_record(const struct domain_creation *c, unsigned slot,
                       struct err *err)
{
    const struct block_vg *vg = c->image.vg;
    const struct lease_port *leases = &vg->domains->leases;
    struct lease_place place;
    int rc = block_slot_write(vg, slot, &c->record, err);
    if (rc < 0)
        return rc;
    block_place_volume(&vg->info, slot, c->spec->id.vol, &place);
    rc = leases->ops->format_resource(leases->ctx, &place, err);
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}

static int commit(const struct domain_creation *c, unsigned slot,
                  struct err *err)
{
    struct format_volume_tags tags = { .slot = slot };
    struct format_volume_tag_texts texts;
    (void)str_copy(tags.image, sizeof(tags.image), c->record.image);
    (void)str_copy(tags.parent, sizeof(tags.parent), c->record.parent);
    format_volume_tags_text(&tags, &texts);
    const char *vol = c->spec->id.vol, *ready = FORMAT_LV_TAG_UNREADY;
    const char *words[] = { texts.image, texts.parent };
    return lvm_tag(
        c->image.vg->lvm, (struct lvm_names){ .names = &vol, .n = 1 },
        (struct lvm_names){ .names = words, .n = 2 },
        (struct lvm_names){ .names = &ready, .n = 1 }, block_soon(), err);
}

static int make(struct domain_creation *c, struct err *err)
{
    unsigned slot = 0;
    int rc = choose_slot(c->image.vg, &slot, err);
    if (rc == 0)
        rc = make_lv(c, slot, err);
    if (rc == 0)
        rc = make_data(c, err);
    if (rc == 0)
        rc = make_record(c, slot, err);
    if (rc == 0)
        rc = domain_creation_mark_parent(c, err);
    return rc < 0 ? rc : commit(c, slot, err);
}

static int create(struct domain_creation *c, struct block_vg *vg,
                  bool *ret_begun, struct err *err)
{
    int rc = block_vg_begin(vg->domains, c->spec->id.sd, vg, err);
    if (rc < 0)
        return rc;
    domain_spec_to_record(c->spec, &c->record);
    if (c->record.kind == FORMAT_RAW)
        c->record.capacity =
            block_data_first_bytes(&c->record, 0, vg->info.extent_bytes);
    rc = look(c, vg, err);
    if (rc != DOMAIN_NONE)
        return rc;
    rc = domain_creation_check_chain(c, err);
    if (rc < 0)
        return rc;
    *ret_begun = true;
    return make(c, err);
}

/* After a failure, in a hold of its own: ours may be what was lost. What this
 * cannot undo the scan will. */
static void undo(struct domains *domains, const struct volume_create *spec)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    bool mended = false;
    if (block_vg_begin(domains, spec->id.sd, &vg, NULL) < 0)
        return;
    const struct lvm_lv *lv = lvm_report_lv(&vg.report, spec->id.vol);
    if (lv)
        (void)block_scan_lv(&vg, lv, &mended, NULL);
}

static int create_one(struct domains *domains, const struct volume_create *spec,
                      bool may_exist, struct err *err)
{
    struct block_vg vg = { .domains = domains };
    struct domain_creation c = { .spec = spec,
                                 .image = DOMAIN_IMAGE_INIT,
                                 .may_exist = may_exist };
    bool begun = false;
    int rc = create(&c, &vg, &begun, err);
    domain_image_close(&c.image);
    block_vg_close(&vg);
    if (rc < 0 && begun)
        undo(domains, spec);
    return rc;
}

static int create_all(struct domains *domains,
                      const struct volume_create *specs, size_t n,
                      bool may_exist, struct err *err)
{
    int rc = domain_creation_check_specs(specs, n, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = check_spec(&specs[i], err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = create_one(domains, &specs[i], may_exist, err);
    return rc;
}

int block_volume_create(void *ctx, const struct volume_create *spec,
                        struct err *err)
{
    return create_all(ctx, spec, 1, false, err);
}

int block_volumes_create(void *ctx, const struct volume_create *specs, size_t n,
                         struct err *err)
{
    return create_all(ctx, specs, n, true, err);
}
