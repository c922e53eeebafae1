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
/* A domain that this host has joined, or is just joining, and that no pool
 * owns. Waits for the lease (60 s). */
int block_vg_begin(struct domains *domains, const char *sd,
                   struct block_vg *ret_vg, struct err *err);
void block_vg_close(struct block_vg *vg);

/* Its devices as they are now, for LVM and for what this host knows. No hold of
 * this thread survives it. */
int block_vg_find_again(struct domains *domains, const char *sd,
                        struct err *err);

/* Slots of its volumes go up to this one. */
unsigned block_vg_last_slot(const struct block_vg *vg);

/* What the tags of VG info->sd say -> info. ERR_NO_DOMAIN when it is no domain,
 * or not made to the end. */
int block_tags_take(const char *const *tags, size_t n, struct domain_info *info,
                    struct err *err);

/* The domain's dray-lvm without a look at the VG, for what has to be quick
 * (extensions). Only of a joined domain. */
int block_vg_lvm(struct domains *domains, const char *sd, struct lvm **ret_lvm,
                 struct err *err);

#endif
