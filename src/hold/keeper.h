/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to hold/: what dray-job does, without its socket: holds one job's
 * lease, copies under it, and ends it. One thread calls it; its copies have
 * threads of their own, which ask keeper_may_write().
 */
#ifndef DRAY_HOLD_KEEPER_H
#define DRAY_HOLD_KEEPER_H

#include "message.h"

/* The outside of it. */
struct keeper_ports {
    struct lease_port leases;
    int (*confirm)(const struct lease_held *held, struct err *err);
    int (*write_note)(const struct lease_place *place, const char *text,
                      struct err *err);
    /* The copier for one that holds @held. */
    int (*open_copier)(void *arg, const struct hold_request *take,
                       const struct lease_held *held,
                       struct copier_port *ret_copier, struct err *err);
    void *arg;
};

struct keeper;

/* NULL: out of memory. */
struct keeper *keeper_new(const struct keeper_ports *ports);
/* Stops, and gives back what it holds; the record stays as it is. */
void keeper_free(struct keeper *keeper);

void keeper_answer(struct keeper *keeper, const struct hold_request *request,
                   struct hold_answer *ret_answer);
/* Looks after the lease: once a second. -errno when it was lost: from then on
 * nothing may be written, and nothing need be tidied up. */
int keeper_look_after(struct keeper *keeper, struct err *err);
/* It has held a lease and does not any more, or never will. */
bool keeper_is_over(const struct keeper *keeper);
bool keeper_is_copying(const struct keeper *keeper);
/* Whether sanlock said so lately. Any thread. */
bool keeper_may_write(void *keeper);

#endif
