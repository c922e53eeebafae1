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
 * none of those we know, for a guest may be waiting. */
static bool is_volume(const struct disk *d, const char *path, const char *sd,
                      const char *vol)
{
    struct err ignored = ERR_INIT; /* not ours or not readable: not it */
    struct volume_id id;

    return path[0] && sd[0] &&
           PORT(&d->m->ports, storage, locate, path, &id, &ignored) == 0 &&
           strcmp(id.sd, sd) == 0 && strcmp(id.img, d->of->img) == 0 &&
           strcmp(id.vol, vol) == 0;
}

bool disk_is_layer(const struct disk *d, const char *path, const char *vol,
                   bool on_destination)
{
    const struct job_disk *of = d->of;
    char known[PATH_MAX];

    if (on_destination)
        disk_target_path(d, vol, known);
    else
        disk_source_path(d, vol, known);
    if (known[0] && strcmp(path, known) == 0)
        return true;
    return is_volume(d, path, on_destination ? of->dst_sd : of->src_sd, vol);
}

/* Leaf or overlay of a side. */
static bool is_on(const struct disk *d, const char *path, bool on_destination)
{
    const struct job_disk *of = d->of;

    return path[0] && (disk_is_layer(d, path, of->leaf, on_destination) ||
                       (of->overlay[0] &&
                        disk_is_layer(d, path, of->overlay, on_destination)));
}

static enum where where_is(const struct disk *d, const char *path)
{
    char leaf[PATH_MAX];

    /* The common case costs no look at the storage. */
    disk_source_path(d, disk_top(d), leaf);
    if (strcmp(path, leaf) == 0)
        return ON_SOURCE;
    if (is_on(d, path, true))
        return ON_DESTINATION;
    return is_on(d, path, false) ? ON_SOURCE : ON_ELSEWHERE;
}

bool disk_on_destination(const struct disk *d, const char *path)
{
    return where_is(d, path) == ON_DESTINATION;
}

/* An unplugged disk, or a VM that is off. */
static int look_for_vm(const struct disk *d, struct sight *sight,
                       struct err *err)
{
    struct err find = ERR_INIT;
    struct vm_info vm = { .state = VM_SHUTOFF };
    int rc = PORT(&d->m->ports, hypervisor, vm_find, d->m->job.vm, &vm, &find);

    if (rc && find.code != ERR_NO_VM) {
        *err = find;
        return rc;
    }
    sight->state = vm.state;
    sight->where = vm.state == VM_SHUTOFF ? VM_GONE : ON_ELSEWHERE;
    return 0;
}

static int look(const struct disk *d, bool well, struct sight *ret_sight,
                struct err *err)
{
    struct sight sight = { .where = VM_GONE, .state = VM_SHUTOFF };
    struct err ask = ERR_INIT;
    struct vm_disk_truth truth = { .state = VM_SHUTOFF };
    int rc = PORT(&d->m->ports, hypervisor, disk_truth, d->m->job.vm,
                  d->of->target, well, &truth, &ask);

    if (rc && ask.code == ERR_NO_DISK)
        rc = look_for_vm(d, &sight, &ask);
    else if (rc && ask.code == ERR_NO_VM)
        rc = 0;
    else if (rc == 0)
        sight.state = truth.state;
    if (rc) {
        *err = ask;
        return rc;
    }
    /* Shut off between two questions: no live paths. */
    if (truth.qemu_path[0] || truth.xml_path[0])
        sight.where = where_is(d, truth.qemu_path);
    sight.xml_on_destination = disk_on_destination(d, truth.xml_path);
    (void)str_copy(sight.persistent, sizeof(sight.persistent),
                   truth.persistent_path);
    *ret_sight = sight;
    return 0;
}

int disk_look(const struct disk *d, struct sight *ret_sight, struct err *err)
{
    return look(d, false, ret_sight, err);
}

int disk_look_well(const struct disk *d, struct sight *ret_sight,
                   struct err *err)
{
    return look(d, true, ret_sight, err);
}

int disk_settled(const struct disk *d, struct err *err)
{
    const struct volume_id top = disk_target(d, disk_top(d));
    struct err ask = ERR_INIT;
    struct volume_info info;

    if (!d->of->dst_sd[0])
        return 0; /* nothing there can say so */

    int rc = PORT(&d->m->ports, storage, volume_info, &top, &info, &ask);

    if (rc == 0)
        return info.legality == VOLUME_LEGAL;
    if (ask.code == ERR_NO_IMAGE || ask.code == ERR_NO_VOLUME)
        return 0;
    *err = ask;
    return rc;
}

static bool is_time_to_look(const struct migration *m, int64_t looked_ms)
{
    return m->trouble_ms >= 0 ||
           migration_now_ms(m) - looked_ms >= STORAGE_LOOK_MS;
}

enum job_outcome disk_see_destination(struct disk *d)
{
    struct migration *m = d->m;
    const struct volume_id top = disk_target(d, disk_top(d));
    struct err err = ERR_INIT;
    struct volume_info info;
    enum job_outcome outcome;

    if (!d->of->dst_sd[0] || !is_time_to_look(m, d->looked_ms))
        return JOB_OK;
    outcome = hang_watch(d);
    if (outcome != JOB_OK)
        return outcome;
    if (PORT(&m->ports, storage, volume_info, &top, &info, &err))
        return migration_doubt(
            m, &err, m->adopted ? ADOPT_PATIENCE_MS : STORAGE_PATIENCE_MS);
    d->looked_ms = migration_now_ms(m);
    return JOB_OK;
}

static enum job_outcome see_disk(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look(d, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where == VM_GONE)
        return migration_fail_text(m, ERR_REPLICA,
                                   "VM %s was shut down during the copy of "
                                   "disk %s: the source is intact",
                                   m->job.vm_name, d->of->target);
    if (sight.where != ON_SOURCE)
        return migration_fail_text(m, ERR_CHANGE_DISK,
                                   "disk %s of VM %s is not what it was when "
                                   "the job began",
                                   d->of->target, m->job.vm_name);
    return JOB_OK;
}

/* An image that is copied as a whole: a VM that was started on it since we
 * checked writes behind the copy's back. */
static enum job_outcome see_no_writer(struct disk *d)
{
    struct migration *m = d->m;
    struct migrate_users users;
    struct err err = ERR_INIT;

    if (migrate_find_users(&m->ports, d->of->src_sd, d->of->img, &users, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (users.writer.uuid[0])
        return migration_fail_text(m, ERR_VOLUME_BUSY,
                                   "VM %s was started on image %s while it "
                                   "was copied",
                                   users.writer.name, d->of->img);
    return JOB_OK;
}

static enum job_outcome see(struct disk *d)
{
    const struct job *job = &d->m->job;

    if (job->vm[0])
        return see_disk(d);
    return job->kind == JOB_COPY || job->kind == JOB_MOVE ? see_no_writer(d)
                                                          : JOB_OK;
}

enum job_outcome migration_see_vm(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    if (!is_time_to_look(m, m->looked_ms))
        return JOB_OK;
    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = see(d);
    }
    if (outcome == JOB_OK)
        m->looked_ms = migration_now_ms(m);
    return outcome;
}
