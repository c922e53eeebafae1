/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LVs, tags, slots and leases of a block domain. The tags of an LV say that
 * there is a volume, its slot says what it is, and where both speak of the same
 * the slot wins, for a host that ends a merge may write nothing else. A lease
 * is the volume's when its own leader says so; what else is in its area is what
 * an older volume left.
 */
#include "../audit.h"
#include "../special.h"
#include "../view.h"
#include "idle.h"
#include "image.h"
#include "links.h"
#include "lv.h"
#include "scan.h"
#include "slot.h"
#include "tags.h"
#include "use.h"
#include <dray/format/block.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* What is being looked at. */
struct place {
    struct audit *audit;
    struct block_vg *vg;
    const struct lvm_lv *lv; /* NULL: the VG */
    struct format_volume_tags tags;
    struct format_volume record;
};

static int note(const struct place *place, enum audit_kind kind,
                const struct audit_fix *fix, struct err *err,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static int note(const struct place *place, enum audit_kind kind,
                const struct audit_fix *fix, struct err *err,
                const char *format, ...)
{
    struct audit_finding finding = { .kind = kind };
    va_list args;
    (void)str_copy(finding.img, sizeof(finding.img), place->tags.image);
    if (place->lv && uuid_is_valid(place->lv->name))
        (void)str_copy(finding.vol, sizeof(finding.vol), place->lv->name);
    va_start(args, format);
    (void)vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    str_make_line(finding.text);
    return audit_note(place->audit, &finding, fix, err);
}

/* --- leftovers --- */

static int fix_leftover(void *arg, struct err *err)
{
    const struct place *place = arg;
    bool mended = false;
    return block_scan_lv(place->vg, place->lv, &mended, err);
}

static int check_leftover(struct place *place, struct err *err)
{
    const struct audit_fix remove = { "the LV is removed", fix_leftover,
                                      place };
    const struct audit_fix *fix = place->lv->open ? NULL : &remove;
    const char *open = place->lv->open ? "; it is open on this host" : "";
    if (place->tags.initializing)
        return note(place, AUDIT_LEFTOVER, fix, err, "its making broke off%s",
                    open);
    return note(place, AUDIT_LEFTOVER, fix, err, "its removal broke off%s",
                open);
}

/* --- slots, tags and leases --- */

static int fix_parent_tag(void *arg, struct err *err)
{
    const struct place *place = arg;
    struct format_volume_tags wanted = place->tags;
    struct format_volume_tag_texts old, new;
    const char *lv = place->lv->name, *add = new.parent, *remove = old.parent;
    (void)str_copy(wanted.parent, UUID_SIZE, place->record.parent);
    format_volume_tags_text(&place->tags, &old);
    format_volume_tags_text(&wanted, &new);
    return lvm_tag(place->vg->lvm, (struct lvm_names){ .names = &lv, .n = 1 },
                   (struct lvm_names){ .names = &add, .n = 1 },
                   (struct lvm_names){ .names = &remove, .n = 1 }, block_soon(),
                   err);
}

static int check_tags(struct place *place, struct err *err)
{
    const struct audit_fix fix = { "the tag gets the record's parent",
                                   fix_parent_tag, place };
    if (!str_equal(place->record.image, place->tags.image))
        return note(place, AUDIT_MISMATCH, NULL, err,
                    "its record is of image %s, its tag of %s",
                    place->record.image, place->tags.image);
    if (!str_equal(place->record.parent, place->tags.parent))
        return note(place, AUDIT_MISMATCH, &fix, err,
                    "its record has the parent %s, its tag %s",
                    place->record.parent, place->tags.parent);
    return 0;
}

static int fix_lease(void *arg, struct err *err)
{
    const struct place *place = arg;
    const struct lease_port *leases = &place->vg->domains->leases;
    struct lease_place lease;
    block_place_volume(&place->vg->info, place->tags.slot, place->lv->name,
                       &lease);
    int rc = leases->ops->format_resource(leases->ctx, &lease, err);
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}

static int check_lease(struct place *place, struct err *err)
{
    const struct domain_info *info = &place->vg->info;
    const struct audit_fix fix = { "its lease is written", fix_lease, place };
    struct err cause = ERR_INIT;
    char sector[FORMAT_LEADER_SIZE];
    if (block_lv_read(
            info, "leases",
            format_slot_lease_offset(place->tags.slot, info->alignment), sector,
            sizeof(sector), &cause) < 0)
        return note(place, AUDIT_MISMATCH, NULL, err, "its lease: %s",
                    cause.message);
    if (domain_special_check_leader("its lease", sector, sizeof(sector), info,
                                    place->lv->name, &cause) == 0)
        return 0;
    return note(place, AUDIT_MISMATCH, &fix, err, "it has no lease: %s",
                cause.message);
}

static int check_slot(struct place *place, struct format_slots *slots,
                      struct err *err)
{
    struct err cause = ERR_INIT;
    unsigned slot = place->tags.slot;
    if (slot > block_vg_last_slot(place->vg))
        return note(place, AUDIT_MISMATCH, NULL, err,
                    "slot %u has no room for its lease", slot);
    if (!format_slots_add(slots, slot))
        return note(place, AUDIT_MISMATCH, NULL, err,
                    "slot %u is another volume's, too", slot);
    if (block_slot_read(place->vg, slot, &place->record, &cause) < 0)
        return note(place, AUDIT_MISMATCH, NULL, err, "its record: %s",
                    cause.message);
    int rc = check_tags(place, err);
    return rc < 0 ? rc : check_lease(place, err);
}

/* --- what is active --- */

static int fix_idle(void *arg, struct err *err)
{
    const struct place *place = arg;
    return block_idle_end(place->vg, place->lv->name, err);
}

static int check_active(struct place *place, struct err *err)
{
    const struct audit_fix fix = { "the LV is deactivated", fix_idle, place };
    const struct lvm_lv *lv = place->lv;
    if (lv->suspended)
        return note(place, AUDIT_LEFTOVER, NULL, err,
                    "it is suspended on this host: who writes to it waits");
    if (block_lv_is_idle(place->vg, lv))
        return note(place, AUDIT_IDLE, &fix, err,
                    "it is active on this host, and nobody uses it");
    if (lv->active && !lv->open && !block_use_has(place->vg, lv->name))
        return note(place, AUDIT_IDLE, NULL, err,
                    "it is prepared on this host, and nobody has it open; "
                    "Image.teardown ends that");
    return 0;
}

/* --- all LVs --- */

static int check_lv(struct place *place, struct format_slots *slots,
                    struct err *err)
{
    const struct lvm_lv *lv = place->lv;
    struct err cause = ERR_INIT;
    if (format_is_special_lv(lv->name))
        return 0;
    if (!uuid_is_valid(lv->name))
        return note(place, AUDIT_ORPHAN, NULL, err,
                    "LV %.100s is no volume's and no part of a domain",
                    lv->name);
    if (format_volume_tags_parse((const char *const *)lv->tags, lv->n_tags,
                                 &place->tags, &cause) < 0)
        return note(place, AUDIT_MISMATCH, NULL, err, "its tags: %s",
                    cause.message);
    if (place->tags.initializing || place->tags.removal != FORMAT_KEPT)
        return check_leftover(place, err);
    int rc = check_slot(place, slots, err);
    return rc < 0 ? rc : check_active(place, err);
}

static int check_special(const struct place *place, struct err *err)
{
    int rc = 0;
    for (const struct format_special_lv *lv = format_special_lvs();
         rc == 0 && lv->name; lv++) {
        if (!lvm_report_lv(&place->vg->report, lv->name))
            rc = note(place, AUDIT_MISMATCH, NULL, err, "LV %s is missing",
                      lv->name);
    }
    return rc;
}

/* --- the PV map --- */

struct map {
    const struct place *place;
    struct lvm_report report;
    struct format_domain domain;
};

static int fix_map(void *arg, struct err *err)
{
    const struct map *map = arg;
    return block_tags_write(map->place->vg->lvm, &map->report.vg, &map->domain,
                            block_soon(), err);
}

static int read_map(struct map *map, size_t *ret_missing, struct err *err)
{
    const struct block_vg *vg = map->place->vg;
    int rc =
        lvm_report(vg->lvm, LVM_VG | LVM_PVS, block_soon(), &map->report, err);
    if (rc == 0)
        rc = format_domain_from_tags((const char *const *)map->report.vg.tags,
                                     map->report.vg.n_tags, &map->domain, err);
    size_t before = map->domain.n;
    if (rc == 0)
        rc = block_tags_map(&map->domain, &map->report, &vg->info, err);
    *ret_missing = map->domain.n - before;
    return rc;
}

static int check_map(const struct place *place, struct err *err)
{
    struct map map = { .place = place };
    struct err cause = ERR_INIT;
    const struct audit_fix fix = { "the PV map gets them", fix_map, &map };
    size_t missing = 0;
    int rc = read_map(&map, &missing, &cause);
    if (rc < 0)
        rc = note(place, AUDIT_MISMATCH, NULL, err, "the PV map: %s",
                  cause.message);
    else if (missing > 0)
        rc = note(place, AUDIT_MISMATCH, &fix, err,
                  "%zu PVs of the VG are not in the PV map of its tags",
                  missing);
    format_domain_deinit(&map.domain);
    lvm_report_deinit(&map.report);
    return rc;
}

static int look(struct audit *audit, struct block_vg *vg, struct err *err)
{
    struct place top = { .audit = audit, .vg = vg };
    struct format_slots slots = { .used = { false } };
    int rc = check_special(&top, err);
    if (rc == 0)
        rc = check_map(&top, err);
    for (size_t i = 0; rc == 0 && i < vg->report.n_lvs; i++) {
        struct place place = top;
        place.lv = &vg->report.lvs[i];
        rc = check_lv(&place, &slots, err);
    }
    return rc;
}

int audit_block(struct audit *audit, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    const char *sd = audit->info.sd;
    bool ours = audit->info.status == DOMAIN_JOINED && !audit->info.read_only;
    int rc = ours ? block_vg_begin(audit->domains, sd, &vg, err)
                  : block_vg_open(audit->domains, sd, &vg, err);
    return rc < 0 ? rc : look(audit, &vg, err);
}
