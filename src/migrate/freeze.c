/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The snapshot: from one instant on the VM writes to the overlays, and the
 * layers below never change again. Atomic over all disks of the job. What qemu
 * has open says whether it happened, not what the call returned.
 */
#include "migration.h"

#include <errno.h>
#include <stdlib.h>

static bool is_on_overlay(const struct disk *d, struct err *err)
{
    struct vm_disk_truth truth;

    return PORT(&d->m->ports, hypervisor, disk_truth, d->m->job.vm,
                d->of->target, &truth, err) == 0 &&
           disk_is_layer(d, truth.qemu_path, d->of->overlay, false);
}

/* How many disks are on their overlays. */
static size_t count_frozen(struct migration *m, struct err *err)
{
    size_t n = 0;

    for_each_disk (d, m)
        n += is_on_overlay(d, err);
    return n;
}

static int take(struct migration *m, struct err *err)
{
    struct vm_overlay *overlays = calloc(m->job.n_disks, sizeof(*overlays));
    size_t n = 0;

    if (!overlays)
        return err_set(err, -ENOMEM, "out of memory");
    for_each_disk (d, m) {
        disk_source_path(d, d->of->overlay, overlays[n].path);
        (void)str_copy(overlays[n].target, sizeof(overlays[n].target),
                       d->of->target);
        n++;
    }

    int rc = PORT(&m->ports, hypervisor, snapshot, m->job.vm, overlays, n,
                  m->job.quiesce, err);

    free(overlays);
    return rc;
}

enum job_outcome act_freeze(struct migration *m)
{
    struct err err = ERR_INIT;
    struct err look = ERR_INIT;
    int rc = 0;

    /* The first time nothing can have happened yet. */
    bool first = !m->adopted && m->trouble_ms < 0;

    if (first || count_frozen(m, &look) < m->job.n_disks)
        rc = take(m, &err);
    if (rc == 0 || count_frozen(m, &look) == m->job.n_disks)
        return JOB_OK;
    (void)err_wrap(&err, "snapshot of VM %s", m->job.vm_name);
    return migration_doubt(m, &err, 0);
}
