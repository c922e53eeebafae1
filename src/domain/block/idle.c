/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A drayd that died while it worked with an LV leaves it active: nobody else
 * does any harm to it, but nobody may take its extents for free either.
 */
#include "idle.h"
#include "links.h"
#include "use.h"

bool block_lv_is_idle(const struct block_vg *vg, const struct lvm_lv *lv)
{
    return uuid_is_valid(lv->name) && lv->active && !lv->open &&
           !block_use_has(vg, lv->name) &&
           !block_links_find(vg, NULL, lv->name);
}

int block_idle_end(const struct block_vg *vg, const char *vol, struct err *err)
{
    const struct lvm_names lvs = { .names = &vol, .n = 1 };
    int rc = block_use_take(vg, lvs, err);
    if (rc < 0)
        return rc;
    /* Prepared meanwhile: LVM does not know, but its link is there. */
    if (!block_links_find(vg, NULL, vol))
        rc = lvm_deactivate(vg->lvm, lvs, block_soon(), err);
    block_use_drop(vg, lvs);
    return rc;
}

int block_idle_end_all(const struct block_vg *vg, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < vg->report.n_lvs; i++) {
        const struct lvm_lv *lv = &vg->report.lvs[i];
        int failed =
            block_lv_is_idle(vg, lv) ? block_idle_end(vg, lv->name, err) : 0;
        rc = rc < 0 ? rc : failed;
    }
    return rc;
}
