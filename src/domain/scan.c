/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The scan after a crash, ours or another host's. It decides by what lies in
 * the domain alone:
 *
 *   VOL.meta.new          see record.c: a volume not quite there, or an update
 *   _remove_me_IMG        an image whose removal was decided: finish it
 *   VOL.meta, no lease    write the lease again
 *   no LEAF in an image   the one INTERNAL without a child becomes it, when a
 *                         child was being made or removed. Not with ILLEGAL
 *                         volumes around: they are a copy being built.
 *   no volume             remove the directory
 *
 * Data without a record belongs to somebody else and stays, and so does all
 * that does not parse. Everything may be repeated and cut off again.
 */
#include "scan.h"
#include "layout.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* NFS keeps the name of a removed file that is still open until it is closed;
 * removing that would only give it another. */
static bool is_nfs_remnant(const char *name)
{
    return str_starts_with(name, ".nfs");
}

static int remove_all(const struct domain_dir *dir, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (!is_nfs_remnant(names.names[i]))
            rc = domain_file_remove(dir, names.names[i], err);
    }
    return rc;
}

int domain_scan_finish_removal(const struct domain_view *view, const char *name,
                               struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(&view->images, name, &dir, err);
    if (rc == 0)
        rc = remove_all(&dir, err);
    if (rc == 0)
        rc = domain_dir_remove(&view->images, name, err);
    /* Not synced: what a crash brings back has the name that says that it is
     * to be removed. */
    return rc == DOMAIN_NONE ? 0 : rc;
}

int domain_scan_make_lease(const struct domain_view *view,
                           const struct domain_dir *image, const char *img,
                           const char *vol, struct err *err)
{
    const struct domains *domains = view->domains;
    const struct domain_file_name name = domain_file_name(vol, PART_LEASE);
    struct lease_place place;
    struct stat st;
    int rc = domain_file_stat(image, name.s, &st, err);
    if (rc == DOMAIN_NONE) {
        _cleanup_close_ int fd = -1;
        rc = domain_file_make(image, name.s, DOMAIN_FILE_MODE, &domains->owner,
                              &fd, err);
    }
    if (rc < 0)
        return rc;
    domain_place_volume(&view->info, img, vol, &place);
    rc = domains->leases.ops->format_resource(domains->leases.ctx, &place, err);
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}

/* While it still can be told whose child the volume was. */
static int mend_parent(const struct domain_view *view,
                       struct domain_image *image, const char *vol,
                       struct err *err)
{
    struct format_volume cut;
    int rc = domain_record_read_cut(&image->dir, view->info.sd, vol, &cut, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    if (cut.role != FORMAT_LEAF)
        return 0;
    rc = domain_image_reload(view, image, err);
    return rc < 0 ? rc : domain_image_fix_role(image, cut.parent, err);
}

int domain_scan_mend_volume(const struct domain_view *view,
                            struct domain_image *image, const char *vol,
                            bool *ret_mended, struct err *err)
{
    int rc = mend_parent(view, image, vol, err);
    return rc < 0 ? rc : domain_record_mend(&image->dir, vol, ret_mended, err);
}

int domain_scan_mend_records(const struct domain_view *view,
                             struct domain_image *image, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    char vol[UUID_SIZE];
    bool mended = false;
    int rc = domain_dir_list(&image->dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (domain_file_is(names.names[i], PART_INTENT, vol))
            rc = domain_scan_mend_volume(view, image, vol, &mended, err);
    }
    return rc < 0 ? rc : domain_image_reload(view, image, err);
}

/* Absent, or nothing was written to it yet. Anything else, even damaged, may be
 * in somebody's hands. */
bool domain_scan_has_lease(const struct domain_image *image, const char *vol)
{
    static const char zeros[FORMAT_LEADER_SIZE];
    const struct domain_file_name name = domain_file_name(vol, PART_LEASE);
    char sector[FORMAT_LEADER_SIZE];
    struct domain_buffer buffer = { .data = sector, .size = sizeof(sector) };
    int rc = domain_file_read(&image->dir, name.s, 0, &buffer, NULL);
    if (rc != 0)
        return rc != DOMAIN_NONE; /* not readable: nothing we can mend */
    return buffer.size == sizeof(sector) &&
           memcmp(sector, zeros, sizeof(sector)) != 0;
}

static int mend_leases(const struct domain_view *view,
                       const struct domain_image *image, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (!layer->linked && !domain_scan_has_lease(image, layer->vol))
            rc = domain_scan_make_lease(view, &image->dir, image->img,
                                        layer->vol, err);
    }
    return rc;
}

/* The volume that should be the leaf of an image that has none. */
const char *domain_scan_find_leaf(const struct domain_image *image)
{
    const char *found = NULL;
    for (size_t i = 0; i < image->n; i++) {
        const struct domain_layer *layer = &image->layers[i];
        if (layer->linked)
            continue;
        if (layer->record.role != FORMAT_INTERNAL ||
            layer->record.legality != FORMAT_LEGAL)
            return NULL;
        if (domain_image_child(image, layer->vol))
            continue;
        if (found)
            return NULL; /* two of them: nobody can tell */
        found = layer->vol;
    }
    return found;
}

int domain_scan_fix_leaf(struct domain_image *image, struct err *err)
{
    const char *leaf = domain_scan_find_leaf(image);
    return leaf ? domain_image_fix_role(image, leaf, err) : 0;
}

static int scan_image(const struct domain_view *view, const char *img,
                      struct err *err)
{
    _cleanup_image_ struct domain_image image;
    domain_image_init(view, img, &image);
    int rc = domain_dir_open_below(&view->images, img, &image.dir, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    rc = domain_scan_mend_records(view, &image, err);
    if (rc == 0)
        rc = mend_leases(view, &image, err);
    if (rc == 0)
        rc = domain_scan_fix_leaf(&image, err);
    return rc < 0 ? rc : domain_image_remove_empty(view, &image, err);
}

static int scan_entry(const struct domain_view *view, const char *name,
                      struct err *err)
{
    if (str_starts_with(name, DOMAIN_REMOVED_PREFIX))
        return domain_scan_finish_removal(view, name, err);
    if (uuid_is_valid(name))
        return scan_image(view, name, err);
    return 0;
}

int domain_scan(const struct domain_change *change, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(&change->view.images, &names, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names.n; i++) {
        struct err ignored = ERR_INIT;
        /* One damaged image must not keep the others from their VMs; who uses
         * it gets its error. */
        (void)scan_entry(&change->view, names.names[i], &ignored);
    }
    return 0;
}
