/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One block of the device is read and written each time. A slot has more, but
 * all behind its record stays zero.
 */
#include "slot.h"
#include "lv.h"
#include <assert.h>
#include <string.h>

static const char metadata[] = "metadata";

static int check_place(const struct block_vg *vg,
                       const struct format_volume *record, struct err *err)
{
    if (str_equal(record->domain, vg->info.sd))
        return 0;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "key DOMAIN is %s, but this is domain %s",
                        record->domain, vg->info.sd);
}

int block_slot_read(const struct block_vg *vg, unsigned slot,
                    struct format_volume *ret_record, struct err *err)
{
    char text[FORMAT_VOLUME_SIZE];
    struct format_volume record;
    int rc = block_lv_read(&vg->info, metadata, format_slot_offset(slot), text,
                           sizeof(text), err);
    if (rc < 0 && vg->info.status != DOMAIN_JOINED)
        return err_next(err, "join the domain: drayctl domain join %s",
                        vg->info.sd);
    if (rc == 0)
        rc = format_volume_parse(text, sizeof(text), &record, err);
    if (rc == 0)
        rc = check_place(vg, &record, err);
    if (rc < 0)
        return err_wrap(err, "slot %u of domain %s", slot, vg->info.sd);
    *ret_record = record;
    return 0;
}

int block_slot_write(const struct block_vg *vg, unsigned slot,
                     const struct format_volume *record, struct err *err)
{
    char text[FORMAT_VOLUME_SIZE] = "";
    int rc = 0;
    assert(vg->held);
    if (record)
        rc = format_slot_build(record, text, err);
    if (rc == 0)
        rc = block_lv_write(&vg->info, metadata, format_slot_offset(slot), text,
                            sizeof(text), err);
    return rc < 0 ? err_wrap(err, "slot %u of domain %s", slot, vg->info.sd)
                  : 0;
}

void block_place_volume(const struct domain_info *info, unsigned slot,
                        const char *vol, struct lease_place *ret_place)
{
    *ret_place = (struct lease_place){
        .offset = format_slot_lease_offset(slot, info->alignment),
        .block_size = info->block_size,
        .alignment = info->alignment,
    };
    (void)str_copy(ret_place->lockspace, sizeof(ret_place->lockspace),
                   info->sd);
    (void)str_copy(ret_place->resource, sizeof(ret_place->resource), vol);
    block_lv_path(info, "leases", ret_place->path);
}

unsigned block_slot_of(const struct lvm_lv *lv)
{
    static const char prefix[] = "MD_";
    for (size_t i = 0; i < lv->n_tags; i++) {
        uint64_t slot = 0;
        if (str_starts_with(lv->tags[i], prefix) &&
            str_to_u64(lv->tags[i] + strlen(prefix), &slot) == 0 &&
            slot <= FORMAT_SLOT_LAST && format_slot_is_valid((unsigned)slot))
            return (unsigned)slot;
    }
    return 0;
}
