/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images. What an image consists of is in the records of its volumes and
 * nowhere else, so all are read and none is believed alone: one that does not
 * parse or belongs to another domain or image makes the whole image unusable.
 */
#include "image.h"
#include "data.h"
#include "layout.h"
#include "record.h"
#include "store.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

void domain_image_close(struct domain_image *image)
{
    if (image->store && image->store->close)
        image->store->close(image);
    domain_dir_close(&image->dir);
    free(image->layers);
    image->layers = NULL;
    image->n = 0;
}

void domain_image_init(const struct domain_view *view, const char *img,
                       struct domain_image *ret_image)
{
    *ret_image = (struct domain_image){
        .dir = DOMAIN_DIR_INIT,
        .store = &domain_file_store,
        .view = view,
    };
    (void)str_copy(ret_image->img, sizeof(ret_image->img), img);
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

int domain_image_add(struct domain_image *image,
                     const struct domain_layer *layer, struct err *err)
{
    struct domain_layer *larger =
        realloc(image->layers, (image->n + 1) * sizeof(*larger));
    if (!larger)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    image->layers = larger;
    larger[image->n++] = *layer;
    return 0;
}

void domain_image_drop(struct domain_image *image, const char *vol)
{
    struct domain_layer *layer = domain_image_find(image, vol);
    if (layer)
        *layer = image->layers[--image->n];
}

static int read_layer(const struct domain_view *view,
                      struct domain_image *image, const char *vol,
                      struct err *err)
{
    struct domain_layer layer = { .linked = false };
    (void)str_copy(layer.vol, sizeof(layer.vol), vol);
    int rc =
        domain_record_read(&image->dir, view->info.sd, vol, &layer.record, err);
    if (rc == DOMAIN_NONE)
        return 0; /* removed since the directory was listed */
    if (rc < 0)
        return rc;
    layer.linked = !str_equal(layer.record.image, image->img);
    rc = check_image(image, &layer, err);
    return rc < 0 ? rc : domain_image_add(image, &layer, err);
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
            rc = read_layer(view, image, vol, err);
    }
    return rc;
}

int domain_image_open(const struct domain_view *view, const char *img,
                      struct domain_image *ret_image, struct err *err)
{
    struct domain_image image;
    domain_image_init(view, img, &image);
    int rc = domain_dir_open_below(&view->images, img, &image.dir, err);
    if (rc != 0)
        return rc;
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

int domain_image_check_delete(const struct domain_image *image,
                              const struct domain_layer *layer, struct err *err)
{
    if (layer->linked || layer->record.role == FORMAT_SHARED)
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "volume %s is a template's: it goes with its image",
                            layer->vol);
    const struct domain_layer *child = domain_image_child(image, layer->vol);
    if (child)
        return err_set_code(err, ERR_VOLUME_CHILDREN,
                            "volume %s is the parent of volume %s", layer->vol,
                            child->vol);
    return image->store->check_unused(image, layer->vol, err);
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

int domain_image_data(const struct domain_image *image, const char *vol,
                      int flags, int *ret_fd, struct err *err)
{
    int rc = image->store->open(image, vol, flags, ret_fd, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s/%s is missing",
                            image->dir.path, vol);
    return rc;
}

int domain_image_header(const struct domain_image *image, const char *vol,
                        struct format_qcow2 *ret_header, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_image_data(image, vol, O_RDONLY, &fd, err);
    if (rc < 0)
        return rc;
    rc = domain_data_read_header(fd, ret_header, err);
    return rc < 0 ? err_wrap(err, "%s/%s", image->dir.path, vol) : 0;
}

int domain_image_fix_role(struct domain_image *image, const char *vol,
                          struct err *err)
{
    struct domain_layer *layer = domain_image_find(image, vol);
    if (!layer || layer->linked || layer->record.role != FORMAT_INTERNAL ||
        has_live_leaf(image))
        return 0;
    layer->record.role = FORMAT_LEAF;
    return image->store->put(image, layer, err);
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
