/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Removing volumes and images, under the VG's lease:
 *
 *   1 the tag of the image says _remove_me_, of all LVs in one commit: from
 *     here on there are no such volumes
 *   2 a volume's parent: INTERNAL -> LEAF, if the volume was the image's leaf
 *     and not merged away
 *   3 slots, LVs, links
 */
#include "../kind.h"
#include "../scan.h"
#include "data.h"
#include "image.h"
#include "links.h"
#include "scan.h"
#include "slot.h"
#include "use.h"
#include <errno.h>
#include <string.h>

/* LVs of one image, by the names in the report. */
struct removal {
    const char *img;
    size_t n;
    const char **vols;
};

static struct lvm_names names_of(const struct removal *removal)
{
    return (struct lvm_names){ .names = removal->vols, .n = removal->n };
}

static int mark(const struct block_vg *vg, const struct removal *removal,
                struct err *err)
{
    struct format_volume_tags tags = { .slot = 0 };
    struct format_volume_tag_texts kept, removed;
    (void)str_copy(tags.image, sizeof(tags.image), removal->img);
    format_volume_tags_text(&tags, &kept);
    tags.removal = FORMAT_REMOVED;
    format_volume_tags_text(&tags, &removed);
    const char *add = removed.image, *remove = kept.image;
    return lvm_tag(
        vg->lvm, names_of(removal), (struct lvm_names){ .names = &add, .n = 1 },
        (struct lvm_names){ .names = &remove, .n = 1 }, block_soon(), err);
}

/* --- a volume --- */

static int fix_parent(struct domain_image *image,
                      const struct format_volume *gone, const char *vol,
                      struct err *err)
{
    domain_image_drop(image, vol);
    int rc = gone->role == FORMAT_LEAF
                 ? domain_image_fix_role(image, gone->parent, err)
                 : 0;
    return rc < 0 ? rc : domain_scan_fix_leaf(image, err);
}

static int delete_volume(struct block_vg *vg, const struct volume_id *id,
                         struct err *err)
{
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct domain_layer *layer = NULL;
    const char *vol = id->vol;
    struct removal removal = { .img = id->img, .n = 1, .vols = &vol };
    int rc = block_image_require(vg, id->img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, vol, &layer, err);
    if (rc == 0)
        rc = domain_image_check_delete(&image, layer, err);
    if (rc != 0)
        return rc;
    const struct format_volume gone = layer->record;
    rc = mark(vg, &removal, err);
    if (rc == 0)
        rc = fix_parent(&image, &gone, vol, err);
    if (rc == 0)
        rc = block_scan_remove(vg, names_of(&removal), err);
    if (rc == 0)
        rc = block_links_remove_one(vg, id->img, vol, err);
    return rc;
}

/* A removal that was cut off is completed; that is what was asked for. */
int block_volume_delete(void *ctx, const struct volume_id *id, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    bool mended = false;
    int rc = block_vg_begin(ctx, id->sd, &vg, err);
    if (rc < 0)
        return rc;
    const struct lvm_lv *lv = lvm_report_lv(&vg.report, id->vol);
    if (lv)
        rc = block_scan_lv(&vg, lv, &mended, err);
    return rc < 0 || mended ? rc : delete_volume(&vg, id, err);
}

/* --- an image --- */

/* By the tags: an image whose records are damaged must go, too. */
static int check_lv(const struct block_vg *vg, const char *img,
                    const struct lvm_lv *lv, struct err *err)
{
    for (size_t i = 0; i < vg->report.n_lvs; i++) {
        struct format_volume_tags tags;
        if (!block_lv_is_volume(&vg->report.lvs[i], &tags) ||
            str_equal(tags.image, img) || !str_equal(tags.parent, lv->name))
            continue;
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "template %s is used by image %s", lv->name,
                            tags.image);
    }
    if (!lv->open)
        return 0;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "%s/%s/%s is open", vg->info.path,
                       vg->info.sd, lv->name);
    return err_next(err, "stop the VM or the program that uses it first");
}

/* Those that are there, and those whose removal was cut off. */
static int find_lvs(const struct block_vg *vg, struct removal *kept,
                    struct removal *marked, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < vg->report.n_lvs; i++) {
        const struct lvm_lv *lv = &vg->report.lvs[i];
        struct format_volume_tags tags;
        if (!uuid_is_valid(lv->name) ||
            format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                     &tags, NULL) < 0 ||
            tags.initializing || !str_equal(tags.image, kept->img))
            continue;
        struct removal *list = tags.removal == FORMAT_KEPT ? kept : marked;
        list->vols[list->n++] = lv->name;
        if (list == kept)
            rc = check_lv(vg, kept->img, lv, err);
    }
    return rc;
}

static int delete_lvs(struct block_vg *vg, struct removal *kept,
                      struct removal *marked, struct err *err)
{
    int rc = find_lvs(vg, kept, marked, err);
    if (rc < 0)
        return rc;
    if (kept->n + marked->n == 0)
        return err_set_code(err, ERR_NO_IMAGE,
                            "there is no image %s in domain %s", kept->img,
                            vg->info.sd);
    rc = kept->n > 0 ? mark(vg, kept, err) : 0;
    if (rc == 0)
        rc = block_scan_remove(vg, names_of(kept), err);
    if (rc == 0)
        rc = block_scan_remove(vg, names_of(marked), err);
    return rc < 0 ? rc : block_links_remove(vg, kept->img, err);
}

int block_image_delete(void *ctx, const char *sd, const char *img,
                       struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    struct removal kept = { .img = img };
    struct removal marked = { .img = img };
    int rc = block_vg_begin(ctx, sd, &vg, err);
    if (rc < 0)
        return rc;
    /* Each has room for all of the VG. */
    kept.vols = calloc(2 * vg.report.n_lvs + 1, sizeof(*kept.vols));
    if (!kept.vols)
        return err_set(err, -ENOMEM, "image %s: out of memory", img);
    marked.vols = kept.vols + vg.report.n_lvs;
    rc = delete_lvs(&vg, &kept, &marked, err);
    free(kept.vols);
    return rc;
}
