/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /proc/PID/fd of all processes. A VM may have the device under another node,
 * in a /dev of its own, so numbers are compared and not names. But only what is
 * in some /dev is looked at: stat() of a file on a dead mount would hang us.
 */
#include "opener.h"
#include <ctype.h>
#include <dirent.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static bool is_number(const char *name)
{
    return isdigit((unsigned char)name[0]) != 0;
}

/* A directory of /proc; NULL when the process has gone. */
static DIR *open_dir(int at_fd, const char *name)
{
    _cleanup_close_ int fd =
        openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir)
        (void)TAKE_FD(fd);
    return dir;
}

static bool is_device(int fds, const char *name, dev_t device)
{
    char target[PATH_MAX];
    struct stat st;
    ssize_t n = readlinkat(fds, name, target, sizeof(target) - 1);
    if (n < 0)
        return false;
    target[n] = '\0';
    return str_starts_with(target, "/dev/") &&
           fstatat(fds, name, &st, 0) == 0 && S_ISBLK(st.st_mode) &&
           st.st_rdev == device;
}

/* fdinfo has the flags of open(), octal. What cannot be told writes. */
static bool may_write(int process, const char *name)
{
    char path[64];
    char text[512];
    (void)str_format(path, sizeof(path), "fdinfo/%.40s", name);
    _cleanup_close_ int fd = openat(process, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    text[n < 0 ? 0 : n] = '\0';
    const char *flags = strstr(text, "flags:");
    if (!flags)
        return true;
    unsigned long value = strtoul(flags + strlen("flags:"), NULL, 8);
    return (value & O_ACCMODE) != O_RDONLY;
}

static void look_at_process(int process, dev_t device, struct openers *openers)
{
    const struct dirent *entry = NULL;
    DIR *fds = open_dir(process, "fd");
    while (fds && (entry = readdir(fds))) {
        if (!is_number(entry->d_name) ||
            !is_device(dirfd(fds), entry->d_name, device))
            continue;
        openers->any = true;
        openers->writing =
            openers->writing || may_write(process, entry->d_name);
    }
    if (fds)
        (void)closedir(fds); /* read only */
}

int block_openers_find(const char *device, struct openers *ret_openers,
                       struct err *err)
{
    struct openers openers = { .any = false };
    const struct dirent *entry = NULL;
    struct stat st;
    if (stat(device, &st) < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s: %m", device);
    DIR *processes = open_dir(AT_FDCWD, "/proc");
    if (!processes)
        return err_set(err, -errno, "/proc: %m");
    while ((entry = readdir(processes))) {
        if (!is_number(entry->d_name))
            continue;
        _cleanup_close_ int process =
            openat(dirfd(processes), entry->d_name,
                   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (process >= 0)
            look_at_process(process, st.st_rdev, &openers);
    }
    (void)closedir(processes); /* read only */
    *ret_openers = openers;
    return 0;
}
