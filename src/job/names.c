/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words for states and kinds, as the journal stores them and clients read
 * them. They are part of the on-disk format: never rename one.
 */
#include <dray/job.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const state_names[JOB_STATE_COUNT] = {
    [JOB_PLANNED] = "planned",     [JOB_PREPARING] = "preparing",
    [JOB_FREEZING] = "freezing",   [JOB_SYNCING] = "syncing",
    [JOB_VERIFYING] = "verifying", [JOB_SETTLING] = "settling",
    [JOB_STARTING] = "starting",   [JOB_CONVERGING] = "converging",
    [JOB_PIVOTING] = "pivoting",   [JOB_RETURNING] = "returning",
    [JOB_PIVOTED] = "pivoted",     [JOB_COMMITTING] = "committing",
    [JOB_FOLDING] = "folding",     [JOB_FOLDED] = "folded",
    [JOB_RELEASING] = "releasing", [JOB_ABORTING] = "aborting",
    [JOB_REMOVING] = "removing",   [JOB_DONE] = "done",
    [JOB_FAILED] = "failed",       [JOB_CANCELLED] = "cancelled",
};

static const char *const kind_names[JOB_KIND_COUNT] = {
    [JOB_DISK_MIGRATE] = "disk_migrate", [JOB_REPLICATE] = "disk_replicate",
    [JOB_SNAPSHOT] = "snapshot",         [JOB_MERGE] = "merge",
    [JOB_CLONE] = "clone_structure",     [JOB_SYNC] = "sync_data",
    [JOB_COPY] = "image_copy",           [JOB_MOVE] = "image_move",
    [JOB_COPY_DATA] = "copy_data",       [JOB_MOVE_DATA] = "move_data",
    [JOB_UPDATE] = "update_volume",      [JOB_VM_MIGRATE] = "vm_migrate",
    [JOB_VM_RECEIVE] = "vm_receive",
};

static const char *const strategy_names[] = {
    [JOB_MIRROR] = "mirror",
    [JOB_BY_SNAPSHOT] = "snapshot",
};

static const char *const scope_names[] = {
    [JOB_ALL] = "ALL",
    [JOB_INTERNAL] = "INTERNAL",
    [JOB_LEAF] = "LEAF",
};

/* The index of @name, -EINVAL if it is none of them. */
static int find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -EINVAL;
}

const char *job_state_name(enum job_state state)
{
    assert((unsigned)state < JOB_STATE_COUNT);
    return state_names[state];
}

int job_state_parse(const char *name, enum job_state *ret_state)
{
    int i = find(state_names, JOB_STATE_COUNT, name);

    if (i < 0)
        return i;
    *ret_state = (enum job_state)i;
    return 0;
}

const char *job_kind_name(enum job_kind kind)
{
    assert((unsigned)kind < JOB_KIND_COUNT);
    return kind_names[kind];
}

int job_kind_parse(const char *name, enum job_kind *ret_kind)
{
    int i = find(kind_names, JOB_KIND_COUNT, name);

    if (i < 0)
        return i;
    *ret_kind = (enum job_kind)i;
    return 0;
}

const char *job_strategy_name(enum job_strategy strategy)
{
    assert((size_t)strategy < ARRAY_SIZE(strategy_names));
    return strategy_names[strategy];
}

const char *job_scope_name(enum job_scope scope)
{
    assert((size_t)scope < ARRAY_SIZE(scope_names));
    return scope_names[scope];
}
