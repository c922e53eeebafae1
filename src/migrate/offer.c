/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM that another host would like to send here: what speaks against it, and
 * the job that receives it.
 */
#include "offer.h"
#include "plan.h"

#include <string.h>

/* Of several disks on one template. */
static bool is_counted(const struct question *q)
{
    for (const struct job_disk *of = q->plan->job.disks; of < q->of; of++)
        if (of->template_absent && strcmp(of->dst_sd, q->of->dst_sd) == 0 &&
            strcmp(of->template_img, q->of->template_img) == 0)
            return true;
    return false;
}

static uint64_t template_bytes(const struct question *q,
                               const struct peer_disk *disk)
{
    const struct watermark_policy policy =
        thin_policy(q->ports, q->target.extent_bytes);

    return q->target.block ? thin_raw(&policy, disk->template_size)
                           : disk->template_required;
}

/* One that is not there is made: by the first that comes to it. That its
 * content is the same is found out later: it takes a while. */
static void check_template(struct question *q, const struct peer_disk *disk)
{
    const char *problem = NULL;
    struct volume_id id;
    struct volume_info info;
    struct err err = ERR_INIT;

    if (!disk->template_img[0])
        return;
    memcpy(id.sd, q->of->dst_sd, UUID_SIZE);
    memcpy(id.img, disk->template_img, UUID_SIZE);
    memcpy(id.vol, disk->template_vol, UUID_SIZE);
    if (PORT(q->ports, storage, volume_info, &id, &info, &err)) {
        if (err.code != ERR_NO_IMAGE)
            plan_obstacle_from(q->plan, &err);
        else if (!is_counted(q))
            q->out->required += template_bytes(q, disk);
        q->of->template_absent = err.code == ERR_NO_IMAGE;
        return;
    }
    if (info.legality != VOLUME_LEGAL)
        problem = "is not legal: it is being filled, or was left behind";
    else if (info.role != VOLUME_SHARED)
        problem = "is no template there";
    if (problem)
        (void)err_next(plan_obstacle(q->plan, ERR_VOLUME_SHARED,
                                     "image %s, the template of disk %s, on "
                                     "domain %s %s",
                                     disk->template_img, disk->target,
                                     q->target.name, problem),
                       "look at it there: drayctl rpc Volume.getInfo");
}

/* A raw LV has all its space from the beginning, so what is sparse becomes
 * qcow2, as with any move; that begins with room for a while, see
 * migrate_receive_room(). Layers below have what they are copied from, each a
 * piece of an extent more. */
static void plan_lv(struct question *q, const struct peer_disk *disk)
{
    const struct watermark_policy policy =
        thin_policy(q->ports, q->target.extent_bytes);
    struct job_disk *of = q->of;

    of->dst_block = true;
    of->base_cow = disk->cow || disk->sparse;
    q->out->required = of->base_cow
                           ? thin_mirrored(&policy, disk->capacity, disk->data)
                           : thin_raw(&policy, disk->capacity);
    q->out->required += disk->below + disk->layers * policy.extent_bytes;
}

/* Both hosts have joined the domain; so the volume is the same one. */
static void check_where_it_stays(struct question *q)
{
    struct job_disk *of = q->of;
    struct volume_id id;
    struct volume_info info;
    struct err err = ERR_INIT;

    memcpy(id.sd, of->dst_sd, UUID_SIZE);
    memcpy(id.img, of->img, UUID_SIZE);
    memcpy(id.vol, of->leaf, UUID_SIZE);
    of->stays = true;
    memset(of->parent, 0, UUID_SIZE);
    memset(of->template_img, 0, UUID_SIZE);
    memset(of->template_vol, 0, UUID_SIZE);
    if (plan_check_usable(q) != 1)
        return;
    of->dst_block = q->target.block;
    if (PORT(q->ports, storage, volume_info, &id, &info, &err))
        plan_obstacle_from(q->plan, &err);
}

static void check_disk(const struct migrate_ports *ports,
                       const struct peer_disk *disk, struct migrate_plan *plan,
                       size_t i)
{
    struct job_disk *of = &plan->job.disks[i];
    const struct migrate_wish wish = { .convert = true, .base_cow = disk->cow };
    struct question q = { .ports = ports,
                          .plan = plan,
                          .wish = &wish,
                          .of = of,
                          .out = &plan->disks[i],
                          .located = true };
    struct err err = ERR_INIT;

    if (PORT(ports, storage, domain_find, disk->domain, of->dst_sd, &err)) {
        plan_obstacle_from(plan, &err);
        return;
    }
    if (strcmp(of->dst_sd, disk->from) == 0) {
        check_where_it_stays(&q);
        return;
    }
    plan_check_target(&q);
    q.out->required = disk->required;
    if (q.target.block)
        plan_lv(&q, disk);
    check_template(&q, disk);
    if (PORT(ports, storage, domain_stats, of->dst_sd, &q.out->dst, &err))
        plan_obstacle_from(plan, &err);
}

