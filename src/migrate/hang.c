/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A destination that does not answer any more: a path that is gone, a device
 * that is suspended, a server that went away.
 *
 * The guest does not notice: it writes to the source. But qemu waits for the
 * destination before it ends a mirror, and all of qemu, the guest too, stands
 * meanwhile. So nothing is ended before the destination answers, or is made to
 * answer: an LV is cut off, and all that waits for it fails. A file cannot be;
 * its mirror is left alone until the storage is back.
 *
 * Slow is not dead: silent for HANG_MS, and nothing moved in that time.
 */
#include "migration.h"

#include <errno.h>

enum {
    SILENT_RETRY_MS = 1000,
};

/* By the copier, or by a mirror. */
static struct volume_id written(const struct disk *d)
{
    const struct storage_chain *chain = &d->chain;
    bool copies = d->copy && d->layer < chain->n;

    return disk_target(d,
                       copies ? chain->volumes[d->layer].id.vol : disk_top(d));
}

static bool volume_answers(const struct migration *m,
                           const struct volume_id *id)
{
    struct err ignored = ERR_INIT; /* an error is an answer, too */

    return PORT(&m->ports, storage, volume_probe, id, PROBE_PATIENCE_MS,
                &ignored) != -ETIMEDOUT;
}

static bool answers(const struct disk *d)
{
    const struct volume_id id = written(d);

    return !d->of->dst_sd[0] || volume_answers(d->m, &id);
}

static uint64_t moved(const struct disk *d)
{
    return d->mirror.done + d->copied;
}

enum job_outcome hang_watch(struct disk *d)
{
    struct migration *m = d->m;
    int64_t now_ms = migration_now_ms(m);

    if (answers(d)) {
        d->silent_ms = 0;
        return JOB_OK;
    }
    if (d->silent_ms == 0 || moved(d) != d->moved) {
        d->silent_ms = now_ms;
        d->moved = moved(d);
    }
    if (now_ms - d->silent_ms < HANG_MS)
        return migration_again(m, POLL_MS);
    return migration_fail_text(m, ERR_NOT_RESPONDING,
                               "the destination of disk %s, domain %s, has "
                               "not answered for %d s",
                               d->of->target[0] ? d->of->target : d->of->img,
                               d->of->dst_sd, HANG_MS / 1000);
}

static enum job_outcome sever(struct disk *d)
{
    const struct volume_id id = written(d);
    struct migration *m = d->m;
    struct err err = ERR_INIT;
    int rc = PORT(&m->ports, storage, volume_sever, &id, &err);

    if (rc == 0) {
        d->severed = true;
        migration_warn(m,
                       "volume %s on domain %s did not answer: it was cut "
                       "off",
                       id.vol, id.sd);
        return JOB_OK;
    }
    migration_warn(m,
                   "domain %s does not answer: the job waits until it does, "
                   "since the VM would stand if it were ended now%s%.120s",
                   id.sd, rc == -EOPNOTSUPP ? "" : "; ",
                   rc == -EOPNOTSUPP ? "" : err.message);
    return migration_again(m, SILENT_RETRY_MS);
}

enum job_outcome hang_free(struct disk *d)
{
    if (d->severed || answers(d))
        return JOB_OK;
    return sever(d);
}

static int free_volume(const struct disk *d, const char *vol, struct err *err)
{
    const struct volume_id id = disk_target(d, vol);
    struct err why = ERR_INIT;
    int rc;

    if (volume_answers(d->m, &id))
        return 0;
    rc = PORT(&d->m->ports, storage, volume_sever, &id, &why);
    return rc ? err_set_code(err, ERR_NOT_RESPONDING, "domain %s is silent",
                             id.sd)
              : 0;
}

int hang_free_all(struct disk *d, struct err *err)
{
    int rc = disk_load_chain(d, err);

    for (size_t i = 0; rc == 0 && i < d->chain.n; i++)
        rc = free_volume(d, d->chain.volumes[i].id.vol, err);
    if (rc == 0 && d->of->overlay[0])
        rc = free_volume(d, d->of->overlay, err);
    return rc;
}
