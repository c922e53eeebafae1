/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM goes to another host with its disks: up to the moment when it has
 * stopped here for good (send-end.c has what follows).
 *
 *   preparing   the other drayd makes the volumes, and gets the layers below
 *               those that go with the VM (send-layers.c)
 *   starting    libvirt begins to send disks and memory
 *   converging  until it has ended. The VM runs here: it failed. It is off
 *               here, and complete and still over there: it has gone
 *
 * libvirt decides alone when the VM changes over. It leaves the VM standing
 * still on the other host, so at each instant at most one runs, and which copy
 * is right follows from what both libvirtds say: while the VM lives here, ours
 * is.
 */
#include "offer.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    ROOM_PART = 8, /* of a chunk: so much more is worth a call */
};

__attribute__((format(printf, 3, 0))) static void format_text(
    char *dst, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(dst, size, format, args); /* cut off is fine for people */
}

/* --- the other host ---------------------------------------------------- */

enum job_outcome peer_silent(struct migration *m, const struct err *err,
                             const char *format, ...)
{
    char text[sizeof(m->job.warning)];
    va_list args;

    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);

    enum job_outcome outcome = migration_trouble(m, err, INT64_MAX);

    if (m->trouble_ms < 0 || m->job.warning[0] ||
        migration_now_ms(m) - m->trouble_ms < PEER_SAY_MS)
        return outcome;
    migration_warn(m, "%s", text);
    return outcome;
}

/* Whatever else was wrong in such a state would have been the end of it. */
void peer_answers(struct migration *m)
{
    m->job.warning[0] = '\0';
}

/* --- looking ----------------------------------------------------------- */

enum job_outcome send_look(struct migration *m, struct vm_send_info *ret_info)
{
    struct err err = ERR_INIT;

    memset(ret_info, 0, sizeof(*ret_info));
    ret_info->n_disks = m->job.n_disks;
    for (size_t i = 0; i < m->job.n_disks; i++)
        memcpy(ret_info->disks[i].target, m->job.disks[i].target,
               sizeof(ret_info->disks[i].target));
    if (PORT(&m->ports, hypervisor, vm_send_info, m->job.vm, ret_info, &err))
        return migration_trouble(m, &err, INT64_MAX);
    return JOB_OK;
}

enum job_outcome send_look_there(struct migration *m)
{
    struct peer_status status;
    struct err err = ERR_INIT;

    if (PORT(&m->ports, peer, info, m->job.peer, m->job.id, &status, &err)) {
        if (err.code == ERR_NO_JOB)
            return JOB_OK;
        return peer_silent(m, &err,
                           "VM %s has stopped here, and host %s does not say "
                           "whether it has arrived: start it on neither",
                           m->job.vm_name, m->job.peer);
    }
    peer_answers(m);
    switch (status.vm) {
    case VM_ARRIVED:
    case VM_RUNS:
    case VM_OFF_THERE:
        return JOB_LANDED;
    case VM_ABSENT:
        return JOB_OK;
    default:
        return migration_again(m, PEER_POLL_MS);
    }
}

/* --- preparing --------------------------------------------------------- */

static enum job_outcome take_paths(struct migration *m,
                                   const struct peer_status *status)
{
    if (status->n_disks != m->job.n_disks)
        return migration_fail_text(m, ERR_GENERAL,
                                   "host %s made %zu disks of %zu", m->job.peer,
                                   status->n_disks, m->job.n_disks);
    for (size_t i = 0; i < m->job.n_disks; i++)
        memcpy(m->job.disks[i].dst_path, status->paths[i], JOB_PATH_SIZE);
    return JOB_OK;
}

enum job_outcome send_doubt(struct migration *m, const struct err *err)
{
    bool may_pass = err->rc == -ENOTCONN || err->rc == -ETIMEDOUT ||
                    err->code == ERR_NOT_READY;

    return migration_doubt(m, err, may_pass ? PEER_PATIENCE_MS : 0);
}

enum job_outcome send_check_time(struct migration *m)
{
    int64_t lasted_ms = migration_now_ms(m) - m->entered_ms;

    if (m->job.wait_s == 0 || lasted_ms <= m->job.wait_s * 1000)
        return JOB_OK;
    return migration_fail_text(
        m, ERR_TIMEOUT,
        "VM %s has not gone to host %s within %lld s (migration_wait)",
        m->job.vm_name, m->job.peer, (long long)m->job.wait_s);
}

static enum job_outcome fill(struct migration *m)
{
    enum job_outcome outcome = send_layers(m);

    m->filled = outcome == JOB_OK;
    m->filling = outcome == JOB_AGAIN && !m->troubled;
    return outcome == JOB_OK ? migration_again(m, 0) : outcome;
}

