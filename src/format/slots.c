/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Places on a block domain: special LVs, slots, leases of slots. Nothing says
 * which slots are in use but the tags of the LVs: a free slot keeps the text of
 * the volume that had it.
 */
#include <dray/format/block.h>
#include <string.h>

enum {
    MIB = 1024 * 1024,
    SLOTS_OFFSET = MIB, /* before: where version 4 had its slots */
    SLOT_SIZE = 8 * 1024,
    LEASE_AREAS = 2048,
    XLEASE_AREAS = 1024,
    VG_SHARE = 16,
};

bool format_block_geometry_is_valid(unsigned block_size, unsigned alignment)
{
    return (block_size == 512 && alignment == MIB) ||
           (block_size == 4096 && alignment == 8 * MIB);
}

const struct format_special_lv *format_special_lvs(void)
{
    static const struct format_special_lv special[] = {
        {.name = "metadata",                 .size_bytes = 128ULL * MIB },
        { .name = "ids",                                 .size_bytes = 8ULL * MIB },
        { .name = "inbox",.size_bytes = FORMAT_MAILBOX_SIZE },
        { .name = "outbox",                   .size_bytes = FORMAT_MAILBOX_SIZE },
        { .name = "leases",
         .size_bytes = (uint64_t)LEASE_AREAS * MIB,
         .areas = LEASE_AREAS },
        { .name = "xleases",
         .size_bytes = (uint64_t)XLEASE_AREAS * MIB,
         .areas = XLEASE_AREAS },
        { .name = NULL                 },
    };
    return special;
}

uint64_t format_special_lv_size(const struct format_special_lv *lv,
                                unsigned alignment, uint64_t vg_bytes)
{
    uint64_t size_bytes = (uint64_t)lv->areas * alignment;
    if (size_bytes > vg_bytes / VG_SHARE)
        size_bytes = vg_bytes / VG_SHARE;
    return size_bytes > lv->size_bytes ? size_bytes : lv->size_bytes;
}

bool format_is_special_lv(const char *name)
{
    if (str_equal(name, "master"))
        return true;
    for (const struct format_special_lv *lv = format_special_lvs(); lv->name;
         lv++) {
        if (str_equal(name, lv->name))
            return true;
    }
    return false;
}

bool format_slot_is_valid(unsigned slot)
{
    return slot >= FORMAT_SLOT_FIRST && slot <= FORMAT_SLOT_LAST;
}

unsigned format_slot_last(uint64_t leases_bytes, unsigned alignment)
{
    uint64_t areas = leases_bytes / alignment;
    if (areas > FORMAT_SLOT_LEASE_BASE + FORMAT_SLOT_LAST)
        return FORMAT_SLOT_LAST;
    return areas > FORMAT_SLOT_LEASE_BASE
               ? (unsigned)areas - FORMAT_SLOT_LEASE_BASE - 1
               : 0;
}

uint64_t format_slot_offset(unsigned slot)
{
    return SLOTS_OFFSET + (uint64_t)slot * SLOT_SIZE;
}

uint64_t format_slot_lease_offset(unsigned slot, unsigned alignment)
{
    return (FORMAT_SLOT_LEASE_BASE + (uint64_t)slot) * alignment;
}

int format_slot_build(const struct format_volume *volume,
                      char ret_slot[FORMAT_VOLUME_SIZE], struct err *err)
{
    char text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    int rc = format_volume_text(volume, text, &size, err);
    if (rc < 0)
        return rc;
    memset(ret_slot, 0, FORMAT_VOLUME_SIZE);
    memcpy(ret_slot, text, size);
    return 0;
}

bool format_slots_add(struct format_slots *slots, unsigned slot)
{
    if (!format_slot_is_valid(slot) || slots->used[slot])
        return false;
    slots->used[slot] = true;
    return true;
}

int format_slots_choose(const struct format_slots *slots, unsigned last,
                        unsigned *ret_slot, struct err *err)
{
    for (unsigned slot = FORMAT_SLOT_FIRST; slot <= last; slot++) {
        if (!slots->used[slot]) {
            *ret_slot = slot;
            return 0;
        }
    }
    return err_set_code(err, ERR_NO_SPACE,
                        "the domain has %u volumes, and its leases have room "
                        "for no more",
                        last);
}
