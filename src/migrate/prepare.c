/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Makes the structure: on the destination the same volumes with the same UUIDs,
 * all ILLEGAL until their data is there; with the snapshot strategy one overlay
 * above the leaf on each side. The source's is LEGAL, since the VM writes to it
 * from one moment to the next.
 *
 * JOB_PLANNED checks that the destination has no such image; from the record of
 * JOB_PREPARING on, what is there is ours. Should somebody have been faster, a
 * volume in the way is not one that we make, and is left alone (undo.c too).
 */
#include "offer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- planned ----------------------------------------------------------- */

enum job_outcome prepare_check_absent(struct disk *d)
{
    struct migration *m = d->m;
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, storage, domain_volumes, d->of->dst_sd, d->of->img,
                  &volumes, &err);
    size_t n = rc ? 0 : volumes.n;

    uuid_list_deinit(&volumes);
    if (rc && err.code != ERR_NO_IMAGE)
        return migration_doubt(m, &err, 0);
    if (n > 0)
        return migration_fail_text(m, ERR_VOLUME_EXISTS,
                                   "image %s exists on domain %s already",
                                   d->of->img, d->of->dst_sd);
    return JOB_OK;
}

/* A file that is not there, or is empty, is ours to make and to delete. */
static enum job_outcome check_outside(struct disk *d)
{
    struct migration *m = d->m;
    struct outside_info info;
    struct err err = ERR_INIT;

    if (PORT(&m->ports, storage, outside_info, d->of->dst_path,
             d->of->base_cow ? VOLUME_COW : VOLUME_RAW, &info, &err))
        return migration_doubt(m, &err, 0);
    if (users_check_place(&m->ports, d->of->dst_path, &err))
        return migration_doubt(m, &err, 0);
    d->of->dst_made = !info.network && !info.block;
    if (d->of->dst_made && info.exists && info.bytes > 0)
        return migration_fail_text(m, ERR_VOLUME_EXISTS, "%s exists already",
                                   d->of->dst_path);
    return JOB_OK;
}

/* The leaf that an engine made may be LEGAL, which from now on says that the
 * guest has gone over: the mark goes before anything else is begun. */
static enum job_outcome take_mark(struct disk *d)
{
    struct migration *m = d->m;
    const struct volume_id top = disk_target(d, disk_top(d));
    struct err err = ERR_INIT;
    struct sight sight;

