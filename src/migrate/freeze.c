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
                d->of->target, false, &truth, err) == 0 &&
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

/* All at once, but those that are on their overlays already: an engine may
 * repeat itself. */
static int take(struct migration *m, bool quiesce, struct err *err)
{
    struct vm_overlay *overlays = calloc(m->job.n_disks, sizeof(*overlays));
    struct err ignored = ERR_INIT; /* then the call below says more */
    size_t n = 0;
    int rc = 0;

    if (!overlays)
        return err_set(err, -ENOMEM, "out of memory");
    for_each_disk (d, m) {
        if (m->job.kind == JOB_SNAPSHOT && is_on_overlay(d, &ignored))
            continue;
        rc = disk_activate(d, false, d->of->overlay, err);
        if (rc)
            break;
        disk_source_path(d, d->of->overlay, overlays[n].path);
        (void)str_copy(overlays[n].target, sizeof(overlays[n].target),
                       d->of->target);
        n++;
    }
    if (rc == 0 && n > 0)
        rc = PORT(&m->ports, hypervisor, snapshot, m->job.vm, overlays, n,
                  quiesce, err);
    free(overlays);
    return rc;
}

static bool is_done(struct migration *m)
{
    struct err ignored = ERR_INIT; /* not known to be done */

    return count_frozen(m, &ignored) == m->job.n_disks;
}

/* Like VDSM: a guest whose agent does not freeze its file systems gets a
 * snapshot that is what a crash would leave. */
static int take_all(struct migration *m, struct err *err)
{
    struct err unfrozen = ERR_INIT;

    if (!m->job.quiesce)
        return take(m, false, err);
    if (take(m, true, &unfrozen) == 0 || is_done(m))
        return 0;

    int rc = take(m, false, err);

    if (rc == 0)
        migration_warn(m, "the guest's file systems were not frozen: %.200s",
                       unfrozen.message);
    return rc;
}

/* A libvirtd that died in the snapshot leaves the persistent definition on the
 * leaf: the next start would lose what the guest wrote since. */
static void mend_definition(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct sight sight;
    char path[PATH_MAX];

    if (disk_look_well(d, &sight, &err) ||
        !disk_is_layer(d, sight.persistent, d->of->leaf, false))
        return;
    disk_source_path(d, d->of->overlay, path);
    if (PORT(&m->ports, hypervisor, disk_set_persistent, m->job.vm,
             d->of->target, path, "qcow2", &err))
        migration_warn(m,
                       "the persistent definition of disk %s does not name "
                       "its newest layer %.160s: %.120s",
                       d->of->target, path, err.message);
}

enum job_outcome act_freeze(struct migration *m)
{
    struct err err = ERR_INIT;
    int rc = 0;

    /* The first time of a move nothing can have happened yet. */
    bool first =
        m->job.kind != JOB_SNAPSHOT && !m->adopted && m->trouble_ms < 0;
    bool done = !first && is_done(m);

    if (!done)
        rc = take_all(m, &err);
    if (!done && rc == 0) {
        m->looked_ms = migration_now_ms(m);
        return JOB_OK;
    }
    if (is_done(m)) {
        for_each_disk (d, m)
            mend_definition(d);
        return JOB_OK;
    }
    (void)err_wrap(&err, "snapshot of VM %s", m->job.vm_name);
    (void)err_default_code(&err, ERR_SNAPSHOT);
    return migration_doubt(m, &err, 0);
}
