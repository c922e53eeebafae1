/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of an audit. What is found is noted one by one; what can be mended
 * is mended right where it is noted, if that was asked for.
 */
#ifndef DRAY_DOMAIN_AUDIT_H
#define DRAY_DOMAIN_AUDIT_H

#include "image.h"

struct audit {
    struct domains *domains;
    struct domain_info info;
    bool repair;
    struct domain_audit list;
};

/* What mends a finding; both NULL: a person must decide. */
struct audit_fix {
    const char *what; /* it does */
    int (*run)(void *arg, struct err *err);
    void *arg;
};

/* @finding has its kind, ids and text. A repair that fails is told in the text.
 */
int audit_note(struct audit *audit, struct audit_finding *finding,
               const struct audit_fix *fix, struct err *err);

/* One that nobody can mend without asking: @cause says why. */
int audit_note_error(struct audit *audit, enum audit_kind kind, const char *img,
                     const char *vol, const struct err *cause, struct err *err);

/* --- audit_image.c: of either kind of domain --- */

/* Roles, parents, headers and sizes of an image's volumes. */
int audit_image(struct audit *audit, const struct domain_image *image,
                struct err *err);
/* All images of the domain, one after the other; nothing is held meanwhile. */
int audit_images(struct audit *audit, struct err *err);

/* --- audit_file.c --- */

/* What lies in the directories of a file domain. */
int audit_files(struct audit *audit, struct err *err);

/* --- block/audit.c --- */

/* LVs, their tags, slots and leases, and the VG itself. */
int audit_block(struct audit *audit, struct err *err);

#endif
