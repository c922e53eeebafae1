/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What struct virt is made of: for those who make it and its connection.
 */
#ifndef DRAY_VIRT_ROOM_H
#define DRAY_VIRT_ROOM_H

#include "events.h"
#include "listeners.h"
#include "loop.h"
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    CONNECTIONS_IDLE_MAX = 8
};

struct bounded;
struct reach;
struct reasons;
struct sends;

struct virt {
    char *uri;               /* constant */
    struct loop loop;        /* the owner's */
    struct reasons *reasons; /* these lock themselves */
    struct sends *sends;
    struct bounded *bounded;
    struct reach *reach;
    struct listeners listeners;

    /* connection.c's */
    pthread_t connector;
    bool connector_runs; /* the owner's */
    atomic_bool up;      /* conn && !lost, for those who may not wait */

    pthread_mutex_t lock;   /* protects what follows */
    pthread_cond_t changed; /* lost, stopping or connector_ended was set */
    virConnectPtr conn;     /* NULL: none, or not published yet */
    bool in_use;            /* by a call */
    struct events events;   /* of conn */
    virConnectPtr idle[CONNECTIONS_IDLE_MAX]; /* more of them, for calls */
    size_t n_idle;
    bool lost;
    bool stopping;
    bool connector_ended;
    char why[256]; /* the last error of opening it */
};

#endif
