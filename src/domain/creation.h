/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume being made: what is asked for, against what is there. The same for
 * all kinds of domains; what makes it is volume_create.c and
 * block/volume_create.c.
 */
#ifndef DRAY_DOMAIN_CREATION_H
#define DRAY_DOMAIN_CREATION_H

#include "data.h"
#include "image.h"

struct domain_creation {
    const struct volume_create *spec;
    struct domain_image image;   /* without layers when it is new */
    struct format_volume record; /* that it gets */
    struct format_volume parent; /* valid when has_parent */
    bool may_exist;              /* as one of several */
    bool has_parent;
    bool foreign_parent; /* a template of another image */
};

/* One that is there already: 0 when it is what is asked for, and may be. */
int domain_creation_check_existing(const struct domain_creation *c,
                                   const struct format_volume *found,
                                   struct err *err);

/* Finds the parent. An image is one chain: what comes second has the first as
 * its parent. */
int domain_creation_check_chain(struct domain_creation *c, struct err *err);

/* spec->parent, of this image, INTERNAL if it is a leaf. */
int domain_creation_mark_parent(struct domain_creation *c, struct err *err);

/* What is to be made, valid as long as @c. */
struct domain_data domain_creation_data(const struct domain_creation *c);

/* Everything that is wrong whatever is there; all are of one domain. */
int domain_creation_check_specs(const struct volume_create *specs, size_t n,
                                struct err *err);

#endif
