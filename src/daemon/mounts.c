/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where drayd mounts. A service with a sandbox has a mount namespace of its
 * own, and what it mounts there nobody else sees: not qemu, and not sanlock. So
 * systemd mounts for it, in the host's.
 */
#include "daemon.h"

#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    NAME_SIZE = 64
};

/* Of another process only who may trace it learns it. */
static bool read_namespace(const char *link, char ret_name[NAME_SIZE])
{
    ssize_t n = readlink(link, ret_name, NAME_SIZE - 1);
    ret_name[n > 0 ? n : 0] = '\0';
    return n > 0;
}

const char *mounts_through(void)
{
    char ours[NAME_SIZE], hosts[NAME_SIZE];
    bool same = read_namespace("/proc/self/ns/mnt", ours) &&
                read_namespace("/proc/1/ns/mnt", hosts) &&
                strcmp(ours, hosts) == 0;
    return same || sd_booted() <= 0 ? NULL : "/usr/bin/systemd-run";
}
