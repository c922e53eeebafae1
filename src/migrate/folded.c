/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JOB_FOLDED: the guest runs on the lower layer; the storage's records and the
 * VM's definition follow, then the overlay goes.
 */
#include "fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- records ----------------------------------------------------------- */

/* The image's volumes as its records have them. Not image_chain(): that
 * insists on headers that agree, and qemu has rewritten one of them. */
struct records {
    size_t n;
    struct volume_info *volumes;
};

static int read_records(const struct disk *d, const char *sd,
                        struct records *records, struct err *err)
{
    struct uuid_list vols = { 0 };
    int rc =
        PORT(&d->m->ports, storage, domain_volumes, sd, d->of->img, &vols, err);

    if (rc == 0)
        records->volumes = calloc(vols.n, sizeof(*records->volumes));
    if (rc == 0 && !records->volumes)
        rc = err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < vols.n; i++) {
        struct volume_id id = disk_source(d, vols.uuids[i]);

        memcpy(id.sd, sd, UUID_SIZE);
        rc = PORT(&d->m->ports, storage, volume_info, &id,
                  &records->volumes[records->n++], err);
    }
    uuid_list_deinit(&vols);
    return rc;
}

static const struct volume_info *find_record(const struct records *records,
                                             const char *vol)
{
    for (size_t i = 0; i < records->n; i++) {
        if (strcmp(records->volumes[i].id.vol, vol) == 0)
            return &records->volumes[i];
    }
    return NULL;
}

/* What was merged away lies ILLEGAL above the leaf; while the records change it
 * is the only one. */
static const struct volume_info *find_leaf(const struct records *records)
{
    const struct volume_info *dropped = NULL;

    for (size_t i = 0; i < records->n; i++) {
        const struct volume_info *volume = &records->volumes[i];

        if (volume->role == VOLUME_LEAF && volume->legality != VOLUME_ILLEGAL)
            return volume;
        if (volume->role == VOLUME_LEAF)
            dropped = volume;
    }
    return dropped;
}

/* Base first, without the overlay. */
static int list_others(const struct disk *d, const struct records *records,
                       struct uuid_list *vols, struct err *err)
{
    const struct volume_info *volume = find_leaf(records);
    size_t n = 0;

    vols->uuids = calloc(records->n + 1, sizeof(vols->uuids[0]));
    if (!vols->uuids)
        return err_set(err, -ENOMEM, "out of memory");
    for (; volume && n < records->n; n++) {
        if (strcmp(volume->id.vol, d->of->overlay) != 0)
            memcpy(vols->uuids[vols->n++], volume->id.vol, UUID_SIZE);
        volume = find_record(records, volume->parent);
    }
    if (vols->n == 0 || volume)
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "image %s: its records are no chain", d->of->img);
    for (size_t i = 0; i < vols->n / 2; i++) {
        char other[UUID_SIZE];

        memcpy(other, vols->uuids[i], UUID_SIZE);
        memcpy(vols->uuids[i], vols->uuids[vols->n - 1 - i], UUID_SIZE);
        memcpy(vols->uuids[vols->n - 1 - i], other, UUID_SIZE);
    }
    return 0;
}

int fold_sync_records(const struct disk *d, const char *sd, struct err *err)
{
    struct records records = { 0 };
    struct uuid_list vols = { 0 };
    int rc = sd[0] ? read_records(d, sd, &records, err) : 0;

    if (rc == 0 && find_record(&records, d->of->overlay)) {
        rc = list_others(d, &records, &vols, err);
        if (rc == 0)
            rc = PORT(&d->m->ports, storage, image_sync_chain, sd, d->of->img,
                      &vols, err);
    }
    uuid_list_deinit(&vols);
    free(records.volumes);
    return rc;
}

/* --- settling ---------------------------------------------------------- */

static const char *side(const struct disk *d, const struct fold *fold)
{
    return fold->on_destination ? d->of->dst_sd : d->of->src_sd;
}

/* Whether the overlay's data are in the layer below. Of a VM that is off that
 * was seen to by commit_offline(), or was so before it went off. */
static bool is_folded(const struct disk *d, const struct fold *fold)
{
    return !d->of->overlay_stays &&
           (fold->position == FOLDED || fold->position == NO_VM);
}

enum job_outcome fold_settle_records(struct migration *m)
{
    struct err err = ERR_INIT;
    struct fold fold;

    for_each_disk (d, m) {
        if (fold_look(d, &fold, &err) ||
            (is_folded(d, &fold) &&
             (fold_sync_records(d, side(d, &fold), &err) ||
              overlay_remove(d, fold.on_destination, &err))))
            return migration_trouble(m, &err, UNDO_PATIENCE_MS);
    }
    return JOB_OK;
}

