/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: what folding an overlay (fold.c) and what follows
 * (folded.c) share.
 */
#ifndef DRAY_MIGRATE_FOLD_H
#define DRAY_MIGRATE_FOLD_H

#include "migration.h"

enum position {
    NO_VM,
    FOLDED,   /* the overlay is not in qemu's chain */
    ON_TOP,   /* the VM writes to the overlay */
    IN_CHAIN, /* it is below what the VM writes to */
    NOWHERE,  /* qemu has neither overlay nor leaf */
};

struct fold {
    enum position position;
    bool on_destination;
    enum vm_state state;
};

/* qemu said so itself. */
static inline bool fold_is_running(const struct fold *fold)
{
    return fold->state == VM_RUNNING || fold->state == VM_PAUSED;
}

/* Where the overlay is. */
int fold_look(const struct disk *d, struct fold *ret_fold, struct err *err);
struct volume_id fold_volume(const struct disk *d, bool on_destination,
                             const char *vol);
bool fold_is_merge(const struct disk *d);

/* A tool commits it, once both are active and the layer below has room. One
 * that is gone was committed. */
int fold_commit_offline(struct disk *d, bool on_destination, struct err *err);

/* --- folded.c --- */

/* The records of the image on @sd lose the overlay. */
int fold_sync_records(const struct disk *d, const char *sd, struct err *err);
/* Deletes it; not there is fine. */
int fold_delete(const struct disk *d, bool on_destination, struct err *err);

#endif
