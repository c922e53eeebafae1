/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lease/: our places as sanlock's structs, sanlock's return values
 * as our outcomes and texts.
 */
#ifndef DRAY_LEASE_CLIENT_H
#define DRAY_LEASE_CLIENT_H

#include <dray/lease.h>
#include <stdbool.h>
#include <stddef.h> /* sanlock.h needs it */
#include <stdint.h>

#include <sanlock.h>

/* A resource on one disk. sanlock's struct ends with an open array of disks;
 * this is that struct with exactly one behind it: pass &resource.head. */
struct sanlock_resource {
    struct sanlk_resource head;
    struct sanlk_disk disk;
};

/* The SECTOR and ALIGN flags of a geometry (the same numbers for lockspaces
 * and resources). -EINVAL when sanlock has no such geometry. */
int sanlock_geometry(const struct lease_place *place, uint32_t *ret_flags,
                     struct err *err);

/* Fill the whole struct. -EINVAL when a name or the path does not fit. */
int sanlock_resource_init(struct sanlock_resource *ret_resource,
                          const struct lease_place *place, struct err *err);
int sanlock_lockspace_init(struct sanlk_lockspace *ret_lockspace,
                           const struct lease_place *place, uint64_t host_id,
                           struct err *err);

enum sanlock_answer {
    SANLOCK_DONE,
    SANLOCK_BUSY,  /* someone has it, or is about to: try again */
    SANLOCK_NONE,  /* no such lease at this place */
    SANLOCK_ERROR, /* all else */
};

/* What acquire and read say with their return value. */
enum sanlock_answer sanlock_answer(int rv);

/* Name of a return value, as far as anybody knows one. */
const char *sanlock_text(int rv);

/* Writes "<what>: <cause>" with the client's number @code, and the next step
 * where there is one. Asks the daemon whether it is there when @rv may mean
 * that it is not. Returns err_code_errno(code). */
int sanlock_fail(struct err *err, enum err_code code, int rv, const char *path,
                 const char *what) __attribute__((nonnull(4, 5)));

#endif
