/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What must hold before a volume is made.
 */
#include "creation.h"
#include "template.h"
#include "volume_spec.h"
#include <string.h>

static int refuse_existing(const struct volume_create *spec, struct err *err)
{
    return err_set_code(err, ERR_VOLUME_EXISTS,
                        "volume %s of image %s is there already", spec->id.vol,
                        spec->id.img);
}

int domain_creation_check_existing(const struct domain_creation *c,
                                   const struct format_volume *found,
                                   struct err *err)
{
    const struct format_volume *wanted = &c->record;
    if (!c->may_exist)
        return refuse_existing(c->spec, err);
    if (found->kind == wanted->kind && found->capacity == wanted->capacity &&
        found->legality == wanted->legality &&
        str_equal(found->parent, wanted->parent))
        return 0;
    return err_set_code(err, ERR_VOLUME_EXISTS,
                        "volume %s of image %s is there already, but with "
                        "another format, capacity, legality or parent",
                        c->spec->id.vol, c->spec->id.img);
}

static bool is_other_image(const struct volume_create *spec)
{
    return spec->parent_img[0] && !str_equal(spec->parent_img, UUID_BLANK) &&
           !str_equal(spec->parent_img, spec->id.img);
}

static int find_parent(struct domain_creation *c, struct err *err)
{
    const struct domain_layer *layer =
        domain_image_find(&c->image, c->spec->parent);
    if (layer) {
        c->parent = layer->record;
        return 0;
    }
    if (is_other_image(c->spec)) {
        c->foreign_parent = true;
        return domain_template_read(&c->image, c->spec->parent_img,
                                    c->spec->parent, &c->parent, err);
    }
    return err_set_code(err, ERR_NO_VOLUME,
                        "there is no volume %s in image %s to be the parent",
                        c->spec->parent, c->spec->id.img);
}

/* A raw volume is as large as its data, whatever its record says. */
static uint64_t real_capacity(const struct domain_creation *c)
{
    struct volume_info info;
    if (c->foreign_parent || c->parent.kind != FORMAT_RAW ||
        c->image.store->fill(&c->image, c->spec->parent, &info, NULL) < 0)
        return c->parent.capacity;
    return info.apparent_bytes > c->parent.capacity ? info.apparent_bytes
                                                    : c->parent.capacity;
}

/* A copy follows its original. On a VG its raw base may be larger than that
 * was: it has whole extents. */
static bool is_too_small(const struct domain_creation *c)
{
    bool follows = c->spec->clone && c->image.vg;
    return !follows && c->record.capacity < real_capacity(c);
}

/* What lies above the leaf of an image is no part of it any more. */
static bool is_merged_away(const struct format_volume *parent,
                           const struct format_volume *child)
{
    return parent->role == FORMAT_LEAF &&
           (child->role == FORMAT_INTERNAL || child->legality != FORMAT_LEGAL);
}

static int check_parent(const struct domain_creation *c, struct err *err)
{
    const char *parent = c->spec->parent;
    if (!c->spec->clone && c->parent.legality != FORMAT_LEGAL)
        return err_set_code(err, ERR_SNAPSHOT_ILLEGAL,
                            "volume %s is ILLEGAL, so nothing can be based on "
                            "it",
                            parent);
    if (is_too_small(c))
        return err_set_code(err, ERR_VALUE,
                            "volume %s: %llu bytes are less than its parent's "
                            "%llu",
                            c->spec->id.vol,
                            (unsigned long long)c->record.capacity,
                            (unsigned long long)real_capacity(c));
    const struct domain_layer *child = domain_image_child(&c->image, parent);
    if (child && !is_merged_away(&c->parent, &child->record))
        return err_set_code(err, ERR_VOLUME_CHILDREN,
                            "volume %s has a child in this image already: %s",
                            parent, child->vol);
    return 0;
}

int domain_creation_check_chain(struct domain_creation *c, struct err *err)
{
    c->has_parent = domain_spec_has_parent(c->spec);
    if (c->has_parent) {
        int rc = find_parent(c, err);
        return rc < 0 ? rc : check_parent(c, err);
    }
    if (c->image.n == 0)
        return 0;
    return err_set_code(err, ERR_VOLUME_CREATE,
                        "image %s has volumes already, so a further one needs "
                        "one of them as its parent",
                        c->spec->id.img);
}

/* A clone's parent is INTERNAL from the start, unless the scan saw it before
 * its child was there. */
int domain_creation_mark_parent(struct domain_creation *c, struct err *err)
{
    struct domain_layer *layer = domain_image_find(&c->image, c->spec->parent);
    if (!c->has_parent || !layer || layer->linked ||
        layer->record.role != FORMAT_LEAF)
        return 0;
    layer->record.role = FORMAT_INTERNAL;
    return c->image.store->put(&c->image, layer, err);
}

struct domain_data domain_creation_data(const struct domain_creation *c)
{
    return (struct domain_data){
        .image = &c->image.dir,
        .vol = c->spec->id.vol,
        .kind = c->record.kind,
        .allocation = c->record.allocation,
        .capacity = c->record.capacity,
        .parent = c->has_parent ? c->spec->parent : NULL,
        .parent_kind = c->parent.kind,
    };
}

int domain_creation_check_specs(const struct volume_create *specs, size_t n,
                                struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (!str_equal(specs[i].id.sd, specs[0].id.sd))
            return err_set_code(err, ERR_VALUE,
                                "volumes of two domains, %s and %s, cannot be "
                                "made in one go",
                                specs[0].id.sd, specs[i].id.sd);
        rc = domain_spec_check(&specs[i], err);
    }
    return rc;
}