static enum job_outcome prepare(struct migration *m)
{
    _cleanup_free_ char *xml = NULL;
    struct peer_offer offer;
    struct peer_status status;
    struct err err = ERR_INIT;
    int rc = offer_of_job(&m->ports, &m->job, &offer, &xml, &err);

    if (rc == 0) {
        offer.filled = m->filled;
        rc = PORT(&m->ports, peer, prepare, m->job.peer, &offer, &status, &err);
    }
    if (rc)
        return send_doubt(m, &err);
    if (status.stage == PEER_READY)
        return take_paths(m, &status);
    m->filling = status.stage == PEER_FILLING && !m->filled;
    if (status.stage == PEER_PREPARING || status.stage == PEER_FILLING)
        return migration_again(m, m->filling ? 0 : PEER_POLL_MS);
    if (status.error.rc)
        return migration_fail(m, &status.error);
    return migration_fail_text(m, ERR_GENERAL, "host %s has ended the move",
                               m->job.peer);
}

/* --- room there -------------------------------------------------------- */

static bool is_thin_there(const struct disk *d)
{
    return d->of->dst_block && d->of->base_cow && !d->of->stays;
}

/* The other drayd's LVs get room for what is in the disks, and whatever the
 * guest has written since. */
static int ask_for_room(struct migration *m, struct err *err)
{
    struct peer_room rooms[JOB_DISKS_MAX];
    size_t n = 0;
    int rc;

    for_each_disk (d, m) {
        if (!is_thin_there(d))
            continue;
        memcpy(rooms[n].target, d->of->target, DISK_TARGET_SIZE);
        rooms[n++].bytes = d->of->data + d->since;
    }
    rc = n == 0 ? 0
                : PORT(&m->ports, peer, room, m->job.peer, m->job.id, rooms, n,
                       err);
    for_each_disk (d, m) {
        if (rc == 0)
            d->room = d->since;
    }
    return rc;
}

/* The layers below may have taken a while; without one there they are part of
 * it. */
static int measure(struct disk *d, struct err *err)
{
    const struct migrate_ports *ports = &d->m->ports;
    const struct volume_info *leaf;
    int rc = disk_load_chain(d, err);

    if (rc)
        return rc;
    leaf = &d->chain.volumes[d->chain.n - 1];
    return d->of->parent[0]
               ? thin_measure(ports, leaf, &d->of->data, err)
               : thin_measure_chain(ports, &leaf->id, &d->of->data, err);
}

static enum job_outcome make_room(struct migration *m)
{
    struct err err = ERR_INIT;

    for_each_disk (d, m) {
        if (is_thin_there(d) && measure(d, &err))
            return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    }
    return ask_for_room(m, &err) ? send_doubt(m, &err) : JOB_OK;
}

/* What libvirt has to copy grows as the guest writes, and by nothing else. */
static bool needs_room(struct disk *d, const struct vm_send_progress *top)
{
    const struct watermark_policy policy = thin_policy(&d->m->ports, 0);

    if (d->first == 0)
        d->first = top->total;
    if (top->total > d->first + d->since)
        d->since = top->total - d->first;
    return is_thin_there(d) &&
           d->since > d->room + policy.chunk_bytes / ROOM_PART;
}

/* The other drayd may be away for a while; there is room for some time, and
 * without it the VM stays here. */
static enum job_outcome keep_room(struct migration *m,
                                  const struct vm_send_info *info)
{
    struct err err = ERR_INIT;
    bool more = false;

    for (size_t i = 0; i < m->job.n_disks; i++)
        more = needs_room(&m->disks[i], &info->disks[i]) || more;
    if (more && ask_for_room(m, &err) && err.code == ERR_NO_SPACE)
        return migration_fail(m, &err);
    return JOB_OK;
}

/* --- starting ---------------------------------------------------------- */

static enum job_outcome send_it(struct migration *m)
{
    struct vm_send_disk disks[JOB_DISKS_MAX];
    struct peer_way way;
    bool shallow = false; /* then of all: one layer is the whole chain, too */
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, peer, way, m->job.peer, &way, &err);

    memset(disks, 0, sizeof(disks));
    for (size_t i = 0; i < m->job.n_disks; i++) {
        const struct job_disk *of = &m->job.disks[i];

        memcpy(disks[i].target, of->target, sizeof(disks[i].target));
        (void)str_copy(disks[i].path, PATH_MAX, of->dst_path); /* is shorter */
        disks[i].format = of->base_cow ? "qcow2" : "raw";
        disks[i].block = of->dst_block;
        disks[i].capacity = of->capacity;
        disks[i].stays = of->stays;
        shallow = shallow || of->parent[0];
    }
    struct vm_send_spec spec = { .libvirt_uri = way.libvirt_uri,
                                 .migrate_uri = way.migrate_uri,
                                 .n_disks = m->job.n_disks,
                                 .disks = disks,
                                 .shallow = shallow,
                                 .bytes_per_s = m->job.limit };

    memcpy(spec.vm, m->job.vm, UUID_SIZE);
    if (rc == 0)
        rc = PORT(&m->ports, hypervisor, vm_send, &spec, &err);
    if (rc)
        return migration_doubt(m, &err, 0);
    for_each_disk (d, m)
        d->limit_applied = true;
    return JOB_OK;
}

