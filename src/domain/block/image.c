/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images on LVs, and what makes the rest of the room work on them: the store.
 * An LV whose data somebody wants is activated then, and kept so until the
 * image is closed.
 */
#include "image.h"
#include "data.h"
#include "links.h"
#include "lv.h"
#include "slot.h"
#include "use.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool block_lv_is_volume(const struct lvm_lv *lv,
                        struct format_volume_tags *ret_tags)
{
    return uuid_is_valid(lv->name) &&
           format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                    ret_tags, NULL) == 0 &&
           !ret_tags->initializing && ret_tags->removal == FORMAT_KEPT;
}

/* --- the store --- */

static bool is_used(const struct domain_image *image, const char *vol)
{
    for (size_t i = 0; i < image->used->n; i++) {
        if (str_equal(image->used->uuids[i], vol))
            return true;
    }
    return false;
}

static int use(const struct domain_image *image, const char *vol,
               struct err *err)
{
    struct uuid_list *used = image->used;
    if (is_used(image, vol))
        return 0;
    char(*larger)[UUID_SIZE] =
        realloc(used->uuids, (used->n + 1) * sizeof(*larger));
    if (!larger)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    used->uuids = larger;
    int rc = block_use_begin(image->vg,
                             (struct lvm_names){ .names = &vol, .n = 1 }, err);
    if (rc == 0)
        (void)str_copy(used->uuids[used->n++], UUID_SIZE, vol);
    return rc;
}

static void close_image(struct domain_image *image)
{
    const char *names[DOMAIN_CHAIN_MAX];
    struct lvm_names lvs = { .names = names };
    for (size_t i = 0; i < image->used->n; i++) {
        names[lvs.n++] = image->used->uuids[i];
        if (lvs.n < DOMAIN_CHAIN_MAX && i + 1 < image->used->n)
            continue;
        block_use_end(image->vg, lvs);
        lvs.n = 0;
    }
    uuid_list_deinit(image->used);
    free(TAKE(image->used));
}

/* Another host may have extended it while it was active here. */
static int fit(const struct domain_image *image, const char *vol, int fd,
               struct err *err)
{
    const struct block_vg *vg = image->vg;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, vol);
    off_t size = lseek(fd, 0, SEEK_END);
    if (!lv || (size >= 0 && (uint64_t)size >= lv->size_bytes))
        return 0;
    return lvm_refresh(vg->lvm, (struct lvm_names){ .names = &vol, .n = 1 },
                       block_soon(), err);
}

static int open_lv(const struct domain_image *image, const char *vol, int flags,
                   int *ret_fd, struct err *err)
{
    char path[PATH_MAX];
    int rc = use(image, vol, err);
    if (rc < 0)
        return rc;
    block_lv_path(&image->vg->info, vol, path);
    _cleanup_close_ int fd = open(path, flags | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "open %s: %m", path);
    rc = fit(image, vol, fd, err);
    if (rc == 0)
        *ret_fd = TAKE_FD(fd);
    return rc;
}

static int fill_lv(const struct domain_image *image, const char *vol,
                   struct volume_info *info, struct err *err)
{
    const struct block_vg *vg = image->vg;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, vol);
    if (!lv)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s/%s is missing",
                            image->dir.path, vol);
    if (!block_link_path(vg, image->img, vol, info->path))
        return err_set_code(err, ERR_VALUE, "%s: the path is too long",
                            vg->domains->run_dir);
    (void)str_copy(info->id.sd, UUID_SIZE, vg->info.sd);
    info->block = true;
    info->apparent_bytes = lv->size_bytes;
    info->true_bytes = lv->size_bytes;
    return 0;
}

static int put_parent_tag(const struct block_vg *vg,
                          const struct domain_layer *layer,
                          const char *old_parent, struct err *err)
{
    struct format_volume_tag_texts old, new;
    struct format_volume_tags from = { .slot = 0 }, to = { .slot = 0 };
    (void)str_copy(from.parent, UUID_SIZE, old_parent);
    (void)str_copy(to.parent, UUID_SIZE, layer->record.parent);
    format_volume_tags_text(&from, &old);
    format_volume_tags_text(&to, &new);
    const char *vol = layer->vol, *add = new.parent, *remove = old.parent;
    return lvm_tag(vg->lvm, (struct lvm_names){ .names = &vol, .n = 1 },
                   (struct lvm_names){ .names = &add, .n = 1 },
                   (struct lvm_names){ .names = &remove, .n = 1 }, block_soon(),
                   err);
}

/* The slot first: it is what counts. */
static int put_lv(const struct domain_image *image,
                  const struct domain_layer *layer, struct err *err)
{
    const struct block_vg *vg = image->vg;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, layer->vol);
    struct format_volume_tags tags;
    if (layer->linked)
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "volume %s is a template that other images use, "
                            "so its record cannot change",
                            layer->vol);
    int rc = block_slot_write(vg, layer->slot, &layer->record, err);
    if (rc < 0 || !lv || !block_lv_is_volume(lv, &tags) ||
        str_equal(tags.parent, layer->record.parent))
        return rc;
    return put_parent_tag(vg, layer, tags.parent, err);
}

