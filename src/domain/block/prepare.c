/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An image on this host: its chain active, links to it made. The links go after
 * the LVs are inactive, so they tell of everything that is active for it.
 */
#include "../chain.h"
#include "../kind.h"
#include "image.h"
#include "links.h"
#include "use.h"
#include <dray/format/block.h>
#include <time.h>

enum {
    LOOKS = 5, /* until a process that ended has let go of its disk */
    LOOK_MS = 200,
};

struct names {
    size_t n;
    const char *names[DOMAIN_CHAIN_MAX];
};

static struct lvm_names lvs_of(const struct names *names)
{
    return (struct lvm_names){ .names = names->names, .n = names->n };
}

static void names_of_chain(const struct storage_chain *chain,
                           struct names *ret_names)
{
    ret_names->n = chain->n;
    for (size_t i = 0; i < chain->n; i++)
        ret_names->names[i] = chain->volumes[i].id.vol;
}

/* Of those that were active: another host may have extended them since. */
static int refresh(const struct block_vg *vg, const struct names *chain,
                   struct err *err)
{
    struct names active = { .n = 0 };
    for (size_t i = 0; i < chain->n; i++) {
        const struct lvm_lv *lv = lvm_report_lv(&vg->report, chain->names[i]);
        if (lv && lv->active)
            active.names[active.n++] = chain->names[i];
    }
    return lvm_refresh(vg->lvm, lvs_of(&active), block_soon(), err);
}

static int prepare(const struct block_vg *vg, const char *img,
                   const struct names *chain, struct err *err)
{
    int rc = block_use_begin(vg, lvs_of(chain), err);
    if (rc < 0)
        return rc;
    rc = refresh(vg, chain, err);
    if (rc == 0)
        rc = block_links_make(vg, img, lvs_of(chain), err);
    block_use_end(vg, lvs_of(chain));
    return rc;
}

int block_image_prepare(void *ctx, const struct volume_id *id,
                        bool allow_illegal, char ret_path[PATH_MAX],
                        struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct storage_chain chain = { 0 };
    struct names names = { .n = 0 };
    int rc = block_vg_open(ctx, id->sd, &vg, err);
    if (rc == 0)
        rc = block_image_require(&vg, id->img, &image, err);
    if (rc == 0)
        rc = domain_chain_require(&image, id->vol, allow_illegal, &chain, err);
    if (rc < 0)
        return rc;
    names_of_chain(&chain, &names);
    rc = prepare(&vg, id->img, &names, err);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, chain.volumes[chain.n - 1].path);
    storage_chain_deinit(&chain);
    return rc;
}

/* --- and no more --- */

/* Active LVs that are the image's, or linked for it, if no other image has a
 * link to them. */
static int find_own(const struct block_vg *vg, const char *img,
                    struct names *names, struct err *err)
{
    _cleanup_names_ struct domain_names linked = { 0 };
    int rc = block_links_list(vg, img, &linked, err);
    for (size_t i = 0; rc == 0 && i < vg->report.n_lvs; i++) {
        const struct lvm_lv *lv = &vg->report.lvs[i];
        struct format_volume_tags tags;
        bool own = block_lv_is_volume(lv, &tags) && str_equal(tags.image, img);
        for (size_t k = 0; !own && k < linked.n; k++)
            own = str_equal(linked.names[k], lv->name);
        if (own && lv->active && names->n < DOMAIN_CHAIN_MAX &&
            !block_links_find(vg, img, lv->name))
            names->names[names->n++] = lv->name;
    }
    return rc;
}

/* NULL: none. */
static const char *find_open(const struct block_vg *vg,
                             const struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct lvm_lv *lv = lvm_report_lv(&vg->report, names->names[i]);
        if (lv && lv->open)
            return lv->name;
    }
    return NULL;
}

static int deactivate(const struct block_vg *vg, const char *img,
                      const struct names *own, struct err *err)
{
    int rc = block_use_take(vg, lvs_of(own), err);
    if (rc < 0)
        return rc;
    rc = lvm_deactivate(vg->lvm, lvs_of(own), block_soon(), err);
    if (rc == 0)
        rc = block_links_remove(vg, img, err);
    block_use_drop(vg, lvs_of(own));
    return rc;
}

/* 0, an error, or DOMAIN_NONE: *ret_open is open. */
static int try_teardown(struct domains *domains, const char *sd,
                        const char *img, char ret_open[UUID_SIZE],
                        struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    struct names own = { .n = 0 };
    int rc = block_vg_open(domains, sd, &vg, err);
    if (rc == 0)
        rc = find_own(&vg, img, &own, err);
    if (rc < 0)
        return rc;
    const char *open = find_open(&vg, &own);
    if (!open)
        return deactivate(&vg, img, &own, err);
    (void)str_copy(ret_open, UUID_SIZE, open);
    return DOMAIN_NONE;
}

/* A process that has just ended, or udev, may have an LV open for a moment. */
int block_image_teardown(void *ctx, const char *sd, const char *img,
                         struct err *err)
{
    const struct timespec look = { 0, LOOK_MS * 1000000L };
    char open[UUID_SIZE] = "";
    int rc = try_teardown(ctx, sd, img, open, err);
    for (int i = 1; i < LOOKS && rc == DOMAIN_NONE; i++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
        rc = try_teardown(ctx, sd, img, open, err);
    }
    if (rc != DOMAIN_NONE)
        return rc;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "volume %s of image %s is open",
                       open, img);
    return err_next(err, "stop the VM or the program that uses it first");
}
