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
#include "fold.h"

#include <string.h>

enum {
    FOLDS_MAX = 3, /* how often a move tries to pivot back */
};

/* --- the truth --------------------------------------------------------- */

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

static void look_at_layers(const struct disk *d, const struct vm_layers *layers,
                           struct fold *fold)
{
    fold->position = position_in(d, layers, false);
    if (fold->position == NOWHERE && has_destination(d)) {
        fold->position = position_in(d, layers, true);
        fold->on_destination = fold->position != NOWHERE;
    }
}

/* Off: its definition says which layer it used last, once a pivot back was
 * asked for; before, the overlay has the newest data, whatever a definition
 * says that libvirtd may not have written. One that has none is where the job's
 * state says. */
static int look_at_definition(const struct disk *d, struct fold *fold,
                              struct err *err)
{
    struct sight sight;
    int rc = disk_look_well(d, &sight, err);

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
    if (!fold_is_merge(d) && !d->of->fold_begun)
        fold->position = NO_VM;
    return 0;
}

int fold_look(const struct disk *d, struct fold *ret_fold, struct err *err)
{
    struct vm_layers layers = { .state = VM_SHUTOFF };
    struct err why = ERR_INIT;
    int rc = PORT(&d->m->ports, hypervisor, disk_layers, d->m->job.vm,
                  d->of->target, &layers, &why);

    if (rc && why.code != ERR_NO_VM) {
        *err = why;
        return rc;
    }
    *ret_fold = (struct fold){ .state = layers.state };
    if (rc || layers.state == VM_SHUTOFF)
        return look_at_definition(d, ret_fold, err);
    look_at_layers(d, &layers, ret_fold);
    vm_layers_deinit(&layers);
    return 0;
}

struct volume_id fold_volume(const struct disk *d, bool on_destination,
                             const char *vol)
{
    return on_destination ? disk_target(d, vol) : disk_source(d, vol);
}

/* --- giving up --------------------------------------------------------- */

bool fold_is_merge(const struct disk *d)
{
    return d->m->job.kind == JOB_MERGE;
}

/* A merge fails; a move is left with its overlay, without a job on it. */
static enum job_outcome give_up(struct disk *d, const struct err *err)
{
    struct migration *m = d->m;
    struct err ignored = ERR_INIT; /* then the job ends with the VM */

    if (fold_is_merge(d))
        return migration_fail(m, err);
    (void)PORT(&m->ports, hypervisor, mirror_abort, m->job.vm, d->of->target,
               &ignored);
    d->of->overlay_stays = true;
    migration_warn(m, "disk %s keeps layer %s: %.160s. Merge it: %s",
                   d->of->target, d->of->overlay, err->message,
                   d->of->beside[0] ? "virsh blockcommit --active --pivot"
                                    : "drayctl rpc VM.merge");
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
    struct vm_commit_spec spec = { .bytes_per_s = mirror_share(d) };

    (void)str_copy(spec.vm, sizeof(spec.vm), m->job.vm);
    (void)str_copy(spec.target, sizeof(spec.target), d->of->target);
    if (fold->on_destination) {
        disk_target_path(d, d->of->leaf, spec.base_path);
        disk_target_path(d, d->of->overlay, spec.top_path);
    } else {
        disk_source_path(d, d->of->leaf, spec.base_path);
        disk_source_path(d, d->of->overlay, spec.top_path);
    }
    d->pivot_asked = false;
    if (thin_grow_base(d, fold->on_destination, fold->position == ON_TOP, &err))
        return retry_or_give_up(d, &err);
    if (watch_is_needed(d))
        spec.bytes_per_s = HELD_BYTES_PER_S;
    d->limit_applied = !watch_is_needed(d);
    if (PORT(&m->ports, hypervisor, commit_start, &spec, &err))
        return retry_or_give_up(d, &err);
    d->committing = true;
    d->commits_there = fold->on_destination;
    return migration_again(m, POLL_STILL_MS);
}

/* One that fills an LV stands until the watch says that it may run. A merge can
 * be called off, or given another limit, by who asked for it; the commit of a
 * move must end by itself.
 */
