/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * run_dir/storage/SD/IMG/VOL -> PATH/SD/VOL: what of a block domain is prepared
 * on this host. A template has a link in each image that is based on it.
 */
#ifndef DRAY_DOMAIN_BLOCK_LINKS_H
#define DRAY_DOMAIN_BLOCK_LINKS_H

#include "vg.h"

/* @vol NULL: the image's directory. False when it does not fit. */
bool block_link_path(const struct block_vg *vg, const char *img,
                     const char *vol, char ret_path[PATH_MAX]);

int block_links_make(const struct block_vg *vg, const char *img,
                     struct lvm_names vols, struct err *err);

/* The volumes that are linked for @img; none when it is not prepared. */
int block_links_list(const struct block_vg *vg, const char *img,
                     struct domain_names *ret_names, struct err *err);

/* Whether some image but @but_img (NULL: any) has a link to @vol. */
bool block_links_find(const struct block_vg *vg, const char *but_img,
                      const char *vol);

int block_links_remove_one(const struct block_vg *vg, const char *img,
                           const char *vol, struct err *err);
/* All of the image's, and its directory. */
int block_links_remove(const struct block_vg *vg, const char *img,
                       struct err *err);

/* Of all images: nothing of the domain is prepared any more. */
int block_links_remove_all(const struct block_vg *vg, struct err *err);

#endif
