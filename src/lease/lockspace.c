/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lockspaces: formatted once per domain, joined by each host with its id.
 *
 * They are formatted with the I/O timeout that they are joined with: the first
 * join waits as long as the timeout on the disk says, not as we ask for.
 *
 * A host id that another host's name stands beside is not ours until that host
 * is certainly dead (8 x timeout + 60 s), even when it is gone. sanlock makes
 * up a new name at each start unless it is told one: that is why this host
 * needs a name that stays.
 */
#include "client.h"
#include "lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <sanlock_admin.h>
#include <sanlock_rv.h>
#include <string.h>
#include <time.h>

enum {
    SLOT_GENERATION_OFFSET = 0x28, /* in a host's slot of the ids file: */
    SLOT_NAME_OFFSET = 0x68,       /* how often it joined, and its name */
    HOSTS_MAX = 2000,
    DIRECT_IO_SIZE = 4096, /* a multiple of every sector size */
    LEAVING_STEP_MS = 200,
    LEAVING_SPARE_S = 10,
};

int lockspace_format(void *ctx, const struct lease_place *lockspace,
                     struct err *err)
{
    const struct leases *leases = ctx;
    struct sanlk_lockspace ls;

    int rc = sanlock_lockspace_init(&ls, lockspace, 0, err);
    if (rc < 0)
        return err_default_code(err, ERR_LOCK_INIT);
    rc = sanlock_write_lockspace(&ls, 0, 0, leases->io_timeout_s);
    if (rc < 0) {
        (void)sanlock_fail(err, ERR_LOCK_INIT, rc, lockspace->path,
                           lockspace->path);
        return err_wrap(err, "format lockspace %s", lockspace->lockspace);
    }
    return 0;
}

void lockspace_slot_name(const struct lease_place *lockspace, unsigned host_id,
                         char ret_name[LOCKSPACE_NAME_SIZE])
{
    uint64_t slot = (uint64_t)(host_id - 1) * lockspace->block_size;
    uint64_t begin = slot / DIRECT_IO_SIZE * DIRECT_IO_SIZE;
    _cleanup_free_ char *data = aligned_alloc(DIRECT_IO_SIZE, DIRECT_IO_SIZE);
    /* Direct: the page cache does not know what sanlock writes. */
    _cleanup_close_ int fd =
        open(lockspace->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    ret_name[0] = '\0';
    if (!data || fd < 0 ||
        pread(fd, data, DIRECT_IO_SIZE, (off_t)begin) != DIRECT_IO_SIZE)
        return;
    memcpy(ret_name, data + (slot - begin) + SLOT_NAME_OFFSET, SANLK_NAME_LEN);
    ret_name[LOCKSPACE_NAME_SIZE - 1] = '\0';
    if (!str_is_utf8(ret_name, strlen(ret_name)))
        ret_name[0] = '\0';
}

static int fail_busy_id(const struct leases *leases,
                        const struct lease_place *lockspace, unsigned host_id,
                        struct err *err)
{
    char name[LOCKSPACE_NAME_SIZE];

    lockspace_slot_name(lockspace, host_id, name);
    (void)err_set_code(err, ERR_ACQUIRE_HOST_ID,
                       "lockspace %s: host id %u is in use by another host"
                       "%s%s",
                       lockspace->lockspace, host_id, name[0] ? ": " : "",
                       name);
    (void)err_next(err,
                   "give each host its own id ([host] id in drayd.conf); if "
                   "that host is this one under an earlier name, or is dead, "
                   "try again in %u s",
                   8 * leases->io_timeout_s + 60);
    return err_code_errno(ERR_ACQUIRE_HOST_ID);
}

/* sanlock said EINVAL: a lockspace of this name is joined, but not like this.
 * Says how, when that is so. */
static bool fail_conflict(const struct sanlk_lockspace *ours, struct err *err)
{
    struct sanlk_lockspace *all = NULL;
    int count = 0;
    bool found = false;

    if (sanlock_get_lockspaces(&all, &count, 0) < 0)
        return false;
    for (int i = 0; i < count && !found; i++) {
        found = strncmp(all[i].name, ours->name, SANLK_NAME_LEN) == 0;
        if (!found)
            continue;
        (void)err_set_code(err, ERR_ACQUIRE_HOST_ID,
                           "lockspace %s is joined already, with host id %u "
                           "in %s",
                           ours->name, (unsigned)all[i].host_id,
                           all[i].host_id_disk.path);
        (void)err_next(err, "leave it there first, or set [host] id = %u",
                       (unsigned)all[i].host_id);
    }
    free(all);
    return found;
}

static int fail_join(const struct leases *leases,
                     const struct lease_place *lockspace,
                     const struct sanlk_lockspace *ls, int rv, struct err *err)
{
    if (rv == SANLK_HOSTID_BUSY)
        return fail_busy_id(leases, lockspace, (unsigned)ls->host_id, err);
    if (rv == -EINVAL && fail_conflict(ls, err))
        return err_code_errno(ERR_ACQUIRE_HOST_ID);
    (void)sanlock_fail(err, ERR_ACQUIRE_HOST_ID, rv, lockspace->path,
                       lockspace->path);
    return err_wrap(err, "join lockspace %s with host id %u",
                    lockspace->lockspace, (unsigned)ls->host_id);
}

static int check_watchdog(struct leases *leases, struct err *err)
{
    struct leases_status status;

    if (!leases->require_watchdog)
        return 0;
    int rc = leases_status(leases, &status, err);
    if (rc < 0)
        return err_default_code(err, ERR_ACQUIRE_HOST_ID);
    if (status.use_watchdog)
        return 0;
    (void)err_set_code(err, ERR_ACQUIRE_HOST_ID,
                       "sanlock runs without a watchdog: a host that loses "
                       "its storage would not be stopped");
    (void)err_next(err, "remove \"-w 0\" from /etc/default/sanlock, enable "
                        "wdmd, restart sanlock; or set require_watchdog = no "
                        "in drayd.conf");
    return err_code_errno(ERR_ACQUIRE_HOST_ID);
}

static void sleep_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* shorter is fine */
}

