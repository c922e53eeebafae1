/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt's event loop is global and cannot be taken away again; a second
 * start after a stop uses the same.
 */
#include "loop.h"
#include <dray/base/thread.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <string.h>

enum {
    FAILED_PAUSE_MS = 250,
};

static void on_wake(int timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    while (!atomic_load(&loop->stops)) {
        if (virEventRunDefaultImpl() < 0)
            (void)poll(NULL, 0, FAILED_PAUSE_MS); /* never seen: do not spin */
    }
    return NULL;
}

int loop_start(struct loop *loop, struct err *err)
{
    *loop = (struct loop){ .wake_timer = -1 };
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return err_set(err, -EIO, "libvirt: %s", virGetLastErrorMessage());
    loop->wake_timer = virEventAddTimeout(-1, on_wake, NULL, NULL);
    if (loop->wake_timer < 0)
        return err_set(err, -EIO, "libvirt: %s", virGetLastErrorMessage());
    int rc = thread_start(&loop->thread, run, loop);
    if (rc < 0)
        return err_set(err, rc, "libvirt's event thread: %s",
                       strerrordesc_np(-rc));
    loop->runs = true;
    return 0;
}

void loop_stop(struct loop *loop)
{
    if (loop->runs) {
        atomic_store(&loop->stops, true);
        virEventUpdateTimeout(loop->wake_timer, 0);
        (void)pthread_join(loop->thread, NULL); /* ours, and joinable */
    }
    if (loop->wake_timer >= 0)
        (void)virEventRemoveTimeout(loop->wake_timer); /* exists */
}
