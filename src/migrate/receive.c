/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM comes from another host. That host's drayd leads: it has the volumes
 * made, sends the VM, and says that it has stopped there for good (then the VM
 * may run here) or that it stays there (then all that is here goes).
 *
 * When that host never speaks again a VM that is complete here stands still,
 * and waits for a person who knows what became of the other one. One that never
 * came takes nothing with it: its volumes go after a while.
 */
#include "offer.h"

#include <errno.h>
#include <string.h>

/* --- preparing --------------------------------------------------------- */

static const char *parent_image(const struct disk *d)
{
    return strcmp(d->of->parent, d->of->template_vol) == 0 ? d->of->template_img
                                                           : d->of->img;
}

/* The watch does not see what comes, see migrate_receive_room(). */
static uint64_t first_bytes(const struct disk *d)
{
    const struct watermark_policy policy =
        thin_policy(&d->m->ports, d->dst.extent_bytes);

    return d->dst.block && d->of->base_cow
               ? thin_mirrored(&policy, d->of->capacity, d->of->data)
               : 0;
}

static struct volume_create describe(const struct disk *d)
{
    struct volume_create spec = {
        .id = disk_target(d, d->of->leaf),
        .format = d->of->base_cow ? VOLUME_COW : VOLUME_RAW,
        .allocation = d->dst.block && !d->of->base_cow ? VOLUME_PREALLOCATED
                                                       : VOLUME_SPARSE,
        .legality = VOLUME_ILLEGAL,
        .capacity = d->of->capacity,
        .initial_bytes = first_bytes(d),
        .role = VOLUME_LEAF,
        .clone = true,
    };

    (void)str_copy(spec.parent, UUID_SIZE, UUID_BLANK);
    (void)str_copy(spec.parent_img, UUID_SIZE, UUID_BLANK);
    if (d->of->parent[0]) {
        memcpy(spec.parent, d->of->parent, UUID_SIZE);
        memcpy(spec.parent_img, parent_image(d), UUID_SIZE);
    }
    (void)str_copy(spec.disk_type, sizeof(spec.disk_type), "DATA");
    return spec;
}

/* Base first: with the last of them all are there. */
static int check_parent(const struct disk *d, bool *ret_complete,
                        struct err *err)
{
    struct volume_id id = disk_target(d, d->of->parent);
    struct volume_info info;
    struct err why = ERR_INIT;
    int rc;

    memcpy(id.img, parent_image(d), UUID_SIZE);
    rc = PORT(&d->m->ports, storage, volume_info, &id, &info, &why);
    *ret_complete = rc == 0 && info.legality == VOLUME_LEGAL;
    if (rc == 0 || why.code == ERR_NO_IMAGE || why.code == ERR_NO_VOLUME)
        return 0;
    *err = why;
    return rc;
}

static enum job_outcome wait_for(struct disk *d)
{
    struct migration *m = d->m;
    int64_t now_ms = migration_now_ms(m);

    if (now_ms - m->entered_ms > PEER_LOST_MS &&
        now_ms - m->visited_ms > PEER_LOST_MS)
        return migration_fail_text(m, ERR_TIMEOUT,
                                   "the layers of disk %s have not come from "
                                   "host %s",
                                   d->of->target, m->job.peer);
    return migration_again(m, PEER_POLL_MS);
}

/* The other host brings the layers below (send-layers.c), or compares a
 * template that is there; then it says so. JOB_OK: all are there. A template
 * that another job had made may go again with that job. */
static enum job_outcome wait_for_layers(struct migration *m)
{
    struct err err = ERR_INIT;

    for_each_disk (d, m) {
        bool complete = false;

        if (!d->of->parent[0])
            continue;
        if (m->filled && check_parent(d, &complete, &err))
            return migration_storage_failed(m, &err);
        if (!complete && m->filled)
            return migration_fail_text(m, ERR_NO_VOLUME,
                                       "layer %s of disk %s was here, and has "
                                       "gone: start the move again",
                                       d->of->parent, d->of->target);
        if (!complete)
            return wait_for(d);
    }
    return JOB_OK;
}

