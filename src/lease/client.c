/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The border to sanlock's client library: its structs and its numbers.
 *
 * Its return values are negative errnos of the daemon or of the socket to it,
 * and its own from -201 down; a missing socket and a missing lockspace are both
 * -ENOENT, so some errors need a second question to the daemon.
 */
#include "client.h"

#include <dray/base/util.h>
#include <errno.h>
#include <sanlock_admin.h>
#include <sanlock_rv.h>
#include <string.h>

enum {
    MIB = 1024 * 1024
};

int sanlock_geometry(const struct lease_place *place, uint32_t *ret_flags,
                     struct err *err)
{
    static const struct {
        unsigned block_size, alignment;
        uint32_t flags;
    } known[] = {
        {512,   1 * MIB, SANLK_RES_SECTOR512 | SANLK_RES_ALIGN1M},
        { 4096, 1 * MIB, SANLK_RES_SECTOR4K | SANLK_RES_ALIGN1M },
        { 4096, 2 * MIB, SANLK_RES_SECTOR4K | SANLK_RES_ALIGN2M },
        { 4096, 4 * MIB, SANLK_RES_SECTOR4K | SANLK_RES_ALIGN4M },
        { 4096, 8 * MIB, SANLK_RES_SECTOR4K | SANLK_RES_ALIGN8M },
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i].block_size == place->block_size &&
            known[i].alignment == place->alignment) {
            *ret_flags = known[i].flags;
            return 0;
        }
    }
    return err_set(err, -EINVAL,
                   "%s: sanlock has no leases with %u byte blocks in areas of "
                   "%u bytes",
                   place->path, place->block_size, place->alignment);
}

/* Names in sanlock's structs need no NUL, but all of ours have one. */
static int fill_name(char dst[SANLK_NAME_LEN], const char *name,
                     struct err *err)
{
    if (name[0] == '\0' || !str_copy(dst, SANLK_NAME_LEN, name))
        return err_set(err, -EINVAL, "\"%.64s\" is no name for a lease", name);
    return 0;
}

static int fill_disk(struct sanlk_disk *disk, const char *path, uint64_t offset,
                     struct err *err)
{
    if (!str_copy(disk->path, sizeof(disk->path), path))
        return err_set(err, -EINVAL, "%.64s...: too long a path for sanlock",
                       path);
    disk->offset = offset;
    return 0;
}

int sanlock_resource_init(struct sanlock_resource *ret_resource,
                          const struct lease_place *place, struct err *err)
{
    struct sanlock_resource resource;

    memset(&resource, 0, sizeof(resource));
    int rc = sanlock_geometry(place, &resource.head.flags, err);
    if (rc == 0)
        rc = fill_name(resource.head.lockspace_name, place->lockspace, err);
    if (rc == 0)
        rc = fill_name(resource.head.name, place->resource, err);
    if (rc == 0)
        rc = fill_disk(&resource.disk, place->path, place->offset, err);
    if (rc < 0)
        return rc;
    resource.head.num_disks = 1;
    *ret_resource = resource;
    return 0;
}

int sanlock_lockspace_init(struct sanlk_lockspace *ret_lockspace,
                           const struct lease_place *place, uint64_t host_id,
                           struct err *err)
{
    struct sanlk_lockspace lockspace;

    memset(&lockspace, 0, sizeof(lockspace));
    int rc = sanlock_geometry(place, &lockspace.flags, err);
    if (rc == 0)
        rc = fill_name(lockspace.name, place->lockspace, err);
    if (rc == 0)
        rc = fill_disk(&lockspace.host_id_disk, place->path, 0, err);
    if (rc < 0)
        return rc;
    lockspace.host_id = host_id;
    *ret_lockspace = lockspace;
    return 0;
}

enum sanlock_answer sanlock_answer(int rv)
{
    switch (rv) {
    case 0:
        return SANLOCK_DONE;
    case -EEXIST:      /* another holder on this host */
    case -EINPROGRESS: /* being added for another one here */
    case -EBUSY:       /* the same, or the connection is in use */
    case -EAGAIN:      /* being released here, or has live sharers */
    case SANLK_ACQUIRE_IDLIVE:
    case SANLK_ACQUIRE_OWNED:
    case SANLK_ACQUIRE_OTHER:
    case SANLK_ACQUIRE_SHRETRY:
    case SANLK_ACQUIRE_OWNED_RETRY: /* its owner is perhaps dead */
        return SANLOCK_BUSY;
    case SANLK_LEADER_MAGIC:
    case SANLK_LEADER_LOCKSPACE:
    case SANLK_LEADER_RESOURCE:
        return SANLOCK_NONE;
    default:
        return SANLOCK_ERROR;
    }
}

const char *sanlock_text(int rv)
{
    /* Those that people meet, in words; sanlock's own are constants. */
    switch (rv) {
    case SANLK_AIO_TIMEOUT:
        return "the storage did not answer in time";
    case SANLK_WD_ERROR:
        return "no watchdog daemon (wdmd) answers";
    case SANLK_LEADER_MAGIC:
        return "there is no lease";
    case SANLK_LEADER_LOCKSPACE:
        return "it belongs to another lockspace";
    case SANLK_LEADER_RESOURCE:
        return "another lease is there";
    case SANLK_LEADER_CHECKSUM:
        return "its checksum is wrong";
    case SANLK_HOSTID_BUSY:
        return "another host uses this host id";
    case SANLK_ADDLS_INVALID_HOSTID:
        return "no such host id in this lockspace";
    case -ENODEV:
        return "the sanlock daemon cannot open it";
    default:
        break;
    }
    if (rv <= SANLK_ERROR)
        return sanlock_strerror(rv);
    const char *text = strerrordesc_np(-rv);
    return text ? text : "unknown error";
}

/* There is no daemon to talk to. */
static bool sanlock_is_down(void)
{
    uint32_t version = 0, proto = 0;

    return sanlock_version(0, &version, &proto) < 0;
}

static bool may_mean_down(int rv)
{
    switch (rv) {
    case -ENOENT:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ENOTCONN:
    case -EPIPE:
    case -EACCES:
    case -EPERM:
        return true;
    default:
        return false;
    }
}

static void add_next(struct err *err, int rv, const char *path)
{
    switch (rv) {
    case -ENODEV:
    case -EACCES:
    case -ENOENT:
        (void)err_next(err,
                       "%s must be visible to the sanlock daemon (mounted "
                       "before it started a mount namespace) and writable for "
                       "its user",
                       path);
        break;
    case -ENOSPC:
        (void)err_next(err, "join the storage domain on this host first");
        break;
    case SANLK_WD_ERROR:
        (void)err_next(err, "start wdmd, or run sanlock with -w 0 where "
                            "nothing depends on fencing");
        break;
    case SANLK_AIO_TIMEOUT:
        (void)err_next(err, "check the storage behind %s", path);
        break;
    default:
        break;
    }
}

int sanlock_fail(struct err *err, enum err_code code, int rv, const char *path,
                 const char *what)
{
    if (may_mean_down(rv) && sanlock_is_down()) {
        (void)err_set_code(err, code, "%s: sanlock is not running", what);
        (void)err_next(err, "systemctl start sanlock");
        return err_code_errno(code);
    }
    if (rv == -ENOSPC)
        (void)err_set_code(err, code,
                           "%s: this host has not joined the lockspace, or "
                           "is losing it",
                           what);
    else
        (void)err_set_code(err, code, "%s: %s (sanlock: %d)", what,
                           sanlock_text(rv), rv);
    add_next(err, rv, path);
    return err_code_errno(code);
}
