/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an export is called, and what may be said about how it is mounted. Only
 * text: nothing is asked.
 */
#ifndef DRAY_DOMAIN_NFS_EXPORT_H
#define DRAY_DOMAIN_NFS_EXPORT_H

#include <dray/base/err.h>
#include <dray/ports/storage.h>
#include <stdbool.h>

enum {
    NFS_OPTIONS_SIZE = DOMAIN_OPTIONS_SIZE + 128, /* with ours */
};

/* SERVER:/PATH and no path of this host. */
bool nfs_is_export(const char *place);

/* Its one spelling: the server in lower case, an IPv6 address in brackets and
 * as short as can be, no slash too many. ERR_VALUE. */
int nfs_export_read(const char *place, char ret_remote[DOMAIN_REMOTE_SIZE],
                    struct err *err);

/* What VDSM calls the directory that it is mounted on: '_' doubled, '/' as
 * '_'. @remote: in its one spelling. */
void nfs_export_dir(const char *remote, char ret_name[NAME_MAX + 1]);

/* ERR_VALUE unless all of them are known to do no harm. */
int nfs_options_check(const char *options, struct err *err);

/* @options (checked), and ours where they say nothing. */
void nfs_options_complete(const char *options, char ret[NFS_OPTIONS_SIZE]);

#endif
