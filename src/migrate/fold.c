/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Folds an overlay into the layer below (JOB_MERGE: a layer into another), on
 * whichever side the VM is: the end of a move with the snapshot strategy, and
 * of its undo.
 *
 *   JOB_COMMITTING   qemu commits; the guest goes on writing to the overlay
 *   JOB_FOLDING      the guest is held, qemu pivots to the lower layer; as with
 *                    a move, a crash meanwhile leaves both right
 *   JOB_FOLDED       the guest runs; records and definitions follow, and the
 *                    overlay is deleted
 *
 * What qemu has open decides, always. In a move nothing here is worth a guest
 * or its data: what cannot be done leaves the overlay where it is, which is a
 * whole and right chain, and the job says so.
 */
#include "migration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the truth --------------------------------------------------------- */

enum position {
    NO_VM,
    FOLDED,   /* the overlay is not in qemu's chain */
    ON_TOP,   /* the VM writes to the overlay */
    IN_CHAIN, /* it is below what the VM writes to */
    NOWHERE,  /* qemu has neither overlay nor leaf */
};

struct fold {
    enum position position;
    bool on_destination;
    enum vm_state state;
};

/* The place of layer @vol in @layers; -1: it is not there. */
static int find_layer(const struct disk *d, const struct vm_layers *layers,
                      const char *vol, bool on_destination)
{
    for (size_t i = 0; i < layers->n; i++) {
        if (disk_is_layer(d, layers->paths[i], vol, on_destination))
            return (int)i;
    }
    return -1;
}

static enum position position_in(const struct disk *d,
                                 const struct vm_layers *layers, bool there)
{
    int overlay = find_layer(d, layers, d->of->overlay, there);

    if (overlay >= 0)
        return overlay == 0 ? ON_TOP : IN_CHAIN;
    return find_layer(d, layers, d->of->leaf, there) >= 0 ? FOLDED : NOWHERE;
}

static bool has_destination(const struct disk *d)
{
    return d->m->job.kind != JOB_MERGE && d->of->dst_path[0];
}

static int look_at_layers(const struct disk *d, struct fold *fold,
                          struct err *err)
{
    struct vm_layers layers = { 0 };
    int rc = PORT(&d->m->ports, hypervisor, disk_layers, d->m->job.vm,
                  d->of->target, &layers, err);

    if (rc)
        return rc;
    fold->position = position_in(d, &layers, false);
    if (fold->position == NOWHERE && has_destination(d)) {
        fold->position = position_in(d, &layers, true);
        fold->on_destination = fold->position != NOWHERE;
    }
    vm_layers_deinit(&layers);
    return 0;
}

/* Off: its definition says which layer it used last. One that has none is
 * where the job's state says. */
static int look_at_definition(const struct disk *d, struct fold *fold,
                              struct err *err)
{
    struct sight sight;
    int rc = disk_look(d, &sight, err);

    if (rc)
        return rc;
    fold->position = NO_VM;
    fold->on_destination = has_destination(d) && !d->m->job.undo;
    for (int there = 0; there <= has_destination(d); there++) {
        if (disk_is_layer(d, sight.persistent, d->of->leaf, there))
            *fold = (struct fold){ FOLDED, there, VM_SHUTOFF };
        else if (disk_is_layer(d, sight.persistent, d->of->overlay, there))
            fold->on_destination = there;
    }
    return 0;
}

static int look(const struct disk *d, struct fold *ret_fold, struct err *err)
{
    struct err find = ERR_INIT;
    struct vm_info vm = { .state = VM_SHUTOFF };
    int rc = PORT(&d->m->ports, hypervisor, vm_find, d->m->job.vm, &vm, &find);

    *ret_fold = (struct fold){ .state = vm.state };
    if (rc && find.code != ERR_NO_VM) {
        *err = find;
        return rc;
    }
    if (rc == 0 && vm.state != VM_SHUTOFF)
        return look_at_layers(d, ret_fold, err);
    return look_at_definition(d, ret_fold, err);
}

