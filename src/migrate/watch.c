/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tells the watch over thin disks of the block jobs that we begin and end. A
 * job that fills an LV begins at a byte per second, and is let go when the
 * watch says that there is room for what comes.
 */
#include "migration.h"

#include <string.h>

/* Only a qcow2 on an LV can run full: what the guest writes to, what a mirror
 * does, what a commit does. A side with a raw leaf counts as thin as well: the
 * watch knows better, and it costs one call. */
bool watch_is_needed(const struct disk *d)
{
    return d->m->ports.watch.ops && (d->src.block || d->dst.block);
}

int watch_begin(struct disk *d, const char *base, struct err *err)
{
    int rc = 0;

    if (d->watched || !watch_is_needed(d))
        return 0;
    d->told = true;
    rc = PORT(&d->m->ports, watch, job_begins, d->m->job.vm, d->of->target,
              base, err);
    d->watched = rc == 0;
    return rc;
}

void watch_end(struct migration *m)
{
    for_each_disk (d, m) {
        if (d->told)
            PORT(&m->ports, watch, job_ended, m->job.vm, d->of->target);
        d->told = d->watched = false;
    }
}

int watch_hold(struct migration *m, struct err *err)
{
    int rc = 0;

    if (m->watch_holds || !m->ports.watch.ops)
        return 0;
    rc = PORT(&m->ports, watch, vm_hold, m->job.vm, m->job.id, err);
    m->watch_holds = true;
    if (rc) /* it may have begun to */
        watch_release(m);
    return rc;
}

void watch_release(struct migration *m)
{
    if (m->watch_holds)
        PORT(&m->ports, watch, vm_release, m->job.vm, m->job.id);
    m->watch_holds = false;
}
