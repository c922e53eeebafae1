/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An image: the records of the volumes in it, as one look saw them, and what
 * keeps them: a directory of a file domain, or a volume group. Whoever works on
 * volumes that exist need not know which (struct domain_store).
 */
#ifndef DRAY_DOMAIN_IMAGE_H
#define DRAY_DOMAIN_IMAGE_H

#include "view.h"
#include <dray/format.h>
#include <dray/ports/storage.h>

struct block_vg;
struct domain_data;
struct domain_image;

struct domain_layer {
    char vol[UUID_SIZE];
    struct format_volume record;
    bool linked;   /* a template of another image */
    unsigned slot; /* on a VG: where its record is */
};

struct domain_store {
    /* The layer's data; *ret_fd is the caller's, who closes it before the
     * image. 0 or DOMAIN_NONE. */
    int (*open)(const struct domain_image *image, const char *vol, int flags,
                int *ret_fd, struct err *err);
    /* Path, sizes and the like: what no record says. */
    int (*fill)(const struct domain_image *image, const char *vol,
                struct volume_info *info, struct err *err);
    /* Replaces the layer's record by layer->record. */
    int (*put)(const struct domain_image *image,
               const struct domain_layer *layer, struct err *err);
    /* ERR_VOLUME_BUSY when somebody here has the layer's data open. */
    int (*check_unused)(const struct domain_image *image, const char *vol,
                        struct err *err);
    /* The layer's data is fresh again: nothing of what was there. */
    int (*renew)(const struct domain_image *image,
                 const struct domain_data *data, struct err *err);
    /* The data of a raw layer becomes @bytes large, *ret_bytes in fact.
     * ERR_VOLUME_RESIZE when it is larger. */
    int (*extend)(const struct domain_image *image,
                  const struct domain_layer *layer, uint64_t bytes,
                  uint64_t *ret_bytes, struct err *err);
    /* Another image of the domain; ERR_NO_IMAGE. */
    int (*open_other)(const struct domain_image *image, const char *img,
                      struct domain_image *ret_image, struct err *err);
    void (*close)(struct domain_image *image);
};

struct domain_image {
    char img[UUID_SIZE];
    struct domain_dir dir; /* on a VG: its path only, for messages */
    size_t n;
    struct domain_layer *layers;
    const struct domain_store *store;
    const struct domain_view *view; /* of a file domain; outlives the image */
    struct block_vg *vg;            /* of a block domain; the same */
    struct uuid_list *used;         /* on a VG: LVs kept active meanwhile */
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
/* An image that is not there yet, of a file domain. */
void domain_image_init(const struct domain_view *view, const char *img,
                       struct domain_image *ret_image);
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

/* ERR_VOLUME_SHARED, ERR_VOLUME_CHILDREN, or what store->check_unused() says.
 */
int domain_image_check_delete(const struct domain_image *image,
                              const struct domain_layer *layer,
                              struct err *err);

/* store->open(), and ERR_VOLUME_ACCESS when there is no data. */
int domain_image_data(const struct domain_image *image, const char *vol,
                      int flags, int *ret_fd, struct err *err);
/* The checked header of a qcow2 volume. */
int domain_image_header(const struct domain_image *image, const char *vol,
                        struct format_qcow2 *ret_header, struct err *err);

/* Layers in memory, for those who read records. */
int domain_image_add(struct domain_image *image,
                     const struct domain_layer *layer, struct err *err);

void domain_image_drop(struct domain_image *image, const char *vol);

/* @vol, which has lost the leaf above it, becomes the leaf if it is INTERNAL
 * and the image has no other: else it was merged away. */
int domain_image_fix_role(struct domain_image *image, const char *vol,
                          struct err *err);

/* Removes the directory of an image without volumes of its own, links to a
 * template included. One with files that we do not know stays. */
int domain_image_remove_empty(const struct domain_view *view,
                              struct domain_image *image, struct err *err);

#endif
