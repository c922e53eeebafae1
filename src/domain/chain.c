/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chains. The records say which volume has which parent; the headers of the
 * qcow2 files must say the same before any tool or VM opens one of them, since
 * what opens a volume follows the header and not the record.
 */
#include "chain.h"
#include "data.h"
#include "ops.h"
#include "volume_info.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

static int broken(const struct domain_image *image, const char *vol,
                  const char *why, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_CHAIN, "image %s: volume %s %s",
                        image->img, vol, why);
}

/* The one LEAF; a template has one SHARED volume of its own instead. NULL with
 * ERR_IMAGE_CHAIN in @err when there is none or more than one. */
static const struct domain_layer *find_leaf(const struct domain_image *image,
                                            struct err *err)
{
    const struct domain_layer *leaf = NULL;
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (layer->linked || layer->record.role == FORMAT_INTERNAL)
            continue;
        if (leaf) {
            (void)broken(image, layer->vol, "is a second leaf", err);
            return NULL;
        }
        leaf = layer;
    }
    if (!leaf)
        (void)err_set_code(err, ERR_IMAGE_CHAIN, "image %s has no leaf",
                           image->img);
    return leaf;
}

static bool is_base(const struct domain_layer *layer)
{
    return str_equal(layer->record.parent, UUID_BLANK);
}

/* Leaf first, into @layers; a loop is longer than there are volumes. */
static int walk(const struct domain_image *image,
                const struct domain_layer *leaf,
                const struct domain_layer **layers, size_t *ret_n,
                struct err *err)
{
    size_t n = 0;
    for (const struct domain_layer *layer = leaf;;) {
        if (n == image->n || n == DOMAIN_CHAIN_MAX)
            return broken(image, leaf->vol, "has an endless chain", err);
        layers[n++] = layer;
        if (is_base(layer))
            break;
        const char *child = layer->vol;
        layer = domain_image_find(image, layer->record.parent);
        if (!layer)
            return broken(image, child, "has a parent that is not there", err);
    }
    *ret_n = n;
    return 0;
}

/* A child that is not the chain's own would make its parent's data wrong when
 * that is written. */
static int check_branches(const struct domain_image *image, struct err *err)
{
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        const struct domain_layer *child =
            domain_image_child(image, layer->vol);
        if (child && layer->record.role == FORMAT_LEAF)
            return broken(image, layer->vol, "is a leaf with a child", err);
        for (size_t k = i + 1; k < image->n; k++) {
            const struct domain_layer *other = &image->layers[k];
            if (is_base(other) && is_base(layer))
                return broken(image, other->vol, "is a second base", err);
            if (str_equal(other->record.parent, layer->record.parent))
                return broken(image, other->vol,
                              "has the parent that another volume has, too",
                              err);
        }
    }
    return 0;
}

/* What the header of a COW volume must agree with. */
static int check_header(const struct domain_image *image,
                        const struct domain_layer *layer,
                        const struct domain_layer *parent,
                        const struct format_qcow2 *header, struct err *err)
{
    static const char *const formats[] = {
        [FORMAT_RAW] = "raw", [FORMAT_COW] = "qcow2"
    };
    if (!str_equal(header->backing, parent ? parent->vol : ""))
        return broken(image, layer->vol,
                      "names another parent in its qcow2 header than in its "
                      "record",
                      err);
    if (header->backing_image[0] &&
        !str_equal(header->backing_image, image->img))
        return broken(image, layer->vol,
                      "names a parent of another image in its qcow2 header",
                      err);
    if (parent &&
        !str_equal(header->backing_format, formats[parent->record.kind]))
        return broken(image, layer->vol,
                      "names another format of its parent in its qcow2 header "
                      "than the parent's record",
                      err);
    return 0;
}

/* The size that a VM sees is the header's or the file's: a capacity that is
 * smaller was never written after the disk had grown. */
static int check_layer(const struct domain_image *image,
                       const struct domain_layer *layer,
                       const struct domain_layer *parent,
                       struct volume_info *info, struct err *err)
{
    struct format_qcow2 header = { 0 };
    uint64_t real = info->apparent_bytes;
    if (layer->record.kind == FORMAT_RAW && parent)
        return broken(image, layer->vol, "is RAW, but has a parent", err);
    if (layer->record.kind == FORMAT_COW) {
        int rc = domain_data_read_header(&image->dir, layer->vol, &header, err);
        if (rc == 0)
            rc = check_header(image, layer, parent, &header, err);
        if (rc < 0)
            return rc;
        real = header.virtual_size;
    }
    if (info->capacity < real)
        info->capacity = real;
    return 0;
}

static int fill(const struct domain_view *view,
                const struct domain_image *image,
                const struct domain_layer *const *layers,
                struct storage_chain *chain, struct err *err)
{
    size_t n = chain->n;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct domain_layer *parent = i + 1 < n ? layers[i + 1] : NULL;
        struct volume_info *info = &chain->volumes[n - 1 - i];
        rc = domain_volume_fill(view, image, layers[i], info, err);
        if (rc == 0)
            rc = check_layer(image, layers[i], parent, info, err);
    }
    return rc;
}

/* @layers: room for all of the image. */
static int build(const struct domain_view *view,
                 const struct domain_image *image,
                 const struct domain_layer *leaf,
                 const struct domain_layer **layers,
                 struct storage_chain *ret_chain, struct err *err)
{
    struct storage_chain chain = { 0 };
    int rc = walk(image, leaf, layers, &chain.n, err);
    if (rc < 0)
        return rc;
    assert(chain.n > 0); /* the leaf at least */
    chain.volumes = calloc(chain.n, sizeof(*chain.volumes));
    if (!chain.volumes)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    rc = fill(view, image, layers, &chain, err);
    if (rc < 0) {
        storage_chain_deinit(&chain);
        return rc;
    }
    *ret_chain = chain;
    return 0;
}

int domain_chain_build(const struct domain_view *view,
                       const struct domain_image *image, const char *leaf,
                       struct storage_chain *ret_chain, struct err *err)
{
    struct domain_layer *named = NULL;
    const struct domain_layer *top = find_leaf(image, err);
    if (!top)
        return err_code_errno(ERR_IMAGE_CHAIN);
    int rc = check_branches(image, err);
    if (rc == 0 && leaf)
        rc = domain_image_get(image, leaf, &named, err);
    if (rc != 0)
        return rc;
    const struct domain_layer **layers = calloc(image->n + 1, sizeof(*layers));
    if (!layers)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    rc = build(view, image, named ? named : top, layers, ret_chain, err);
    free(layers);
    return rc;
}

int domain_image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    int rc = domain_view_open(ctx, sd, &view, err);
    if (rc == 0)
        rc = domain_image_require(&view, img, &image, err);
    if (rc == 0 && image.n == 0)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "image %s of domain %s has no volumes", img, sd);
    return rc < 0 ? rc
                  : domain_chain_build(&view, &image, leaf, ret_chain, err);
}