static void path_of(const struct disk *d, const struct fold *fold,
                    const char *vol, char ret_path[PATH_MAX])
{
    if (fold->on_destination)
        disk_target_path(d, vol, ret_path);
    else
        disk_source_path(d, vol, ret_path);
}

/* Of a VM that has none, or is gone: "". */
static int ask_definition(const struct disk *d, char ret_path[PATH_MAX],
                          struct err *err)
{
    struct err ask = ERR_INIT;
    int rc = PORT(&d->m->ports, hypervisor, disk_persistent, d->m->job.vm,
                  d->of->target, ret_path, &ask);

    if (rc && ask.code != ERR_NO_VM) {
        *err = ask;
        return rc;
    }
    if (rc)
        ret_path[0] = '\0';
    return 0;
}

/* The persistent definition names layer @vol, should it name @wrong. */
static int mend_definition(const struct disk *d, const struct fold *fold,
                           const char *wrong, const char *vol, struct err *err)
{
    const char *format = NULL;
    char path[PATH_MAX];
    int rc = ask_definition(d, path, err);

    if (rc || !disk_is_layer(d, path, wrong, fold->on_destination))
        return rc;
    rc = disk_ask_format(d, fold->on_destination, vol, &format, err);
    if (rc)
        return rc;
    path_of(d, fold, vol, path);
    return PORT(&d->m->ports, hypervisor, disk_set_persistent, d->m->job.vm,
                d->of->target, path, format, err);
}

int fold_delete(const struct disk *d, bool on_destination, struct err *err)
{
    const struct volume_id id = fold_volume(d, on_destination, d->of->overlay);
    struct err gone = ERR_INIT;

    if (fold_is_merge(d) && !d->m->job.delete_top)
        return 0;
    if (disk_is_outside(d, on_destination))
        return overlay_remove(d, on_destination, err);

    int rc = PORT(&d->m->ports, storage, volume_delete, &id, &gone);

    if (rc && gone.code != ERR_NO_VOLUME && gone.code != ERR_NO_IMAGE) {
        *err = gone;
        return rc;
    }
    return 0;
}

/* The next start must find it: libvirtd may not have written that it is used.
 */
static int keep_overlay(const struct disk *d, const struct fold *fold,
                        struct err *err)
{
    if (fold->position != NO_VM)
        return 0;
    return mend_definition(d, fold, d->of->leaf, d->of->overlay, err);
}

static int drop_overlay(struct disk *d, const struct fold *fold,
                        struct err *err)
{
    int rc = mend_definition(d, fold, d->of->overlay, d->of->leaf, err);

    if (rc == 0)
        rc = fold_sync_records(d, side(d, fold), err);
    if (rc == 0)
        rc = fold_delete(d, fold->on_destination, err);
    if (rc == 0)
        rc = disk_learn_places(d, err);
    if (rc == 0 && fold->state != VM_SHUTOFF) /* then it is active */
        thin_shrink(d, fold->on_destination, d->of->leaf);
    return rc;
}

/* What JOB_FOLDING saw last is true still: nothing unfolds. */
static int look(struct disk *d, struct fold *ret_fold, struct err *err)
{
    if (!d->folded)
        return fold_look(d, ret_fold, err);
    d->folded = false; /* once, should what follows fail */
    *ret_fold = (struct fold){ FOLDED, d->folded_there, VM_RUNNING };
    return 0;
}

static enum job_outcome settle(struct disk *d)
{
    struct fold fold;
    struct err err = ERR_INIT;
    int rc = look(d, &fold, &err);

    if (rc == 0)
        rc = is_folded(d, &fold) ? drop_overlay(d, &fold, &err)
                                 : keep_overlay(d, &fold, &err);
    if (rc == 0)
        return JOB_OK;
    if (migration_trouble(d->m, &err, UNDO_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(d->m, "layer %s of disk %s is left: %.160s", d->of->overlay,
                   d->of->target, err.message);
    return JOB_OK;
}

enum job_outcome act_folded(struct migration *m)
{
    if (guest_let_run(m) == JOB_AGAIN)
        return JOB_AGAIN;
    watch_end(m);
    for_each_disk (d, m)
        disk_changes_soon(d, false); /* it is merged, or deleted */
    for_each_disk (d, m) {
        if (settle(d) == JOB_AGAIN)
            return JOB_AGAIN;
    }
    return JOB_OK;
}
