/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sanlock: implements ports/lease.h. One registered connection per held lease,
 * always OWNER_NOWAIT, one release per call (sanlock 3.8.5 crashes on more
 * than 8).
 */
#ifndef DRAY_LEASE_H
#define DRAY_LEASE_H

#include <dray/ports/lease.h>
#include <stdbool.h>

struct leases;

struct leases_options {
    const char *sanlock;   /* the command, for its status */
    unsigned io_timeout_s; /* formats and joins */
    bool require_watchdog; /* join refuses a sanlock without watchdog */
    const char *host_name; /* expected our_host_name */
};

int leases_new(const struct leases_options *options, struct leases **ret_leases,
               struct err *err);
void leases_free(struct leases *leases);
struct lease_port leases_port(struct leases *leases);

/* --- for the process that holds a lease as long as it writes --- */

/* Asks sanlock whether it is ours still; blocks as long as sanlock does. */
int lease_confirm(const struct lease_held *held, struct err *err);
/* Who else has this descriptor open keeps the lease, too. */
int lease_descriptor(const struct lease_held *held);
/* Only its holder. Durable. ERR_LVB. */
int lease_write_note(const struct lease_place *place, const char *text,
                     struct err *err);

/* What the sanlock daemon runs with. -ENOTCONN when there is none. */
struct leases_status {
    bool use_watchdog;
    char host_name[64];
};
int leases_status(struct leases *leases, struct leases_status *ret_status,
                  struct err *err);

#endif
