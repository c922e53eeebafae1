/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Leases: format, acquire, release, and who holds one.
 *
 * Each held lease has a registered connection of its own: sanlock takes one
 * command at a time per connection, and closing it is what frees the lease
 * should the release fail. Never more than one lease per release: the daemon's
 * stack has room for eight and no check.
 *
 * Acquiring never waits inside the daemon for a suspect owner's death
 * (OWNER_NOWAIT): that takes minutes, and eight such waits are all its workers.
 */
#include "client.h"
#include "lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sanlock_admin.h>
#include <sanlock_resource.h>
#include <sanlock_rv.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    RETRY_MIN_MS = 20,
    RETRY_MAX_MS = 200,
};

struct lease_held {
    int fd; /* the registered connection */
    struct lease_place place;
    struct sanlock_resource resource;
};

static int fail(struct err *err, enum err_code code, int rv,
                const struct sanlock_resource *resource)
{
    (void)sanlock_fail(err, code, rv, resource->disk.path, resource->disk.path);
    return err_wrap(err, "lease %s", resource->head.name);
}

int resource_format(void *ctx, const struct lease_place *place, struct err *err)
{
    struct sanlock_resource resource;

    (void)ctx;
    int rc = sanlock_resource_init(&resource, place, err);
    if (rc < 0)
        return err_default_code(err, ERR_LOCK_INIT);
    rc = sanlock_write_resource(&resource.head, 0, 0, 0);
    if (rc < 0) {
        (void)fail(err, ERR_LOCK_INIT, rc, &resource);
        return err_wrap(err, "format");
    }
    return 0;
}

int resource_clear(void *ctx, const struct lease_place *place, struct err *err)
{
    struct sanlock_resource resource;

    (void)ctx;
    int rc = sanlock_resource_init(&resource, place, err);
    if (rc < 0)
        return err_default_code(err, ERR_LOCK_INIT);
    rc = sanlock_write_resource(&resource.head, 0, 0, SANLK_WRITE_CLEAR);
    if (rc < 0) {
        (void)fail(err, ERR_LOCK_INIT, rc, &resource);
        return err_wrap(err, "clear");
    }
    return 0;
}

static void held_free(struct lease_held *held)
{
    if (!held)
        return;
    if (held->fd >= 0)
        (void)close(held->fd); /* a socket */
    free(held);
}

static void held_freep(struct lease_held **held)
{
    held_free(*held);
}

