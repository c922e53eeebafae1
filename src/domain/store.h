/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What keeps the volumes of an image, by kind of domain (image.h).
 */
#ifndef DRAY_DOMAIN_STORE_H
#define DRAY_DOMAIN_STORE_H

#include "image.h"

extern const struct domain_store domain_file_store;

/* Of the above: volume_size.c. */
int domain_file_extend(const struct domain_image *image,
                       const struct domain_layer *layer, uint64_t bytes,
                       uint64_t *ret_bytes, struct err *err);
int domain_refuse_resize(const char *vol, uint64_t from, uint64_t to,
                         struct err *err);

#endif