/* While libvirt migrates it lets nobody set a threshold: what the guest writes
 * to here gets more room before, and is looked at now and then. */
static int widen(struct disk *d, struct err *err)
{
    int rc = disk_learn_places(d, err);

    return rc ? rc : watch_begin(d, NULL, err);
}

/* An earlier life may have begun it. */
static enum job_outcome start(struct migration *m)
{
    struct vm_send_info info;
    struct err err = ERR_INIT;
    enum job_outcome outcome = send_look(m, &info);

    if (outcome != JOB_OK)
        return outcome;
    if (info.active || info.state == VM_SHUTOFF)
        return JOB_OK; /* the next state finds out */
    for_each_disk (d, m) {
        if (widen(d, &err))
            return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    }
    outcome = make_room(m);
    return outcome == JOB_OK ? send_it(m) : outcome;
}

/* --- converging -------------------------------------------------------- */

static void report_disk(struct disk *d, const struct vm_send_progress *top)
{
    if (top->total == 0)
        return; /* over: it stays as it was */
    d->of->done = d->below + top->done;
    d->of->total = d->below + top->total;
}

static void report(struct migration *m, const struct vm_send_info *info)
{
    struct job_progress *progress = &m->job.progress;

    for (size_t i = 0; i < m->job.n_disks; i++)
        report_disk(&m->disks[i], &info->disks[i]);
    progress->memory_done = info->memory_done;
    progress->memory_total = info->memory_total;

    progress->done = m->below + info->disk_done + info->memory_done;
    progress->total = m->below + info->disk_total + info->memory_total;
    progress->rate = meter_read(&m->meter, migration_now_ms(m), progress->done);
    progress->eta_s =
        meter_eta_s(progress->rate, progress->total - progress->done);
}

/* It is there, whatever the last look found. */
static void report_all(struct migration *m)
{
    for_each_disk (d, m)
        d->of->done = d->of->total;
    m->job.progress.memory_done = m->job.progress.memory_total;
}

static void apply_limit(struct migration *m)
{
    struct err err = ERR_INIT;

    if (m->disks[0].limit_applied)
        return;
    if (PORT(&m->ports, hypervisor, vm_send_limit, m->job.vm, m->job.limit,
             &err) == 0) {
        for_each_disk (d, m)
            d->limit_applied = true;
    }
}

static enum job_outcome watch(struct migration *m,
                              const struct vm_send_info *info)
{
    enum job_outcome outcome = send_check_time(m);

    report(m, info);
    apply_limit(m);
    if (outcome == JOB_OK)
        outcome = keep_room(m, info);
    return outcome == JOB_OK ? migration_again(m, POLL_MS) : outcome;
}

static enum job_outcome converge(struct migration *m)
{
    struct vm_send_info info;
    enum job_outcome outcome = send_look(m, &info);

    if (outcome != JOB_OK)
        return outcome;
    if (info.active)
        return watch(m, &info);
    if (info.state != VM_SHUTOFF)
        return migration_fail_text(
            m, ERR_GENERAL, "VM %s did not go to host %s: %s", m->job.vm_name,
            m->job.peer,
            info.failure[0] ? info.failure
                            : "libvirt has ended it without a reason; its "
                              "log has one");
    outcome = send_look_there(m);
    if (outcome == JOB_LANDED)
        report_all(m);
    if (outcome == JOB_OK)
        return migration_fail_text(m, ERR_GENERAL,
                                   "VM %s stopped while it was being sent",
                                   m->job.vm_name);
    return outcome;
}

/* --- all --------------------------------------------------------------- */

enum job_outcome send_act(struct migration *m)
{
    switch (m->job.state) {
    case JOB_PLANNED:
        return JOB_OK;
    case JOB_PREPARING:
        return m->filling ? fill(m) : prepare(m);
    case JOB_STARTING:
        return start(m);
    case JOB_CONVERGING:
        return converge(m);
    case JOB_PIVOTED:
        return send_settle(m);
    case JOB_RELEASING:
        return send_release(m);
    case JOB_ABORTING:
        return send_abort(m);
    default:
        return send_remove(m);
    }
}
