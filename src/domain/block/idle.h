/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LVs of volumes that are active on this host though nobody uses them.
 */
#ifndef DRAY_DOMAIN_BLOCK_IDLE_H
#define DRAY_DOMAIN_BLOCK_IDLE_H

#include "vg.h"

/* No process has it open, no image that is prepared has it, nobody in this
 * process works with it. */
bool block_lv_is_idle(const struct block_vg *vg, const struct lvm_lv *lv);

int block_idle_end(const struct block_vg *vg, const char *vol, struct err *err);

/* All of them; the first failure is told, the others are tried. */
int block_idle_end_all(const struct block_vg *vg, struct err *err);

#endif
