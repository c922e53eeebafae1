/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt's events that we listen to.
 */
#ifndef DRAY_VIRT_EVENTS_H
#define DRAY_VIRT_EVENTS_H

#include <libvirt/libvirt.h>

struct virt;

enum {
    EVENTS_N = 5
};

/* What is registered on one connection; -1 where nothing is. */
struct events {
    int ids[EVENTS_N];
};

/* Registers what the driver offers. A callback refers to @virt until
 * events_stop(). */
void events_start(struct events *events, virConnectPtr conn, struct virt *virt);

/* Also on a dead connection: each callback holds a reference to it. */
void events_stop(const struct events *events, virConnectPtr conn);

#endif
