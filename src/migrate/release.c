/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * After the pivot: the destination is the right copy, and there is no way but
 * forward. The guest runs first; the rest may be tried for a while, and what
 * cannot be done ends as a warning in a job that is done: nothing here is worth
 * a guest or its data.
 *
 * The source is deleted only when three facts agree: JOB_PIVOTED was durable
 * (we would not be here), qemu and libvirt's live XML both name the
 * destination, and no VM uses any layer of the source.
 */
#include "fold.h"
#include "offer.h"

#include <string.h>

/* JOB_AGAIN while there is patience; then the warning, and JOB_OK. */
static enum job_outcome retry_or_warn(struct migration *m,
                                      const struct err *err, const char *what)
{
    if (migration_trouble(m, err, UNDO_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "%s: %.120s", what, err->message);
    return JOB_OK;
}

enum job_outcome guest_let_run(struct migration *m)
{
    struct err err = ERR_INIT;

    if (guest_resume(m, &err))
        return retry_or_warn(m, &err, "the VM is still paused, resume it");
    return JOB_OK;
}

static enum job_outcome make_top_legal(struct disk *d)
{
    const struct volume_id top = disk_target(d, disk_top(d));
    struct err err = ERR_INIT;

    if (d->of->dst_sd[0] && PORT(&d->m->ports, storage, volume_set_legality,
                                 &top, VOLUME_LEGAL, &err))
        return retry_or_warn(d->m, &err, "the leaf is not marked legal");
    return JOB_OK;
}

static int set_persistent(struct disk *d, struct err *err)
{
    struct migration *m = d->m;
    const char *format = NULL;
    char path[PATH_MAX];
    int rc = disk_ask_format(d, true, disk_top(d), &format, err);

    if (rc)
        return rc;
    disk_target_path(d, disk_top(d), path);
    return PORT(&m->ports, hypervisor, disk_set_persistent, m->job.vm,
                d->of->target, path, format, err);
}

/* The next boot must find the destination. */
static enum job_outcome mend_definitions(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look_well(d, &sight, &err))
        return retry_or_warn(m, &err, "the VM's definition was not checked");
    if (sight.where == ON_DESTINATION && !sight.xml_on_destination)
        migration_warn(m,
                       "libvirt's live XML does not name the file that qemu "
                       "writes to: %.100s",
                       d->of->dst_path);
    if (sight.persistent[0] == '\0' || disk_on_destination(d, sight.persistent))
        return JOB_OK;
    if (set_persistent(d, &err))
        return retry_or_warn(m, &err,
                             "the persistent definition names the source");
    return JOB_OK;
}

/* Copies leave holes where there are zeros: a preallocated volume has to get
 * its space back. The guest runs, so one try is enough. */
static void take_promised_space(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;

    (void)disk_load_chain(d, &err); /* no source left: done before */
    for (size_t i = 0; d->of->dst_sd[0] && i < d->chain.n; i++) {
        const struct volume_id id = disk_target(d, d->chain.volumes[i].id.vol);

        err_clear(&err);
        if (d->chain.volumes[i].allocation == VOLUME_PREALLOCATED &&
            PORT(&m->ports, storage, volume_preallocate, &id, &err))
            migration_warn(m, "preallocated volume %s is sparse now: %.120s",
                           id.vol, err.message);
    }
}

/* The file that we made outside is the VM's from now on. */
static void keep_outside(struct disk *d)
{
    struct err err = ERR_INIT;

    if (d->of->dst_made &&
        PORT(&d->m->ports, storage, outside_keep, d->of->dst_path, &err))
        migration_warn(d->m, "%s is still noted as temporary: %.120s",
                       d->of->dst_path, err.message);
}

enum job_outcome disk_settle(struct disk *d)
{
    enum job_outcome outcome = make_top_legal(d);

    if (outcome == JOB_OK)
        outcome = mend_definitions(d);
    if (outcome == JOB_OK) {
        keep_outside(d);
        take_promised_space(d);
    }
    return outcome;
}

enum job_outcome act_settle(struct migration *m)
{
    enum job_outcome outcome = guest_let_run(m);

    if (outcome == JOB_OK)
        watch_end(m);
    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = disk_settle(d);
    }
    return outcome;
}

/* --- the source -------------------------------------------------------- */

static enum job_outcome keep(struct disk *d, const char *why)
{
    migration_warn(d->m,
                   "source kept: %.120s. Check, then remove it: drayctl rpc "
                   "Image.delete '{\"storagedomainID\":\"%s\",\"imageID\":\"%s"
                   "\"}'",
                   why, d->of->src_sd, d->of->img);
    return JOB_OK;
}

