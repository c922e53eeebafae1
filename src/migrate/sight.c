/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one look at the truth that every act of consequence takes first: which
 * file does qemu write to? libvirt's XML may be stale after it died inside a
 * pivot, and what we intended proves nothing.
 */
#include "migration.h"

#include <string.h>

/* The same file may have several spellings (links that we made ourselves): the
 * storage knows which volume a path is. It is asked only about paths that are
 * neither of the two we know, for a guest may be waiting. */
static bool is_leaf_of(const struct migration *m, const char *path,
                       const char *sd)
{
    struct err ignored = ERR_INIT; /* not ours or not readable: not it */
    struct volume_id id;

    return path[0] &&
           PORT(&m->ports, storage, locate, path, &id, &ignored) == 0 &&
           strcmp(id.sd, sd) == 0 && strcmp(id.img, m->job.move.img) == 0 &&
           strcmp(id.vol, m->job.move.leaf) == 0;
}

bool migration_on_destination(const struct migration *m, const char *path)
{
    const struct job_disk_move *move = &m->job.move;

    if (strcmp(path, move->dst_path) == 0)
        return path[0] != '\0';
    return strcmp(path, move->src_path) != 0 &&
           is_leaf_of(m, path, move->dst_sd);
}

static enum where where_is(const struct migration *m, const char *path)
{
    if (migration_on_destination(m, path))
        return ON_DESTINATION;
    if (strcmp(path, m->job.move.src_path) == 0 ||
        is_leaf_of(m, path, m->job.move.src_sd))
        return ON_SOURCE;
    return ON_ELSEWHERE;
}

/* A VM that does not run has its persistent definition only. */
static int look_at_definition(const struct migration *m, struct sight *sight,
                              struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    size_t n = 0;
    int rc =
        PORT(&m->ports, hypervisor, vm_disks, m->job.move.vm, &disks, &n, err);

    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (strcmp(disks[i].target, m->job.move.target) == 0)
            (void)str_copy(sight->persistent, sizeof(sight->persistent),
                           disks[i].path);
    }
    return rc;
}

static int look_at_qemu(const struct migration *m, struct sight *sight,
                        struct err *err)
{
    const struct job_disk_move *move = &m->job.move;
    struct err ask = ERR_INIT;
    struct vm_disk_truth truth;
    int rc = PORT(&m->ports, hypervisor, disk_truth, move->vm, move->target,
                  &truth, &ask);

    if (rc && ask.code == ERR_NO_DISK) {
        sight->where = ON_ELSEWHERE; /* unplugged */
        return 0;
    }
    if (rc) {
        *err = ask;
        return rc;
    }
    /* Shut off between the two questions: no live paths. */
    sight->where = truth.qemu_path[0] || truth.xml_path[0]
                       ? where_is(m, truth.qemu_path)
                       : VM_GONE;
    sight->xml_on_destination = migration_on_destination(m, truth.xml_path);
    (void)str_copy(sight->persistent, sizeof(sight->persistent),
                   truth.persistent_path);
    return 0;
}

int migration_look(const struct migration *m, struct sight *ret_sight,
                   struct err *err)
{
    struct sight sight = { .where = VM_GONE, .state = VM_SHUTOFF };
    struct err find = ERR_INIT;
    struct vm_info vm;
    int rc = PORT(&m->ports, hypervisor, vm_find, m->job.move.vm, &vm, &find);

    if (rc && find.code != ERR_NO_VM) {
        *err = find;
        return rc;
    }
    if (rc == 0) {
        sight.state = vm.state;
        rc = vm.state == VM_SHUTOFF ? look_at_definition(m, &sight, err)
                                    : look_at_qemu(m, &sight, err);
        if (rc)
            return rc;
    }
    *ret_sight = sight;
    return 0;
}

int migration_leaf_settled(const struct migration *m, struct err *err)
{
    const struct volume_id leaf = migration_target(m, m->job.move.leaf);
    struct err ask = ERR_INIT;
    struct volume_info info;
    int rc = PORT(&m->ports, storage, volume_info, &leaf, &info, &ask);

    if (rc == 0)
        return info.legality == VOLUME_LEGAL;
    if (ask.code == ERR_NO_IMAGE || ask.code == ERR_NO_VOLUME)
        return 0;
    *err = ask;
    return rc;
}

enum job_outcome migration_see_destination(struct migration *m)
{
    const struct volume_id leaf = migration_target(m, m->job.move.leaf);
    int64_t now_ms = migration_now_ms(m);
    struct err err = ERR_INIT;
    struct volume_info info;

    if (m->trouble_ms < 0 && now_ms - m->looked_ms < STORAGE_LOOK_MS)
        return JOB_OK;
    if (PORT(&m->ports, storage, volume_info, &leaf, &info, &err))
        return migration_doubt(
            m, &err, m->adopted ? ADOPT_PATIENCE_MS : STORAGE_PATIENCE_MS);
    m->looked_ms = now_ms;
    return JOB_OK;
}
