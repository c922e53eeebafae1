/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the sides of a disk are on, and what follows from it when that is LVs:
 * they are active while somebody uses them, and not a moment longer. Whoever
 * reads or writes them activates them first, in each life anew, since a host
 * that was started again has none.
 */
#include "migration.h"

#include <string.h>

static int learn(const struct migrate_ports *ports, const char *sd,
                 struct place *place, struct err *err)
{
    struct domain_info info = { .block = false };
    int rc = 0;

    if (place->known)
        return 0;
    if (sd[0])
        rc = PORT(ports, storage, domain_info, sd, &info, err);
    if (rc)
        return rc;
    place->known = true;
    place->block = info.block;
    place->extent_bytes = info.extent_bytes;
    return 0;
}

int disk_learn_places(struct disk *d, struct err *err)
{
    int rc = learn(&d->m->ports, d->of->src_sd, &d->src, err);

    if (rc || d->m->job.kind == JOB_VM_MIGRATE) /* there is another host's */
        return rc;
    return learn(&d->m->ports, d->of->dst_sd, &d->dst, err);
}

static struct volume_id volume_on(const struct disk *d, bool on_destination,
                                  const char *vol)
{
    return on_destination ? disk_target(d, vol) : disk_source(d, vol);
}

int disk_activate(struct disk *d, bool on_destination, const char *vol,
                  struct err *err)
{
    struct place *place = on_destination ? &d->dst : &d->src;
    const struct volume_id id = volume_on(d, on_destination, vol);
    char path[PATH_MAX];
    int rc = disk_learn_places(d, err);

    if (rc || !place->block || place->active)
        return rc;
    rc = PORT(&d->m->ports, storage, image_prepare, &id, true, path, err);
    place->active = rc == 0;
    place->touched = true; /* one that failed may have come half way */
    return rc;
}

/* A VM that is off has it, too: it shall find it as it was. */
static int has_user(const struct disk *d, const char *sd, const char *img,
                    bool *ret_used, struct err *err)
{
    struct migrate_users users;
    int rc = migrate_find_users(&d->m->ports, sd, img, &users, err);

    if (rc == 0)
        *ret_used =
            users.writer.uuid[0] || users.mirror.uuid[0] || users.owner.uuid[0];
    return rc;
}

void disk_let_go(struct disk *d, bool on_destination)
{
    struct place *place = on_destination ? &d->dst : &d->src;
    const char *sd = on_destination ? d->of->dst_sd : d->of->src_sd;
    const char *img = disk_image(d, on_destination);
    struct err err = ERR_INIT;
    bool used = false;
    int rc = 0;

    if (!place->touched && !d->m->adopted && d->m->job.kind != JOB_REPLICATE)
        return; /* it is as it was */
    rc = disk_learn_places(d, &err);
    if (rc == 0 && !place->block)
        return;
    if (rc == 0)
        rc = has_user(d, sd, img, &used, &err);
    if (rc == 0 && !used)
        rc = PORT(&d->m->ports, storage, image_teardown, sd, img, &err);
    place->active = place->touched = false;
    if (rc && err.code != ERR_VOLUME_BUSY && err.code != ERR_NO_IMAGE)
        migration_warn(d->m, "image %s on domain %s is still active: %.120s",
                       img, sd, err.message);
}

void disk_changes_soon(const struct disk *d, bool on_destination)
{
    const char *sd = on_destination ? d->of->dst_sd : d->of->src_sd;

    if (sd[0])
        PORT(&d->m->ports, storage, domain_soon, sd);
}

/* --- users ------------------------------------------------------------- */

/* A VM may name an LV otherwise than we do, and another image's lies beside it:
 * so each is asked for, by the name that resolves to all others. */
static int find_lv_user(const struct disk *d, const char *sd,
                        struct vm_info *ret_user, struct err *err)
{
    struct uuid_list vols = { 0 };
    struct err gone = ERR_INIT;
    int rc = PORT(&d->m->ports, storage, domain_volumes, sd, d->of->img, &vols,
                  &gone);

    if (rc && gone.code == ERR_NO_IMAGE)
        return 0;
    if (rc)
        *err = gone;
    for (size_t i = 0; rc == 0 && i < vols.n && !ret_user->uuid[0]; i++) {
        char path[PATH_MAX];

        (void)str_format(path, sizeof(path), "/dev/%s/%s", sd, vols.uuids[i]);
        rc = PORT(&d->m->ports, hypervisor, path_user, path, ret_user, err);
    }
    uuid_list_deinit(&vols);
    return rc;
}

int disk_find_user(const struct disk *d, bool on_destination,
                   struct vm_info *ret_user, struct err *err)
{
    const struct place *place = on_destination ? &d->dst : &d->src;
    const char *sd = on_destination ? d->of->dst_sd : d->of->src_sd;
    char path[PATH_MAX];
    int rc;

    memset(ret_user, 0, sizeof(*ret_user));
    if (on_destination)
        disk_target_path(d, d->of->leaf, path);
    else
        disk_source_path(d, d->of->leaf, path);
    if (sd[0])
        migration_directory(path, path);
    rc = PORT(&d->m->ports, hypervisor, path_user, path, ret_user, err);
    if (rc == 0 && place->block && !ret_user->uuid[0])
        rc = find_lv_user(d, sd, ret_user, err);
    return rc;
}
