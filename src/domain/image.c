/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images. What an image consists of is in the records of its volumes and
 * nowhere else, so all are read and none is believed alone: one that does not
 * parse or belongs to another domain or image makes the whole image unusable.
 */
#include "image.h"
#include "layout.h"
#include "record.h"
#include <errno.h>
#include <string.h>

void domain_image_close(struct domain_image *image)
{
    domain_dir_close(&image->dir);
    free(image->layers);
    image->layers = NULL;
    image->n = 0;
}

static int check_image(const struct domain_image *image,
                       const struct domain_layer *layer, struct err *err)
{
    if (!layer->linked || layer->record.role == FORMAT_SHARED)
        return 0;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "%s/%s.meta: key IMAGE is %s, but this is image %s",
                        image->dir.path, layer->vol, layer->record.image,
                        image->img);
}

static int add_layer(const struct domain_view *view, struct domain_image *image,
                     const char *vol, struct err *err)
{
    struct domain_layer *larger =
        realloc(image->layers, (image->n + 1) * sizeof(*larger));
    if (!larger)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    image->layers = larger;
    struct domain_layer *layer = &larger[image->n];
    (void)str_copy(layer->vol, sizeof(layer->vol), vol);
    int rc = domain_record_read(&image->dir, view->info.sd, vol, &layer->record,
                                err);
    if (rc == DOMAIN_NONE)
        return 0; /* removed since the directory was listed */
    if (rc < 0)
        return rc;
    layer->linked = !str_equal(layer->record.image, image->img);
    image->n++;
    return check_image(image, layer, err);
}

int domain_image_reload(const struct domain_view *view,
                        struct domain_image *image, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    char vol[UUID_SIZE];
    free(image->layers);
    image->layers = NULL;
    image->n = 0;
    int rc = domain_dir_list(&image->dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (domain_file_is(names.names[i], PART_META, vol))
            rc = add_layer(view, image, vol, err);
    }
    return rc;
}

int domain_image_open(const struct domain_view *view, const char *img,
                      struct domain_image *ret_image, struct err *err)
{
    struct domain_image image = DOMAIN_IMAGE_INIT;
    int rc = domain_dir_open_below(&view->images, img, &image.dir, err);
    if (rc != 0)
        return rc;
    (void)str_copy(image.img, sizeof(image.img), img);
    rc = domain_image_reload(view, &image, err);
    if (rc < 0) {
        domain_image_close(&image);
        return rc;
    }
    *ret_image = image;
    return 0;
}

int domain_image_require(const struct domain_view *view, const char *img,
                         struct domain_image *ret_image, struct err *err)
{
    int rc = domain_image_open(view, img, ret_image, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_IMAGE,
                            "there is no image %s in domain %s", img,
                            view->info.sd);
    return rc;
}

struct domain_layer *domain_image_find(const struct domain_image *image,
                                       const char *vol)
{
    for (size_t i = 0; i < image->n; i++) {
        if (str_equal(image->layers[i].vol, vol))
            return &image->layers[i];
    }
    return NULL;
}

int domain_image_get(const struct domain_image *image, const char *vol,
                     struct domain_layer **ret_layer, struct err *err)
{
    struct domain_layer *layer = domain_image_find(image, vol);
    if (!layer)
        return err_set_code(err, ERR_NO_VOLUME,
                            "there is no volume %s in image %s", vol,
                            image->img);
    *ret_layer = layer;
    return 0;
}

const struct domain_layer *domain_image_child(const struct domain_image *image,
                                              const char *vol)
{
    for (size_t i = 0; i < image->n; i++) {
        if (str_equal(image->layers[i].record.parent, vol))
            return &image->layers[i];
    }
    return NULL;
}

/* What nobody but the image has: its volumes without a template's. */
static size_t own_volumes(const struct domain_image *image)
{
    size_t n = 0;
    for (size_t i = 0; i < image->n; i++)
        n += !image->layers[i].linked;
    return n;
}

/* An ILLEGAL one may have been merged away. */
static bool has_live_leaf(const struct domain_image *image)
{
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (!layer->linked && layer->record.role == FORMAT_LEAF &&
            layer->record.legality != FORMAT_ILLEGAL)
            return true;
    }
    return false;
}

int domain_image_fix_role(const struct domain_view *view,
                          struct domain_image *image, const char *vol,
                          struct err *err)
{
    struct domain_layer *layer = domain_image_find(image, vol);
    if (!layer || layer->linked || layer->record.role != FORMAT_INTERNAL ||
        has_live_leaf(image))
        return 0;
    layer->record.role = FORMAT_LEAF;
    return domain_record_replace(&image->dir, vol, &layer->record,
                                 &view->domains->owner, err);
}

/* Its data, record and lease in this image; the template keeps its own. */
static int remove_link(const struct domain_image *image, const char *vol,
                       struct err *err)
{
    int rc = domain_file_remove(&image->dir, vol, err);
    if (rc == 0)
        rc = domain_file_remove(&image->dir,
                                domain_file_name(vol, PART_LEASE).s, err);
    /* The record last: it is what says that the others are links. */
    if (rc == 0)
        rc = domain_file_remove(&image->dir, domain_file_name(vol, PART_META).s,
                                err);
    return rc;
}

int domain_image_remove_empty(const struct domain_view *view,
                              struct domain_image *image, struct err *err)
{
    if (own_volumes(image) > 0)
        return 0;
    for (size_t i = 0; i < image->n; i++) {
        int rc = remove_link(image, image->layers[i].vol, err);
        if (rc < 0)
            return rc;
    }
    int rc = domain_dir_remove(&view->images, image->img, err);
    if (rc == DOMAIN_NONE)
        return 0;
    return rc < 0 ? rc : domain_dir_sync(&view->images, err);
}
