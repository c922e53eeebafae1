/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The records of an image after a merge or a snapshot: they become what the
 * real chain is. One record at a time, in this order:
 *
 *   1 parents: over what is missing, the volume below
 *   2 leaves that are not in the chain: ILLEGAL
 *   3 leaves that are in the middle of it: INTERNAL
 *   4 its leaf: LEAF, LEGAL, as large as the leaf before
 *
 * Between any two the records are one chain for every reader: before 4 its leaf
 * is the old one, ILLEGAL as of 2, so that no VM starts on it; after 4 the new
 * one. There are never two leaves that are LEGAL. What is right already is not
 * written, so whoever repeats it goes on where it ended.
 */
#include "ops.h"
#include "subject.h"
#include <assert.h>
#include <string.h>

/* The real chain, base first. */
struct real_chain {
    size_t n;
    struct domain_layer *layers[DOMAIN_CHAIN_MAX];
};

static bool is_in(const struct real_chain *chain,
                  const struct domain_layer *layer)
{
    for (size_t i = 0; i < chain->n; i++) {
        if (chain->layers[i] == layer)
            return true;
    }
    return false;
}

static bool is_template(const struct domain_layer *layer)
{
    return layer->linked || layer->record.role == FORMAT_SHARED;
}

/* --- whether it can be --- */

/* By the records: somewhere below @layer. */
static bool is_above(const struct domain_image *image,
                     const struct domain_layer *layer,
                     const struct domain_layer *below)
{
    for (size_t i = 0; layer && i < image->n; i++) {
        layer = domain_image_find(image, layer->record.parent);
        if (layer == below)
            return layer != NULL;
    }
    return false;
}

static int no_part(const struct domain_image *image, const char *vol,
                   const char *why, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_CHAIN,
                        "image %s: volume %s %s, so the records cannot follow "
                        "it",
                        image->img, vol, why);
}

static int take_volumes(const struct domain_image *image,
                        const struct uuid_list *vols, struct real_chain *chain,
                        struct err *err)
{
    if (vols->n == 0 || vols->n > DOMAIN_CHAIN_MAX)
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "image %s: a chain of %zu volumes is none",
                            image->img, vols->n);
    for (size_t i = 0; i < vols->n; i++) {
        struct domain_layer *layer = domain_image_find(image, vols->uuids[i]);
        if (!layer)
            return no_part(image, vols->uuids[i],
                           "of the chain is none of its volumes", err);
        if (i > 0 && !is_above(image, layer, chain->layers[i - 1]))
            return no_part(image, layer->vol,
                           "of the chain is not above the one before it", err);
        chain->layers[chain->n++] = layer;
    }
    return 0;
}

/* What was below the base may be gone, if its data was pulled up. */
static int check_base(const struct domain_image *image,
                      const struct domain_layer *base, struct err *err)
{
    struct format_qcow2 header = { 0 };
    if (is_template(base) || str_equal(base->record.parent, UUID_BLANK))
        return 0;
    int rc = domain_image_header(image, base->vol, &header, err);
    if (rc == 0 && header.backing[0])
        rc = no_part(image, base->vol, "has a parent, but the chain does not",
                     err);
    return rc;
}

/* A LEGAL leaf elsewhere is somebody's data. */
static int check_others(const struct domain_image *image,
                        const struct real_chain *chain, struct err *err)
{
    const struct domain_layer *top = chain->layers[chain->n - 1];
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (is_template(layer) || is_in(chain, layer) ||
            layer->record.role != FORMAT_LEAF ||
            layer->record.legality == FORMAT_ILLEGAL ||
            is_above(image, layer, top))
            continue;
        return no_part(image, layer->vol, "is a leaf beside the chain", err);
    }
    return 0;
}

/* --- the writes --- */

/* Writes what differs from @old. */
static int put(const struct domain_image *image,
               const struct domain_layer *layer,
               const struct format_volume *old, struct err *err)
{
    const struct format_volume *record = &layer->record;
    if (is_template(layer) ||
        (str_equal(record->parent, old->parent) &&
         record->legality == old->legality && record->role == old->role &&
         record->capacity == old->capacity))
        return 0;
    return image->store->put(image, layer, err);
}

static int put_parents(const struct domain_image *image,
                       const struct real_chain *chain, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < chain->n; i++) {
        struct domain_layer *layer = chain->layers[i];
        const struct format_volume old = layer->record;
        if (is_template(layer))
            continue;
        (void)str_copy(layer->record.parent, UUID_SIZE,
                       i > 0 ? chain->layers[i - 1]->vol : UUID_BLANK);
        rc = put(image, layer, &old, err);
    }
    return rc;
}

/* Those leaves that are none; *ret_capacity: of the largest. */
static int put_old_leaves(const struct domain_image *image,
                          const struct real_chain *chain,
                          uint64_t *ret_capacity, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < image->n; i++) {
        struct domain_layer *layer = &image->layers[i];
        const struct format_volume old = layer->record;
        if (is_template(layer) || layer->record.role != FORMAT_LEAF ||
            is_in(chain, layer))
            continue;
        if (*ret_capacity < old.capacity)
            *ret_capacity = old.capacity;
        layer->record.legality = FORMAT_ILLEGAL;
        rc = put(image, layer, &old, err);
    }
    for (size_t i = 0; rc == 0 && i + 1 < chain->n; i++) {
        struct domain_layer *layer = chain->layers[i];
        const struct format_volume old = layer->record;
        if (is_template(layer))
            continue;
        layer->record.role = FORMAT_INTERNAL;
        rc = put(image, layer, &old, err);
    }
    return rc;
}

static int put_leaf(const struct domain_image *image,
                    struct domain_layer *layer, uint64_t capacity,
                    struct err *err)
{
    const struct format_volume old = layer->record;
    if (is_template(layer))
        return 0;
    layer->record.role = FORMAT_LEAF;
    layer->record.legality = FORMAT_LEGAL;
    if (layer->record.capacity < capacity)
        layer->record.capacity = capacity;
    return put(image, layer, &old, err);
}

static int sync_chain(struct domain_image *image, const struct uuid_list *vols,
                      struct err *err)
{
    struct real_chain chain = { 0 };
    uint64_t capacity = 0;
    int rc = take_volumes(image, vols, &chain, err);
    if (rc != 0)
        return rc;
    assert(chain.layers[0]);
    rc = check_base(image, chain.layers[0], err);
    if (rc == 0)
        rc = check_others(image, &chain, err);
    if (rc == 0)
        rc = put_parents(image, &chain, err);
    if (rc == 0)
        rc = put_old_leaves(image, &chain, &capacity, err);
    if (rc == 0)
        rc = put_leaf(image, chain.layers[chain.n - 1], capacity, err);
    return rc;
}

int domain_image_sync_chain(void *ctx, const char *sd, const char *img,
                            const struct uuid_list *vols, struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_begin(ctx, sd, img, NULL, &subject, err);
    return rc < 0 ? rc : sync_chain(&subject.image, vols, err);
}
