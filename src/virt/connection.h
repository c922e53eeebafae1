/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What connection.c offers to the rest of the room.
 */
#ifndef DRAY_VIRT_CONNECTION_H
#define DRAY_VIRT_CONNECTION_H

#include <dray/base/err.h>
#include <dray/virt.h>
#include <libvirt/libvirt.h>

struct listeners;
struct reasons;

/* The connection of now; the caller ends with virConnectClose(). -ENOTCONN
 * while there is none. Never blocks. */
int connection_get(struct virt *virt, virConnectPtr *ret_conn, struct err *err);

/* Says that @conn is dead; a new one is made. */
void connection_lost(struct virt *virt, virConnectPtr conn);

/* Fills @err with what a call on a dead connection gives. -ENOTCONN. */
int connection_away(struct virt *virt, const char *why, struct err *err);

int connection_is_up(struct virt *virt); /* 0 or -ENOTCONN; never blocks */

struct listeners *connection_listeners(struct virt *virt);
struct reasons *connection_reasons(struct virt *virt);

#endif