/* How long another one's leaving or joining may take, at most. */
static int64_t settle_deadline_ms(const struct leases *leases)
{
    return time_now_ms() +
           1000 * (4 * (int64_t)leases->io_timeout_s + LEAVING_SPARE_S);
}

static int add_lockspace(const struct leases *leases,
                         struct sanlk_lockspace *ls)
{
    int64_t deadline_ms = settle_deadline_ms(leases);

    for (;;) {
        int rv = sanlock_add_lockspace_timeout(ls, 0, leases->io_timeout_s);
        if (rv == -EEXIST)
            return 0;
        /* Somebody else joins it right now: its result is ours. When it
         * failed, the next try says why. */
        if (rv == -EINPROGRESS)
            (void)sanlock_inq_lockspace(ls, SANLK_INQ_WAIT);
        else if (rv != -EAGAIN) /* that: being left */
            return rv;
        if (time_now_ms() >= deadline_ms)
            return rv;
        sleep_ms(LEAVING_STEP_MS);
    }
}

int lockspace_join(void *ctx, const struct lease_place *lockspace,
                   unsigned host_id, struct err *err)
{
    struct leases *leases = ctx;
    struct sanlk_lockspace ls;

    int rc = sanlock_lockspace_init(&ls, lockspace, host_id, err);
    if (rc < 0)
        return err_default_code(err, ERR_ACQUIRE_HOST_ID);
    rc = check_watchdog(leases, err);
    if (rc < 0)
        return rc;
    rc = add_lockspace(leases, &ls);
    return rc < 0 ? fail_join(leases, lockspace, &ls, rc, err) : 0;
}

/* UNUSED: without it sanlock would kill who holds a lease there. */
static int remove_lockspace(const struct leases *leases,
                            struct sanlk_lockspace *ls)
{
    int64_t deadline_ms = settle_deadline_ms(leases);

    for (;;) {
        int rv = sanlock_rem_lockspace(ls, SANLK_REM_UNUSED);
        if (rv != -EINPROGRESS || time_now_ms() >= deadline_ms)
            return rv;
        sleep_ms(LEAVING_STEP_MS);
    }
}

int lockspace_leave(void *ctx, const struct lease_place *lockspace,
                    unsigned host_id, struct err *err)
{
    const struct leases *leases = ctx;
    struct sanlk_lockspace ls;

    int rc = sanlock_lockspace_init(&ls, lockspace, host_id, err);
    if (rc < 0)
        return err_default_code(err, ERR_RELEASE_HOST_ID);
    rc = remove_lockspace(leases, &ls);
    /* Not joined; also when there is no daemon that could be in it. */
    if (rc == 0 || rc == -ENOENT || rc == -ECONNREFUSED)
        return 0;
    if (rc == -EBUSY) {
        (void)err_set_code(err, ERR_RELEASE_HOST_ID,
                           "lockspace %s: leases in it are held on this host",
                           lockspace->lockspace);
        (void)err_next(err, "wait until the jobs that hold them have ended "
                            "(sanlock client status shows them)");
        return err_code_errno(ERR_RELEASE_HOST_ID);
    }
    (void)sanlock_fail(err, ERR_RELEASE_HOST_ID, rc, lockspace->path,
                       lockspace->path);
    return err_wrap(err, "leave lockspace %s", lockspace->lockspace);
}

/* --- other hosts --------------------------------------------------------- */

/* One that came back since has another generation, but has come back. */
bool lockspace_host_lives(void *ctx, const struct lease_place *lockspace,
                          unsigned host_id)
{
    struct sanlk_host *hosts = NULL;
    int count = 0;
    bool lives = true;

    (void)ctx;
    if (sanlock_get_hosts(lockspace->lockspace, host_id, &hosts, &count, 0) < 0)
        return true;
    for (int i = 0; i < count; i++) {
        uint32_t state = hosts[i].flags & SANLK_HOST_MASK;
        if (hosts[i].host_id == host_id)
            lives = state != SANLK_HOST_FREE && state != SANLK_HOST_DEAD;
    }
    free(hosts);
    return lives;
}

static bool was_joined(const char *slots, unsigned host_id, size_t slot_size)
{
    uint64_t generation = 0;

    memcpy(&generation,
           slots + (host_id - 1) * slot_size + SLOT_GENERATION_OFFSET,
           sizeof(generation)); /* of either byte order: nonzero */
    return generation != 0;
}

bool lockspace_has_others(void *ctx, const struct lease_place *lockspace,
                          unsigned host_id)
{
    const size_t slot_size = lockspace->block_size;
    const size_t size = lockspace->alignment;
    const unsigned hosts = (unsigned)(size / slot_size);
    _cleanup_free_ char *slots = aligned_alloc(DIRECT_IO_SIZE, size);
    /* Direct: the page cache does not know what others write. */
    _cleanup_close_ int fd =
        open(lockspace->path, O_RDONLY | O_DIRECT | O_CLOEXEC);

    (void)ctx;
    if (!slots || fd < 0 || pread(fd, slots, size, 0) != (ssize_t)size)
        return true;
    for (unsigned id = 1; id <= hosts && id <= HOSTS_MAX; id++) {
        if (id != host_id && was_joined(slots, id, slot_size))
            return true;
    }
    return false;
}
