/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the movers of a same-format copy get and say. All work on the copy's
 * thread; what a mover that returned 0 wrote is durable.
 */
#ifndef DRAY_COPY_MOVER_H
#define DRAY_COPY_MOVER_H

#include "checkpoint.h"
#include "copy.h"
#include "side.h"

struct move {
    struct copy *copy;
    struct pair pair;
    struct checkpoint checkpoint;
    uint64_t from;   /* a checkpoint said that all before it is there */
    uint64_t total;  /* bytes of data in the source */
    uint64_t spared; /* of them, those before from */
};

/* 0, negative errno (-ECANCELED after a stop), or MOVER_UNSUPPORTED: these two
 * sides cannot do it, and nothing was moved. */
enum {
    MOVER_UNSUPPORTED = 1
};

int reflink_move(struct move *move, struct err *err);
int server_move(struct move *move, struct err *err);
int direct_move(struct move *move, struct err *err);

/* Tries to share one block of @src with @dst, which is empty. 0 it works,
 * MOVER_UNSUPPORTED, negative errno. */
int reflink_try(int src, int dst);

/* Whether one NFS server that can copy holds both devices. @mountinfo: the
 * text of /proc/self/mountinfo. */
bool server_holds_both(const char *mountinfo, dev_t src, dev_t dst);
/* The same for open files, as the kernel's tables are now. */
bool server_can_copy(int src, int dst);

/* server_move() after the question whether it pays. */
int server_move_extents(struct move *move, struct err *err);

#endif
