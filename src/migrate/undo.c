/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way back: the guest runs on the source, the mirror ends, the destination
 * goes. Each act looks first whether qemu is on the destination after all; then
 * there is no way back, and the job goes on from JOB_PIVOTED.
 *
 * The destination is deleted only when nothing uses it: no mirror, not what
 * qemu writes to, in no VM's definition, made by us, and not settled. What
 * cannot be proven or done within TIDY_PATIENCE_MS is left, and the job says
 * what is left and how to remove it.
 */
#include "migration.h"

#include <string.h>

/* --- ending the mirror ------------------------------------------------- */

static enum job_outcome retry_or_go_on(struct migration *m,
                                       const struct err *err, const char *what)
{
    if (migration_trouble(m, err, UNDO_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "%s: %.120s", what, err->message);
    return JOB_OK;
}

/* The mirror died with its qemu. The source is right, unless the destination
 * itself says that the guest had gone on there (engine.c, without_record()). */
static enum job_outcome without_vm(struct migration *m)
{
    struct err err = ERR_INIT;
    int settled = migration_leaf_settled(m, &err);

    m->job.suspended = false;
    if (settled < 0)
        return retry_or_go_on(m, &err, "the destination was not looked at");
    return settled ? JOB_LANDED : JOB_OK;
}

static enum job_outcome end_mirror(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };

    if (PORT(&m->ports, hypervisor, mirror_info, move->vm, move->target, &info,
             &err))
        return retry_or_go_on(m, &err, "the mirror could not be asked");
    if (!mirror_is_ours(m, &info))
        return JOB_OK;
    if (PORT(&m->ports, hypervisor, mirror_abort, move->vm, move->target,
             &err) == 0) {
        if (migration_now_ms(m) - m->entered_ms < UNDO_PATIENCE_MS)
            return migration_again(m, POLL_MS / 4);
        (void)err_set_code(&err, ERR_TIMEOUT, "it does not end");
    }
    return retry_or_go_on(m, &err, "the mirror still runs");
}

enum job_outcome act_abort(struct migration *m)
{
    struct err err = ERR_INIT;
    struct err resume = ERR_INIT;
    struct sight sight;
    bool seen = migration_look(m, &sight, &err) == 0;

    sync_close_copy(m);
    if (seen && sight.where == ON_DESTINATION)
        return JOB_LANDED;
    if (seen && sight.where == VM_GONE)
        return without_vm(m);
    if (guest_resume(m, &resume)) {
        if (retry_or_go_on(m, &resume, "the VM is still paused, resume it") ==
            JOB_AGAIN)
            return JOB_AGAIN;
        m->job.suspended = false;
    }
    if (!seen)
        return retry_or_go_on(m, &err, "the VM could not be asked");
    return end_mirror(m);
}

/* --- removing the destination ------------------------------------------ */

static enum job_outcome leave(struct migration *m, const char *why)
{
    migration_warn(m,
                   "destination left: %.240s. Check, then remove it: drayctl "
                   "rpc Image.delete '{\"storagedomainID\":\"%s\",\"imageID\":"
                   "\"%s\"}'",
                   why, m->job.move.dst_sd, m->job.move.img);
    return JOB_OK;
}

/* A pivot that qemu did not survive may have changed the persistent definition
 * already: it must name the copy that stays. */
static int mend_definition(struct migration *m, const struct sight *sight,
                           struct err *err)
{
    const struct job_disk_move *move = &m->job.move;
    const struct volume_id leaf = migration_source(m, move->leaf);
    struct volume_info info;

    if (!migration_on_destination(m, sight->persistent))
        return 0;

    int rc = PORT(&m->ports, storage, volume_info, &leaf, &info, err);

    if (rc)
        return rc;
    return PORT(&m->ports, hypervisor, disk_set_persistent, move->vm,
                move->target, move->src_path,
                info.format == VOLUME_COW ? "qcow2" : "raw", err);
}

/* That our mirror is not there any more. */
static int prove_no_mirror(const struct migration *m, struct err *err)
{
    const struct job_disk_move *move = &m->job.move;
    struct vm_mirror_info info = { .job = false };
    int rc = PORT(&m->ports, hypervisor, mirror_info, move->vm, move->target,
                  &info, err);

    if (rc == 0 && mirror_is_ours(m, &info))
        rc = err_set_code(err, ERR_REPLICA, "the mirror still writes to it");
    return rc;
}

/* That no VM has any of its layers. */
static int prove_unused(const struct migration *m, struct err *err)
{
    char directory[PATH_MAX];
    struct vm_info user = { .uuid = "" };
    int rc = 0;

    if (m->job.move.dst_path[0] == '\0')
        return 0; /* never handed to anyone */
    migration_directory(m->job.move.dst_path, directory);
    rc = PORT(&m->ports, hypervisor, path_user, directory, &user, err);
    if (rc == 0 && user.uuid[0])
        rc = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses it", user.name);
    return rc;
}

/* Sees whether anything speaks against the deletion. */
static int prove(struct migration *m, const struct sight *sight,
                 struct err *err)
{
    int rc = 0;

    if (sight->where != VM_GONE)
        rc = prove_no_mirror(m, err);
    if (rc == 0)
        rc = mend_definition(m, sight, err);
    if (rc == 0)
        rc = prove_unused(m, err);
    return rc;
}

static enum job_outcome retry_or_leave(struct migration *m,
                                       const struct err *err)
{
    if (migration_trouble(m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return leave(m, err->message);
}

static enum job_outcome delete_destination(struct migration *m)
{
    const struct job_disk_move *move = &m->job.move;
    struct err err = ERR_INIT;
    int rc =
        PORT(&m->ports, storage, image_teardown, move->dst_sd, move->img, &err);

    if (rc == 0 || err.code == ERR_NO_IMAGE) {
        err_clear(&err);
        rc = PORT(&m->ports, storage, image_delete, move->dst_sd, move->img,
                  &err);
    }
    if (rc && err.code != ERR_NO_IMAGE)
        return retry_or_leave(m, &err);
    return JOB_OK;
}

/* Somebody else's image, see prepare.c. */
static bool is_foreign(const struct migration *m)
{
    return m->job.error.code == ERR_VOLUME_EXISTS &&
           m->job.failed_in == JOB_PREPARING;
}

enum job_outcome act_remove(struct migration *m)
{
    struct err err = ERR_INIT;
    struct sight sight;

    if (is_foreign(m))
        return leave(m, "it was made by somebody else");
    if (migration_look(m, &sight, &err))
        return retry_or_leave(m, &err);
    if (sight.where == ON_DESTINATION)
        return JOB_LANDED;

    int settled = migration_leaf_settled(m, &err);

    if (settled > 0)
        return leave(m, "its leaf is marked legal, which only a finished move "
                        "does");
    if (settled < 0 || prove(m, &sight, &err))
        return retry_or_leave(m, &err);
    return delete_destination(m);
}
