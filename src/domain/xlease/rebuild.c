/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index is made right again from what it says and what the leases on the
 * disk say. A record is 64 bytes without a checksum; a lease has one, and the
 * name in it. So:
 *
 *   record         lease at its place    becomes
 *   of lease A     A                     stays
 *   of lease A     none                  A is made there, without data
 *   of lease A     B, that is not where  of B: the record was damaged, for a
 *                  a record says         lease is always made before its record
 *   of lease A     B, that is            A is made there
 *   damaged        B, of no record       of B
 *   damaged        none, or of another   free; the lease is cleared
 *   free           B                     free; B is cleared: it was left over.
 *                                        Unless a live host holds it: of B
 *
 * Where a lease that a live host holds would be overwritten all the same, or
 * nobody can say whether one does, nothing is changed.
 *
 * An index with a damaged header is treated the same; one that was cut off by a
 * crash ("updating"), too. The new index is written with that flag set, so that
 * nobody uses a half of it.
 */
#include "change.h"
#include "lvb.h"
#include "volume.h"
#include <errno.h>
#include <string.h>

/* What stands at the place of one record. */
struct slot {
    enum format_xlease_state state;
    char id[UUID_SIZE];    /* of the record, USED */
    char found[UUID_SIZE]; /* of the lease; empty: none */
    /* What is to be done: */
    bool make;  /* a lease for the record */
    bool clear; /* the lease */
};

struct rebuild {
    struct xlease_volume *volume;
    struct xlease_rebuilt counts;
    struct slot slots[FORMAT_XLEASES_RECORDS]; /* the first volume->limit */
    char before[FORMAT_XLEASES_SIZE];          /* the index as it was */
};

static int read_slots(struct rebuild *r, struct err *err)
{
    const struct xlease_volume *volume = r->volume;
    for (size_t i = 0; i < volume->limit; i++) {
        struct format_leader leader;
        struct slot *slot = &r->slots[i];
        struct format_xlease record =
            format_xlease_get(volume->index, i, volume->info.alignment);
        slot->state = record.state;
        if (record.state == FORMAT_XLEASE_USED)
            (void)str_copy(slot->id, sizeof(slot->id), record.id);
        int rc = xlease_volume_leader(volume, i, &leader, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            (void)str_copy(slot->found, sizeof(slot->found), leader.resource);
    }
    return 0;
}

/* Another slot has a record of lease @id; with @true_only: one with that lease
 * at its place. */
static bool is_recorded(const struct rebuild *r, const char *id, size_t except,
                        bool true_only)
{
    for (size_t i = 0; i < r->volume->limit; i++) {
        const struct slot *slot = &r->slots[i];
        if (i != except && slot->state == FORMAT_XLEASE_USED &&
            str_equal(slot->id, id) &&
            (!true_only || str_equal(slot->found, id)))
            return true;
    }
    return false;
}

/* Two records of one lease: the one at whose place it is, else the first. */
static void drop_doubles(struct rebuild *r)
{
    for (size_t i = r->volume->limit; i-- > 0;) {
        struct slot *slot = &r->slots[i];
        if (slot->state != FORMAT_XLEASE_USED)
            continue;
        bool is_true = str_equal(slot->found, slot->id);
        bool other_true = is_recorded(r, slot->id, i, true);
        if (other_true || (!is_true && is_recorded(r, slot->id, i, false)))
            slot->state = FORMAT_XLEASE_DAMAGED;
    }
}

static void restore(struct rebuild *r, struct slot *slot)
{
    slot->state = FORMAT_XLEASE_USED;
    (void)str_copy(slot->id, sizeof(slot->id), slot->found);
    r->counts.restored++;
}

/* What stands on the disk counts, whatever the records of other places say. */
static void settle_found(struct rebuild *r, size_t i)
{
    struct slot *slot = &r->slots[i];
    if (!slot->found[0])
        return;
    if (str_equal(slot->found, slot->id))
        r->counts.kept++;
    else if (!is_recorded(r, slot->found, i, true))
        restore(r, slot);
}

static void settle_missing(struct rebuild *r, size_t i)
{
    struct slot *slot = &r->slots[i];
    if (str_equal(slot->found, slot->id))
        return;
    if (is_recorded(r, slot->id, i, true)) {
        slot->state = FORMAT_XLEASE_DAMAGED; /* it was found elsewhere */
        return;
    }
    slot->make = true;
    r->counts.made++;
}

/* In doubt it is. */
static bool is_held(const struct rebuild *r, size_t i)
{
    const struct lease_port *leases = &r->volume->domains->leases;
    struct lease_owner owner = { 0 };
    struct lease_place place;
    xlease_volume_place(r->volume, i, r->slots[i].found, &place);
    int rc = leases->ops->owner(leases->ctx, &place, &owner, NULL);
    return rc < 0 || (rc == 0 && owner.host_id != 0);
}

static int check_not_held(const struct rebuild *r, struct err *err)
{
    for (size_t i = 0; i < r->volume->limit; i++) {
        const struct slot *slot = &r->slots[i];
        if ((!slot->make && !slot->clear) || !slot->found[0] || !is_held(r, i))
            continue;
        (void)err_set_code(err, ERR_LOCK_INIT,
                           "xleases of domain %s: lease %s is not where its "
                           "record says, and is or may be held by a host; "
                           "nothing was changed",
                           r->volume->info.sd, slot->found);
        return err_next(err, "end what holds it, then rebuild again");
    }
    return 0;
}

static void settle_other(struct rebuild *r, size_t i)
{
    struct slot *slot = &r->slots[i];
    bool damaged = slot->state == FORMAT_XLEASE_DAMAGED;
    if (slot->found[0] && !is_recorded(r, slot->found, i, false) &&
        (damaged || is_held(r, i))) {
        restore(r, slot);
        return;
    }
    slot->state = FORMAT_XLEASE_FREE;
    slot->clear = slot->found[0] != '\0';
    r->counts.cleared += slot->clear;
    r->counts.freed += damaged;
}

/* Records that are right count before those that are made from leases. */
static void settle(struct rebuild *r)
{
    drop_doubles(r);
    for (size_t i = 0; i < r->volume->limit; i++) {
        if (r->slots[i].state == FORMAT_XLEASE_USED)
            settle_found(r, i);
    }
    for (size_t i = 0; i < r->volume->limit; i++) {
        if (r->slots[i].state == FORMAT_XLEASE_USED)
            settle_missing(r, i);
    }
    for (size_t i = 0; i < r->volume->limit; i++) {
        if (r->slots[i].state != FORMAT_XLEASE_USED)
            settle_other(r, i);
    }
}

static int set_header(struct rebuild *r, bool updating, struct err *err)
{
    struct format_xleases header = {
        .mtime_s = (uint64_t)time_wall_ms() / 1000,
    };
    const char *sd = r->volume->info.sd;
    int rc =
        format_xleases_parse(r->before, FORMAT_XLEASES_SIZE, &header, NULL);
    if (rc == 0 && !str_equal(header.lockspace, sd))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "xleases of domain %s: the index belongs to domain "
                            "%s",
                            sd, header.lockspace);
    (void)str_copy(header.lockspace, sizeof(header.lockspace), sd);
    header.updating = updating;
    format_xleases_set_header(r->volume->index, &header);
    return 0;
}