static int open_other(const struct domain_image *image, const char *img,
                      struct domain_image *ret_image, struct err *err)
{
    return block_image_require(image->vg, img, ret_image, err);
}

static const struct domain_store store = {
    .open = open_lv,
    .fill = fill_lv,
    .put = put_lv,
    .check_unused = block_data_check_unused,
    .renew = block_data_make,
    .extend = block_data_extend,
    .open_other = open_other,
    .close = close_image,
};

/* --- reading --- */

int block_image_init(struct block_vg *vg, const char *img,
                     struct domain_image *ret_image, struct err *err)
{
    struct domain_image image = {
        .dir = DOMAIN_DIR_INIT,
        .vg = vg,
        .used = calloc(1, sizeof(*image.used)),
        .store = &store,
    };
    if (!image.used)
        return err_set(err, -ENOMEM, "image %s: out of memory", img);
    (void)str_copy(image.img, sizeof(image.img), img);
    (void)str_format(image.dir.path, sizeof(image.dir.path), "%.*s/%s",
                     PATH_MAX - UUID_SIZE - 1, vg->info.path, vg->info.sd);
    *ret_image = image;
    return 0;
}

static int read_layer(struct domain_image *image, const struct lvm_lv *lv,
                      const struct format_volume_tags *tags, struct err *err)
{
    struct domain_layer layer = {
        .slot = tags->slot,
        .linked = !str_equal(tags->image, image->img),
    };
    (void)str_copy(layer.vol, sizeof(layer.vol), lv->name);
    int rc = block_slot_read(image->vg, tags->slot, &layer.record, err);
    if (rc == 0 && !str_equal(layer.record.image, tags->image))
        rc = err_set_code(err, ERR_METADATA_VALIDATION,
                          "key IMAGE is %s, but its LV is tagged for image %s",
                          layer.record.image, tags->image);
    if (rc < 0)
        return err_wrap(err, "volume %s", lv->name);
    return domain_image_add(image, &layer, err);
}

/* One that is tagged for the image, but in another way than a volume is. */
static int check_tags(const struct domain_image *image, const struct lvm_lv *lv,
                      struct err *err)
{
    struct format_volume_tags tags = { .slot = 0 };
    struct format_volume_tag_texts texts;
    (void)str_copy(tags.image, sizeof(tags.image), image->img);
    format_volume_tags_text(&tags, &texts);
    if (!lvm_lv_has_tag(lv, texts.image) ||
        lvm_lv_has_tag(lv, FORMAT_LV_TAG_UNREADY))
        return 0;
    int rc = format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                      &tags, err);
    return rc < 0 ? err_wrap(err, "volume %s", lv->name) : 0;
}

static int read_own(struct domain_image *image, struct err *err)
{
    const struct lvm_report *report = &image->vg->report;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < report->n_lvs; i++) {
        const struct lvm_lv *lv = &report->lvs[i];
        struct format_volume_tags tags = { .slot = 0 };
        if (!block_lv_is_volume(lv, &tags))
            rc = check_tags(image, lv, err);
        else if (str_equal(tags.image, image->img))
            rc = read_layer(image, lv, &tags, err);
    }
    return rc;
}

/* A parent in another image is a template, or nothing that we follow. */
static int read_template(struct domain_image *image, struct err *err)
{
    struct format_volume_tags tags = { .slot = 0 };
    size_t n = image->n;
    for (size_t i = 0; i < n; i++) {
        const char *parent = image->layers[i].record.parent;
        if (str_equal(parent, UUID_BLANK) || domain_image_find(image, parent))
            continue;
        const struct lvm_lv *lv = lvm_report_lv(&image->vg->report, parent);
        if (!lv || !block_lv_is_volume(lv, &tags))
            continue; /* whoever walks the chain finds it missing */
        int rc = read_layer(image, lv, &tags, err);
        if (rc < 0)
            return rc;
        if (image->layers[image->n - 1].record.role != FORMAT_SHARED)
            image->n--;
    }
    return 0;
}

int block_image_open(struct block_vg *vg, const char *img,
                     struct domain_image *ret_image, struct err *err)
{
    struct domain_image image = DOMAIN_IMAGE_INIT;
    int rc = block_image_init(vg, img, &image, err);
    if (rc != 0)
        return rc;
    assert(image.vg); /* or an error */
    rc = read_own(&image, err);
    if (rc == 0)
        rc = image.n == 0 ? DOMAIN_NONE : read_template(&image, err);
    if (rc != 0) {
        domain_image_close(&image);
        return rc;
    }
    *ret_image = image;
    return 0;
}

int block_image_require(struct block_vg *vg, const char *img,
                        struct domain_image *ret_image, struct err *err)
{
    int rc = block_image_open(vg, img, ret_image, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_IMAGE,
                            "there is no image %s in domain %s", img,
                            vg->info.sd);
    return rc;
}
