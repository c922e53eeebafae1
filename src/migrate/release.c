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
#include "migration.h"

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

static enum job_outcome let_guest_run(struct migration *m)
{
    struct err err = ERR_INIT;

    if (guest_resume(m, &err))
        return retry_or_warn(m, &err, "the VM is still paused, resume it");
    return JOB_OK;
}

static enum job_outcome make_leaf_legal(struct migration *m)
{
    const struct volume_id leaf = migration_target(m, m->job.move.leaf);
    struct err err = ERR_INIT;

    if (PORT(&m->ports, storage, volume_set_legality, &leaf, VOLUME_LEGAL,
             &err))
        return retry_or_warn(m, &err, "the leaf is not marked legal");
    return JOB_OK;
}

static int set_persistent(struct migration *m, struct err *err)
{
    const struct job_disk_move *move = &m->job.move;
    const struct volume_id leaf = migration_target(m, move->leaf);
    struct volume_info info;
    int rc = PORT(&m->ports, storage, volume_info, &leaf, &info, err);

    if (rc)
        return rc;
    return PORT(&m->ports, hypervisor, disk_set_persistent, move->vm,
                move->target, move->dst_path,
                info.format == VOLUME_COW ? "qcow2" : "raw", err);
}

/* The next boot must find the destination. */
static enum job_outcome mend_definitions(struct migration *m)
{
    struct err err = ERR_INIT;
    struct sight sight;

    if (migration_look(m, &sight, &err))
        return retry_or_warn(m, &err, "the VM's definition was not checked");
    if (sight.where == ON_DESTINATION && !sight.xml_on_destination)
        migration_warn(m,
                       "libvirt's live XML does not name the file that qemu "
                       "writes to: %.100s",
                       m->job.move.dst_path);
    if (sight.persistent[0] == '\0' ||
        migration_on_destination(m, sight.persistent))
        return JOB_OK;
    if (set_persistent(m, &err))
        return retry_or_warn(m, &err,
                             "the persistent definition names the source");
    return JOB_OK;
}

/* Copies leave holes where there are zeros: a preallocated volume has to get
 * its space back. The guest runs, so one try is enough. */
static void take_promised_space(struct migration *m)
{
    struct err err = ERR_INIT;

    (void)migration_load_chain(m, &err); /* no source left: done before */
    for (size_t i = 0; i < m->chain.n; i++) {
        const struct volume_id id =
            migration_target(m, m->chain.volumes[i].id.vol);

        err_clear(&err);
        if (m->chain.volumes[i].allocation == VOLUME_PREALLOCATED &&
            PORT(&m->ports, storage, volume_preallocate, &id, &err))
            migration_warn(m, "preallocated volume %s is sparse now: %.120s",
                           id.vol, err.message);
    }
}

enum job_outcome act_settle(struct migration *m)
{
    enum job_outcome outcome = let_guest_run(m);

    sync_close_copy(m);
    if (outcome == JOB_OK)
        outcome = make_leaf_legal(m);
    if (outcome == JOB_OK)
        outcome = mend_definitions(m);
    if (outcome == JOB_OK)
        take_promised_space(m);
    return outcome;
}

static enum job_outcome keep(struct migration *m, const char *why)
{
    migration_warn(m,
                   "source kept: %.120s. Check, then remove it: drayctl rpc "
                   "Image.delete '{\"storagedomainID\":\"%s\",\"imageID\":\"%s"
                   "\"}'",
                   why, m->job.move.src_sd, m->job.move.img);
    return JOB_OK;
}

static enum job_outcome retry_or_keep(struct migration *m,
                                      const struct err *err)
{
    if (migration_trouble(m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return keep(m, err->message);
}

/* Deleting a copy is only right while the other is whole. */
static int check_destination(const struct migration *m, struct err *err)
{
    const struct job_disk_move *move = &m->job.move;
    struct storage_chain chain = { 0 };
    int rc = PORT(&m->ports, storage, image_chain, move->dst_sd, move->img,
                  move->leaf, &chain, err);

    for (size_t i = 0; rc == 0 && i < chain.n; i++) {
        if (chain.volumes[i].legality != VOLUME_LEGAL)
            rc = err_set_code(err, ERR_VOLUME_ILLEGAL,
                              "volume %s of the destination is not legal",
                              chain.volumes[i].id.vol);
    }
    storage_chain_deinit(&chain);
    return rc;
}

/* A VM that has a layer of the source, in *ret_user; empty if none. */
static int find_user(const struct migration *m, struct vm_info *ret_user,
                     struct err *err)
{
    char directory[PATH_MAX];

    migration_directory(m->job.move.src_path, directory);
    memset(ret_user, 0, sizeof(*ret_user));
    return PORT(&m->ports, hypervisor, path_user, directory, ret_user, err);
}

/* Last: its links are names by which a VM may still know a layer, and the
 * proofs need them. */
static enum job_outcome tear_source_down(struct migration *m)
{
    struct err err = ERR_INIT;

    if (PORT(&m->ports, storage, image_teardown, m->job.move.src_sd,
             m->job.move.img, &err))
        return retry_or_warn(m, &err, "the source is still prepared");
    return JOB_OK;
}

static enum job_outcome delete_source(struct migration *m)
{
    struct err err = ERR_INIT;

    if (PORT(&m->ports, storage, image_delete, m->job.move.src_sd,
             m->job.move.img, &err) &&
        err.code != ERR_NO_IMAGE)
        return retry_or_keep(m, &err);
    return tear_source_down(m);
}

/* By an earlier life that did not get to record it: nothing is left to prove,
 * and image_delete() finishes what that life began. */
static bool source_is_deleted(const struct migration *m)
{
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, storage, domain_volumes, m->job.move.src_sd,
                  m->job.move.img, &volumes, &err);

    uuid_list_deinit(&volumes);
    return rc && err.code == ERR_NO_IMAGE;
}

enum job_outcome act_release(struct migration *m)
{
    struct err err = ERR_INIT;
    struct vm_info user;
    struct sight sight;

    if (m->job.move.keep_source)
        return tear_source_down(m);
    if (source_is_deleted(m))
        return delete_source(m);
    if (migration_look(m, &sight, &err))
        return retry_or_keep(m, &err);
    if (sight.where == VM_GONE)
        return keep(m, "the VM does not run any more, nothing proves that the "
                       "source is not needed");
    if (sight.where != ON_DESTINATION || !sight.xml_on_destination)
        return keep(m, "qemu and libvirt do not both name the destination");
    if (find_user(m, &user, &err))
        return retry_or_keep(m, &err);
    if (user.uuid[0])
        return keep(m, "a VM still has a layer of it");
    if (check_destination(m, &err))
        return retry_or_keep(m, &err);
    return delete_source(m);
}