static void set_records(struct rebuild *r)
{
    const struct xlease_volume *volume = r->volume;
    for (size_t i = 0; i < FORMAT_XLEASES_RECORDS; i++) {
        bool used =
            i < volume->limit && r->slots[i].state == FORMAT_XLEASE_USED;
        format_xlease_set(volume->index, i, volume->info.alignment,
                          used ? r->slots[i].id : NULL);
    }
}

static int make_leases(const struct rebuild *r, struct err *err)
{
    const struct lease_port *leases = &r->volume->domains->leases;
    struct lease_place place;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->volume->limit; i++) {
        if (!r->slots[i].make)
            continue;
        xlease_volume_place(r->volume, i, r->slots[i].id, &place);
        rc = leases->ops->format_resource(leases->ctx, &place, err);
    }
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}

/* After the index: a leftover that stays hurts nobody. */
static void clear_leases(const struct rebuild *r)
{
    const struct lease_port *leases = &r->volume->domains->leases;
    struct lease_place place;
    for (size_t i = 0; i < r->volume->limit; i++) {
        if (!r->slots[i].clear)
            continue;
        xlease_volume_place(r->volume, i, r->slots[i].found, &place);
        (void)leases->ops->clear_resource(leases->ctx, &place, NULL);
    }
}

static int write_index(struct rebuild *r, struct err *err)
{
    const struct xlease_volume *volume = r->volume;
    int rc = set_header(r, true, err);
    if (rc == 0)
        rc = xlease_volume_write(volume, 0, FORMAT_XLEASES_HEADER_SIZE, err);
    if (rc < 0)
        return rc;
    set_records(r);
    rc = xlease_volume_write(volume, 0, FORMAT_XLEASES_SIZE, err);
    if (rc == 0)
        rc = set_header(r, false, err);
    return rc < 0 ? rc
                  : xlease_volume_write(volume, 0, FORMAT_XLEASES_HEADER_SIZE,
                                        err);
}

/* Only what is wrong is written. */
static bool is_right(struct rebuild *r)
{
    bool right = set_header(r, false, NULL) == 0;
    set_records(r);
    right =
        right && memcmp(r->volume->index, r->before, FORMAT_XLEASES_SIZE) == 0;
    memcpy(r->volume->index, r->before, FORMAT_XLEASES_SIZE);
    return right;
}

static int run(struct rebuild *r, struct err *err)
{
    int rc = read_slots(r, err);
    if (rc < 0)
        return rc;
    settle(r);
    rc = check_not_held(r, err);
    if (rc == 0)
        rc = make_leases(r, err);
    if (rc == 0 && !is_right(r))
        rc = write_index(r, err);
    if (rc == 0)
        clear_leases(r);
    return rc;
}

int xlease_rebuild(void *ctx, const char *sd,
                   struct xlease_rebuilt *ret_rebuilt, struct err *err)
{
    _cleanup_xleases_ struct xlease_volume volume = XLEASE_VOLUME_INIT;
    int rc = xlease_volume_begin(ctx, sd, &volume, err);
    if (rc < 0)
        return rc;
    struct rebuild *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, -ENOMEM, "domain %s: out of memory", sd);
    r->volume = &volume;
    memcpy(r->before, volume.index, sizeof(r->before));
    rc = run(r, err);
    if (rc == 0)
        *ret_rebuilt = r->counts;
    free(r);
    return rc;
}
