/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An image as its records and headers tell it. A header counts more than a
 * record where a VM has written it: the capacity. Everything else that
 * contradicts itself is for a person, or for the chain's own verbs.
 */
#include "audit.h"
#include "ops.h"
#include "scan.h"
#include "subject.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* One volume of an image that is being looked at. */
struct place {
    struct audit *audit;
    const struct domain_image *image;
    const struct domain_layer *layer; /* NULL: the image itself */
};

static int note(const struct place *place, const struct audit_fix *fix,
                struct err *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int note(const struct place *place, const struct audit_fix *fix,
                struct err *err, const char *format, ...)
{
    struct audit_finding finding = { .kind = AUDIT_MISMATCH };
    va_list args;
    (void)str_copy(finding.img, sizeof(finding.img), place->image->img);
    (void)str_copy(finding.vol, sizeof(finding.vol),
                   place->layer ? place->layer->vol : "");
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    return audit_note(place->audit, &finding, fix, err);
}

/* --- the chain --- */

static int fix_leaf(void *arg, struct err *err)
{
    const struct place *place = arg;
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    int rc = domain_subject_begin(place->audit->domains, place->audit->info.sd,
                                  place->image->img, NULL, &subject, err);
    return rc < 0 ? rc : domain_scan_fix_leaf(&subject.image, err);
}

static size_t count(const struct domain_image *image, enum format_role role)
{
    size_t n = 0;
    for (size_t i = 0; i < image->n; i++)
        n += !image->layers[i].linked && image->layers[i].record.role == role;
    return n;
}

static bool is_empty(const struct domain_image *image)
{
    for (size_t i = 0; i < image->n; i++) {
        if (!image->layers[i].linked)
            return false;
    }
    return true;
}

static int check_leaf(struct place *place, struct err *err)
{
    const struct domain_image *image = place->image;
    size_t leaves = count(image, FORMAT_LEAF);
    const struct audit_fix fix = { "its last volume becomes the leaf", fix_leaf,
                                   place };
    if (is_empty(image) || leaves == 1 || count(image, FORMAT_SHARED) > 0)
        return 0;
    if (leaves > 1)
        return note(place, NULL, err, "the image has %zu leaves", leaves);
    return note(place, domain_scan_find_leaf(image) ? &fix : NULL, err,
                "the image has no leaf");
}

static size_t count_children(const struct domain_image *image, const char *vol)
{
    size_t n = 0;
    for (size_t i = 0; i < image->n; i++)
        n += str_equal(image->layers[i].record.parent, vol);
    return n;
}

static int check_place(const struct place *place, struct err *err)
{
    const struct domain_image *image = place->image;
    const struct domain_layer *layer = place->layer;
    const struct domain_layer *parent =
        domain_image_find(image, layer->record.parent);
    size_t children = count_children(image, layer->vol);
    bool has_parent = !str_equal(layer->record.parent, UUID_BLANK);
    int rc = 0;
    if (has_parent && !parent)
        rc = note(place, NULL, err, "its parent %s is not in the image",
                  layer->record.parent);
    if (rc == 0 && parent && layer->record.kind != FORMAT_COW)
        rc = note(place, NULL, err, "it is raw, and has a parent");
    if (rc == 0 && parent && layer->record.capacity < parent->record.capacity)
        rc = note(place, NULL, err,
                  "it has %" PRIu64 " bytes, its parent %" PRIu64,
                  layer->record.capacity, parent->record.capacity);
    if (rc == 0 && !layer->linked && children > 1)
        rc = note(place, NULL, err, "%zu volumes name it as their parent",
                  children);
    if (rc == 0 && children > 0 && layer->record.role == FORMAT_LEAF)
        rc = note(place, NULL, err, "it is a leaf, and another one's parent");
    return rc;
}

/* --- the data --- */

static int fix_capacity(void *arg, struct err *err)
{
    const struct place *place = arg;
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    struct format_qcow2 header = { .virtual_size = 0 };
    int rc = domain_subject_begin(place->audit->domains, place->audit->info.sd,
                                  place->image->img, place->layer->vol,
                                  &subject, err);
    if (rc == 0)
        rc = domain_image_header(&subject.image, place->layer->vol, &header,
                                 err);
    if (rc < 0 || header.virtual_size <= subject.layer->record.capacity)
        return rc;
    subject.layer->record.capacity = header.virtual_size;
    return subject.image.store->put(&subject.image, subject.layer, err);
}

/* A guest that grew its disk knows better than the record; a record that says
 * more than there is may be wrong in any way. */
static int check_capacity(struct place *place,
                          const struct format_qcow2 *header, struct err *err)
{
    const struct format_volume *record = &place->layer->record;
    const struct audit_fix fix = { "the record gets the qcow2's capacity",
                                   fix_capacity, place };
    if (header->virtual_size == record->capacity)
        return 0;
    return note(place, header->virtual_size > record->capacity ? &fix : NULL,
                err,
                "its qcow2 is for %" PRIu64 " bytes, the record says %" PRIu64,
                header->virtual_size, record->capacity);
}

static int check_backing(const struct place *place,
                         const struct format_qcow2 *header, struct err *err)
{
    const char *parent = place->layer->record.parent;
    bool same = str_equal(parent, UUID_BLANK)
                    ? !header->backing[0]
                    : str_equal(parent, header->backing);
    if (same)
        return 0;
    return note(place, NULL, err,
                "its qcow2 names the parent \"%s\", the record %s",
                header->backing, parent);
}

static int check_cow(struct place *place, struct err *err)
{
    struct format_qcow2 header;
    struct err cause = ERR_INIT;
    if (domain_image_header(place->image, place->layer->vol, &header, &cause) <
        0)
        return audit_note_error(place->audit, AUDIT_MISMATCH, place->image->img,
                                place->layer->vol, &cause, err);
    int rc = check_capacity(place, &header, err);
    return rc < 0 ? rc : check_backing(place, &header, err);
}

static int check_raw(const struct place *place, struct err *err)
{
    struct volume_info info = { .block = false };
    struct err cause = ERR_INIT;
    const struct domain_layer *layer = place->layer;
    if (place->image->store->fill(place->image, layer->vol, &info, &cause) < 0)
        return audit_note_error(place->audit, AUDIT_MISMATCH, place->image->img,
                                layer->vol, &cause, err);
    if (info.apparent_bytes >= layer->record.capacity)
        return 0;
    return note(place, NULL, err,
                "it has %" PRIu64 " bytes, the record says %" PRIu64,
                info.apparent_bytes, layer->record.capacity);
}

static int check_layer(struct place *place, struct err *err)
{
    int rc = check_place(place, err);
    if (rc < 0 || place->layer->linked) /* looked at in its own image */
        return rc;
    if (place->layer->record.legality == FORMAT_ILLEGAL)
        return note(place, NULL, err,
                    "it is ILLEGAL: a copy or a merge is under way, or broke "
                    "off");
    return place->layer->record.kind == FORMAT_COW ? check_cow(place, err)
                                                   : check_raw(place, err);
}

int audit_image(struct audit *audit, const struct domain_image *image,
                struct err *err)
{
    struct place place = { .audit = audit, .image = image };
    int rc = check_leaf(&place, err);
    for (size_t i = 0; rc == 0 && i < image->n; i++) {
        place.layer = &image->layers[i];
        rc = check_layer(&place, err);
    }
    return rc;
}

static int look(struct audit *audit, const char *img, struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    struct err cause = ERR_INIT;
    if (domain_subject_open(audit->domains, audit->info.sd, img, NULL, &subject,
                            &cause) == 0)
        return audit_image(audit, &subject.image, err);
    if (cause.code == ERR_NO_IMAGE) /* removed since the list was made */
        return 0;
    return audit_note_error(audit, AUDIT_MISMATCH, img, NULL, &cause, err);
}

int audit_images(struct audit *audit, struct err *err)
{
    struct uuid_list images = { 0 };
    int rc = domain_images(audit->domains, audit->info.sd, &images, err);
    for (size_t i = 0; rc == 0 && i < images.n; i++)
        rc = look(audit, images.uuids[i], err);
    uuid_list_deinit(&images);
    return rc;
}