static enum job_outcome retry_or_keep(struct disk *d, const struct err *err)
{
    if (migration_trouble(d->m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return keep(d, err->message);
}

/* Every layer that has to be there is, and is complete. */
int disk_check_image(const struct disk *d, struct err *err)
{
    const struct job_disk *of = d->of;
    struct storage_chain chain = { 0 };
    int rc = PORT(&d->m->ports, storage, image_chain, of->dst_sd, of->img, NULL,
                  &chain, err);

    for (size_t i = 0; rc == 0 && i < chain.n; i++) {
        if (chain.volumes[i].legality != VOLUME_LEGAL)
            rc = err_set_code(err, ERR_VOLUME_ILLEGAL,
                              "volume %s of the destination is not legal",
                              chain.volumes[i].id.vol);
    }
    storage_chain_deinit(&chain);
    return rc;
}

/* Deleting a copy is only right while the other is whole. */
static int check_destination(const struct disk *d, struct err *err)
{
    struct outside_info info;

    if (d->of->dst_sd[0])
        return disk_check_image(d, err);
    if (d->of->dst_path[0] != '/')
        return 0; /* qemu has it, and many a server takes no second client */

    int rc = PORT(&d->m->ports, storage, outside_info, d->of->dst_path,
                  d->of->base_cow ? VOLUME_COW : VOLUME_RAW, &info, err);

    if (rc == 0 && !info.exists)
        rc = err_set_code(err, ERR_STORAGE, "%s is not there", d->of->dst_path);
    return rc;
}

/* Last: its links are names by which a VM may still know a layer, and the
 * proofs need them. */
static enum job_outcome tear_source_down(struct disk *d)
{
    struct err err = ERR_INIT;

    if (PORT(&d->m->ports, storage, image_teardown, d->of->src_sd, d->of->img,
             &err) &&
        err.code != ERR_NO_IMAGE)
        return retry_or_warn(d->m, &err, "the source is still prepared");
    return JOB_OK;
}

static enum job_outcome delete_source(struct disk *d)
{
    struct err err = ERR_INIT;

    if (PORT(&d->m->ports, storage, image_delete, d->of->src_sd, d->of->img,
             &err) &&
        err.code != ERR_NO_IMAGE)
        return retry_or_keep(d, &err);
    return tear_source_down(d);
}

/* By an earlier life that did not get to record it: nothing is left to prove,
 * and image_delete() finishes what that life began. */
static bool source_is_deleted(const struct disk *d)
{
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(&d->m->ports, storage, domain_volumes, d->of->src_sd,
                  d->of->img, &volumes, &err);

    uuid_list_deinit(&volumes);
    return rc && err.code == ERR_NO_IMAGE;
}

static int fold_source(struct disk *d, struct err *err)
{
    struct vm_info user;
    int rc = disk_find_user(d, false, &user, err);

    if (rc == 0 && user.uuid[0])
        rc = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses it", user.name);
    if (rc)
        return rc;
    rc = fold_commit_offline(d, false, err);
    if (rc == 0)
        rc = fold_sync_records(d, d->of->src_sd, err);
    if (rc == 0)
        rc = fold_delete(d, false, err);
    if (rc == 0)
        thin_shrink(d, false, d->of->leaf);
    return rc;
}

/* A source that is kept has the layers that it had, with all that the guest
 * wrote until the pivot. */
static enum job_outcome keep_as_asked(struct disk *d)
{
    struct err err = ERR_INIT;

    if (d->of->overlay[0] && fold_source(d, &err)) {
        if (migration_trouble(d->m, &err, TIDY_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(d->m, "the source has layer %s still: %.160s",
                       d->of->overlay, err.message);
    }
    return d->of->src_sd[0] ? tear_source_down(d) : JOB_OK;
}

/* What qemu and libvirt say of a running VM. NULL: both name the destination.
 */
static const char *vm_speaks_against(const struct sight *sight)
{
    if (sight->where == VM_GONE)
        return "the VM does not run any more, nothing proves that the source "
               "is not needed";
    if (sight->where != ON_DESTINATION || !sight->xml_on_destination)
        return "qemu and libvirt do not both name the destination";
    return NULL;
}

static enum job_outcome release(struct disk *d)
{
    struct err err = ERR_INIT;
    struct vm_info user;
    struct sight sight;

    if (!d->of->src_sd[0]) /* outside: not ours to delete */
        return keep_as_asked(d);
    if (disk_learn_places(d, &err))
        return retry_or_keep(d, &err);
    if (d->m->job.keep_source)
        return keep_as_asked(d);
    if (source_is_deleted(d))
        return delete_source(d);
    if (d->of->target[0]) {
        if (disk_look(d, &sight, &err))
            return retry_or_keep(d, &err);
        if (vm_speaks_against(&sight))
            return keep(d, vm_speaks_against(&sight));
    }
    if (disk_find_user(d, false, &user, &err))
        return retry_or_keep(d, &err);
    if (user.uuid[0])
        return keep(d, "a VM still has a layer of it");
    if (check_destination(d, &err))
        return retry_or_keep(d, &err);
    return delete_source(d);
}

/* The VM and its disks have settled on another host. */
enum job_outcome release_delete_source(struct disk *d)
{
    struct err err = ERR_INIT;
    struct vm_info user;

    if (source_is_deleted(d))
        return delete_source(d);
    if (disk_find_user(d, false, &user, &err))
        return retry_or_keep(d, &err);
    if (user.uuid[0])
        return keep(d, "a VM still has a layer of it");
    return delete_source(d);
}

enum job_outcome release_keep_source(struct disk *d)
{
    return tear_source_down(d);
}

enum job_outcome act_release(struct migration *m)
{
    for (; m->at < m->job.n_disks; m->at++) {
        enum job_outcome outcome = release(&m->disks[m->at]);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}
