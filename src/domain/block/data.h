/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is in a volume's LV, and how large that is.
 */
#ifndef DRAY_DOMAIN_BLOCK_DATA_H
#define DRAY_DOMAIN_BLOCK_DATA_H

#include "../data.h"
#include "image.h"

/* Of a new LV, in whole extents. A RAW one is as large as that. */
uint64_t block_data_first_bytes(const struct format_volume *record,
                                uint64_t initial_bytes, uint64_t extent_bytes);

/* Makes the LV's data what a fresh volume holds, whatever was there. */
int block_data_make(const struct domain_image *image,
                    const struct domain_data *data, struct err *err);

/* ERR_VOLUME_BUSY when somebody on this host has the LV open. */
int block_data_check_unused(const struct domain_image *image, const char *vol,
                            struct err *err);

/* For the store. */
int block_data_extend(const struct domain_image *image,
                      const struct domain_layer *layer, uint64_t bytes,
                      uint64_t *ret_bytes, struct err *err);

#endif
