/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mounting and unmounting, by the system's own programs. One caller at a time
 * for each export.
 */
#ifndef DRAY_DOMAIN_NFS_MOUNT_H
#define DRAY_DOMAIN_NFS_MOUNT_H

#include "nfs.h"
#include <pthread.h>

struct reach;
struct nfs_use;

struct nfs {
    char dir[PATH_MAX]; /* constant, as the next five */
    char mount[PATH_MAX], umount[PATH_MAX];
    char table[PATH_MAX];
    char systemd_run[PATH_MAX]; /* empty: the programs run here */
    int mount_ms;

    pthread_mutex_t lock;   /* protects uses */
    pthread_cond_t changed; /* one is no longer busy */
    struct nfs_use *uses;
};

/* Where @remote is, or would be, mounted. */
int nfs_mount_point(const struct nfs *nfs, const char *remote,
                    char ret_path[PATH_MAX], struct err *err);

/* Mounts @remote at @path unless it is. Another thing that is mounted there is
 * an error. */
int nfs_mount(const struct nfs *nfs, const char *remote, const char *options,
              const char *path, struct err *err);

/* 0, or NFS_DETACHED, where @hangs. The directory goes, too. */
int nfs_unmount(const struct nfs *nfs, const char *path, bool hangs,
                struct err *err);

#endif
