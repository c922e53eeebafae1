/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A new JOB_SYNC copies again what an earlier one finished: LEGAL is the mark
 * of a finished volume (sync.c), so it is taken away first. In JOB_PLANNED
 * only: a volume that is LEGAL later was finished by this job.
 */
#include "ask.h"

void scope_range(enum job_scope scope, size_t n, size_t *ret_first,
                 size_t *ret_end)
{
    *ret_first = scope == JOB_LEAF && n > 0 ? n - 1 : 0;
    *ret_end = scope == JOB_INTERNAL && n > 0 ? n - 1 : n;
}

static int renew_one(const struct disk *d, const struct storage_chain *chain,
                     size_t i, struct err *err)
{
    const struct volume_info *volume = &chain->volumes[i];
    struct migrate_users users;
    int rc = 0;

    if (volume->legality != VOLUME_LEGAL)
        return 0;
    rc = migrate_find_users(&d->m->ports, d->of->dst_sd, d->of->img, &users,
                            err);
    if (rc == 0)
        rc = users_check_unused(&users, chain, i, i + 1, err);
    if (rc == 0)
        rc = PORT(&d->m->ports, storage, volume_set_legality, &volume->id,
                  VOLUME_ILLEGAL, err);
    return rc;
}

enum job_outcome sync_renew(struct disk *d)
{
    struct migration *m = d->m;
    struct storage_chain chain = { 0 };
    struct err err = ERR_INIT;
    size_t first = 0, end = 0;
    int rc = ask_chain(&m->ports, d->of->dst_sd, d->of->img, d->of->leaf,
                       &chain, &err);

    scope_range(m->job.scope, chain.n, &first, &end);
    for (size_t i = first; rc == 0 && i < end; i++)
        rc = renew_one(d, &chain, i, &err);
    storage_chain_deinit(&chain);
    return rc ? migration_storage_failed(m, &err) : JOB_OK;
}
