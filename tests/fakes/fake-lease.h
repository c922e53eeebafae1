/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The lease port without sanlock: formats real sectors, so that who reads them
 * finds what sanlock would have written; who holds what is only in memory, and
 * what sanlock would refuse is refused.
 */
#ifndef DRAY_FAKE_LEASE_H
#define DRAY_FAKE_LEASE_H

#include <dray/ports/lease.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_leases;

struct fake_leases *fake_leases_new(void);
/* Nothing may be held any more. */
void fake_leases_free(struct fake_leases *fake);
struct lease_port fake_leases_port(struct fake_leases *fake);

/* How many leases are held, how many lockspaces joined. */
size_t fake_leases_held(struct fake_leases *fake);
size_t fake_leases_joined(struct fake_leases *fake);

/* Somebody else has the resource @name in every lockspace; NULL: nobody. */
void fake_leases_set_busy(struct fake_leases *fake, const char *name);
/* What is held is not any more, and only is_held() says so: sanlock died. */
void fake_leases_lose(struct fake_leases *fake);
/* Joining fails from now on (or works again). */
void fake_leases_set_join_fails(struct fake_leases *fake, bool fails);
/* Nobody can say who has the resource @name; NULL: works again. */
void fake_leases_hide_owner(struct fake_leases *fake, const char *name);
/* What release_lvb() writes does not get to the disk. */
void fake_leases_set_lvb_lost(struct fake_leases *fake, bool lost);
/* Other hosts have joined, too. */
void fake_leases_set_others(struct fake_leases *fake, bool others);
/* This host id is dead; 0: nobody is. */
void fake_leases_set_dead_host(struct fake_leases *fake, unsigned host_id);

#endif
