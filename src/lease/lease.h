/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lease/: its context and the operations of its two files.
 */
#ifndef DRAY_LEASE_LEASE_H
#define DRAY_LEASE_LEASE_H

#include <dray/lease.h>

struct leases {
    char *sanlock; /* the command */
    char *host_name;
    unsigned io_timeout_s;
    bool require_watchdog;
};

/* Contracts: ports/lease.h. */
int lockspace_format(void *ctx, const struct lease_place *lockspace,
                     struct err *err);
int lockspace_join(void *ctx, const struct lease_place *lockspace,
                   unsigned host_id, struct err *err);
int lockspace_leave(void *ctx, const struct lease_place *lockspace,
                    unsigned host_id, struct err *err);
bool lockspace_host_lives(void *ctx, const struct lease_place *lockspace,
                          unsigned host_id);
bool lockspace_has_others(void *ctx, const struct lease_place *lockspace,
                          unsigned host_id);

/* Reads whose name stands beside the host id on the disk. Only for messages:
 * empty when it cannot be read. */
enum {
    LOCKSPACE_NAME_SIZE = 49
}; /* sanlock's 48 bytes and a NUL */
void lockspace_slot_name(const struct lease_place *lockspace, unsigned host_id,
                         char ret_name[LOCKSPACE_NAME_SIZE]);

int resource_format(void *ctx, const struct lease_place *place,
                    struct err *err);
int resource_clear(void *ctx, const struct lease_place *place, struct err *err);
int resource_acquire(void *ctx, const struct lease_place *place,
                     int64_t deadline_ms, struct lease_held **ret_held,
                     struct err *err);
bool resource_is_held(void *ctx, const struct lease_held *held);
int resource_release(void *ctx, struct lease_held *held, struct err *err);
int resource_acquire_lvb(void *ctx, const struct lease_place *place,
                         int64_t deadline_ms, struct lease_held **ret_held,
                         struct err *err);
int resource_release_lvb(void *ctx, struct lease_held *held,
                         const char lvb[LEASE_LVB_SIZE], struct err *err);
int resource_owner(void *ctx, const struct lease_place *place,
                   struct lease_owner *ret_owner, struct err *err);

int lease_read_note(void *ctx, const struct lease_place *place, char **ret_text,
                    struct err *err);
int lvb_read(void *ctx, const struct lease_place *place,
             char ret_lvb[LEASE_LVB_SIZE], struct err *err);
/* ERR_UNSUPPORTED_STORAGE unless areas of this geometry have room for it. */
int lvb_check(const struct lease_place *place, struct err *err);
/* Bytes from the beginning of the file; what follows is nobody's. */
uint64_t lvb_end(const struct lease_place *place);
/* ERR_LVB unless @lvb is what is on the disk. */
int lvb_verify(const struct lease_place *place, const char lvb[LEASE_LVB_SIZE],
               struct err *err);

#endif
