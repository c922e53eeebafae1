/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who on this host has something of an export open: the names in /proc, which
 * the kernel knows without its server. sanlock has the leases open as long as
 * the domain is joined. What we ourselves have open ends by itself.
 */
#include "nfs.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* What is looked for. */
struct place {
    const char *path; /* where an export is mounted */
    const char *sd;   /* NULL: everything counts */
};

/* @target: what a link in /proc names. Another domain on the same export keeps
 * that mounted, but not this one in use. */
static bool is_use(const struct place *place, const char *target)
{
    char first[UUID_SIZE] = "";
    if (!path_is_within(target, place->path))
        return false;
    const char *rest = target + strlen(place->path);
    if (!*rest || !place->sd)
        return true;
    (void)str_copy(first, sizeof(first), ++rest);
    if (!uuid_is_valid(first))
        return true;
    return str_equal(first, place->sd) &&
           !path_is_within(rest + strlen(first), "/dom_md");
}

static bool names_use(int dir, const char *link, const struct place *place)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, link, target, sizeof(target) - 1);
    target[n < 0 ? 0 : n] = '\0';
    return n > 0 && is_use(place, target);
}

/* One that has gone uses nothing. */
static bool uses(const struct domain_dir *process, const struct place *place)
{
    _cleanup_dir_ struct domain_dir fds = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    if (names_use(process->fd, "cwd", place) ||
        names_use(process->fd, "root", place))
        return true;
    if (domain_dir_open_below(process, "fd", &fds, NULL) != 0 ||
        domain_dir_list(&fds, &names, NULL) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        if (names_use(fds.fd, names.names[i], place))
            return true;
    }
    return false;
}

static int refuse(const struct domain_dir *process, const char *pid,
                  const struct place *place, struct err *err)
{
    char name[32] = "?\n";
    _cleanup_close_ int fd = openat(process->fd, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
    if (n > 0)
        name[n] = '\0';
    str_make_line(name);
    (void)err_set_code(err, ERR_RELEASE_HOST_ID,
                       "%s%s is in use on this host: process %s (%s)",
                       place->sd ? "domain " : "",
                       place->sd ? place->sd : place->path, pid, name);
    return err_next(err, "end what uses it: lsof -w %s", place->path);
}

int nfs_check_unused(const char *path, const char *sd, struct err *err)
{
    const struct place place = { .path = path, .sd = sd };
    _cleanup_dir_ struct domain_dir processes = DOMAIN_DIR_INIT;
    _cleanup_names_ struct domain_names names = { 0 };
    char self[16];
    (void)str_format(self, sizeof(self), "%d", getpid());
    int rc = domain_dir_open("/proc", &processes, err);
    if (rc == 0)
        rc = domain_dir_list(&processes, &names, err);
    if (rc != 0)
        return err_set(err, -EIO, "/proc cannot be read");
    for (size_t i = 0; i < names.n; i++) {
        _cleanup_dir_ struct domain_dir process = DOMAIN_DIR_INIT;
        const char *pid = names.names[i];
        if (!isdigit((unsigned char)pid[0]) || str_equal(pid, self) ||
            domain_dir_open_below(&processes, pid, &process, NULL) != 0)
            continue;
        if (uses(&process, &place))
            return refuse(&process, pid, &place, err);
    }
    return 0;
}
