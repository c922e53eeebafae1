/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What speaks against a move on the side of the destination: can it take the
 * image, or the file outside of all domains, and has it the space?
 */
#include "plan.h"

#include <inttypes.h>
#include <string.h>

/* --- the destination --------------------------------------------------- */

static void check_geometry(struct question *q)
{
    if (q->source.block_size && q->target.block_size &&
        q->source.block_size != q->target.block_size)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "the domains' sector sizes differ: %u and %u",
                      q->source.block_size, q->target.block_size);
}

static void check_image_absent(struct question *q)
{
    const struct job_disk *of = q->of;
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(q->ports, storage, domain_volumes, of->dst_sd, of->img,
                  &volumes, &err);

    if (rc && err.code != ERR_NO_IMAGE)
        plan_obstacle_from(q->plan, &err);
    else if (rc == 0 && volumes.n > 0)
        plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                      "domain %s has image %s already", q->target.name,
                      of->img);
    uuid_list_deinit(&volumes);
}

/* 1: it can be asked for more. */
static int check_usable(struct question *q)
{
    const char *sd = q->of->dst_sd;
    struct err err = ERR_INIT;

    if (PORT(q->ports, storage, domain_info, sd, &q->target, &err)) {
        plan_obstacle_from(q->plan, &err);
        return 0;
    }
    if (q->target.status != DOMAIN_JOINED) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_NO_DOMAIN, "domain %s is %s%s%s",
                          q->target.name, domain_status_name(q->target.status),
                          q->target.problem[0] ? ": " : "", q->target.problem),
            "join it: drayctl domain join %s", q->target.path);
        return 0;
    }
    if (q->target.read_only)
        plan_obstacle(
            q->plan, ERR_DOMAIN_ATTACHED,
            "domain %s belongs to an oVirt pool: it is read-only here",
            q->target.name);
    if (q->target.class_name[0] && strcmp(q->target.class_name, "Data") != 0)
        plan_obstacle(q->plan, ERR_DOMAIN_CLASS,
                      "domain %s is not for disks: it is of "
                      "class %s",
                      q->target.name, q->target.class_name);
    return 1;
}

/* The place of a live export. */
static void check_outside(struct question *q)
{
    struct job_disk *of = q->of;
    struct outside_info info;
    struct err err = ERR_INIT;

    if (!of->convert && q->chain.n > 0)
        of->base_cow = q->chain.volumes[q->chain.n - 1].format == VOLUME_COW;
    of->convert = true;
    if (PORT(q->ports, storage, outside_info, of->dst_path,
             of->base_cow ? VOLUME_COW : VOLUME_RAW, &info, &err)) {
        plan_obstacle_from(q->plan, &err);
        return;
    }
    q->out->dst.free_bytes = info.free_bytes;
    if (info.network && of->base_cow)
        (void)err_next(plan_obstacle(q->plan, ERR_UNSUPPORTED,
                                     "%s cannot grow as qcow2 does",
                                     of->dst_path),
                       "ask for format RAW");
    if (!info.block && !info.network && info.exists && info.bytes > 0)
        (void)err_next(plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                                     "%s exists already", of->dst_path),
                       "name a file that is not there yet");
    if ((info.block || info.network) && !of->base_cow &&
        info.bytes < of->capacity)
        plan_obstacle(q->plan, ERR_TOO_SMALL,
                      "%s has %" PRIu64 " bytes, disk %s has %" PRIu64,
                      of->dst_path, info.bytes, of->target, of->capacity);
    if (info.network && !info.exists)
        plan_obstacle(q->plan, ERR_STORAGE, "%s does not answer", of->dst_path);
}

void plan_check_target(struct question *q)
{
    const struct job_disk *of = q->of;

    if (!of->dst_sd[0]) {
        check_outside(q);
        return;
    }
    if (q->located && strcmp(of->src_sd, of->dst_sd) == 0) {
        plan_obstacle(q->plan, ERR_VALUE,
                      "disk %s of VM %s is on this domain already",
                      q->disk.target, q->vm->name);
        return;
    }
    if (!check_usable(q))
        return;
    check_geometry(q);
    if (q->located)
        check_image_absent(q);
}

/* --- formats and bytes ------------------------------------------------- */

/* Only the base's format can be chosen: every layer above needs a backing
 * file, which raw has not. */
static enum volume_format target_format(const struct question *q, size_t i)
{
    if ((i == 0 || !q->of->dst_sd[0]) && q->of->convert)
        return q->of->base_cow ? VOLUME_COW : VOLUME_RAW;
    return q->chain.volumes[i].format;
}

/* What a layer may take: its data, and for qcow2 the tables: 8 bytes of L2 and
 * 2 of refcount for each cluster of 64 KiB, and some fixed clusters. */
static uint64_t allocation(const struct question *q, size_t i)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    uint64_t tables =
        volume->capacity / 8192 + volume->capacity / 32768 + (1 << 20);

    if (target_format(q, i) == VOLUME_COW)
        return volume->true_bytes + tables;
    if (volume->format == VOLUME_RAW &&
        volume->allocation == VOLUME_PREALLOCATED &&
        volume->true_bytes < volume->capacity)
        return volume->capacity;
    return volume->true_bytes;
}

static void sum_up(struct question *q)
{
    struct migrate_plan_disk *out = q->out;

    for (size_t i = 0; i < q->chain.n; i++) {
        out->bytes += q->chain.volumes[i].true_bytes;
        out->required += allocation(q, i);
    }
    if (!q->located) { /* nobody knows better what is in it */
        out->bytes = q->of->capacity;
        out->required = 0;
    }
    out->required += out->required / 100;
}

void plan_check_space(struct question *q)
{
    struct migrate_plan_disk *out = q->out;
    const struct job_disk *of = q->of;
    struct err err = ERR_INIT;

    sum_up(q);
    if (q->located &&
        PORT(q->ports, storage, domain_stats, of->src_sd, &out->src, &err)) {
        plan_obstacle_from(q->plan, &err);
        err_clear(&err);
    }
    if (of->dst_sd[0] &&
        PORT(q->ports, storage, domain_stats, of->dst_sd, &out->dst, &err)) {
        plan_obstacle_from(q->plan, &err);
        return;
    }
    if (out->dst.unwritable)
        (void)err_next(plan_obstacle(q->plan, ERR_STORAGE,
                                     "the file system of domain %s is mounted "
                                     "read-only",
                                     q->target.name),
                       "see why in the kernel's log, then mount it writable");
}

/* Several disks may go to one place. */
void plan_check_sum_of_space(struct migrate_plan *plan, size_t i)
{
    const struct job_disk *of = &plan->job.disks[i];
    uint64_t required = 0;

    for (size_t k = 0; k < plan->job.n_disks; k++) {
        bool same = strcmp(plan->job.disks[k].dst_sd, of->dst_sd) == 0;

        if (same && k < i)
            return; /* said so */
        if (same)
            required += plan->disks[k].required;
    }
    if (plan->disks[i].dst.total_bytes &&
        plan->disks[i].dst.free_bytes < required)
        plan_obstacle(plan, ERR_NO_SPACE,
                      "domain %s has %" PRIu64 " MiB free, %" PRIu64
                      " MiB are needed",
                      of->dst_sd, plan->disks[i].dst.free_bytes >> 20,
                      (required >> 20) + 1);
}
