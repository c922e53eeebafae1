/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which LVs are active on this host, and for whom. An LV stays active while
 * somebody in this process works with it, or while its image is prepared: then
 * run_dir/storage/SD/IMG/VOL links to it. What was active before we came is not
 * ours to deactivate.
 */
#ifndef DRAY_DOMAIN_BLOCK_USE_H
#define DRAY_DOMAIN_BLOCK_USE_H

#include "vg.h"

enum {
    BLOCK_LVM_MS = 60 * 1000 /* for one LVM command and its turn */
};

/* "Soon enough", for calls of dray-lvm. */
static inline int64_t block_soon(void)
{
    return time_now_ms() + BLOCK_LVM_MS;
}

struct block_uses; /* all LVs in use by this process */

/* NULL when out of memory. */
struct block_uses *block_uses_new(void);
void block_uses_free(struct block_uses *uses);

/* Active when it returns, until _end(). */
int block_use_begin(const struct block_vg *vg, struct lvm_names lvs,
                    struct err *err);
void block_use_end(const struct block_vg *vg, struct lvm_names lvs);

/* Whether somebody in this process uses it now. */
bool block_use_has(const struct block_vg *vg, const char *lv);

/* Nobody else in this process uses them until _drop(). */
int block_use_take(const struct block_vg *vg, struct lvm_names lvs,
                   struct err *err);
void block_use_drop(const struct block_vg *vg, struct lvm_names lvs);

#endif
