/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The life of the room: its parts are made before there are threads, and freed
 * when there are none any more.
 */
#include "bounded.h"
#include "connection.h"
#include "reasons.h"
#include "room.h"
#include "sends.h"
#include <assert.h>
#include <dray/base/reach.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <dray/virt.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <string.h>

struct listeners *connection_listeners(struct virt *virt)
{
    return &virt->listeners;
}

struct bounded *connection_bounded(struct virt *virt)
{
    return virt->bounded;
}

struct reach *connection_reach(struct virt *virt)
{
    return virt->reach;
}

struct reasons *connection_reasons(struct virt *virt)
{
    return virt->reasons;
}

/* libvirt prints to stderr by default; we return its errors instead. */
static void ignore_error(void *arg, virErrorPtr error)
{
    (void)arg;
    (void)error;
}

static int init_locks(struct virt *virt)
{
    int rc = thread_init_condition(&virt->changed);
    if (rc == 0)
        rc = -pthread_mutex_init(&virt->lock, NULL);
    return rc < 0 ? rc : listeners_init(&virt->listeners);
}

static int start(struct virt *virt, struct err *err)
{
    virSetErrorFunc(NULL, ignore_error);
    xmlInitParser(); /* before there are threads */
    int rc = loop_start(&virt->loop, err);
    return rc < 0 ? rc : connection_start(virt, err);
}

int virt_new(const char *uri, struct virt **ret_virt, struct err *err)
{
    struct virt *virt = calloc(1, sizeof(*virt));
    if (!virt)
        return err_set(err, -ENOMEM, "libvirt: out of memory");
    int rc = init_locks(virt);
    if (rc < 0) {
        free(virt);
        return err_set(err, rc, "libvirt: no lock to be had");
    }
    virt->loop.wake_timer = -1;
    virt->uri = strdup(uri);
    if (!virt->uri || reasons_new(&virt->reasons) < 0 ||
        sends_new(&virt->sends) < 0 || bounded_new(&virt->bounded) < 0 ||
        reach_new(REACH_MS, &virt->reach) < 0)
        rc = err_set(err, -ENOMEM, "libvirt: out of memory");
    else
        rc = start(virt, err);
    if (rc < 0) {
        virt_free(virt);
        return rc;
    }
    *ret_virt = virt;
    return 0;
}

void virt_free(struct virt *virt)
{
    if (!virt)
        return;
    listeners_set_hint(&virt->listeners, NULL, NULL);
    listeners_set_alarm(&virt->listeners, NULL, NULL);
    if (!bounded_free(virt->bounded) || !connection_stop(virt))
        return; /* they still use all of this; the process ends anyway */
    loop_stop(&virt->loop);
    assert(!virt->conn);
    int rc = pthread_mutex_destroy(&virt->lock);
    assert(rc == 0);
    rc = pthread_cond_destroy(&virt->changed);
    assert(rc == 0);
    (void)rc;
    listeners_deinit(&virt->listeners);
    reasons_free(virt->reasons);
    sends_free(virt->sends);
    reach_free(virt->reach);
    free(virt->uri);
    free(virt);
}
