/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mends what a crash left in a domain.
 */
#ifndef DRAY_DOMAIN_SCAN_H
#define DRAY_DOMAIN_SCAN_H

#include "image.h"

/* All images, under the domain's SDM lease. What cannot be read stays as it is
 * and is an error only for who uses it. */
int domain_scan(const struct domain_change *change, struct err *err);

/* Finishes the removal of an image that is called @name (_remove_me_...). */
int domain_scan_finish_removal(const struct domain_view *view, const char *name,
                               struct err *err);

/* domain_record_mend(), and the parent that @vol was the leaf above is the leaf
 * again. The image's layers may be old afterwards. */
int domain_scan_mend_volume(const struct domain_view *view,
                            struct domain_image *image, const char *vol,
                            bool *ret_mended, struct err *err);

/* The same for all of an image's volumes, which are read anew. */
int domain_scan_mend_records(const struct domain_view *view,
                             struct domain_image *image, struct err *err);

/* The volume that should be the leaf of an image that has none, NULL when that
 * cannot be told. */
const char *domain_scan_find_leaf(const struct domain_image *image);
/* In an image without a leaf: the one volume that lost its child becomes it. */
int domain_scan_fix_leaf(struct domain_image *image, struct err *err);

/* Whether VOL.lease holds something, even if it is damaged: then it may be in
 * somebody's hands. */
bool domain_scan_has_lease(const struct domain_image *image, const char *vol);

/* Makes the lease of a volume; what is in VOL.lease is overwritten. */
int domain_scan_make_lease(const struct domain_view *view,
                           const struct domain_dir *image, const char *img,
                           const char *vol, struct err *err);

#endif
