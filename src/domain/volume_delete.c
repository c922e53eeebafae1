/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Removing a volume, in the reverse order of making one:
 *
 *   1 VOL.meta -> VOL.meta.new: from here on there is no such volume
 *   2 the parent: INTERNAL -> LEAF, if the volume was the image's leaf and not
 *     merged away
 *   3 data, lease, VOL.meta.new
 *   4 the image's directory, when that was its last volume
 */
#include "image.h"
#include "kind.h"
#include "record.h"
#include "scan.h"

static int finish(const struct domain_view *view, struct domain_image *image,
                  const char *vol, struct err *err)
{
    bool mended = false;
    int rc = domain_scan_mend_volume(view, image, vol, &mended, err);
    if (rc == 0)
        rc = domain_image_reload(view, image, err);
    if (rc == 0)
        rc = domain_scan_fix_leaf(image, err);
    return rc < 0 ? rc : domain_image_remove_empty(view, image, err);
}

static int delete_volume(const struct domain_view *view,
                         struct domain_image *image, const char *vol,
                         struct err *err)
{
    struct domain_layer *layer = NULL;
    int rc = domain_image_get(image, vol, &layer, err);
    if (rc < 0) {
        /* Cut off behind the last file, the directory is what is left. */
        (void)domain_image_remove_empty(view, image, NULL);
        return rc;
    }
    rc = domain_image_check_delete(image, layer, err);
    if (rc == 0)
        rc = domain_record_retract(&image->dir, vol, err);
    return rc < 0 ? rc : finish(view, image, vol, err);
}

/* A removal that was cut off is completed; that is what was asked for. */
int file_volume_delete(void *ctx, const struct volume_id *id, struct err *err)
{
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    bool mended = false;
    int rc = domain_change_begin(ctx, id->sd, &change, err);
    if (rc == 0)
        rc = domain_image_require(&change.view, id->img, &image, err);
    if (rc == 0)
        rc = domain_scan_mend_volume(&change.view, &image, id->vol, &mended,
                                     err);
    if (rc < 0)
        return rc;
    if (!mended)
        return delete_volume(&change.view, &image, id->vol, err);
    return finish(&change.view, &image, id->vol, err);
}