static void fill_disk(const struct peer_disk *disk, struct job_disk *of)
{
    memcpy(of->target, disk->target, sizeof(of->target));
    memcpy(of->img, disk->img, UUID_SIZE);
    memcpy(of->leaf, disk->leaf, UUID_SIZE);
    memcpy(of->parent, disk->parent, UUID_SIZE);
    memcpy(of->template_img, disk->template_img, UUID_SIZE);
    memcpy(of->template_vol, disk->template_vol, UUID_SIZE);
    of->convert = true;
    of->base_cow = disk->cow;
    of->capacity = disk->capacity;
    of->data = disk->data;
}

static void fill_job(const struct peer_offer *offer, struct job *job)
{
    (void)str_copy(job->peer, sizeof(job->peer), offer->from);
    (void)str_copy(job->vm_name, sizeof(job->vm_name), offer->vm_name);
    memcpy(job->vm, offer->vm, UUID_SIZE);
    job->n_disks = offer->n_disks;
    for (size_t i = 0; i < offer->n_disks; i++)
        fill_disk(&offer->disks[i], &job->disks[i]);
}

int migrate_receive_plan(const struct migrate_ports *ports,
                         const struct peer_offer *offer,
                         struct migrate_plan *ret_plan, struct err *err)
{
    struct migrate_plan *plan = ret_plan;

    memset(plan, 0, sizeof(*plan));
    job_init(&plan->job, offer->job_id, JOB_VM_RECEIVE,
             PORT(ports, clock, wall_ms));
    fill_job(offer, &plan->job);

    int rc = PORT(ports, hypervisor, vm_fits, offer->xml, plan->obstacles,
                  PLAN_OBSTACLES_MAX, &plan->n_obstacles, err);

    for (size_t i = 0; rc == 0 && i < offer->n_disks; i++)
        check_disk(ports, &offer->disks[i], plan, i);
    for (size_t i = 0; rc == 0 && i < offer->n_disks; i++)
        plan_check_sum_of_space(plan, i);
    plan_show_ways_out(plan);
    return rc;
}

static bool has_layers(const struct job *job)
{
    for (size_t i = 0; i < job->n_disks; i++)
        if (job->disks[i].parent[0])
            return true;
    return false;
}

enum peer_stage migrate_receive_stage(const struct job *job)
{
    switch (job->state) {
    case JOB_PLANNED:
        return PEER_PREPARING;
    case JOB_PREPARING:
        return has_layers(job) ? PEER_FILLING : PEER_PREPARING;
    case JOB_CONVERGING:
        return job->finish_requested ? PEER_LANDING : PEER_READY;
    case JOB_DONE:
        return PEER_DONE;
    case JOB_FAILED:
    case JOB_CANCELLED:
        return PEER_UNDONE;
    default:
        return job->undo ? PEER_UNDOING : PEER_LANDING;
    }
}

/* --- room -------------------------------------------------------------- */

static int make_room(const struct migrate_ports *ports,
                     const struct job_disk *of, uint64_t bytes, struct err *err)
{
    struct volume_id id;
    struct domain_info domain;
    struct volume_info leaf;
    struct watermark_policy policy;
    const int64_t deadline_ms = PORT(ports, clock, now_ms) + GROW_MS;
    uint64_t size = 0;
    int rc;

    memcpy(id.sd, of->dst_sd, UUID_SIZE);
    memcpy(id.img, of->img, UUID_SIZE);
    memcpy(id.vol, of->leaf, UUID_SIZE);
    rc = PORT(ports, storage, domain_info, of->dst_sd, &domain, err);
    if (rc == 0)
        rc = PORT(ports, storage, volume_info, &id, &leaf, err);
    if (rc)
        return rc;
    policy = thin_policy(ports, domain.extent_bytes);
    bytes = thin_mirrored(&policy, of->capacity, bytes);
    if (bytes <= leaf.apparent_bytes)
        return 0;
    return PORT(ports, storage, volume_grow, &id, bytes, deadline_ms, &size,
                err);
}

int migrate_receive_room(const struct migrate_ports *ports,
                         const struct job *job, const struct peer_room *rooms,
                         size_t n, struct err *err)
{
    int rc = 0;

    if (job->kind != JOB_VM_RECEIVE || job->state != JOB_CONVERGING)
        return 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        for (size_t k = 0; rc == 0 && k < job->n_disks; k++) {
            const struct job_disk *of = &job->disks[k];

            if (of->dst_block && of->base_cow && !of->stays &&
                strcmp(of->target, rooms[i].target) == 0)
                rc = make_room(ports, of, rooms[i].bytes, err);
        }
    }
    return rc;
}
