/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A change of one volume: its domain held, its image read, what was cut off
 * before mended.
 */
#ifndef DRAY_DOMAIN_VOLUME_CHANGE_H
#define DRAY_DOMAIN_VOLUME_CHANGE_H

#include "image.h"

struct domain_volume_change {
    struct domain_change change;
    struct domain_image image;
    struct domain_layer *layer;
};

#define DOMAIN_VOLUME_CHANGE_INIT                                              \
    {                                                                          \
        .change = DOMAIN_CHANGE_INIT, .image = DOMAIN_IMAGE_INIT               \
    }
#define _cleanup_volume_change_ _cleanup_(domain_volume_change_end)

/* End it also after a failure. */
int domain_volume_change_begin(struct domains *domains,
                               const struct volume_id *id,
                               struct domain_volume_change *ret_change,
                               struct err *err);
void domain_volume_change_end(struct domain_volume_change *change);

#endif
