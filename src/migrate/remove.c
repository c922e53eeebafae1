/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Removes the destination, when nothing uses it: no mirror, not what qemu
 * writes to, in no VM's definition, made by us, and not settled. What cannot be
 * proven or done within TIDY_PATIENCE_MS is left, and the job says what is left
 * and how to remove it.
 */
#include "migration.h"

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
static int prove_unused(struct disk *d, struct err *err)
{
    struct vm_info user = { .uuid = "" };
    int rc = 0;

    if (d->of->dst_path[0] != '/')
        return 0; /* never handed to anyone, or nothing that we delete */
    rc = disk_learn_places(d, err);
    if (rc == 0)
        rc = disk_find_user(d, true, &user, err);
    if (rc == 0 && user.uuid[0])
        rc = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses it", user.name);
    return rc;
}

/* Sees whether anything speaks against the deletion. */
static int prove(struct disk *d, const struct sight *sight, struct err *err)
{
    int rc = 0;

    if (sight->where != VM_GONE)
        rc = prove_no_mirror(d, err);
    if (rc == 0)
        rc = disk_mend_definition(d, sight, err);
    if (rc == 0)
        rc = prove_unused(d, err);
    return rc;
}

/* Nothing proves that the VM does not need it: whoever deletes it later is
 * told so. */
static enum job_outcome leave_in_doubt(struct disk *d, const char *why)
{
    d->of->in_doubt = true;
    return leave(d, why);
}

static enum job_outcome retry_or_leave(struct disk *d, const struct err *err)
{
    if (migration_trouble(d->m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return leave(d, err->message);
}

/* A VM that was seen on its source needs no other. */
static enum job_outcome retry_or_doubt(struct disk *d,
                                       const struct sight *sight,
                                       const struct err *err)
{
    enum job_outcome outcome = retry_or_leave(d, err);

    d->of->in_doubt = outcome != JOB_AGAIN && sight->where != ON_SOURCE;
    return outcome;
}

static enum job_outcome delete_image(struct disk *d)
{
    const struct job_disk *of = d->of;
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    int rc = hang_free_all(d, &err);

    sync_forget(d);
    if (rc == 0)
        rc =
            PORT(&m->ports, storage, image_teardown, of->dst_sd, of->img, &err);
    if (rc == 0 || err.code == ERR_NO_IMAGE) {
        err_clear(&err);
        rc = PORT(&m->ports, storage, image_delete, of->dst_sd, of->img, &err);
    }
    if (rc && err.code != ERR_NO_IMAGE)
        return retry_or_leave(d, &err);
    d->dst.active = false;
    return JOB_OK;
}

static enum job_outcome delete_destination(struct disk *d)
{
    struct err err = ERR_INIT;

    if (d->of->dst_sd[0])
        return delete_image(d);
    sync_forget(d);
    if (overlay_remove(d, true, &err) ||
        (d->of->dst_made &&
         PORT(&d->m->ports, storage, outside_remove, d->of->dst_path, &err)))
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

/* Of a VM that would have come: it is the other host's. */
static enum job_outcome let_it_be(struct disk *d)
{
    struct err err = ERR_INIT;

    if (PORT(&d->m->ports, storage, image_teardown, d->of->dst_sd, d->of->img,
             &err) &&
        err.code != ERR_NO_IMAGE)
        return retry_or_leave(d, &err);
    return JOB_OK;
}

static enum job_outcome remove_one(struct disk *d)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct sight sight = { .where = VM_GONE };

    if (d->of->stays)
        return let_it_be(d);
    d->of->in_doubt = false;
    if (is_foreign(m))
        return leave(d, "it was made by somebody else");
    if (m->job.vm[0] && disk_look_well(d, &sight, &err))
        return retry_or_doubt(d, &sight, &err);
    if (sight.where == ON_DESTINATION)
        return m->job.n_disks == 1 ? JOB_LANDED : stay_there(d);

    int settled = m->job.vm[0] ? disk_settled(d, &err) : 0;

    if (settled > 0 && sight.where == VM_GONE && m->job.n_disks > 1)
        return stay_there(d);
    if (settled > 0)
        return leave_in_doubt(d, "its leaf is marked legal, which only a "
                                 "finished move does");
    if (settled < 0 || (m->job.vm[0] && prove(d, &sight, &err)))
        return retry_or_doubt(d, &sight, &err);
    return delete_destination(d);
}

enum job_outcome act_remove(struct migration *m)
{
    watch_end(m);
    for (; m->at < m->job.n_disks; m->at++) {
        enum job_outcome outcome = remove_one(&m->disks[m->at]);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}
