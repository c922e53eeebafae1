/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It decides by the tags alone:
 *
 *   OVIRT_VOL_INITIALIZING   half-made; nobody has it but who was making it
 *   IU__remove_me_           its removal was decided: finish it
 *
 * Before such an LV goes, the volume that it was the leaf above becomes the
 * leaf again, if its image has no other. A slot is emptied when its LV is gone:
 * a later one that is cut off before it has written its record would find it.
 */
#include "scan.h"
#include "image.h"
#include "slot.h"
#include "use.h"
#include <string.h>

static bool is_leftover(const struct lvm_lv *lv)
{
    struct format_volume_tags tags;
    if (!uuid_is_valid(lv->name) ||
        format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                 &tags, NULL) < 0)
        return false;
    return tags.initializing || tags.removal != FORMAT_KEPT;
}

/* The parent of what is going. A slot that was not written yet, or cannot be
 * read, tells of none. */
static int mend_parent(struct block_vg *vg, const struct lvm_lv *lv,
                       struct err *err)
{
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    unsigned slot = block_slot_of(lv);
    struct format_volume record;
    if (slot == 0 || block_slot_read(vg, slot, &record, NULL) < 0 ||
        record.role != FORMAT_LEAF || str_equal(record.parent, UUID_BLANK))
        return 0;
    int rc = block_image_open(vg, record.image, &image, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    return domain_image_fix_role(&image, record.parent, err);
}

static int clear_slots(const struct block_vg *vg, struct lvm_names lvs,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < lvs.n; i++) {
        const struct lvm_lv *lv = lvm_report_lv(&vg->report, lvs.names[i]);
        unsigned slot = lv ? block_slot_of(lv) : 0;
        if (slot > 0)
            rc = block_slot_write(vg, slot, NULL, err);
    }
    return rc;
}

int block_scan_remove(struct block_vg *held, struct lvm_names lvs,
                      struct err *err)
{
    int rc = block_use_take(held, lvs, err);
    if (rc < 0)
        return rc;
    /* The slots while the LVs still have them. */
    rc = clear_slots(held, lvs, err);
    if (rc == 0)
        rc = lvm_remove(held->lvm, lvs, block_soon(), err);
    block_use_drop(held, lvs);
    return rc < 0 ? err_default_code(err, ERR_VOLUME_DELETE) : 0;
}

int block_scan_lv(struct block_vg *held, const struct lvm_lv *lv,
                  bool *ret_mended, struct err *err)
{
    const char *name = lv->name;
    *ret_mended = false;
    if (!is_leftover(lv))
        return 0;
    int rc = mend_parent(held, lv, err);
    if (rc == 0)
        rc = block_scan_remove(
            held, (struct lvm_names){ .names = &name, .n = 1 }, err);
    *ret_mended = rc == 0;
    return rc;
}

int block_scan(struct block_vg *held, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < held->report.n_lvs; i++) {
        bool mended = false;
        int failed = block_scan_lv(held, &held->report.lvs[i], &mended, err);
        rc = rc < 0 ? rc : failed;
    }
    return rc;
}
