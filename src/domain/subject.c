/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening what a call is about.
 */
#include "subject.h"
#include "block/image.h"
#include "known.h"
#include "record.h"
#include "scan.h"

void domain_subject_close(struct domain_subject *subject)
{
    domain_image_close(&subject->image);
    block_vg_close(&subject->vg);
    domain_change_end(&subject->change);
}

static int find_layer(struct domain_subject *subject, const char *vol,
                      struct err *err)
{
    return vol ? domain_image_get(&subject->image, vol, &subject->layer, err)
               : 0;
}

static int open_block(struct domains *domains, const char *sd, const char *img,
                      struct domain_subject *subject, struct err *err)
{
    int rc = block_vg_open(domains, sd, &subject->vg, err);
    return rc < 0
               ? rc
               : block_image_require(&subject->vg, img, &subject->image, err);
}

static int open_file(struct domains *domains, const char *sd, const char *img,
                     struct domain_subject *subject, struct err *err)
{
    struct domain_view *view = &subject->change.view;
    int rc = domain_view_open(domains, sd, view, err);
    return rc < 0 ? rc : domain_image_require(view, img, &subject->image, err);
}

int domain_subject_open(struct domains *domains, const char *sd,
                        const char *img, const char *vol,
                        struct domain_subject *subject, struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        rc = info.block ? open_block(domains, sd, img, subject, err)
                        : open_file(domains, sd, img, subject, err);
    return rc < 0 ? rc : find_layer(subject, vol, err);
}

static int begin_block(struct domains *domains, const char *sd, const char *img,
                       struct domain_subject *subject, struct err *err)
{
    int rc = block_vg_begin(domains, sd, &subject->vg, err);
    return rc < 0
               ? rc
               : block_image_require(&subject->vg, img, &subject->image, err);
}

static int begin_file(struct domains *domains, const char *sd, const char *img,
                      const char *vol, struct domain_subject *subject,
                      struct err *err)
{
    struct domain_view *view = &subject->change.view;
    bool mended = false;
    int rc = domain_change_begin(domains, sd, &subject->change, err);
    if (rc == 0)
        rc = domain_image_require(view, img, &subject->image, err);
    if (rc == 0)
        rc = vol ? domain_record_mend(&subject->image.dir, vol, &mended, err)
                 : domain_scan_mend_records(view, &subject->image, err);
    return rc;
}

int domain_subject_begin(struct domains *domains, const char *sd,
                         const char *img, const char *vol,
                         struct domain_subject *subject, struct err *err)
{
    struct domain_info info;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        rc = info.block ? begin_block(domains, sd, img, subject, err)
                        : begin_file(domains, sd, img, vol, subject, err);
    return rc < 0 ? rc : find_layer(subject, vol, err);
}
