/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Slots: the records of a block domain's volumes, in its LV "metadata", and
 * their leases, in "leases". Both LVs are active while the domain is joined.
 */
#ifndef DRAY_DOMAIN_BLOCK_SLOT_H
#define DRAY_DOMAIN_BLOCK_SLOT_H

#include "vg.h"
#include <dray/format/block.h>

/* Verifies that the record is one of this domain. */
int block_slot_read(const struct block_vg *vg, unsigned slot,
                    struct format_volume *ret_record, struct err *err);

/* Durable; only while the VG is held. @record NULL: the slot becomes empty. */
int block_slot_write(const struct block_vg *vg, unsigned slot,
                     const struct format_volume *record, struct err *err);

void block_place_volume(const struct domain_info *info, unsigned slot,
                        const char *vol, struct lease_place *ret_place);

/* The slot that an LV names, a half-made one's included; 0: none. */
unsigned block_slot_of(const struct lvm_lv *lv);

#endif
