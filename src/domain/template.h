/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Templates: an image with one SHARED volume, which the images based on it hold
 * as hard links under the same names.
 */
#ifndef DRAY_DOMAIN_TEMPLATE_H
#define DRAY_DOMAIN_TEMPLATE_H

#include "image.h"

/* The record of a template's volume, in the domain of @other. One that is not
 * SHARED (yet) cannot be the parent of another image's volume:
 * ERR_UNSUPPORTED_STORAGE. */
int domain_template_read(const struct domain_image *other, const char *img,
                         const char *vol, struct format_volume *ret_record,
                         struct err *err);

/* Links record, data and lease into @image. Repeating it is fine. */
int domain_template_link(const struct domain_view *view, const char *img,
                         const char *vol, const struct domain_dir *image,
                         struct err *err);

/* ERR_VOLUME_SHARED when an image other than @img has volume @vol. */
int domain_template_check_unused(const struct domain_view *view,
                                 const char *img, const char *vol,
                                 struct err *err);

#endif