static enum job_outcome let_run(struct disk *d, const struct fold *fold)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    char base[PATH_MAX];

    if (fold->on_destination)
        disk_target_path(d, d->of->leaf, base);
    else
        disk_source_path(d, d->of->leaf, base);
    if (disk_learn_places(d, &err) || watch_begin(d, base, &err))
        return err.code == ERR_NO_SPACE ? give_up(d, &err)
                                        : retry_or_give_up(d, &err);
    if (!fold_is_merge(d))
        mirror_hurry(d);
    mirror_apply_limit(d);
    return migration_again(m, migration_poll_ms(m));
}

int fold_commit_offline(struct disk *d, bool on_destination, struct err *err)
{
    struct err why = ERR_INIT;
    int rc = disk_activate(d, on_destination, d->of->overlay, &why);

    if (rc == 0)
        rc = thin_grow_base(d, on_destination, true, &why);
    if (rc == 0)
        return overlay_commit(d, on_destination, err);
    if (why.code == ERR_NO_VOLUME || why.code == ERR_NO_IMAGE)
        return 0;
    *err = why;
    return rc;
}

/* Its VM does not run: the tool does it, under qemu's own locks. */
static enum job_outcome commit_offline(struct disk *d, const struct fold *fold)
{
    struct err err = ERR_INIT;

    if (fold_is_merge(d))
        return give_up_text(d, ERR_MERGE, "the VM does not run any more");
    if (fold_commit_offline(d, fold->on_destination, &err))
        return retry_or_give_up(d, &err);
    return JOB_OK;
}

/* Our commit is gone. It may have come to its end, or the VM, since we looked
 * for the layer: then the next look says so. */
static enum job_outcome commit_ended(struct disk *d)
{
    struct migration *m = d->m;
    char why[256] = "";

    if (!d->commit_missed) {
        d->commit_missed = true;
        return migration_again(m, POLL_STILL_MS);
    }
    PORT(&m->ports, hypervisor, mirror_failure, m->job.vm, d->of->target, why,
         sizeof(why));
    if (!d->grown && strstr(why, "No space left") && watch_is_needed(d)) {
        d->grown = true; /* what the guest wrote meanwhile counts now */
        d->committing = d->watched = false;
        return migration_again(m, 0);
    }
    return give_up_text(d, ERR_MERGE,
                        why[0] ? why : "the commit ended without a reason");
}

/* A pivot that was asked for keeps the job from being ready again. */
static bool hangs(const struct disk *d)
{
    const struct vm_mirror_info *info = &d->mirror;

    return d->folds > 0 && !info->ready && info->done >= info->total &&
           migration_now_ms(d->m) - d->m->entered_ms > UNDO_PATIENCE_MS;
}

/* There is a job, d->mirror. */
static enum job_outcome watch_commit(struct disk *d, const struct fold *fold)
{
    d->commit_missed = false;
    if (hangs(d))
        return give_up_text(d, ERR_TIMEOUT,
                            "the pivot to the lower layer does not end");
    if (d->mirror.kind == VM_JOB_ACTIVE_COMMIT && d->mirror.ready)
        return JOB_OK;
    return let_run(d, fold);
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
        return d->committing ? commit_ended(d) : start(d, fold);
    d->mirror = info;
    return watch_commit(d, fold);
}

/* A disk has one job, and libvirt changes no layer of it meanwhile: where the
 * overlay was when our commit started, it is still. */
static bool still_commits(struct disk *d)
{
    const struct migration *m = d->m;
    struct vm_mirror_info info = { .job = false };
    struct err ignored = ERR_INIT; /* asked again */

    if (!d->committing ||
        PORT(&m->ports, hypervisor, mirror_info, m->job.vm, d->of->target,
             &info, &ignored) ||
        info.kind != VM_JOB_ACTIVE_COMMIT)
        return false;
    d->mirror = info;
    return true;
}

/* This life saw it go over to the overlay there, and did nothing since; should
 * somebody else have done, the commit is refused. */
static bool just_went_over(const struct disk *d)
{
    const struct migration *m = d->m;

    return d->there && !m->job.undo && !d->committing && d->folds == 0 &&
           m->trouble_ms < 0;
}

static enum job_outcome commit(struct disk *d)
{
    struct fold fold = { ON_TOP, true, VM_RUNNING };
    struct err err = ERR_INIT;

