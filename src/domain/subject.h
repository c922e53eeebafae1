/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a call is about, in a domain of either kind: an image, and perhaps one
 * volume of it; looked at, or held for a change.
 */
#ifndef DRAY_DOMAIN_SUBJECT_H
#define DRAY_DOMAIN_SUBJECT_H

#include "block/vg.h"
#include "image.h"

struct domain_subject {
    struct domain_change change; /* a file domain; only its view when looking */
    struct block_vg vg;          /* a block domain */
    struct domain_image image;
    struct domain_layer *layer; /* NULL when no volume was asked for */
};

#define DOMAIN_SUBJECT_INIT                                                    \
    {                                                                          \
        .change = DOMAIN_CHANGE_INIT, .image = DOMAIN_IMAGE_INIT               \
    }
#define _cleanup_subject_ _cleanup_(domain_subject_close)

/* @vol NULL: the image. Close it also after a failure; it must not be moved. */
int domain_subject_open(struct domains *domains, const char *sd,
                        const char *img, const char *vol,
                        struct domain_subject *subject, struct err *err);
/* Under the domain's SDM lease; what was cut off before is mended. */
int domain_subject_begin(struct domains *domains, const char *sd,
                         const char *img, const char *vol,
                         struct domain_subject *subject, struct err *err);
void domain_subject_close(struct domain_subject *subject);

#endif
