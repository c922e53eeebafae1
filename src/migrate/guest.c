/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Holding the guest still, and letting it go. The record says "suspended"
 * before we suspend and until we have resumed, so that whoever reads it after a
 * crash knows that the guest may stand because of us. A guest that somebody
 * else paused is left paused.
 */
#include "migration.h"

enum {
    SUSPEND_PATIENCE_MS = 1000
};

static int64_t now_us(const struct migration *m)
{
    return PORT(&m->ports, clock, now_us);
}

bool guest_held_too_long(const struct migration *m)
{
    return m->held_us >= 0 &&
           now_us(m) - m->held_us > (int64_t)HOLD_MAX_MS * 1000;
}

static void released(struct migration *m)
{
    int64_t *longest_us = &m->job.progress.pause_us;

    if (m->held_us >= 0 && m->job.suspended &&
        now_us(m) - m->held_us > *longest_us)
        *longest_us = now_us(m) - m->held_us;
    m->job.suspended = false;
    m->held_us = -1;
    m->still = false;
    m->resume_first = false;
    watch_release(m);
}

/* Whether the VM is one that a resume would help. */
static int is_paused(const struct migration *m, bool *ret_paused,
                     struct err *err)
{
    struct vm_info vm;
    struct err find = ERR_INIT;
    int rc = PORT(&m->ports, hypervisor, vm_find, m->job.vm, &vm, &find);

    if (rc && find.code != ERR_NO_VM)
        return err_set(err, rc, "%s", find.message);
    *ret_paused = rc == 0 && vm.state == VM_PAUSED;
    return 0;
}

int guest_resume(struct migration *m, struct err *err)
{
    struct err resume = ERR_INIT;
    bool paused = false;

    if (!m->job.suspended) {
        watch_release(m);
        return 0;
    }

    /* Resume without asking first: every call here is guest's time. */
    int rc = PORT(&m->ports, hypervisor, vm_resume, m->job.vm, &resume);

    if (rc) {
        int asked = is_paused(m, &paused, err);

        if (asked)
            return asked;
        if (paused) {
            *err = resume;
            return rc;
        }
    }
    released(m);
    return 0;
}

/* The record first, so that a crash after the suspend finds it. */
static bool record_intent(struct migration *m)
{
    if (m->job.suspended)
        return true; /* a suspend whose answer got lost is tried again */
    m->job.suspended = true;
    if (migration_record(m))
        return true;
    m->job.suspended = false;
    return false;
}

enum job_outcome guest_hold(struct migration *m)
{
    bool ours = m->job.suspended; /* if it is paused by now */
    bool was_paused = false;
    struct err err = ERR_INIT;

    if (watch_hold(m, &err))
        return migration_doubt(m, &err, QUERY_PATIENCE_MS);
    if (!record_intent(m))
        return migration_again(m, POLL_MS);
    if (m->held_us < 0)
        m->held_us = now_us(m);
    if (PORT(&m->ports, hypervisor, vm_suspend, m->job.vm, &was_paused, &err)) {
        /* If it just died, the pivot's next look says so. */
        (void)err_wrap(&err, "suspend the VM for the pivot");
        return migration_doubt(m, &err, SUSPEND_PATIENCE_MS);
    }
    if (was_paused && !ours) { /* by somebody else: leave it so */
        m->job.suspended = false;
        m->durable = migration_record(m);
    }
    m->still = true;
    return JOB_OK;
}
