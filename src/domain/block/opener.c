/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * /proc/PID/fd of all processes. A VM may have the device under another node,
 * in a /dev of its own, so numbers are compared and not names. But only what is
 * in some /dev is looked at: stat() of a file on a dead mount would hang us.
 */
#include "opener.h"
#include "../dir.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

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

/* One that has gone has nothing open. */
static void look_at_process(const struct domain_dir *process, dev_t device,
                            struct openers *openers)
{
    _cleanup_dir_ struct domain_dir fds = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    if (domain_dir_open_below(process, "fd", &fds, NULL) != 0 ||
        domain_dir_list(&fds, &names, NULL) < 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        if (!is_device(fds.fd, names.names[i], device))
            continue;
        openers->any = true;
        openers->writing =
            openers->writing || may_write(process->fd, names.names[i]);
    }
}

int block_openers_find(const char *device, struct openers *ret_openers,
                       struct err *err)
{
    _cleanup_dir_ struct domain_dir processes = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    struct openers openers = { .any = false };
    struct stat st;
    if (stat(device, &st) < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s: %m", device);
    int rc = domain_dir_open("/proc", &processes, err);
    if (rc == 0)
        rc = domain_dir_list(&processes, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        _cleanup_dir_ struct domain_dir process = DOMAIN_DIR_INIT;
        if (isdigit((unsigned char)names.names[i][0]) &&
            domain_dir_open_below(&processes, names.names[i], &process, NULL) ==
                0)
            look_at_process(&process, st.st_rdev, &openers);
    }
    if (rc != 0)
        return err_set(err, -EIO, "/proc cannot be read");
    *ret_openers = openers;
    return 0;
}
