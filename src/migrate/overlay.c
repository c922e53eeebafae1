/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Overlays of disks that are outside of domains: a file each, which nobody has
 * a record of. That it is there says that its data is not below yet: it goes
 * when it was folded, and then nothing is committed again.
 */
#include "migration.h"

int overlay_make(const struct disk *d, bool on_destination, struct err *err)
{
    const struct job_disk *of = d->of;
    bool cow = on_destination ? of->base_cow : of->src_cow;

    if (!of->overlay[0])
        return 0;
    return PORT(&d->m->ports, storage, outside_overlay, of->beside,
                on_destination ? of->dst_path : of->src_path,
                cow ? VOLUME_COW : VOLUME_RAW, of->capacity, err);
}

int overlay_commit(const struct disk *d, bool on_destination, struct err *err)
{
    const struct migrate_ports *ports = &d->m->ports;
    const struct volume_id top = on_destination
                                     ? disk_target(d, d->of->overlay)
                                     : disk_source(d, d->of->overlay);
    struct err why = ERR_INIT;
    int rc = disk_is_outside(d, on_destination)
                 ? PORT(ports, storage, outside_commit, d->of->beside, &why)
                 : PORT(ports, storage, volume_commit, &top, &why);

    if (rc == 0 || why.code == ERR_NO_VOLUME || why.code == ERR_NO_IMAGE)
        return 0;
    *err = why;
    return rc;
}

int overlay_remove(const struct disk *d, bool on_destination, struct err *err)
{
    if (!d->of->overlay[0] || !disk_is_outside(d, on_destination))
        return 0;
    return PORT(&d->m->ports, storage, outside_remove, d->of->beside, err);
}