static struct volume_id volume_of(const struct disk *d, bool on_destination,
                                  const char *vol)
{
    return on_destination ? disk_target(d, vol) : disk_source(d, vol);
}

/* --- giving up --------------------------------------------------------- */

static bool is_merge(const struct disk *d)
{
    return d->m->job.kind == JOB_MERGE;
}

/* A merge fails; a move is left with its overlay. */
static enum job_outcome give_up(struct disk *d, const struct err *err)
{
    struct migration *m = d->m;

    if (is_merge(d))
        return migration_fail(m, err);
    d->given_up = true;
    migration_warn(m,
                   "disk %s keeps layer %s: %.160s. Merge it: drayctl rpc "
                   "VM.merge",
                   d->of->target, d->of->overlay, err->message);
    return JOB_OK;
}

static enum job_outcome retry_or_give_up(struct disk *d, const struct err *err)
{
    if (migration_trouble(d->m, err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    return give_up(d, err);
}

static enum job_outcome give_up_text(struct disk *d, enum err_code code,
                                     const char *text)
{
    struct err err = ERR_INIT;

    (void)err_set_code(&err, code, "%s", text);
    return give_up(d, &err);
}

/* --- committing -------------------------------------------------------- */

static enum job_outcome start(struct disk *d, const struct fold *fold)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    struct vm_commit_spec spec = { .bytes_per_s = m->job.limit };

    (void)str_copy(spec.vm, sizeof(spec.vm), m->job.vm);
    (void)str_copy(spec.target, sizeof(spec.target), d->of->target);
    if (fold->on_destination) {
        disk_target_path(d, d->of->leaf, spec.base_path);
        disk_target_path(d, d->of->overlay, spec.top_path);
    } else {
        disk_source_path(d, d->of->leaf, spec.base_path);
        disk_source_path(d, d->of->overlay, spec.top_path);
    }
    d->limit_applied = true;
    d->pivot_asked = false;
    if (PORT(&m->ports, hypervisor, commit_start, &spec, &err))
        return retry_or_give_up(d, &err);
    d->committing = true;
    return migration_again(m, POLL_STILL_MS);
}

/* Its VM does not run: the tool does it, under qemu's own locks. */
static enum job_outcome commit_offline(struct disk *d, const struct fold *fold)
{
    const struct volume_id top =
        volume_of(d, fold->on_destination, d->of->overlay);
    struct err err = ERR_INIT;

    if (is_merge(d))
        return give_up_text(d, ERR_MERGE, "the VM does not run any more");
    if (PORT(&d->m->ports, storage, volume_commit, &top, &err) &&
        err.code != ERR_NO_VOLUME && err.code != ERR_NO_IMAGE)
        return retry_or_give_up(d, &err);
    return JOB_OK;
}

static enum job_outcome commit_failed(struct disk *d)
{
    char why[256] = "";

    PORT(&d->m->ports, hypervisor, mirror_failure, d->m->job.vm, d->of->target,
         why, sizeof(why));
    return give_up_text(d, ERR_MERGE,
                        why[0] ? why : "the commit ended without a reason");
}

static enum job_outcome wait_for_commit(struct disk *d, const struct fold *fold)
{
    struct migration *m = d->m;
    struct vm_mirror_info info = { .job = false };
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &err))
        return retry_or_give_up(d, &err);
    if (info.kind == VM_JOB_NONE)
        return d->committing ? commit_failed(d) : start(d, fold);
    d->mirror = info;
    if (info.kind == VM_JOB_ACTIVE_COMMIT && info.ready)
        return JOB_OK;
    mirror_apply_limit(d);
    return migration_again(m, migration_poll_ms(m));
}

static enum job_outcome commit(struct disk *d)
{
    struct fold fold;
    struct err err = ERR_INIT;

