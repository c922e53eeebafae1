/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What connection.c offers to the rest of the room.
 */
#ifndef DRAY_VIRT_CONNECTION_H
#define DRAY_VIRT_CONNECTION_H

#include <dray/base/err.h>
#include <dray/virt.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

struct bounded;
struct listeners;
struct reach;
struct reasons;

/* Starts and ends connecting. False: a thread of it hangs in libvirt (a
 * libvirtd that accepts and says nothing), and nothing that it uses may be
 * freed. */
int connection_start(struct virt *virt, struct err *err);
bool connection_stop(struct virt *virt);

/* A connection for the caller alone, who puts it back. -ENOTCONN while libvirtd
 * is away. May block in libvirt when it has to open one. */
int connection_get(struct virt *virt, virConnectPtr *ret_conn, struct err *err);
void connection_put(struct virt *virt, virConnectPtr conn);

/* Says that @conn is dead; a new one is made. */
void connection_lost(struct virt *virt, virConnectPtr conn);

/* Fills @err with what a call on a dead connection gives. -ENOTCONN. */
int connection_away(struct virt *virt, const char *why, struct err *err);

int connection_is_up(struct virt *virt); /* 0 or -ENOTCONN; never blocks */

struct bounded *connection_bounded(struct virt *virt);
struct reach *connection_reach(struct virt *virt);
struct listeners *connection_listeners(struct virt *virt);
struct reasons *connection_reasons(struct virt *virt);

#endif
