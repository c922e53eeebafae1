/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What lies in images/ and below. Files that no record explains may be
 * somebody's only copy of something: they are shown and stay.
 */
#include "audit.h"
#include "layout.h"
#include "record.h"
#include "scan.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Where something is. */
struct place {
    struct audit *audit;
    const struct domain_view *view;
    struct domain_image *image; /* NULL: images/ itself */
    const char *name;           /* of the file or directory, or a volume's id */
};

static int note(const struct place *place, enum audit_kind kind,
                const char *vol, const struct audit_fix *fix, struct err *err,
                const char *format, ...) __attribute__((format(printf, 6, 7)));

static int note(const struct place *place, enum audit_kind kind,
                const char *vol, const struct audit_fix *fix, struct err *err,
                const char *format, ...)
{
    struct audit_finding finding = { .kind = kind };
    va_list args;
    (void)str_copy(finding.img, sizeof(finding.img),
                   place->image ? place->image->img : "");
    (void)str_copy(finding.vol, sizeof(finding.vol), vol ? vol : "");
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    str_make_line(finding.text);
    return audit_note(place->audit, &finding, fix, err);
}

/* --- a volume's files --- */

static int fix_records(void *arg, struct err *err)
{
    const struct place *place = arg;
    return domain_scan_mend_records(place->view, place->image, err);
}

static int fix_lease(void *arg, struct err *err)
{
    const struct place *place = arg;
    return domain_scan_make_lease(place->view, &place->image->dir,
                                  place->image->img, place->name, err);
}

static bool is_there(const struct place *place, const char *name)
{
    struct stat st;
    return domain_file_stat(&place->image->dir, name, &st, NULL) == 0;
}

/* Of a volume that has a record. Whether there is data shows when it is looked
 * at. */
static int check_lease(struct place *place, struct err *err)
{
    const struct audit_fix fix = { "its lease is written", fix_lease, place };
    if (domain_scan_has_lease(place->image, place->name))
        return 0;
    return note(place, AUDIT_MISMATCH, place->name, &fix, err,
                "it has no lease");
}

/* A file of which no record tells. */
static int check_stray(struct place *place, struct err *err)
{
    char vol[UUID_SIZE] = "";
    const char *name = place->name;
    if (uuid_is_valid(name))
        (void)str_copy(vol, sizeof(vol), name);
    else if (!domain_file_is(name, PART_LEASE, vol))
        return note(place, AUDIT_ORPHAN, NULL, NULL, err,
                    "%.100s belongs to no volume", name);
    const struct domain_file_name meta = domain_file_name(vol, PART_META);
    const struct domain_file_name intent = domain_file_name(vol, PART_INTENT);
    if (is_there(place, meta.s) || is_there(place, intent.s))
        return 0;
    return note(place, AUDIT_ORPHAN, vol, NULL, err, "%s has no record", name);
}

static int check_file(struct place *place, struct err *err)
{
    char vol[UUID_SIZE];
    const struct audit_fix mend = { "what broke off is undone or completed",
                                    fix_records, place };
    if (domain_file_is(place->name, PART_INTENT, vol))
        return note(place, AUDIT_LEFTOVER, vol, &mend, err,
                    "its making, change or removal broke off");
    if (!domain_file_is(place->name, PART_META, vol))
        return check_stray(place, err);
    const char *file = place->name;
    place->name = vol;
    int rc = check_lease(place, err);
    place->name = file;
    return rc;
}

/* --- images --- */

static int fix_empty(void *arg, struct err *err)
{
    const struct place *place = arg;
    return domain_image_remove_empty(place->view, place->image, err);
}

static int check_files(struct place *place, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    const struct audit_fix fix = { "its directory is removed", fix_empty,
                                   place };
    int rc = domain_dir_list(&place->image->dir, &names, err);
    if (rc == 0 && names.n == 0)
        return note(place, AUDIT_LEFTOVER, NULL, &fix, err,
                    "the image has no volumes");
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        place->name = names.names[i];
        rc = check_file(place, err);
    }
    return rc;
}

static int check_image(struct audit *audit, const struct domain_view *view,
                       const char *img, struct err *err)
{
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct place place = { .audit = audit, .view = view, .image = &image };
    domain_image_init(view, img, &image);
    int rc = domain_dir_open_below(&view->images, img, &image.dir, err);
    if (rc == DOMAIN_NONE)
        return 0;
    return rc < 0 ? rc : check_files(&place, err);
}

static int fix_removal(void *arg, struct err *err)
{
    const struct place *place = arg;
    return domain_scan_finish_removal(place->view, place->name, err);
}

static int check_entry(struct audit *audit, const struct domain_view *view,
                       const char *name, struct err *err)
{
    struct place place = { .audit = audit, .view = view, .name = name };
    const struct audit_fix fix = { "its removal is finished", fix_removal,
                                   &place };
    if (uuid_is_valid(name))
        return check_image(audit, view, name, err);
    if (str_starts_with(name, DOMAIN_REMOVED_PREFIX))
        return note(&place, AUDIT_LEFTOVER, NULL, &fix, err,
                    "the removal of image %.64s broke off",
                    name + strlen(DOMAIN_REMOVED_PREFIX));
    return note(&place, AUDIT_ORPHAN, NULL, NULL, err,
                "images/%.100s belongs to no image", name);
}

static int look(struct audit *audit, const struct domain_view *view,
                struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(&view->images, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++)
        rc = check_entry(audit, view, names.names[i], err);
    return rc;
}

int audit_files(struct audit *audit, struct err *err)
{
    const char *sd = audit->info.sd;
    if (audit->info.status != DOMAIN_JOINED || audit->info.read_only) {
        _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
        int rc = domain_view_open(audit->domains, sd, &view, err);
        return rc < 0 ? rc : look(audit, &view, err);
    }
    _cleanup_change_ struct domain_change change = DOMAIN_CHANGE_INIT;
    int rc = domain_change_begin(audit->domains, sd, &change, err);
    return rc < 0 ? rc : look(audit, &change.view, err);
}
