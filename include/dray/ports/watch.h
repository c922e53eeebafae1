/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: the watch over thin disks on LVs, as those who start block jobs need
 * it. Implemented by monitor/. Calls block and may be made from any worker.
 *
 * The watch finds by itself what VMs write to: leaves and mirrors'
 * destinations. These calls are for what it cannot know in time.
 */
#ifndef DRAY_PORTS_WATCH_H
#define DRAY_PORTS_WATCH_H

#include <dray/base/err.h>

struct watch_ops {
    /* A block job of the disk was started and is held back (1 byte/s): returns
     * when all that it and the guest write to has room and a threshold, from
     * then on twice as far from the end as usual. @base: the layer that a
     * commit writes to, as qemu names it; NULL: none. May be repeated.
     * ERR_NO_SPACE: better abort it than let it run. */
    int (*job_begins)(void *ctx, const char *vm, const char *target,
                      const char *base, struct err *err);
    /* It is over, whatever became of it. Nothing was begun: fine. */
    void (*job_ended)(void *ctx, const char *vm, const char *target);
};

struct watch_port {
    void *ctx;
    const struct watch_ops *ops;
};

#endif