static enum job_outcome plan(struct migration *m)
{
    for_each_disk (d, m) {
        enum job_outcome outcome =
            d->of->stays ? JOB_OK : prepare_check_absent(d);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}

static int make(struct disk *d, struct err *err)
{
    struct volume_create spec;
    int rc = disk_learn_places(d, err);

    if (rc)
        return rc;
    if (d->of->stays)
        return prepare_image(d, err);
    spec = describe(d);
    rc = PORT(&d->m->ports, storage, volumes_create, &spec, 1, err);
    return rc ? rc : prepare_image(d, err);
}

static enum job_outcome prepare(struct migration *m)
{
    struct err err = ERR_INIT;
    enum job_outcome outcome = wait_for_layers(m);

    if (outcome != JOB_OK)
        return outcome;
    for_each_disk (d, m) {
        if (make(d, &err))
            return migration_storage_failed(m, &err);
    }
    return JOB_OK;
}

/* --- waiting ----------------------------------------------------------- */

static enum job_outcome look(struct migration *m, enum vm_arrival *ret_arrival)
{
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, vm_arrival, m->job.vm, ret_arrival, &err))
        return migration_trouble(m, &err, INT64_MAX);
    return JOB_OK;
}

/* The VM is complete, and its host has not spoken since. */
static void say_what_to_do(struct migration *m)
{
    if (m->looked_ms == 0)
        m->looked_ms = migration_now_ms(m);
    if (migration_now_ms(m) - m->looked_ms > PEER_SAY_MS)
        migration_warn(m,
                       "VM %s is complete here and stands still. If host %s is "
                       "off for good: drayctl rpc Peer.finish "
                       "'{\"jobID\":\"%s\"}' lets it run",
                       m->job.vm_name, m->job.peer, m->job.id);
}

/* The other host saw it complete before it said so. One without a definition
 * that has ended since leaves nothing behind; a libvirtd that is just starting
 * may not know it yet. */
static bool has_come(const struct migration *m, enum vm_arrival arrival)
{
    if (arrival == VM_ABSENT)
        return migration_now_ms(m) - m->entered_ms > PEER_SAY_MS;
    return arrival != VM_INCOMING;
}

static enum job_outcome wait_for_vm(struct migration *m)
{
    enum vm_arrival arrival = VM_ABSENT;
    enum job_outcome outcome = look(m, &arrival);

    if (outcome != JOB_OK)
        return outcome;
    if (m->job.finish_requested && has_come(m, arrival)) {
        peer_answers(m);
        return JOB_OK;
    }
    if (arrival == VM_ARRIVED || arrival == VM_OFF_THERE)
        say_what_to_do(m);
    else
        m->looked_ms = migration_now_ms(m);
    if (arrival != VM_ABSENT)
        m->entered_ms = migration_now_ms(m);
    else if (!m->job.finish_requested &&
             migration_now_ms(m) - m->entered_ms > PEER_LOST_MS)
        return migration_fail_text(m, ERR_TIMEOUT,
                                   "VM %s has not come from host %s",
                                   m->job.vm_name, m->job.peer);
    return migration_again(m, 1000);
}

/* --- it is ours -------------------------------------------------------- */

/* A thin LV that both hosts see may have grown there, and here it is as long as
 * it was. */
static int refresh(struct disk *d, struct err *err)
{
    return d->of->stays && d->of->dst_block ? prepare_image(d, err) : 0;
}

static enum job_outcome run(struct migration *m)
{
    enum vm_arrival arrival = VM_ABSENT;
    struct err err = ERR_INIT;
    enum job_outcome outcome = look(m, &arrival);

    if (outcome != JOB_OK)
        return outcome;
    for_each_disk (d, m) {
        if (refresh(d, &err))
            return migration_trouble(m, &err, INT64_MAX);
    }
    if (arrival == VM_ABSENT)
        migration_warn(m,
                       "VM %s does not run, and libvirt does not know it: it "
                       "had no definition, and ended before it could be "
                       "resumed; its disks are complete: virsh create",
                       m->job.vm_name);
    else if (arrival == VM_OFF_THERE)
        migration_warn(m,
                       "VM %s does not run: it stopped before it could be "
                       "resumed; its disks are complete, start it: virsh "
                       "start %s",
                       m->job.vm_name, m->job.vm_name);
    else if (PORT(&m->ports, hypervisor, vm_resume, m->job.vm, &err))
        return migration_trouble(m, &err, INT64_MAX);
    return JOB_OK;
}

