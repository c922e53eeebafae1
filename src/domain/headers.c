/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The walk from header to header. Guests and other hosts wrote them, so each
 * is parsed by our own reader, and none leads out of the image.
 */
#include "headers.h"
#include "ops.h"
#include "subject.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

static int broken(const struct domain_image *image, const char *vol,
                  const char *why, const char *what, struct err *err)
{
    return err_set_code(err, ERR_IMAGE_CHAIN,
                        "image %s: the qcow2 header of volume %s names %s %s",
                        image->img, vol, why, what);
}

static int find_parent(const struct domain_image *image, const char *vol,
                       const struct format_qcow2 *header,
                       const struct domain_layer **ret_parent, struct err *err)
{
    static const char *const formats[] = {
        [FORMAT_RAW] = "raw", [FORMAT_COW] = "qcow2"
    };
    if (header->backing_image[0] &&
        !str_equal(header->backing_image, image->img))
        return broken(image, vol, "a parent of image", header->backing_image,
                      err);
    const struct domain_layer *parent =
        domain_image_find(image, header->backing);
    if (!parent)
        return broken(image, vol,
                      "a parent that the image does not have:", header->backing,
                      err);
    if (!str_equal(header->backing_format, formats[parent->record.kind]))
        return broken(image, vol, "another format than the record of its",
                      "parent", err);
    *ret_parent = parent;
    return 0;
}

/* NULL: it is the base. */
static int parent_of(const struct domain_image *image,
                     const struct domain_layer *layer,
                     const struct domain_layer **ret_parent, struct err *err)
{
    struct format_qcow2 header;
    *ret_parent = NULL;
    if (layer->record.kind == FORMAT_RAW)
        return 0;
    int rc = domain_image_header(image, layer->vol, &header, err);
    if (rc < 0 || !header.backing[0])
        return rc;
    return find_parent(image, layer->vol, &header, ret_parent, err);
}

int domain_headers_walk(const struct domain_image *image,
                        const struct domain_layer *leaf, size_t at_most,
                        struct domain_headers *ret_headers, struct err *err)
{
    struct domain_headers *headers = ret_headers;
    const struct domain_layer *layer = leaf;
    headers->n = 0;
    while (layer && headers->n < at_most) {
        if (headers->n == image->n || headers->n == DOMAIN_CHAIN_MAX)
            return err_set_code(err, ERR_IMAGE_CHAIN,
                                "image %s: volume %s has an endless chain in "
                                "the qcow2 headers",
                                image->img, leaf->vol);
        headers->layers[headers->n++] = layer;
        int rc = parent_of(image, layer, &layer, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int domain_image_header_chain(void *ctx, const char *sd, const char *img,
                              const char *leaf, struct uuid_list *ret_vols,
                              struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    struct domain_headers headers;
    int rc = domain_subject_open(ctx, sd, img, leaf, &subject, err);
    if (rc == 0)
        rc = domain_headers_walk(&subject.image, subject.layer, SIZE_MAX,
                                 &headers, err);
    if (rc != 0)
        return rc;
    assert(headers.n > 0); /* the leaf at least */
    struct uuid_list list = { .uuids = calloc(headers.n, UUID_SIZE) };
    if (!list.uuids)
        return err_set(err, -ENOMEM, "image %s: out of memory", img);
    for (list.n = 0; list.n < headers.n; list.n++)
        (void)str_copy(list.uuids[list.n], UUID_SIZE,
                       headers.layers[headers.n - 1 - list.n]->vol);
    *ret_vols = list;
    return 0;
}
