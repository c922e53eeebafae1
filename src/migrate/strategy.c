/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mirror or snapshot? The mirror moves the leaf through the host while the
 * guest writes to it, and needs no merge afterwards. The snapshot freezes the
 * leaf, so that it can be copied the cheapest way there is (shared blocks, by
 * the server), be compared with its copy, and, with several disks, so that what
 * is mirrored is small enough to be brought back while the guest waits.
 */
#include "plan.h"

#include <inttypes.h>
#include <string.h>

/* Below, a mirror takes no longer than the snapshot's extra steps, some 0.1 s.
 */
static const uint64_t small_leaf = 32 << 20;

/* What the source must have for the overlay, at least: on LVs what it takes in
 * the first place. */
static uint64_t overlay_room(const struct question *q)
{
    const struct watermark_policy policy =
        thin_policy(q->ports, q->source.extent_bytes);

    if (q->source.block)
        return thin_mirrored(&policy, q->of->capacity, 0);
    return 64 << 20;
}

static bool asks_for_snapshot(const struct migrate_request *request)
{
    return request->choose ? request->strategy == JOB_BY_SNAPSHOT
                           : request->verify;
}

/* An overlay over what is outside goes beside it, if that is a file; else
 * beside the domain on the other side. Its name follows. */
static void find_overlay_dir(struct question *q)
{
    struct job_disk *of = q->of;
    const char *place = of->dst_sd[0] ? of->src_path : of->dst_path;
    const struct domain_info *domain = of->dst_sd[0] ? &q->target : &q->source;
    struct outside_info info;
    struct err err = ERR_INIT;
    char dir[PATH_MAX];

    if (!job_disk_is_flat(of))
        return;
    of->src_cow = strcmp(q->disk.format, "qcow2") == 0;
    if (!asks_for_snapshot(q->request))
        return;
    /* A server that takes no second client would not let us copy either. */
    if (PORT(q->ports, storage, outside_info, place, VOLUME_RAW, &info, &err)) {
        plan_obstacle_from(q->plan, &err);
        return;
    }
    if (info.block || info.network)
        (void)str_copy(dir, sizeof(dir), domain->path);
    else
        migration_directory(place, dir);
    (void)str_copy(of->beside, sizeof(of->beside), dir); /* too long: none */
    q->out->no_overlay = (info.block || info.network) && domain->block;
    /* The overlay cannot say that the guest sees but a part of it. */
    q->out->too_large = info.block && of->dst_path == place && !of->base_cow &&
                        info.bytes > of->capacity;
}

void plan_frozen(struct question *q)
{
    struct err ignored = ERR_INIT; /* then it goes through the host */
    char dir[PATH_MAX];

    find_overlay_dir(q);
    q->out->mover = COPY_BY_DIRECT;
    q->out->overlay_bytes = overlay_room(q);
    if (q->chain.n == 0 || q->target.path[0] == '\0')
        return;

    const struct volume_info *leaf = &q->chain.volumes[q->chain.n - 1];

    q->out->leaf_bytes = leaf->true_bytes;
    if (q->chain.n == 1 && q->of->convert &&
        (leaf->format == VOLUME_COW) != q->of->base_cow)
        q->out->mover = COPY_BY_CONVERT;
    else if (!q->source.block && !q->target.block &&
             str_format(dir, sizeof(dir), "%s/%s/images", q->target.path,
                        q->target.sd))
        (void)PORT(q->ports, copier, probe, leaf->path, dir, &q->out->mover,
                   &ignored);
}

static bool any_is_flat(const struct job *job)
{
    for (size_t i = 0; i < job->n_disks; i++) {
        if (job_disk_is_flat(&job->disks[i]))
            return true;
    }
    return false;
}

/* The largest leaf that would be copied without passing through this host. */
static uint64_t cheap_bytes(const struct migrate_plan *plan)
{
    uint64_t most = 0;

    for (size_t i = 0; i < plan->job.n_disks; i++) {
        const struct migrate_plan_disk *disk = &plan->disks[i];

        if (disk->mover < COPY_BY_DIRECT && disk->leaf_bytes > most)
            most = disk->leaf_bytes;
    }
    return most;
}

