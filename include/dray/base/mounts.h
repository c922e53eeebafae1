/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's list of what is mounted, as text: /proc/PID/mountinfo. Reading
 * that waits for no server.
 */
#ifndef DRAY_BASE_MOUNTS_H
#define DRAY_BASE_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

enum {
    MOUNTS_TEXT_MAX = 16 * 1024 * 1024, /* bytes of the list */
    MOUNT_TYPE_SIZE = 64,
};

struct mount_entry {
    char point[PATH_MAX];
    char type[MOUNT_TYPE_SIZE]; /* nfs4, xfs, ... */
    char source[PATH_MAX];      /* SERVER:/PATH, /dev/sda1, ... */
};

/* Takes the next line of *text. False: there is none. A later one covers an
 * earlier one at the same point. */
bool mounts_next(const char **text, struct mount_entry *ret_entry);

#endif
