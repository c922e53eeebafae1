/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume as others see it.
 */
#ifndef DRAY_DOMAIN_VOLUME_INFO_H
#define DRAY_DOMAIN_VOLUME_INFO_H

#include "image.h"

int domain_volume_fill(const struct domain_image *image,
                       const struct domain_layer *layer,
                       struct volume_info *ret_info, struct err *err);

#endif