static void choose(struct migrate_plan *plan)
{
    struct job *job = &plan->job;
    uint64_t cheap = cheap_bytes(plan);

    job->strategy = JOB_BY_SNAPSHOT;
    if (any_is_flat(job) && !job->verify) {
        job->strategy = JOB_MIRROR;
        (void)str_copy(plan->why, sizeof(plan->why),
                       "to or from outside of domains a disk goes as one "
                       "mirror");
    } else if (job->n_disks > 1) {
        (void)str_copy(plan->why, sizeof(plan->why),
                       "of several disks only small overlays are mirrored, so "
                       "that all can be brought back if one fails");
    } else if (job->verify) {
        (void)str_copy(plan->why, sizeof(plan->why),
                       "only a frozen leaf can be compared with its copy");
    } else if (cheap > small_leaf) {
        (void)str_format(plan->why, sizeof(plan->why),
                         "the leaf's %" PRIu64 " MiB are copied by %s once it "
                         "is frozen",
                         cheap >> 20, copy_mover_name(plan->disks[0].mover));
    } else {
        job->strategy = JOB_MIRROR;
        (void)str_format(plan->why, sizeof(plan->why), "%s",
                         cheap ? "the leaf is small"
                               : "the leaf passes through this host in any "
                                 "case");
    }
}

static void refuse(struct migrate_plan *plan, const char *why, const char *next)
{
    (void)err_next(plan_obstacle(plan, ERR_UNSUPPORTED, "%s", why), "%s", next);
}

/* Of a disk that goes to, or comes from, outside of domains. */
static void check_overlay(struct migrate_plan *plan)
{
    if (plan->disks[0].no_overlay)
        refuse(plan,
               "there is no file system for the layer that strategy snapshot, "
               "and hence verify, needs above a device or URI",
               "leave verify and the strategy out, or go by way of a file "
               "domain");
    if (plan->disks[0].too_large)
        refuse(plan,
               "strategy snapshot, and hence verify, needs a device that is "
               "exactly as large as the disk",
               "name such a one, or ask for format COW");
}

/* What speaks against the strategy, whoever chose it. */
static void check(struct migrate_plan *plan)
{
    const struct job *job = &plan->job;
    bool flat = any_is_flat(job);

    if (flat && job->n_disks > 1)
        refuse(plan, "several disks at once only go from domain to domain",
               "move one after the other");
    if (flat && job->strategy == JOB_BY_SNAPSHOT)
        check_overlay(plan);
    if (!flat && job->strategy == JOB_MIRROR && job->n_disks > 1)
        refuse(plan, "several disks at once need strategy snapshot",
               "leave the strategy out, or move one after the other");
    if (job->strategy == JOB_MIRROR && job->verify)
        refuse(plan,
               "verifying needs strategy snapshot: a leaf that the guest "
               "writes to cannot be compared",
               "leave the strategy out, or verify");
}

/* Several disks may come from one place. */
static void check_room(struct migrate_plan *plan, size_t i)
{
    const struct domain_stats *src = &plan->disks[i].src;
    const char *sd = plan->job.disks[i].src_sd;
    uint64_t required = 0;

    for (size_t k = 0; k < plan->job.n_disks; k++) {
        bool same = strcmp(plan->job.disks[k].src_sd, sd) == 0;

        if (same && k < i)
            return; /* said so */
        if (same)
            required += plan->disks[k].overlay_bytes;
    }
    if (src->total_bytes && src->free_bytes < required)
        plan_obstacle(plan, ERR_NO_SPACE,
                      "the source has %" PRIu64 " MiB free, too little for "
                      "what the guest writes meanwhile: %" PRIu64 " MiB",
                      src->free_bytes >> 20, required >> 20);
}

static void name_overlay(struct job_disk *of)
{
    char dir[JOB_PATH_SIZE];

    (void)str_copy(dir, sizeof(dir), of->beside); /* as long */
    if (dir[0] &&
        !str_format(of->beside, sizeof(of->beside), "%s/drayd-%s.qcow2",
                    strcmp(dir, "/") == 0 ? "" : dir, of->overlay))
        of->beside[0] = '\0'; /* cannot be made then, and says so */
}

void plan_strategy(const struct migrate_request *request,
                   struct migrate_plan *plan)
{
    struct job *job = &plan->job;

    choose(plan);
    if (request->choose && job->strategy != request->strategy) {
        job->strategy = request->strategy;
        (void)str_copy(plan->why, sizeof(plan->why), "asked for");
    }
    check(plan);
    for (size_t i = 0; i < job->n_disks; i++) {
        if (job->strategy != JOB_BY_SNAPSHOT)
            break;
        check_room(plan, i);
        plan->disks[i].required = plan->disks[i].frozen_required;
        uuid_new(job->disks[i].overlay);
        name_overlay(&job->disks[i]);
    }
    for (size_t i = 0; i < job->n_disks; i++) {
        if (!job->disks[i].overlay[0])
            job->disks[i].beside[0] = '\0';
    }
}
