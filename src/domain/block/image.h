/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images of a block domain: the LVs with their tag, and the records in the
 * slots that those name. A record's parent wins over the tag's: after a merge
 * only the record may have been written.
 */
#ifndef DRAY_DOMAIN_BLOCK_IMAGE_H
#define DRAY_DOMAIN_BLOCK_IMAGE_H

#include "../image.h"
#include "vg.h"
#include <dray/format/block.h>

/* An image without volumes. @vg outlives it. */
int block_image_init(struct block_vg *vg, const char *img,
                     struct domain_image *ret_image, struct err *err);

/* 0 or DOMAIN_NONE. Every record must parse and belong here. A template that it
 * is based on is a linked layer, as in a file domain. */
int block_image_open(struct block_vg *vg, const char *img,
                     struct domain_image *ret_image, struct err *err);
/* The same, with ERR_NO_IMAGE. */
int block_image_require(struct block_vg *vg, const char *img,
                        struct domain_image *ret_image, struct err *err);

/* Whether @lv is a volume that is there: made, and not being removed. */
bool block_lv_is_volume(const struct lvm_lv *lv,
                        struct format_volume_tags *ret_tags);

#endif
