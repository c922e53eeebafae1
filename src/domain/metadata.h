/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's metadata file, and the checks of the other files beside it.
 */
#ifndef DRAY_DOMAIN_METADATA_H
#define DRAY_DOMAIN_METADATA_H

#include "dir.h"
#include <dray/format.h>
#include <dray/ports/storage.h>

/* What a domain's metadata says -> info; it must be that of domain @sd. Info's
 * path, status, problem and host_id stay. */
int domain_metadata_take(const struct format_domain *domain, const char *sd,
                         struct domain_info *info, struct err *err);
/* The metadata of a new domain, without what tells where it is. */
int domain_metadata_fill(struct format_domain *domain,
                         const struct domain_info *info, struct err *err);

/* Reads dom_md/metadata below @root, which must be that of domain @sd, and
 * fills in what it says; info's path, status, problem and host_id stay. 0 or
 * DOMAIN_NONE (no such file). */
int domain_metadata_read(const struct domain_dir *root, const char *sd,
                         struct domain_info *info, struct err *err);

/* Writes it into dom_md below @root, which has none yet. */
int domain_metadata_write(const struct domain_dir *root,
                          const struct domain_info *info,
                          const struct domain_owner *owner, struct err *err);

/* Whether everything else of a domain is there and belongs to it: ids, leases,
 * xleases, mailboxes, images, the block size. */
int domain_metadata_check_files(const struct domain_dir *root,
                                const struct domain_info *info,
                                struct err *err);

/* The smallest block that direct I/O to ids below @root takes: 1 (any, so
 * nobody can tell), 512 or 4096. */
int domain_metadata_probe_block_size(const struct domain_dir *root,
                                     unsigned *ret_block_size, struct err *err);

#endif
