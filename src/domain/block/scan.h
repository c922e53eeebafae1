/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mends what a crash left in a VG, ours or another host's. Only while it is
 * held: a volume that somebody is making looks like a half-made one.
 */
#ifndef DRAY_DOMAIN_BLOCK_SCAN_H
#define DRAY_DOMAIN_BLOCK_SCAN_H

#include "vg.h"

/* Removes half-made LVs, finishes removals; nothing else is touched. What
 * cannot be mended stays: the first failure is told, the others are tried. */
int block_scan(struct block_vg *held, struct err *err);

/* One LV of its report. *ret_mended: it was such a one, and is gone. */
int block_scan_lv(struct block_vg *held, const struct lvm_lv *lv,
                  bool *ret_mended, struct err *err);

/* Removes LVs, which must be marked for it, with their slots and links. */
int block_scan_remove(struct block_vg *held, struct lvm_names lvs,
                      struct err *err);

#endif