static enum job_outcome settle(struct disk *d)
{
    const struct volume_id leaf = disk_target(d, d->of->leaf);
    struct err err = ERR_INIT;
    struct sight sight;

    if ((!d->of->stays && PORT(&d->m->ports, storage, volume_set_legality,
                               &leaf, VOLUME_LEGAL, &err)) ||
        disk_check_image(d, &err) || disk_look_well(d, &sight, &err)) {
        if (migration_trouble(d->m, &err, UNDO_PATIENCE_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        migration_warn(d->m, "disk %s was not checked: %.120s", d->of->target,
                       err.message);
        return JOB_OK;
    }
    if (sight.where == ON_ELSEWHERE)
        migration_warn(d->m, "qemu has another file than %.200s open as %s",
                       d->of->dst_path, d->of->target);
    if (sight.persistent[0] && !disk_on_destination(d, sight.persistent))
        migration_warn(d->m,
                       "the persistent definition has another file than "
                       "%.200s as %s",
                       d->of->dst_path, d->of->target);
    return JOB_OK;
}

/* The marks first: from then on the records here say whose copy is right. */
static enum job_outcome land(struct migration *m)
{
    enum job_outcome outcome = run(m);

    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = settle(d);
    }
    return outcome;
}

/* --- it is not --------------------------------------------------------- */

static enum job_outcome drop(struct migration *m)
{
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, vm_drop, m->job.vm, true, &err) == 0)
        return JOB_OK;
    if (err.code == ERR_VALUE) /* it runs: somebody has decided */
        return JOB_LANDED;
    return migration_trouble(m, &err, INT64_MAX);
}

void migrate_maker(const char *job_id, char ret[VOLUME_DESCRIPTION_SIZE])
{
    (void)str_format(ret, VOLUME_DESCRIPTION_SIZE, "made by job %s", job_id);
}

bool migrate_is_maker(const char *job_id, const struct volume_info *info)
{
    char maker[VOLUME_DESCRIPTION_SIZE];

    migrate_maker(job_id, maker);
    return info->legality == VOLUME_ILLEGAL &&
           strcmp(info->description, maker) == 0;
}

/* While it is not whole it says itself who makes it. */
static int is_ours(const struct disk *d, bool *ret, struct err *err)
{
    const struct job_disk *of = d->of;
    struct volume_id id = disk_target(d, of->template_vol);
    struct volume_info info;
    int rc;

    *ret = false;
    if (!of->template_absent)
        return 0;
    memcpy(id.img, of->template_img, UUID_SIZE);
    rc = PORT(&d->m->ports, storage, volume_info, &id, &info, err);
    if (rc == 0)
        *ret = info.legality == VOLUME_LEGAL
                   ? of->template_made
                   : migrate_is_maker(d->m->job.id, &info);
    return err->code == ERR_NO_VOLUME ? 0 : rc;
}

/* Of a template that came for this VM's sake, and has come for nothing. */
static enum job_outcome remove_template(struct disk *d)
{
    const struct job_disk *of = d->of;
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    bool ours = false;
    int rc = is_ours(d, &ours, &err);

    if (rc == 0 && ours)
        rc = PORT(&m->ports, storage, image_delete, of->dst_sd,
                  of->template_img, &err);
    if (rc == 0 || err.code == ERR_NO_IMAGE || err.code == ERR_VOLUME_SHARED)
        return JOB_OK; /* shared: others use it by now */
    if (migration_trouble(m, &err, TIDY_PATIENCE_MS) == JOB_AGAIN)
        return JOB_AGAIN;
    migration_warn(m, "template %s is left on domain %s: %.160s",
                   of->template_img, of->dst_sd, err.message);
    return JOB_OK;
}

static enum job_outcome remove_all(struct migration *m)
{
    enum job_outcome outcome = act_remove(m);

    for_each_disk (d, m) {
        if (outcome == JOB_OK)
            outcome = remove_template(d);
    }
    return outcome;
}

enum job_outcome receive_act(struct migration *m)
{
    switch (m->job.state) {
    case JOB_PLANNED:
        return plan(m);
    case JOB_PREPARING:
        return prepare(m);
    case JOB_CONVERGING:
        return wait_for_vm(m);
    case JOB_PIVOTED:
        return land(m);
    case JOB_ABORTING:
        return drop(m);
    default:
        return remove_all(m);
    }
}
