/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A block domain opened for looking, and one held for a change: what view.h is
 * for file domains. LVM is asked at each opening, so another host's changes are
 * seen.
 *
 * A change of one step (an LV grows) needs no hold: dray-lvm takes the lease
 * for it. A change of several (choose a slot, make an LV that names it) happens
 * between block_vg_begin() and _close(): dray-lvm keeps the lease meanwhile.
 */
#ifndef DRAY_DOMAIN_BLOCK_VG_H
#define DRAY_DOMAIN_BLOCK_VG_H

#include "../domains.h"
#include <dray/lvm.h>

struct block_vg {
    struct domains *domains;
    struct domain_info info;  /* from the VG's tags, just now */
    struct lvm *lvm;          /* the domain's; lives as long as it is known */
    struct lvm_report report; /* LVM_LVS | LVM_VG */
    bool held;
};

#define _cleanup_vg_ _cleanup_(block_vg_close)

/* A known domain; it need not be joined. */
int block_vg_open(struct domains *domains, const char *sd,
                  struct block_vg *ret_vg, struct err *err);
/* A joined domain that no pool owns. Waits for the lease (30 s). */
int block_vg_begin(struct domains *domains, const char *sd,
                   struct block_vg *ret_vg, struct err *err);
void block_vg_close(struct block_vg *vg);

/* The domain's dray-lvm without a look at the VG, for what has to be quick
 * (extensions). Only of a joined domain. */
int block_vg_lvm(struct domains *domains, const char *sd, struct lvm **ret_lvm,
                 struct err *err);

#endif