    if (d->given_up)
        return JOB_OK;
    if (look(d, &fold, &err))
        return retry_or_give_up(d, &err);
    switch (fold.position) {
    case FOLDED:
        return JOB_OK;
    case NO_VM:
        return commit_offline(d, &fold);
    case ON_TOP:
    case IN_CHAIN:
        return wait_for_commit(d, &fold);
    case NOWHERE:
        break;
    }
    return give_up_text(d, ERR_NOT_IN_CHAIN,
                        "qemu has other layers than the records say");
}

enum job_outcome act_commit(struct migration *m)
{
    enum job_outcome result = JOB_OK;

    for_each_disk (d, m) {
        enum job_outcome outcome = commit(d);

        if (outcome == JOB_FAIL)
            return outcome;
        if (outcome == JOB_AGAIN)
            result = JOB_AGAIN;
    }
    if (is_merge(&m->disks[0]))
        migration_report(m);
    return result;
}

/* --- folding ----------------------------------------------------------- */

/* Held too long, refused: the error is on its way to the job; in a move it only
 * explains why the overlay stays. */
static enum job_outcome end_of_hope(struct disk *d, enum job_outcome outcome)
{
    struct migration *m = d->m;
    struct err err = m->job.error;

    if (outcome != JOB_FAIL || is_merge(d))
        return outcome;
    memset(&m->job.error, 0, sizeof(m->job.error));
    return give_up(d, &err);
}

static enum job_outcome hold(struct migration *m, const struct fold *fold)
{
    if (m->resume_first) { /* an earlier life suspended it: begin again */
        struct err err = ERR_INIT;

        if (guest_resume(m, &err))
            return migration_trouble(m, &err, UNDO_PATIENCE_MS);
        return migration_again(m, 0);
    }
    if (fold->state != VM_PAUSED)
        m->still = false;
    return m->still ? JOB_OK : guest_hold(m);
}

static enum job_outcome pivot(struct disk *d, const struct fold *fold)
{
    enum job_outcome outcome = hold(d->m, fold);

    if (outcome != JOB_OK)
        return end_of_hope(d, outcome);
    if (d->pivot_asked)
        return give_up_text(d, ERR_MERGE, "the commit ended without a pivot");
    return end_of_hope(d, pivot_ask(d, VM_JOB_ACTIVE_COMMIT));
}

static enum job_outcome fold_one(struct disk *d)
{
    struct fold fold;
    struct err err = ERR_INIT;
    enum job_outcome outcome = JOB_OK;

    if (d->given_up)
        return JOB_OK;
    if (d->pivot_asked) {
        outcome = pivot_wait(d, VM_JOB_ACTIVE_COMMIT);
        if (outcome != JOB_OK)
            return end_of_hope(d, outcome);
    }
    if (look(d, &fold, &err))
        return retry_or_give_up(d, &err);
    if (fold.position == ON_TOP)
        return pivot(d, &fold);
    /* Gone while it was still: the overlay has it all. */
    return fold.position == NO_VM ? commit_offline(d, &fold) : JOB_OK;
}

enum job_outcome act_fold(struct migration *m)
{
    for_each_disk (d, m) {
        enum job_outcome outcome = fold_one(d);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}

/* --- folded ------------------------------------------------------------ */

/* @vols without the overlay, which says whether it was there. */
static bool drop_overlay(const struct disk *d, struct uuid_list *vols)
{
    for (size_t i = 0; i < vols->n; i++) {
        if (strcmp(vols->uuids[i], d->of->overlay) != 0)
            continue;
        vols->n--;
        memmove(vols->uuids[i], vols->uuids[i + 1],
                (vols->n - i) * sizeof(vols->uuids[0]));
        return true;
    }
    return false;
}

static int list_chain(const struct disk *d, const char *sd,
                      struct uuid_list *ret_vols, struct err *err)
{
    struct storage_chain chain = { 0 };
    int rc = PORT(&d->m->ports, storage, image_chain, sd, d->of->img, NULL,
                  &chain, err);

    if (rc)
        return rc;
    ret_vols->uuids = calloc(chain.n, sizeof(ret_vols->uuids[0]));
    if (!ret_vols->uuids)
        rc = err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < chain.n; i++) {
        memcpy(ret_vols->uuids[i], chain.volumes[i].id.vol, UUID_SIZE);
        ret_vols->n++;
    }
    storage_chain_deinit(&chain);
    return rc;
}

