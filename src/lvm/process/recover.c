/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An LVM that is killed while it changes an open LV may leave it suspended:
 * whoever writes to it hangs. In the kernel then waits a second, inactive table
 * which becomes the live one when anybody resumes the device. It may map
 * extents that the metadata does not give to this LV, when LVM died before its
 * commit; another host gives them to another LV. So the inactive table is
 * thrown away first. What the metadata says comes with the next refresh.
 *
 * Other LVM commands of this host are kept out by LVM's own lock file: for them
 * a suspended device is a step on their way.
 */
#include "recover.h"
#include "../settings.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
    LOCK_MS = 20 * 1000,
    LOCK_STEP_MS = 50,
    BUSY = 1,
    PREFIX_LEN = 36, /* "LVM-" and the VG's 32 characters */
};

/* LVM removes its lock file when it is done: the one we have open may be gone
 * by the time we get the lock. */
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, theirs;
    return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/* 0, BUSY or -errno. */
static int try_lock(const char *path, int *ret_fd)
{
    _cleanup_close_ int fd =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_still_there(fd, path))
        return BUSY;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int lock_vg(const char *vg, int *ret_fd, struct err *err)
{
    const struct timespec step = { 0, LOCK_STEP_MS * 1000000L };
    int64_t until_ms = time_now_ms() + LOCK_MS;
    char path[PATH_MAX];
    int rc = BUSY;
    if (!str_format(path, sizeof(path), "%s/V_%s", LVM_LOCK_DIR, vg))
        return err_set(err, -ENAMETOOLONG, "VG %s: too long a name", vg);
    while (rc == BUSY && time_now_ms() < until_ms) {
        rc = try_lock(path, ret_fd);
        if (rc == BUSY)
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
    }
    errno = -rc;
    if (rc < 0)
        return err_set(err, rc, "%s: %m", path);
    if (rc == 0)
        return 0;
    return err_set(err, -ETIMEDOUT, "%s: another LVM command keeps it locked",
                   path);
}

static bool do_task(int type, const char *name)
{
    struct dm_task *task = dm_task_create(type);
    bool done = task && dm_task_set_name(task, name) && dm_task_run(task);
    if (task)
        dm_task_destroy(task);
    return done;
}

/* False when it is none of the VG's LVs. */
static bool get_info(const char *name, const char *prefix,
                     struct dm_info *ret_info)
{
    struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
    bool found = false;
    if (task && dm_task_set_name(task, name) && dm_task_run(task) &&
        dm_task_get_info(task, ret_info) && ret_info->exists) {
        const char *uuid = dm_task_get_uuid(task);
        found = uuid && str_starts_with(uuid, prefix);
    }
    if (task)
        dm_task_destroy(task);
    return found;
}

static int recover_device(const char *name, const char *prefix, unsigned *count,
                          struct err *err)
{
    struct dm_info info;
    if (!get_info(name, prefix, &info) ||
        (!info.suspended && !info.inactive_table))
        return 0;
    if (info.inactive_table && !do_task(DM_DEVICE_CLEAR, name))
        return err_set(err, -EIO, "%s: cannot clear its inactive table", name);
    if (info.suspended && !do_task(DM_DEVICE_RESUME, name))
        return err_set(err, -EIO, "%s: cannot resume it", name);
    (*count)++;
    return 0;
}

static int recover_all(const struct dm_names *names, const char *prefix,
                       unsigned *count, struct err *err)
{
    int rc = 0;
    while (rc == 0 && names->dev) {
        rc = recover_device(names->name, prefix, count, err);
        if (names->next == 0)
            break;
        names = (const void *)((const char *)names + names->next);
    }
    return rc;
}

int recover(const char *vg, const char *vg_uuid, unsigned *ret_count,
            struct err *err)
{
    _cleanup_close_ int lock_fd = -1;
    char prefix[PREFIX_LEN + 1] = "LVM-";
    size_t len = strlen(prefix);
    unsigned count = 0;

    for (const char *p = vg_uuid; *p && len < sizeof(prefix) - 1; p++) {
        if (*p != '-')
            prefix[len++] = *p;
    }
    if (len != PREFIX_LEN) /* or other VGs' devices would match */
        return err_set(err, -EBADMSG, "VG %s: \"%s\" is no UUID", vg, vg_uuid);
    int rc = lock_vg(vg, &lock_fd, err);
    if (rc < 0)
        return rc;
    struct dm_task *task = dm_task_create(DM_DEVICE_LIST);
    const struct dm_names *names =
        task && dm_task_run(task) ? dm_task_get_names(task) : NULL;
    if (names)
        rc = recover_all(names, prefix, &count, err);
    else
        rc = err_set(err, -EIO, "the kernel's device-mapper does not answer");
    if (task)
        dm_task_destroy(task);
    if (rc == 0)
        *ret_count = count;
    return rc;
}