    if (d->of->overlay_stays)
        return JOB_OK;
    if (still_commits(d)) {
        fold.on_destination = d->commits_there;
        return watch_commit(d, &fold);
    }
    if (just_went_over(d))
        return wait_for_commit(d, &fold);
    if (fold_look(d, &fold, &err))
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
    enum job_outcome result = guest_let_run(m);

    if (result != JOB_OK)
        return result;
    for_each_disk (d, m) {
        enum job_outcome outcome = commit(d);

        if (outcome == JOB_FAIL)
            return outcome;
        if (outcome == JOB_AGAIN)
            result = JOB_AGAIN;
    }
    if (fold_is_merge(&m->disks[0]))
        migration_report(m);
    return result;
}

/* --- folding ----------------------------------------------------------- */

/* Held too long, refused: a move commits again, some times; its error only
 * explains why the overlay stays in the end. One from before is why the move is
 * undone. */
static enum job_outcome end_of_hope(struct disk *d, enum job_outcome outcome)
{
    struct migration *m = d->m;
    struct err err = ERR_INIT;

    if (outcome != JOB_FAIL || fold_is_merge(d))
        return outcome;
    if (m->job.failed_in == JOB_FOLDING) {
        err = m->job.error;
        memset(&m->job.error, 0, sizeof(m->job.error));
        m->job.failed_in = JOB_PLANNED;
    }
    (void)err_set_code(&err, ERR_MERGE, "the pivot to the lower layer failed");
    d->committing = false; /* should its job be gone */
    return ++d->folds < FOLDS_MAX ? JOB_FAIL : give_up(d, &err);
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
    if (m->still)
        return JOB_OK;
    for_each_disk (d, m) {
        mirror_lift_limit(d);
        d->of->fold_begun = true; /* recorded with the intent to hold */
    }
    return guest_hold(m);
}

static enum job_outcome pivot(struct disk *d, const struct fold *fold)
{
    enum job_outcome outcome = hold(d->m, fold);

    if (outcome != JOB_OK)
        return end_of_hope(d, outcome);
    return end_of_hope(d, pivot_ask(d, VM_JOB_ACTIVE_COMMIT));
}

/* The pivot was asked for. JOB_OK: *fold is how it came out. The layers first:
 * a libvirtd that died in the pivot goes on telling of a job that qemu ended.
 */
static enum job_outcome wait_for_pivot(struct disk *d, struct fold *fold,
                                       struct err *err)
{
    enum job_outcome outcome = pivot_wait(d, VM_JOB_ACTIVE_COMMIT);

    if (outcome != JOB_OK)
        return end_of_hope(d, outcome);
    return fold_look(d, fold, err) ? retry_or_give_up(d, err) : JOB_OK;
}

/* Somebody else was at work since the commit was ready. */
static enum job_outcome other_layers(struct disk *d)
{
    return migration_fail_text(d->m, ERR_NOT_IN_CHAIN,
                               "layer %s of disk %s is not the newest any more",
                               d->of->overlay, d->of->target);
}

/* This life saw its commit ready, and nothing was done since. */
static bool is_as_committed(const struct disk *d)
{
    const struct migration *m = d->m;

    return d->committing && d->mirror.kind == VM_JOB_ACTIVE_COMMIT &&
           d->mirror.ready && !d->pivot_asked && !m->still &&
           !m->resume_first && m->trouble_ms < 0;
}

static enum job_outcome fold_one(struct disk *d)
{
    struct fold fold = { .position = ON_TOP, .state = VM_RUNNING };
    struct err err = ERR_INIT;
    enum job_outcome outcome = JOB_OK;

    if (d->of->overlay_stays)
        return JOB_OK;
    if (is_as_committed(d))
        return pivot(d, &fold);
    if (fold_look(d, &fold, &err))
        return retry_or_give_up(d, &err);
    if (fold.position == ON_TOP && d->pivot_asked)
        outcome = wait_for_pivot(d, &fold, &err);
    if (outcome != JOB_OK)
        return outcome;
    switch (fold.position) {
    case FOLDED:
        d->folded = fold_is_running(&fold);
        d->folded_there = fold.on_destination;
        return JOB_OK;
    case ON_TOP:
        return pivot(d, &fold);
    case NO_VM: /* gone while it was still: the overlay has it all */
        return commit_offline(d, &fold);
    default:
        return end_of_hope(d, other_layers(d));
    }
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
