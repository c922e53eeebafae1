/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A chain as the headers of the qcow2 files have it, which is what qemu
 * follows, whatever the records say.
 */
#ifndef DRAY_DOMAIN_HEADERS_H
#define DRAY_DOMAIN_HEADERS_H

#include "image.h"
#include <dray/ports/storage.h>

struct domain_headers {
    size_t n;
    const struct domain_layer *layers[DOMAIN_CHAIN_MAX]; /* leaf first */
};

/* From @leaf down. Everything named is a volume of @image whose record has the
 * format that the header above says: ERR_IMAGE_CHAIN. At most @at_most layers.
 */
int domain_headers_walk(const struct domain_image *image,
                        const struct domain_layer *leaf, size_t at_most,
                        struct domain_headers *ret_headers, struct err *err);

#endif
