/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An image: its directory and the records of the volumes in it, as one look
 * saw them.
 */
#ifndef DRAY_DOMAIN_IMAGE_H
#define DRAY_DOMAIN_IMAGE_H

#include "view.h"
#include <dray/format.h>

struct domain_layer {
    char vol[UUID_SIZE];
    struct format_volume record;
    bool linked; /* a template of another image */
};

struct domain_image {
    char img[UUID_SIZE];
    struct domain_dir dir;
    size_t n;
    struct domain_layer *layers; /* sorted by vol */
};

#define DOMAIN_IMAGE_INIT                                                      \
    {                                                                          \
        .dir = DOMAIN_DIR_INIT                                                 \
    }
#define _cleanup_image_ _cleanup_(domain_image_close)

/* 0 or DOMAIN_NONE. Every record must parse and belong here. */
int domain_image_open(const struct domain_view *view, const char *img,
                      struct domain_image *ret_image, struct err *err);
/* The same, with ERR_NO_IMAGE. */
int domain_image_require(const struct domain_view *view, const char *img,
                         struct domain_image *ret_image, struct err *err);
/* Reads the records anew. */
int domain_image_reload(const struct domain_view *view,
                        struct domain_image *image, struct err *err);
void domain_image_close(struct domain_image *image);

/* NULL when there is none. */
struct domain_layer *domain_image_find(const struct domain_image *image,
                                       const char *vol);
/* The same, with ERR_NO_VOLUME. */
int domain_image_get(const struct domain_image *image, const char *vol,
                     struct domain_layer **ret_layer, struct err *err);

/* A volume of the image whose parent is @vol; NULL when there is none. */
const struct domain_layer *domain_image_child(const struct domain_image *image,
                                              const char *vol);

/* @vol, which has lost the leaf above it, becomes the leaf if it is INTERNAL
 * and the image has no other: else it was merged away. */
int domain_image_fix_role(const struct domain_view *view,
                          struct domain_image *image, const char *vol,
                          struct err *err);

/* Removes the directory of an image without volumes of its own, links to a
 * template included. One with files that we do not know stays. */
int domain_image_remove_empty(const struct domain_view *view,
                              struct domain_image *image, struct err *err);

#endif
