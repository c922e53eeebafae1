/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything is in one report of the VG. LVs that are half-made, or going, or
 * whose tags are damaged are no volumes: the audit tells of them.
 */
#include "info.h"
#include "../list.h"
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>

int block_info(struct domains *domains, const char *sd,
               struct domain_info *ret_info, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    int rc = block_vg_open(domains, sd, &vg, err);
    if (rc == 0)
        *ret_info = vg.info;
    return rc;
}

int block_stats(struct domains *domains, const char *sd,
                struct domain_stats *ret_stats, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    int rc = block_vg_open(domains, sd, &vg, err);
    if (rc < 0)
        return rc;
    *ret_stats = (struct domain_stats){
        .total_bytes = vg.report.vg.size_bytes,
        .free_bytes = vg.report.vg.free_bytes,
        .mda_bytes = vg.report.vg.mda_bytes,
        .mda_free_bytes = vg.report.vg.mda_free_bytes,
    };
    return 0;
}

/* A volume that is there for good. */
static bool get_tags(const struct lvm_lv *lv, struct format_volume_tags *tags)
{
    return uuid_is_valid(lv->name) &&
           format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                    tags, NULL) == 0 &&
           !tags->initializing && tags->removal == FORMAT_KEPT;
}

int block_list_images(struct domains *domains, const char *sd,
                      struct uuid_list *list, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    int rc = block_vg_open(domains, sd, &vg, err);
    for (size_t i = 0; rc == 0 && i < vg.report.n_lvs; i++) {
        struct format_volume_tags tags;
        if (get_tags(&vg.report.lvs[i], &tags))
            rc = domain_list_add(list, tags.image, err);
    }
    return rc;
}

/* A template's volume is in the images that are based on it, too. */
static int add_parent(const struct block_vg *vg,
                      const struct format_volume_tags *child,
                      struct uuid_list *list, struct err *err)
{
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, child->parent);
    struct format_volume_tags tags;
    return lv && get_tags(lv, &tags) ? domain_list_add(list, lv->name, err) : 0;
}

int block_list_volumes(struct domains *domains, const char *sd, const char *img,
                       struct uuid_list *list, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    int rc = block_vg_open(domains, sd, &vg, err);
    for (size_t i = 0; rc == 0 && i < vg.report.n_lvs; i++) {
        struct format_volume_tags tags;
        const struct lvm_lv *lv = &vg.report.lvs[i];
        if (!get_tags(lv, &tags) || (img && !str_equal(tags.image, img)))
            continue;
        rc = domain_list_add(list, lv->name, err);
        if (rc == 0)
            rc = add_parent(&vg, &tags, list, err);
    }
    if (rc == 0 && img && list->n == 0)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "there is no image %s in domain %s", img, sd);
    return rc;
}
