/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which jobs may run at the same time: those that have no disk and no image in
 * common, and the one pair that an engine's move needs.
 */
#include "clash.h"

#include <string.h>

static bool is_copy(const struct job *job)
{
    return job->kind == JOB_COPY_DATA;
}

/* Many may be copied from one. */
static bool have_no_target_in_common(const struct job *a, const struct job *b)
{
    const struct job_disk *x = &a->disks[0], *y = &b->disks[0];

    return !(x->dst_img[0] && (strcmp(x->dst_img, y->dst_img) == 0 ||
                               strcmp(x->dst_img, y->img) == 0)) &&
           !(y->dst_img[0] && strcmp(y->dst_img, x->img) == 0);
}

/* As below, volume by volume. */
static bool fills_below(const struct job *copy, const struct job *replica)
{
    const struct job_disk *x = &copy->disks[0], *y = &replica->disks[0];

    return replica->kind == JOB_REPLICATE && !replica->finish_requested &&
           strcmp(x->dst_sd, y->dst_sd) == 0 &&
           strcmp(x->dst_img, y->img) == 0 && strcmp(x->dst_vol, y->leaf) != 0;
}

/* Places outside have no image. */
static bool same_place(const struct job_disk *a, const struct job_disk *b)
{
    bool onto = !b->dst_sd[0] && b->dst_path[0];

    if (!a->src_sd[0] && a->src_path[0] && onto &&
        strcmp(a->src_path, b->dst_path) == 0)
        return true;
    return !a->dst_sd[0] && a->dst_path[0] && onto &&
           strcmp(a->dst_path, b->dst_path) == 0;
}

/* Images may be filled while the leaf is being replicated to the same place:
 * the pivot waits for them (pivot.c, check_layers()). */
static bool may_run_together(const struct job *a, const struct job *b)
{
    const struct job *sync = a->kind == JOB_SYNC ? a : b;
    const struct job *replica = sync == a ? b : a;

    if (is_copy(a) && is_copy(b))
        return have_no_target_in_common(a, b);
    if (is_copy(a) || is_copy(b))
        return fills_below(is_copy(a) ? a : b, is_copy(a) ? b : a);
    return sync->kind == JOB_SYNC && sync->scope == JOB_INTERNAL &&
           replica->kind == JOB_REPLICATE && !replica->finish_requested &&
           strcmp(sync->disks[0].dst_sd, replica->disks[0].dst_sd) == 0;
}

/* Both would make it. */
static bool same_template(const struct job *a, const struct job_disk *disk,
                          const struct job *b)
{
    if (a->kind != JOB_VM_RECEIVE || b->kind != JOB_VM_RECEIVE ||
        !disk->template_absent)
        return false;
    for (size_t i = 0; i < b->n_disks; i++) {
        if (b->disks[i].template_absent &&
            strcmp(b->disks[i].dst_sd, disk->dst_sd) == 0 &&
            strcmp(b->disks[i].template_img, disk->template_img) == 0)
            return true;
    }
    return false;
}

static bool same_vm_disk(const struct job *a, const struct job_disk *disk,
                         const struct job *b)
{
    if (!a->vm[0] || strcmp(a->vm, b->vm) != 0)
        return false;
    for (size_t i = 0; i < b->n_disks; i++) {
        if (strcmp(disk->target, b->disks[i].target) == 0)
            return true;
    }
    return false;
}

const struct job_disk *clash_find(const struct job *wish, const struct job *job,
                                  bool finishing)
{
    if (same_place(&wish->disks[0], &job->disks[0]) ||
        same_place(&job->disks[0], &wish->disks[0]))
        return &wish->disks[0];
    if (!finishing && may_run_together(wish, job))
        return NULL;
    for (size_t i = 0; i < wish->n_disks; i++) {
        const struct job_disk *disk = &wish->disks[i];

        if (same_vm_disk(wish, disk, job) || same_template(wish, disk, job) ||
            job_disk_of_image(job, disk->img) ||
            job_disk_of_image(job, disk->dst_img))
            return disk;
    }
    return NULL;
}

int clash_say(const struct job *wish, const struct job_disk *disk,
              const struct job *job, struct err *err)
{
    int rc = 0;

    if (wish->vm[0])
        rc = err_set_code(err, ERR_DISK_BUSY,
                          "disk %s of VM %s: job %s works on it", disk->target,
                          wish->vm_name, job->id);
    else
        rc = err_set_code(err, ERR_DISK_BUSY, "%s %s: job %s works on it",
                          disk->img[0] ? "image" : "place",
                          disk->img[0] ? disk->img : disk->src_path, job->id);
    (void)err_next(err, "wait for it: drayctl job watch %s", job->id);
    return rc;
}

bool clash_fills(const struct job *job, const struct job *replica)
{
    return (job->kind == JOB_SYNC || is_copy(job)) &&
           job_disk_of_image(job, replica->disks[0].img);
}

int clash_say_filling(const struct job *job, const struct job *replica,
                      struct err *err)
{
    (void)err_set_code(err, ERR_NOT_READY,
                       "job %s still copies volumes below the replica of disk "
                       "%s",
                       job->id, replica->disks[0].target);
    return err_next(err, "wait for it: drayctl job watch %s", job->id);
}

int clash_say_past_pivot(const struct job *job, struct err *err)
{
    if (!job->vm[0])
        return err_set_code(err, ERR_UNSUPPORTED,
                            "job %s is past its copy: the destination is right",
                            job->id);

    int rc = err_set_code(err, ERR_UNSUPPORTED,
                          "job %s is past the pivot: VM %s runs on the "
                          "destination",
                          job->id, job->vm_name);

    (void)err_next(err, "wait for its end, then move the disk back");
    return rc;
}