static int held_new(const struct lease_place *place,
                    struct lease_held **ret_held, struct err *err)
{
    _cleanup_(held_freep) struct lease_held *held = calloc(1, sizeof(*held));
    if (!held)
        return err_set(err, -ENOMEM, "lease: out of memory");
    held->fd = -1;
    held->place = *place;
    int rc = sanlock_resource_init(&held->resource, place, err);
    if (rc < 0)
        return err_default_code(err, ERR_ACQUIRE_LOCK);
    held->fd = sanlock_register();
    if (held->fd < 0)
        return fail(err, ERR_ACQUIRE_LOCK, held->fd, &held->resource);
    /* A program that inherits it would hold the lease after us. Until here
     * exec/ closes it in its children. */
    if (fcntl(held->fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(err, -errno, "lease: FD_CLOEXEC: %m");
    *ret_held = TAKE(held);
    return 0;
}

/* Waits a random while, so that those who want the same lease do not meet again
 * and again. False when the deadline leaves no time for another try. */
static bool wait_for_retry(int64_t deadline_ms)
{
    uint32_t random = 0;
    int64_t left_ms = deadline_ms - time_now_ms();

    if (left_ms <= 0)
        return false;
    (void)getrandom(&random, sizeof(random), GRND_NONBLOCK); /* 0 is as good */
    int64_t ms = RETRY_MIN_MS + random % (RETRY_MAX_MS - RETRY_MIN_MS + 1);
    if (ms > left_ms)
        ms = left_ms;
    const struct timespec t = { 0, ms * 1000000 };
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* shorter is fine */
    return true;
}

static int acquire(const struct lease_place *place, uint32_t flags,
                   int64_t deadline_ms, struct lease_held **ret_held,
                   struct err *err)
{
    _cleanup_(held_freep) struct lease_held *held = NULL;

    int rc = held_new(place, &held, err);
    if (!held)
        return rc;
    struct sanlk_resource *wanted[] = { &held->resource.head };
    do {
        rc = sanlock_acquire(held->fd, -1, flags | SANLK_ACQUIRE_OWNER_NOWAIT,
                             1, wanted, NULL);
    } while (sanlock_answer(rc) == SANLOCK_BUSY && wait_for_retry(deadline_ms));
    switch (sanlock_answer(rc)) {
    case SANLOCK_DONE:
        *ret_held = TAKE(held);
        return 0;
    case SANLOCK_BUSY:
        return LEASE_BUSY;
    case SANLOCK_NONE:
        return LEASE_NONE;
    default:
        (void)fail(err, ERR_ACQUIRE_LOCK, rc, &held->resource);
        return err_wrap(err, "acquire");
    }
}

int resource_acquire(void *ctx, const struct lease_place *place,
                     int64_t deadline_ms, struct lease_held **ret_held,
                     struct err *err)
{
    (void)ctx;
    return acquire(place, 0, deadline_ms, ret_held, err);
}

int resource_acquire_lvb(void *ctx, const struct lease_place *place,
                         int64_t deadline_ms, struct lease_held **ret_held,
                         struct err *err)
{
    (void)ctx;
    int rc = lvb_check(place, err);
    return rc < 0
               ? rc
               : acquire(place, SANLK_ACQUIRE_LVB, deadline_ms, ret_held, err);
}

/* The daemon sends nothing of its own accord: what can be read is the end. */
bool resource_is_held(void *ctx, const struct lease_held *held)
{
    struct pollfd end = { .fd = held->fd, .events = POLLIN };

    (void)ctx;
    return poll(&end, 1, 0) == 0;
}

int lease_confirm(const struct lease_held *held, struct err *err)
{
    char name[sizeof(held->place.lockspace) + sizeof(held->place.resource)];
    char *state = NULL;
    int count = 0;

    int rc = sanlock_inquire(held->fd, -1, 0, &count, &state);
    if (rc < 0)
        return fail(err, ERR_ACQUIRE_LOCK, rc, &held->resource);
    (void)str_format(name, sizeof(name), "%s:%s:", held->place.lockspace,
                     held->place.resource); /* as long as they are */
    bool there = state && strstr(state, name);
    free(state);
    return there ? 0
                 : err_set_code(err, ERR_ACQUIRE_LOCK, "lease %s was lost",
                                held->place.resource);
}

int lease_descriptor(const struct lease_held *held)
{
    return held->fd;
}

static int release(struct lease_held *held, struct err *err)
{
    struct sanlk_resource *all[] = { &held->resource.head };

    int rc = sanlock_release(held->fd, -1, 0, 1, all);
    if (rc >= 0)
        return 0;
    (void)fail(err, ERR_RELEASE_LOCK, rc, &held->resource);
    return err_wrap(err, "release");
}

int resource_release(void *ctx, struct lease_held *held, struct err *err)
{
    (void)ctx;
    int rc = release(held, err);
    held_free(held); /* in any case: the daemon then releases it itself */
    return rc;
}

static int release_with(struct lease_held *held, const char *lvb,
                        struct err *err)
{
    char copy[LEASE_LVB_SIZE]; /* its parameter is not const */

    memcpy(copy, lvb, sizeof(copy));
    int rc = sanlock_set_lvb(0, &held->resource.head, copy, sizeof(copy));
    if (rc < 0) {
        (void)fail(err, ERR_LVB, rc, &held->resource);
        (void)err_wrap(err, "set the data");
        (void)release(held, NULL); /* the daemon does it at the latest */
        return err_code_errno(ERR_LVB);
    }
    rc = release(held, err);
    return rc < 0 ? rc : lvb_verify(&held->place, lvb, err);
}

int resource_release_lvb(void *ctx, struct lease_held *held,
                         const char lvb[LEASE_LVB_SIZE], struct err *err)
{
    (void)ctx;
    int rc = release_with(held, lvb, err);
    held_free(held);
    return rc;
}

/* Would the owner keep others out? When in doubt: yes. Only a host that joined
 * knows how the others are. */
static bool is_alive(const char *lockspace, const struct sanlk_host *owner)
{
    struct sanlk_host *hosts = NULL;
    int count = 0;
    bool alive = true;

    if (sanlock_get_hosts(lockspace, owner->host_id, &hosts, &count, 0) < 0)
        return true;
    for (int i = 0; i < count; i++) {
        uint32_t state = hosts[i].flags & SANLK_HOST_MASK;
        if (hosts[i].host_id == owner->host_id)
            alive = state != SANLK_HOST_FREE && state != SANLK_HOST_DEAD &&
                    hosts[i].generation <= owner->generation;
    }
    free(hosts);
    return alive;
}

int resource_owner(void *ctx, const struct lease_place *place,
                   struct lease_owner *ret_owner, struct err *err)
{
    struct sanlock_resource resource;
    struct sanlk_host *owners = NULL;
    int count = 0;

    (void)ctx;
    int rc = sanlock_resource_init(&resource, place, err);
    if (rc < 0)
        return err_default_code(err, ERR_STORAGE);
    rc = sanlock_read_resource_owners(&resource.head, 0, &owners, &count);
    /* It does not say what it found instead of the lease; this does. */
    if (rc == -EINVAL)
        rc = sanlock_read_resource(&resource.head, 0);
    if (sanlock_answer(rc) == SANLOCK_NONE)
        return LEASE_NONE;
    if (rc < 0) {
        (void)fail(err, ERR_STORAGE, rc, &resource);
        return err_wrap(err, "read the owner");
    }
    struct lease_owner owner = { .version = resource.head.lver };
    for (int i = 0; i < count && owner.host_id == 0; i++) {
        if (is_alive(place->lockspace, &owners[i]))
            owner.host_id = owners[i].host_id;
    }
    free(owners);
    *ret_owner = owner;
    return 0;
}