    if (disk_look(d, &sight, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (sight.where != ON_SOURCE)
        return migration_fail_text(m, ERR_REPLICA,
                                   "VM %s does not run on the source of disk "
                                   "%s",
                                   m->job.vm_name, d->of->target);
    if (PORT(&m->ports, storage, volume_set_legality, &top, VOLUME_ILLEGAL,
             &err))
        return migration_storage_failed(m, &err);
    return JOB_OK;
}

static bool makes_structure(const struct migration *m)
{
    return job_next(&m->job, JOB_OK) == JOB_PREPARING;
}

enum job_outcome act_plan(struct migration *m)
{
    enum job_outcome outcome = JOB_OK;

    for_each_disk (d, m) {
        if (makes_structure(m))
            disk_changes_soon(d, true);
        if (makes_structure(m) && d->of->overlay[0])
            disk_changes_soon(d, false);
    }
    if (m->job.vm[0])
        guest_watch_quiet(m);
    for_each_disk (d, m) {
        if (outcome == JOB_OK && makes_structure(m))
            outcome =
                d->of->dst_sd[0] ? prepare_check_absent(d) : check_outside(d);
        else if (outcome == JOB_OK && m->job.kind == JOB_SYNC)
            outcome = sync_renew(d);
        else if (outcome == JOB_OK && m->job.kind == JOB_REPLICATE)
            outcome = take_mark(d);
    }
    return outcome;
}

/* --- what to make ------------------------------------------------------ */

struct volume_create prepare_like(const struct disk *d,
                                  const struct volume_info *from)
{
    struct volume_create spec = {
        .id = disk_target(d, from->id.vol),
        .format = from->format,
        .allocation = VOLUME_SPARSE,
        .legality = VOLUME_ILLEGAL,
        .capacity = from->capacity,
        .sequence = from->sequence,
        .clone = true,
    };

    (void)str_copy(spec.parent, UUID_SIZE, UUID_BLANK);
    (void)str_copy(spec.parent_img, UUID_SIZE, UUID_BLANK);
    (void)str_copy(spec.disk_type, sizeof(spec.disk_type), from->disk_type);
    (void)str_copy(spec.description, sizeof(spec.description),
                   from->description);
    return spec;
}

static void set_parent(const struct disk *d, struct volume_create *spec,
                       const char *vol)
{
    (void)str_copy(spec->parent, UUID_SIZE, vol);
    (void)str_copy(spec->parent_img, UUID_SIZE, d->of->img);
}

/* A raw LV has whole extents, and its guest sees all of them, or what its
 * definition says. */
static uint64_t capacity_of(const struct disk *d, size_t i)
{
    const struct volume_info *from = &d->chain.volumes[i];

    if (!from->block || from->format != VOLUME_RAW)
        return from->capacity;
    if (d->of->target[0] && i + 1 == d->chain.n)
        return d->of->capacity;
    return from->apparent_bytes;
}

/* Bytes that the LV of layer @i has to have in the first place. */
static int measure(const struct disk *d, size_t i, bool top,
                   struct volume_create *spec, struct err *err)
{
    const struct volume_info *from = &d->chain.volumes[i];
    const struct watermark_policy policy =
        thin_policy(&d->m->ports, d->dst.extent_bytes);
    struct outside_info outside;
    uint64_t data = 0;
    int rc = 0;

    if (!d->dst.block || spec->format == VOLUME_RAW)
        return 0;
    if (d->of->src_sd[0])
        rc = thin_measure(&d->m->ports, from, &data, err);
    else
        rc = PORT(&d->m->ports, storage, outside_info, d->of->src_path,
                  VOLUME_RAW, &outside, err);
    if (rc)
        return rc;
    if (!d->of->src_sd[0]) /* of what is below it nothing is known */
        data = d->of->overlay[0] ? spec->capacity : outside.true_bytes;
    spec->initial_bytes = top && d->of->target[0]
                              ? thin_mirrored(&policy, spec->capacity, data)
                              : thin_copied(&policy, spec->capacity, data, top);
    return 0;
}

static int describe(const struct disk *d, size_t i, struct volume_create *spec,
                    struct err *err)
{
    const struct volume_info *from = &d->chain.volumes[i];
    bool top = i + 1 == d->chain.n && !d->of->overlay[0];

    *spec = prepare_like(d, from);
    spec->format = disk_format(d, i);
    spec->role = top ? VOLUME_LEAF : VOLUME_INTERNAL;
    spec->capacity = capacity_of(d, i);
    if (spec->format == VOLUME_RAW)
        spec->allocation =
            d->dst.block ? VOLUME_PREALLOCATED : from->allocation;
    if (i > 0)
        set_parent(d, spec, d->chain.volumes[i - 1].id.vol);
    return measure(d, i, top, spec, err);
}

static struct volume_create describe_overlay(const struct disk *d,
                                             bool on_destination)
{
    const struct volume_info *leaf = &d->chain.volumes[d->chain.n - 1];
    const struct place *place = on_destination ? &d->dst : &d->src;
    const struct watermark_policy policy =
        thin_policy(&d->m->ports, place->extent_bytes);
    struct volume_create spec = prepare_like(d, leaf);

    spec.id = on_destination ? disk_target(d, d->of->overlay)
                             : disk_source(d, d->of->overlay);
    spec.format = VOLUME_COW;
    spec.role = VOLUME_LEAF;
    spec.sequence = leaf->sequence + 1;
    spec.capacity = capacity_of(d, d->chain.n - 1);
    if (place->block)
        spec.initial_bytes = thin_mirrored(&policy, spec.capacity, 0);
    set_parent(d, &spec, d->of->leaf);
    return spec;
}

/* --- making it --------------------------------------------------------- */

static int make_volumes(struct disk *d, struct err *err)
{
    size_t n = d->chain.n;
    struct volume_create *specs = calloc(n + 1, sizeof(*specs));
    int rc = 0;

    if (!specs)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = describe(d, i, &specs[i], err);
    if (rc == 0 && d->of->overlay[0])
        specs[n++] = describe_overlay(d, true);
    if (rc == 0)
        rc = PORT(&d->m->ports, storage, volumes_create, specs, n, err);
    free(specs);
    return rc;
}

static int make_source_overlay(struct disk *d, struct err *err)
{
    struct volume_create spec;

    if (!d->of->overlay[0])
        return 0;
    if (disk_is_outside(d, false))
        return overlay_make(d, false, err);
    spec = describe_overlay(d, false);
    spec.legality = VOLUME_LEGAL;
    spec.clone = false;
    return PORT(&d->m->ports, storage, volumes_create, &spec, 1, err);
}

/* The path of the top layer, through the links that a VM needs. */
int prepare_image(struct disk *d, struct err *err)
{
    const struct volume_id top = disk_target(d, disk_top(d));
    char path[PATH_MAX];
    int rc = PORT(&d->m->ports, storage, image_prepare, &top, true, path, err);

    if (rc)
        return rc;
    d->dst.active = true;
    if (d->of->overlay[0]) {
        char *slash = strrchr(path, '/');

        if (slash)
            (void)str_copy(slash + 1, PATH_MAX - (size_t)(slash + 1 - path),
                           d->of->leaf);
    }
    if (!str_copy(d->of->dst_path, sizeof(d->of->dst_path), path))
        return err_set_code(err, ERR_IMAGE_PATH, "the path is too long: %s",
                            path);
    return 0;
}

static int make_outside(struct disk *d, struct err *err)
{
    struct err why = ERR_INIT;
    int rc =
        PORT(&d->m->ports, storage, outside_create, d->of->dst_path,
             d->of->base_cow ? VOLUME_COW : VOLUME_RAW, d->of->capacity, &why);

    if (rc && !(why.code == ERR_VOLUME_EXISTS && d->m->adopted &&
                d->of->dst_made)) { /* not by an earlier life */
        *err = why;
        return rc;
    }
    return overlay_make(d, true, err);
}

static int make(struct disk *d, struct err *err)
{
    int rc = disk_load_chain(d, err);

    if (rc == 0)
        rc = disk_learn_places(d, err);
    if (rc == 0)
        rc = d->of->dst_sd[0] ? make_volumes(d, err) : make_outside(d, err);
    if (rc == 0)
        rc = make_source_overlay(d, err);
    if (rc == 0 && d->of->dst_sd[0] && d->of->target[0])
        rc = prepare_image(d, err);
    return rc;
}

enum job_outcome act_prepare(struct migration *m)
{
    struct err err = ERR_INIT;

    for_each_disk (d, m) {
        if (make(d, &err))
            return migration_storage_failed(m, &err);
        d->fresh = !m->adopted;
        d->looked_ms = migration_now_ms(m);
    }
    return JOB_OK;
}
