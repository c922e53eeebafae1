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

enum {
    FACTS_PATIENCE_MS = 500, /* the guest is held meanwhile */
};

/* --- ending the mirror ------------------------------------------------- */

static enum job_outcome retry_or_go_on(struct migration *m,
                                       const struct err *err, const char *what)
{
    if (migration_trouble(m, err, UNDO_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "%s: %.120s", what, err->message);
    return JOB_OK;
}

/* The mirrors died with their qemu. The source is right, unless the
 * destination itself says that the guest had gone on there: all disks
 * (engine.c, without_record()), or those that could not be brought back. */
static enum job_outcome without_vm(struct migration *m)
{
    struct err err = ERR_INIT;
    size_t there = 0;

    m->job.suspended = false;
    for_each_disk (d, m) {
        int settled = m->job.kind == JOB_MERGE ? 0 : disk_settled(d, &err);

        if (settled < 0)
            return retry_or_go_on(m, &err, "the destination was not looked at");
        there += (size_t)settled;
    }
    return there == m->job.n_disks ? JOB_LANDED : JOB_OK;
}

static bool is_ours(const struct disk *d, const struct vm_mirror_info *info)
{
    if (d->m->job.kind == JOB_MERGE)
        return info->kind == VM_JOB_COMMIT ||
               info->kind == VM_JOB_ACTIVE_COMMIT;
    return mirror_is_ours(d, info);
}

static enum job_outcome end_job(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_mirror_info info = { .job = false };

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return retry_or_go_on(m, &err, "the mirror could not be asked");
    if (!is_ours(d, &info))
        return JOB_OK;
    if (PORT(&m->ports, hypervisor, mirror_abort, m->job.vm, d->of->target,
             &err) == 0) {
        if (migration_now_ms(m) - m->entered_ms < UNDO_PATIENCE_MS)
            return migration_again(m, migration_poll_ms(m));
        (void)err_set_code(&err, ERR_TIMEOUT, "it does not end");
    }
    return retry_or_go_on(m, &err, "the mirror still runs");
}

/* Where the disks are. */
struct whereabouts {
    bool seen; /* all could be asked */
    size_t gone, there;
};

static struct whereabouts look_around(struct migration *m, struct err *err)
{
    struct whereabouts w = { .seen = true };

    for_each_disk (d, m) {
        struct sight sight = { .where = ON_SOURCE };

        if (disk_look(d, &sight, err))
            w.seen = false;
        w.gone += sight.where == VM_GONE;
        w.there += sight.where == ON_DESTINATION;
    }
    return w;
}

int undo_leave_facts(struct migration *m, struct err *err)
{
    int rc = 0;

    for_each_disk (d, m) {
        const struct volume_id top = disk_target(d, disk_top(d));
        struct sight sight;

        if (rc == 0)
            rc = disk_look(d, &sight, err);
        if (rc == 0 && sight.where == ON_DESTINATION && d->of->dst_sd[0])
            rc = PORT(&m->ports, storage, volume_set_legality, &top,
                      VOLUME_LEGAL, err);
    }
    return rc;
}

static enum job_outcome resume(struct migration *m, const struct whereabouts *w)
{
    struct err err = ERR_INIT;
    bool divided = m->job.n_disks > 1 && (w->there > 0 || !w->seen);

    if (m->job.suspended && divided && undo_leave_facts(m, &err)) {
        if (migration_trouble(m, &err, FACTS_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(m, "a disk that went over could not be marked: %.120s",
                       err.message);
        err_clear(&err);
    }
    if (guest_resume(m, &err)) {
        if (retry_or_go_on(m, &err, "the VM is still paused, resume it") ==
            JOB_AGAIN)
            return JOB_AGAIN;
        m->job.suspended = false;
    }
    return JOB_OK;
}

enum job_outcome act_abort(struct migration *m)
{
    struct err err = ERR_INIT;
    struct whereabouts w = look_around(m, &err);

    sync_close_copies(m);
    if (w.there == m->job.n_disks && m->job.kind != JOB_MERGE)
        return JOB_LANDED;
    if (w.gone > 0)
        return without_vm(m);
    if (resume(m, &w) == JOB_AGAIN)
        return JOB_AGAIN;
    if (!w.seen)
        return retry_or_go_on(m, &err, "the VM could not be asked");
    for_each_disk (d, m) {
        enum job_outcome outcome = end_job(d);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}

/* --- removing the destination ------------------------------------------ */

static enum job_outcome leave(struct disk *d, const char *why)
{
    const struct job_disk *of = d->of;

    if (of->dst_sd[0])
        migration_warn(d->m,
                       "destination left: %.240s. Check, then remove it: "
                       "drayctl rpc Image.delete '{\"storagedomainID\":\"%s\","
                       "\"imageID\":\"%s\"}'",
                       why, of->dst_sd, of->img);
    else
        migration_warn(d->m, "destination left: %.160s: %.200s", of->dst_path,
                       why);
    return JOB_OK;
}

static int source_format(const struct disk *d, const char **ret_format,
                         struct err *err)
{
    const struct volume_id top = disk_source(d, disk_top(d));
    struct volume_info info = { .format =
                                    d->of->base_cow ? VOLUME_COW : VOLUME_RAW };
    int rc = 0;

    if (d->of->src_sd[0])
        rc = PORT(&d->m->ports, storage, volume_info, &top, &info, err);
    *ret_format = info.format == VOLUME_COW ? "qcow2" : "raw";
    return rc;
}

/* A pivot that qemu did not survive may have changed the persistent definition
 * already: it must name the copy that stays. */
static int mend_definition(const struct disk *d, const struct sight *sight,
                           struct err *err)
{
    const char *format = NULL;
    char path[PATH_MAX];

    if (!disk_on_destination(d, sight->persistent))
        return 0;

    int rc = source_format(d, &format, err);

    if (rc)
        return rc;
    disk_source_path(d, disk_top(d), path);
    return PORT(&d->m->ports, hypervisor, disk_set_persistent, d->m->job.vm,
                d->of->target, path, format, err);
}

/* That our mirror is not there any more. */
static int prove_no_mirror(const struct disk *d, struct err *err)
{
    struct vm_mirror_info info = { .job = false };
    int rc = PORT(&d->m->ports, hypervisor, mirror_info, d->m->job.vm,
                  d->of->target, &info, err);

    if (rc == 0 && mirror_is_ours(d, &info))
        rc = err_set_code(err, ERR_REPLICA, "the mirror still writes to it");
    return rc;
}

/* That no VM has any of its layers. */
static int prove_unused(const struct disk *d, struct err *err)
{
    char path[PATH_MAX];
    struct vm_info user = { .uuid = "" };
    int rc = 0;

    if (d->of->dst_path[0] != '/')
        return 0; /* never handed to anyone, or nothing that we delete */
    disk_target_path(d, d->of->leaf, path);
    if (d->of->dst_sd[0])
        migration_directory(path, path);
    rc = PORT(&d->m->ports, hypervisor, path_user, path, &user, err);
    if (rc == 0 && user.uuid[0])
        rc = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses it", user.name);
    return rc;
}

/* Sees whether anything speaks against the deletion. */
static int prove(const struct disk *d, const struct sight *sight,
                 struct err *err)
{
    int rc = 0;

    if (sight->where != VM_GONE)
        rc = prove_no_mirror(d, err);
    if (rc == 0)
        rc = mend_definition(d, sight, err);
    if (rc == 0)
        rc = prove_unused(d, err);
    return rc;
}

static enum job_outcome retry_or_leave(struct disk *d, const struct err *err)
{
    if (migration_trouble(d->m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return leave(d, err->message);
}

static void forget_checkpoints(struct disk *d)
{
    const struct migration *m = d->m;
    struct err ignored = ERR_INIT; /* a few bytes are left then */

    (void)disk_load_chain(d, &ignored);
    for (size_t i = 0; i < d->chain.n; i++) {
        char key[COPY_KEY_SIZE];

        if (str_format(key, sizeof(key), "%s-%s", m->job.id,
                       d->chain.volumes[i].id.vol))
            PORT(&m->ports, copier, forget, key);
    }
}

static enum job_outcome delete_image(struct disk *d)
{
    const struct job_disk *of = d->of;
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    int rc =
        PORT(&m->ports, storage, image_teardown, of->dst_sd, of->img, &err);

    forget_checkpoints(d);
    if (rc == 0 || err.code == ERR_NO_IMAGE) {
        err_clear(&err);
        rc = PORT(&m->ports, storage, image_delete, of->dst_sd, of->img, &err);
    }
    if (rc && err.code != ERR_NO_IMAGE)
        return retry_or_leave(d, &err);
    return JOB_OK;
}

static enum job_outcome delete_destination(struct disk *d)
{
    struct err err = ERR_INIT;

    if (d->of->dst_sd[0])
        return delete_image(d);
    if (d->of->dst_made &&
        PORT(&d->m->ports, storage, outside_remove, d->of->dst_path, &err))
        return retry_or_leave(d, &err);
    return JOB_OK;
}

/* Somebody else's image, see prepare.c. Of several images nothing says which
 * one it is: all are left. */
static bool is_foreign(const struct migration *m)
{
    return m->job.error.code == ERR_VOLUME_EXISTS &&
           m->job.failed_in == JOB_PREPARING;
}

/* One disk of several that could not be brought back: its copy over there is
 * the right one. */
static enum job_outcome stay_there(struct disk *d)
{
    migration_warn(d->m,
                   "disk %s went over and could not be brought back: it is on "
                   "%s now, its source is left as it was. Move it back: "
                   "drayctl disk migrate",
                   d->of->target,
                   d->of->dst_sd[0] ? d->of->dst_sd : d->of->dst_path);
    return disk_settle(d);
}

static enum job_outcome remove_one(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct sight sight = { .where = VM_GONE };

    if (is_foreign(m))
        return leave(d, "it was made by somebody else");
    if (m->job.vm[0] && disk_look(d, &sight, &err))
        return retry_or_leave(d, &err);
    if (sight.where == ON_DESTINATION)
        return m->job.n_disks == 1 ? JOB_LANDED : stay_there(d);

    int settled = m->job.vm[0] ? disk_settled(d, &err) : 0;

    if (settled > 0 && sight.where == VM_GONE && m->job.n_disks > 1)
        return stay_there(d);
    if (settled > 0)
        return leave(d, "its leaf is marked legal, which only a finished move "
                        "does");
    if (settled < 0 || (m->job.vm[0] && prove(d, &sight, &err)))
        return retry_or_leave(d, &err);
    return delete_destination(d);
}

enum job_outcome act_remove(struct migration *m)
{
    sync_close_copies(m);
    for (; m->at < m->job.n_disks; m->at++) {
        enum job_outcome outcome = remove_one(&m->disks[m->at]);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}
