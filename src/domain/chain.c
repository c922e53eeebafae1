/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chains. The records say which volume has which parent; the headers of the
 * qcow2 files must say the same before any tool or VM opens one of them, since
 * what opens a volume follows the header and not the record.
 *
 * An image is one chain and what was merged away from it: internal volumes
 * beside the chain, an ILLEGAL leaf above it. That is left out.
 */
#include "chain.h"
#include "ops.h"
#include "subject.h"
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

/* After a merge the old leaf lies, ILLEGAL, above the new one until somebody
 * removes it. */
static bool is_dropped(const struct domain_layer *layer)
{
    return layer->record.role == FORMAT_LEAF &&
           layer->record.legality == FORMAT_ILLEGAL;
}

/* 0 with the one leaf that is dropped or is not, NULL when there is none. */
static int find_leaf(const struct domain_image *image, bool dropped,
                     const struct domain_layer **ret_leaf, struct err *err)
{
    const struct domain_layer *leaf = NULL;
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (layer->linked || layer->record.role == FORMAT_INTERNAL ||
            is_dropped(layer) != dropped)
            continue;
        if (leaf)
            return broken(image, layer->vol, "is a second leaf", err);
        leaf = layer;
    }
    *ret_leaf = leaf;
    return 0;
}

int domain_chain_leaf(const struct domain_image *image,
                      const struct domain_layer **ret_leaf, struct err *err)
{
    const struct domain_layer *leaf = NULL;
    int rc = find_leaf(image, false, &leaf, err);
    if (rc == 0 && !leaf)
        rc = find_leaf(image, true, &leaf, err);
    if (rc == 0 && !leaf)
        rc = err_set_code(err, ERR_IMAGE_CHAIN, "image %s has no leaf",
                          image->img);
    if (rc < 0)
        return rc;
    *ret_leaf = leaf;
    return 0;
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
        int rc = domain_image_header(image, layer->vol, &header, err);
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

static int fill(const struct domain_image *image,
                const struct domain_layer *const *layers,
                struct storage_chain *chain, struct err *err)
{
    size_t n = chain->n;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct domain_layer *parent = i + 1 < n ? layers[i + 1] : NULL;
        struct volume_info *info = &chain->volumes[n - 1 - i];
        rc = domain_volume_fill(image, layers[i], info, err);
        if (rc == 0)
            rc = check_layer(image, layers[i], parent, info, err);
    }
    return rc;
}

/* @layers: room for all of the image. */
static int build(const struct domain_image *image,
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
    rc = fill(image, layers, &chain, err);
    if (rc < 0) {
        storage_chain_deinit(&chain);
        return rc;
    }
    *ret_chain = chain;
    return 0;
}

int domain_chain_build(const struct domain_image *image, const char *leaf,
                       struct storage_chain *ret_chain, struct err *err)
{
    struct domain_layer *named = NULL;
    const struct domain_layer *top = NULL;
    int rc = domain_chain_leaf(image, &top, err);
    if (rc == 0 && leaf)
        rc = domain_image_get(image, leaf, &named, err);
    if (rc != 0)
        return rc;
    assert(top); /* or an error */
    const struct domain_layer **layers = calloc(image->n + 1, sizeof(*layers));
    if (!layers)
        return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
    rc = build(image, named ? named : top, layers, ret_chain, err);
    free(layers);
    return rc;
}

static int check_legal(const struct domain_image *image, struct err *err)
{
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (layer->record.legality == FORMAT_LEGAL)
            continue;
        return err_set_code(err, ERR_VOLUME_ILLEGAL, "volume %s is %s",
                            layer->vol,
                            format_legality_name(layer->record.legality));
    }
    return 0;
}

int domain_chain_require(const struct domain_image *image, const char *leaf,
                         bool allow_illegal, struct storage_chain *ret_chain,
                         struct err *err)
{
    struct domain_layer *layer = NULL;
    int rc = domain_image_get(image, leaf, &layer, err);
    if (rc == 0 && !allow_illegal)
        rc = check_legal(image, err);
    return rc < 0 ? rc : domain_chain_build(image, leaf, ret_chain, err);
}

int domain_image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_open(ctx, sd, img, NULL, &subject, err);
    if (rc == 0 && subject.image.n == 0)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "image %s of domain %s has no volumes", img, sd);
    return rc < 0 ? rc
                  : domain_chain_build(&subject.image, leaf, ret_chain, err);
}