static int sync_records(const struct disk *d, const char *sd, struct err *err)
{
    struct uuid_list vols = { 0 };
    int rc = list_chain(d, sd, &vols, err);

    if (rc == 0 && drop_overlay(d, &vols))
        rc = PORT(&d->m->ports, storage, image_sync_chain, sd, d->of->img,
                  &vols, err);
    uuid_list_deinit(&vols);
    return rc;
}

static const char *side(const struct disk *d, const struct fold *fold)
{
    return fold->on_destination ? d->of->dst_sd : d->of->src_sd;
}

/* Whether the overlay's data are in the layer below. Of a VM that is off that
 * was seen to by commit_offline(), or was so before it went off. */
static bool is_folded(const struct disk *d, const struct fold *fold)
{
    return !d->given_up &&
           (fold->position == FOLDED || fold->position == NO_VM);
}

enum job_outcome fold_settle_records(struct migration *m)
{
    struct err err = ERR_INIT;
    struct fold fold;

    for_each_disk (d, m) {
        if (look(d, &fold, &err) ||
            (is_folded(d, &fold) && sync_records(d, side(d, &fold), &err)))
            return migration_trouble(m, &err, UNDO_PATIENCE_MS);
    }
    return JOB_OK;
}

static int mend_definition(const struct disk *d, const struct fold *fold,
                           struct err *err)
{
    const struct volume_id leaf =
        volume_of(d, fold->on_destination, d->of->leaf);
    struct volume_info info;
    struct sight sight;
    char path[PATH_MAX];
    int rc = disk_look(d, &sight, err);

    if (rc || !disk_is_layer(d, sight.persistent, d->of->overlay,
                             fold->on_destination))
        return rc;
    if (fold->on_destination)
        disk_target_path(d, d->of->leaf, path);
    else
        disk_source_path(d, d->of->leaf, path);
    rc = PORT(&d->m->ports, storage, volume_info, &leaf, &info, err);
    if (rc)
        return rc;
    return PORT(&d->m->ports, hypervisor, disk_set_persistent, d->m->job.vm,
                d->of->target, path,
                info.format == VOLUME_COW ? "qcow2" : "raw", err);
}

static int delete_overlay(const struct disk *d, const struct fold *fold,
                          struct err *err)
{
    const struct volume_id id =
        volume_of(d, fold->on_destination, d->of->overlay);
    struct err gone = ERR_INIT;

    if (is_merge(d) && !d->m->job.delete_top)
        return 0;

    int rc = PORT(&d->m->ports, storage, volume_delete, &id, &gone);

    if (rc && gone.code != ERR_NO_VOLUME && gone.code != ERR_NO_IMAGE) {
        *err = gone;
        return rc;
    }
    return 0;
}

static enum job_outcome settle(struct disk *d)
{
    struct fold fold;
    struct err err = ERR_INIT;

    if (look(d, &fold, &err))
        return migration_trouble(d->m, &err, UNDO_PATIENCE_MS);
    if (!is_folded(d, &fold))
        return JOB_OK; /* said so when we gave it up */
    if (mend_definition(d, &fold, &err) ||
        sync_records(d, side(d, &fold), &err) ||
        delete_overlay(d, &fold, &err)) {
        if (migration_trouble(d->m, &err, UNDO_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(d->m, "layer %s of disk %s is left: %.160s",
                       d->of->overlay, d->of->target, err.message);
    }
    return JOB_OK;
}

enum job_outcome act_folded(struct migration *m)
{
    struct err err = ERR_INIT;

    if (guest_resume(m, &err)) {
        if (migration_trouble(m, &err, UNDO_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(m, "the VM is still paused, resume it: %.120s",
                       err.message);
    }
    for_each_disk (d, m) {
        if (settle(d) == JOB_AGAIN)
            return JOB_AGAIN;
    }
    return JOB_OK;
}
