/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Exports that drayd mounts, each once, in RUN_DIR/mnt. An export stays mounted
 * as long as somebody has taken it, or a domain on it is used by this host. All
 * state is the kernel's: who comes after a restart finds what is mounted.
 */
#ifndef DRAY_DOMAIN_NFS_NFS_H
#define DRAY_DOMAIN_NFS_NFS_H

#include "../domains.h"
#include "export.h"

struct nfs;

int nfs_new(const struct domains_options *options, struct nfs **ret_nfs,
            struct err *err);
void nfs_free(struct nfs *nfs);

/* --- use.c --- */

/* @remote is mounted, and answers, until nfs_give(); *ret_path is where. What
 * is mounted already stays as it is, whatever @options say. ERR_MOUNT. */
int nfs_take(struct domains *domains, const char *remote, const char *options,
             char ret_path[PATH_MAX], struct err *err);
/* Unmounts it when nobody else uses it, no domain either. */
void nfs_give(struct domains *domains, const char *remote);

enum {
    NFS_DETACHED = 1, /* the server does not answer, and no other process has
                         anything open there: what waits for it has failed, and
                         nobody finds it any more */
};
/* 0: unmounted, or somebody uses it. NFS_DETACHED. */
int nfs_rest(struct domains *domains, const char *remote, struct err *err);

#endif
