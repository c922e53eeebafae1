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
        (void)err_next(plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                                     "domain %s has image %s already",
                                     q->target.name, of->img),
                       "if it is a leftover, remove it: drayctl volume delete "
                       "%s %s",
                       q->target.name, of->img);
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

/* The guest may fill its disk, so a device is as large as that, in any format.
 */
static void check_found(struct question *q, const struct outside_info *info)
{
    const struct job_disk *of = q->of;

    if (info->network && of->base_cow)
        (void)err_next(plan_obstacle(q->plan, ERR_UNSUPPORTED,
                                     "%s cannot grow as qcow2 does",
                                     of->dst_path),
                       "ask for format RAW");
    else if ((info->block || info->network) && info->bytes < of->capacity)
        (void)err_next(plan_obstacle(q->plan, ERR_TOO_SMALL,
                                     "%s has %" PRIu64 " bytes, disk %s has "
                                     "%" PRIu64,
                                     of->dst_path, info->bytes, of->target,
                                     of->capacity),
                       "name one that is as large as the disk");
    if (!info->block && !info->network && info->exists && info->bytes > 0)
        (void)err_next(plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                                     "%s exists already", of->dst_path),
                       "name a file that is not there yet");
    if (info->network && !info->exists)
        plan_obstacle(q->plan, ERR_STORAGE, "%s does not answer", of->dst_path);
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
    q->outside_free = info.free_bytes;
    if (info.free_bytes != UINT64_MAX)
        q->out->dst.free_bytes = info.free_bytes;
    check_found(q, &info);
    if (users_check_place(q->ports, of->dst_path, &err))
        plan_obstacle_from(q->plan, &err);
}

/* A raw LV has all its space from the beginning: what is sparse on files
 * becomes qcow2, unless raw was asked for. */
static void choose_format(struct question *q)
{
    struct job_disk *of = q->of;
    const struct volume_info *base = q->chain.n ? &q->chain.volumes[0] : NULL;

    if (!q->target.block || q->wish->convert)
        return;
    if (!q->located) {
        of->base_cow = of->base_cow || strcmp(q->disk.type, "file") == 0;
    } else if (base && base->format == VOLUME_RAW &&
               base->allocation == VOLUME_SPARSE) {
        of->convert = true;
        of->base_cow = true;
    }
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
    choose_format(q);
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

/* What a layer has. Of a qcow2 on an LV only a look into it tells. */
static int measure(const struct question *q, size_t i, uint64_t *ret_bytes,
                   struct err *err)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    bool thin = volume->block && volume->format == VOLUME_COW;

    *ret_bytes = volume->true_bytes;
    if (!thin && !(q->target.block && target_format(q, i) == VOLUME_COW))
        return 0;
    return thin_measure(q->ports, volume, ret_bytes, err);
}

/* What a layer may take on a file system: its data, and for qcow2 the tables: 8
 * bytes of L2 and 2 of refcount for each cluster of 64 KiB, and some fixed
 * clusters. */
static uint64_t file_bytes(const struct question *q, size_t i, uint64_t data)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    uint64_t tables =
        volume->capacity / 8192 + volume->capacity / 32768 + (1 << 20);

    if (target_format(q, i) == VOLUME_COW)
        return data + tables;
    if (volume->format == VOLUME_RAW &&
        volume->allocation == VOLUME_PREALLOCATED && data < volume->capacity)
        return volume->capacity;
    return data;
}

/* What its LV will have when the mirror begins; it may grow from then on. */
static void add_lv(struct question *q, size_t i, uint64_t data)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    const struct watermark_policy policy =
        thin_policy(q->ports, q->target.extent_bytes);
    bool raw_lv = volume->block && volume->format == VOLUME_RAW;
    bool leaf = i + 1 == q->chain.n;
    uint64_t capacity = raw_lv ? volume->apparent_bytes : volume->capacity;
    uint64_t copied = target_format(q, i) == VOLUME_RAW
                          ? thin_raw(&policy, capacity)
                          : thin_copied(&policy, capacity, data, false);
    uint64_t mirrored = target_format(q, i) == VOLUME_RAW
                            ? copied
                            : thin_mirrored(&policy, capacity, data);

    q->out->required += leaf ? mirrored : copied;
    q->out->frozen_required += copied;
    if (leaf)
        q->out->frozen_required += thin_mirrored(&policy, capacity, 0);
}

static int sum_up(struct question *q, struct err *err)
{
    struct migrate_plan_disk *out = q->out;

    for (size_t i = 0; i < q->chain.n; i++) {
        uint64_t data = 0;
        int rc = measure(q, i, &data, err);

        if (rc)
            return rc;
        out->bytes += data;
        if (q->target.block)
            add_lv(q, i, data);
        else
            out->required += file_bytes(q, i, data);
    }
    if (q->target.block)
        return 0;
    out->required += out->required / 100;
    out->frozen_required = out->required;
    return 0;
}

/* What a file has is all that is known before; where it is more than it looks
 * (links, backing files) nothing is. */
static void file_of(const struct question *q, uint64_t *ret_required)
{
    struct outside_info info;
    struct err ignored = ERR_INIT; /* no obstacle: qemu has it open */

    if (PORT(q->ports, storage, outside_info, q->of->src_path, VOLUME_RAW,
             &info, &ignored) == 0 &&
        !info.block && !info.network)
        *ret_required = info.true_bytes;
}

/* Of a source outside nobody knows better what is in it. */
static int sum_up_outside(struct question *q, struct err *err)
{
    const struct watermark_policy policy =
        thin_policy(q->ports, q->target.extent_bytes);
    struct migrate_plan_disk *out = q->out;
    struct outside_info info;
    int rc;

    out->bytes = q->of->capacity;
    if (!q->target.block) {
        file_of(q, &out->required);
        out->frozen_required = out->required;
        return 0;
    }
    out->frozen_required = thin_raw(&policy, q->of->capacity) +
                           thin_mirrored(&policy, q->of->capacity, 0);
    if (!q->of->base_cow) {
        out->required = thin_raw(&policy, q->of->capacity);
        return 0;
    }
    rc = PORT(q->ports, storage, outside_info, q->of->src_path, VOLUME_RAW,
              &info, err);
    if (rc == 0)
        out->required =
            thin_mirrored(&policy, q->of->capacity, info.true_bytes);
    return rc;
}

void plan_check_space(struct question *q)
{
    struct migrate_plan_disk *out = q->out;
    const struct job_disk *of = q->of;
    struct err err = ERR_INIT;

    if (q->located ? sum_up(q, &err) : sum_up_outside(q, &err)) {
        plan_obstacle_from(q->plan, &err);
        err_clear(&err);
    }
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
    if (out->required > q->outside_free)
        (void)err_next(plan_obstacle(q->plan, ERR_NO_SPACE,
                                     "the file system of %s has %" PRIu64
                                     " MiB free, %" PRIu64 " MiB are needed",
                                     of->dst_path, q->outside_free >> 20,
                                     (out->required >> 20) + 1),
                       "free space there, or name another place");
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
