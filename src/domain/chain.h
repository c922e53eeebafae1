/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The layers of an image in order.
 */
#ifndef DRAY_DOMAIN_CHAIN_H
#define DRAY_DOMAIN_CHAIN_H

#include "image.h"

/* The image's one leaf, ERR_IMAGE_CHAIN. What was merged away is none while
 * there is another. */
int domain_chain_leaf(const struct domain_image *image,
                      const struct domain_layer **ret_leaf, struct err *err);

/* @leaf NULL: the image's one leaf. Everything that image_chain() of the port
 * promises is checked. */
int domain_chain_build(const struct domain_image *image, const char *leaf,
                       struct storage_chain *ret_chain, struct err *err);

/* The same, of an image that a VM is to use: ERR_NO_VOLUME, and unless
 * @allow_illegal ERR_VOLUME_ILLEGAL. */
int domain_chain_require(const struct domain_image *image, const char *leaf,
                         bool allow_illegal, struct storage_chain *ret_chain,
                         struct err *err);

#endif
