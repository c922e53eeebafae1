/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ends of a VM's move to another host. Forward: it is off here and complete
 * there. First our definition goes, so that nobody starts it here; then the
 * other host lets it run, looks at what it has open, and says so; only then the
 * disks here go, and only when it found what it should. Back: it lives here;
 * the sending ends, then what the other host has made goes.
 */
#include "offer.h"

#include <string.h>

/* --- forward ----------------------------------------------------------- */

/* For good: it does not run here, and nobody can start it. */
static enum job_outcome stop_here(struct migration *m)
{
    struct err err = ERR_INIT;

    if (PORT(&m->ports, hypervisor, vm_drop, m->job.vm, false, &err) == 0)
        return JOB_OK;
    if (err.code != ERR_VALUE)
        return migration_trouble(m, &err, INT64_MAX);
    return peer_silent(m, &err,
                       "VM %s was started here again after it had gone to host "
                       "%s, where it stands still: decide which one is right, "
                       "end the other",
                       m->job.vm_name, m->job.peer);
}

/* What the other host is not sure of must not be the only copy. */
static void keep_disks(struct migration *m, const char *doubt)
{
    m->job.keep_source = true;
    migration_warn(m,
                   "host %s: %.300s; so the disks are kept here, too: look "
                   "there, then delete them here (Image.delete)",
                   m->job.peer, doubt);
}

enum job_outcome send_settle(struct migration *m)
{
    struct peer_status status;
    struct err err = ERR_INIT;
    enum job_outcome outcome = stop_here(m);

    if (outcome != JOB_OK)
        return outcome;
    if (PORT(&m->ports, peer, finish, m->job.peer, m->job.id, &status, &err))
        return peer_silent(m, &err,
                           "VM %s stands still on host %s until its drayd can "
                           "be reached; by hand, there: drayctl rpc "
                           "Peer.finish '{\"jobID\":\"%s\"}'",
                           m->job.vm_name, m->job.peer, m->job.id);
    peer_answers(m);
    if (status.stage != PEER_DONE)
        return migration_again(m, POLL_MS);
    if (status.warning[0])
        keep_disks(m, status.warning);
    return JOB_OK;
}

enum job_outcome send_release(struct migration *m)
{
    for (; m->at < m->job.n_disks; m->at++) {
        struct disk *d = &m->disks[m->at];
        enum job_outcome outcome = m->job.keep_source || d->of->stays
                                       ? release_keep_source(d)
                                       : release_delete_source(d);

        if (outcome != JOB_OK)
            return outcome;
    }
    return JOB_OK;
}

/* --- back -------------------------------------------------------------- */

enum job_outcome send_abort(struct migration *m)
{
    struct vm_send_info info;
    struct err err = ERR_INIT;
    enum job_outcome outcome = send_look(m, &info);

    if (outcome != JOB_OK)
        return outcome;
    if (info.active) {
        /* It may hang in the network for a while; then once more. */
        if (PORT(&m->ports, hypervisor, vm_send_abort, m->job.vm, &err))
            return migration_trouble(m, &err, INT64_MAX);
        return migration_again(m, POLL_MS);
    }
    if (info.state != VM_SHUTOFF)
        return JOB_OK;
    return send_look_there(m);
}

static enum job_outcome leave_it(struct migration *m, const char *why)
{
    migration_warn(m,
                   "host %s may have leftovers: %.160s. Remove them there: "
                   "drayctl rpc Peer.undo '{\"jobID\":\"%s\"}'",
                   m->job.peer, why, m->job.id);
    return JOB_OK;
}

enum job_outcome send_remove(struct migration *m)
{
    struct peer_status status;
    struct err err = ERR_INIT;

    if (PORT(&m->ports, peer, undo, m->job.peer, m->job.id, &status, &err)) {
        if (err.code == ERR_NO_JOB)
            return JOB_OK;
        if (migration_trouble(m, &err, PEER_UNDO_MS) == JOB_AGAIN)
            return JOB_AGAIN;
        return leave_it(m, err.message);
    }
    if (status.stage == PEER_DONE)
        return leave_it(m, "the VM runs there");
    if (status.stage != PEER_UNDONE)
        return migration_again(m, PEER_POLL_MS);
    if (status.warning[0])
        migration_warn(m, "host %s: %.300s", m->job.peer, status.warning);
    return JOB_OK;
}
